"""Who may read the page: nobody but this machine, or whoever holds the token.

Without a token the page listens on loopback only and answers only to names of loopback (a foreign name that points at
127.0.0.1 is how another site would read it: DNS rebinding). With a token every request carries it, as
`Authorization: Bearer` or as the session cookie that `/login` gives for it.
"""

import hmac
from hashlib import sha256
from pathlib import Path
from time import monotonic, time
from typing import Protocol
from urllib.parse import urlsplit

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.loopback import is_loopback

SESSION_COOKIE = "ow_session"
SESSION_S = 12 * 3600
SHORTEST_TOKEN = 16
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Guarded(Protocol):
    """A section of the settings that says where something listens, and who may come."""

    @property
    def host(self) -> str:
        """Address to listen on."""
        ...

    @property
    def port(self) -> int:
        """0 picks a free one."""
        ...

    @property
    def public_url(self) -> str | None:
        """Address that people know."""
        ...

    @property
    def token_file(self) -> Path | None:
        """File with the token."""
        ...


def check_exposure(web: Guarded, section: str = "web") -> None:
    """Refuse a page that others could read: anything but loopback needs a token. Raises SettingsError that names the
    field of that section.
    """
    if web.token_file is not None:
        read_token(web.token_file, section)
    elif not is_loopback(web.host):
        raise SettingsError(
            f"{section}.host: {web.host} can be reached from other machines, so {section}.token_file must name a token "
            "file (or listen on 127.0.0.1)"
        )


def read_token(path: Path, section: str = "web") -> str:
    """The token in a file. Raises SettingsError when there is none worth the name."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{section}.token_file: cannot read {path}") from error
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise SettingsError(
            f"{section}.token_file: {path} must hold at least {SHORTEST_TOKEN} printable ASCII characters, "
            "such as those of `openssl rand -hex 32`"
        )
    return token


class Access:
    """Knows the token (None: there is no door) and tells who holds it, in constant time."""

    def __init__(self, web: Guarded, section: str = "web") -> None:
        """Raises SettingsError when the token file is not usable."""
        self._token = None if web.token_file is None else read_token(web.token_file, section).encode()
        public = urlsplit(web.public_url or "").hostname
        self._hosts = {name for name in (*LOOPBACK_NAMES, web.host.strip("[]"), public) if name}
        self._failures: dict[str, list[float]] = {}

    @property
    def guarded(self) -> bool:
        """Whether a token is asked for."""
        return self._token is not None

    def knows_host(self, header: str) -> bool:
        """Whether a request's Host is a name of ours. With a token the name does not matter."""
        if self.guarded:
            return True
        try:
            host = urlsplit(f"//{header}").hostname
        except ValueError:
            return False
        return host is not None and (host in self._hosts or is_loopback(host))

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and hmac.compare_digest(self._token, given.encode("utf-8", "replace"))

    def session(self) -> str:
        """A session for whoever has shown the token; another token ends it."""
        expires = str(int(time()) + SESSION_S)
        return f"{expires}.{self._sign(expires)}"

    def is_session(self, cookie: str) -> bool:
        """Whether this is a session of ours that has not ended."""
        expires, _, signature = cookie.partition(".")
        genuine = hmac.compare_digest(self._sign(expires).encode(), signature.encode("utf-8", "replace"))
        return self.guarded and genuine and expires.isdecimal() and int(expires) > time()

    def _sign(self, text: str) -> str:
        return hmac.new(
            self._token or b"", b"opinionwatch session " + text.encode("utf-8", "replace"), sha256
        ).hexdigest()

    def wait_s(self, client: str) -> float:
        """How long this client has to wait before it may try a token again: after 5 wrong ones, a minute."""
        recent = [moment for moment in self._failures.get(client, []) if moment > monotonic() - 60]
        return 60 - (monotonic() - recent[0]) if len(recent) >= 5 else 0.0

    def failed(self, client: str) -> None:
        """Remember a wrong token."""
        recent = [moment for moment in self._failures.pop(client, []) if moment > monotonic() - 60]
        while len(self._failures) >= 1000:
            del self._failures[next(iter(self._failures))]
        self._failures[client] = [*recent, monotonic()]
