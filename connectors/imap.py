"""Mailboxes: support mail as documents, and the digests of Google Alerts as what they announce."""

import imaplib
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from opinionwatch.connectors.api import secret
from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.google_alerts import announced
from opinionwatch.connectors.http import SignInError, UnansweredError
from opinionwatch.connectors.mail import entry_of
from opinionwatch.connectors.mail_box import Box
from opinionwatch.connectors.named import Named
from opinionwatch.connectors.polling import PollingSettings
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.ports import Item, Page

PAGE_MAILS = 20
MAIL_BYTES = 1_000_000
"""Of a longer message only the beginning is asked for."""
SEARCHED = 50_000
"""Messages of one search: it is answered in one line, and no line beyond a million bytes is read."""
_UID = re.compile(rb"UID (\d{1,10})")
_ATOM = re.compile(r'[^\s(){%*"\\\]]+')
_CODE = re.compile(r"\[([A-Z][A-Z-]{2,40})\]")
_FOREIGN = re.compile(r"(&(?:[A-Za-z0-9+,]{3,})?-)|[^\x20-\x7e]+|&")
"""What a folder's name holds in modified UTF-7 already (the group), and what is to be written so."""


class Imap(Named):
    """Read the messages of a mail folder, one document each, or the results in the digests of Google Alerts.

    Opens the folder read-only (`EXAMINE`) and fetches by UID with `BODY.PEEK`, so nothing is marked, moved or deleted
    (RFC 3501 and RFC 9051, from memory, 2026-11-26). Signs in with a password or, as Gmail and Outlook demand, with an
    OAuth token (XOAUTH2); a name or password that is not ASCII goes by SASL PLAIN (RFC 4616, from memory), for LOGIN
    has no UTF-8. The cursor is UIDVALIDITY and the last UID; when the server renumbers its folder, it is read again,
    and Message-IDs tell what was known. Attachments are never opened, quoted replies are left out. Terms: these are
    your customers' letters; authors are pseudonymised and addresses masked before anything is stored.

    Delivery: at least once. A message that is moved away before it was polled is not seen.
    """

    kind = "imap"

    class Settings(PollingSettings):
        """Settings of an `imap` source."""

        host: str = Field(min_length=1, max_length=253, description="Host of the mail server: imap.example.org.")
        port: int = Field(default=993, ge=1, le=65_535, description="Port; 993 is IMAP over TLS.")
        security: Literal["tls", "none"] = Field(default="tls", description="none: only to a host of allow_hosts.")
        user: str = Field(
            min_length=1, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$", description="Name to sign in with."
        )
        auth: Literal["password", "xoauth2"] = Field(default="password", description="What the secret is.")
        secret_file: Path = Field(description="File whose first line is the password or the access token.")
        folder: str = Field(
            default="INBOX", max_length=500, pattern=r'^[^\x00-\x1f"\\]+$', description="Folder to read."
        )
        digests: Literal["no", "google_alerts"] = Field(
            default="no", description="google_alerts: take the results in the digests, and no other mail."
        )

    def __init__(self, name: str, settings: Settings) -> None:
        if settings.security == "none" and settings.host not in settings.allow_hosts:
            raise FatalError(f"sources.{name}: without TLS only a host that allow_hosts names is asked")
        reads = "google alerts" if settings.digests != "no" else f"{settings.host}/{settings.folder}"
        super().__init__(name, reads, settings.interval_s)
        self._given = settings
        self._secret = secret(name, settings.secret_file, "secret_file") or ""
        self._guard = Guard(settings.allow_hosts)

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: pages of the messages with UIDs above the cursor's."""
        place = _Place.read(cursor)
        with self._signed_in() as box:
            validity, count = self._examine(box)
            last = place.uid if place and place.validity == validity else 0
            yield from self._pages(box, validity, last, _search(box, count, f"UID {last + 1}:*"))

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """Messages that came on the day of `since` or later (`SEARCH SINCE`), by UID like a poll's."""
        day = "-".join(format_datetime(since.astimezone(UTC)).split()[1:4])
        place = _Place.read(cursor)
        with self._signed_in() as box:
            validity, count = self._examine(box)
            last = place.uid if place and place.validity == validity else 0
            yield from self._pages(box, validity, last, _search(box, count, f"SINCE {day}"))

    def check(self) -> str:
        """Whether we may sign in and read the folder, and how many messages it holds."""
        with self._signed_in() as box:
            count = self._open(box)
        return f"signed in; {self._given.folder} holds {count:,} messages"

    def _pages(self, box: imaplib.IMAP4, validity: int, last: int, found: set[int]) -> Iterator[Page]:
        """Of the messages that were found, those above the UID `last`."""
        # "n:*" always names the last message, also when its UID is below n.
        waiting = sorted(uid for uid in found if uid > last)
        before = len(found) - len(waiting)
        for start in range(0, len(waiting), PAGE_MAILS):
            if self._closing.is_set():
                return
            part = waiting[start : start + PAGE_MAILS]
            items = [Item(entry.body()) for entry in self._entries(box, validity, part)]
            share = (before + start + len(part)) / len(found)
            yield Page(items, _Place(validity=validity, uid=part[-1]).model_dump_json(), share=share)

    def _entries(self, box: imaplib.IMAP4, validity: int, uids: Sequence[int]) -> Iterator[Entry]:
        asked = ",".join(map(str, uids))
        for part in _ok(box.uid("FETCH", asked, f"(UID BODY.PEEK[]<0.{MAIL_BYTES}>)")):
            if not isinstance(part, tuple) or len(part) != 2:
                continue
            uid = _UID.search(part[0])
            entry = entry_of(part[1], f"{validity}:{uid[1].decode() if uid else ''}")
            if self._given.digests == "google_alerts":
                yield from announced(part[1])
            elif entry is not None:
                yield entry

    def _open(self, box: imaplib.IMAP4) -> int:
        """How many messages the folder holds."""
        return int(_line(box.select(f'"{_in_utf7(self._given.folder)}"', readonly=True)) or b"0")

    def _examine(self, box: imaplib.IMAP4) -> tuple[int, int]:
        """The folder's UIDVALIDITY, and how many messages it holds."""
        count = self._open(box)
        told = box.response("UIDVALIDITY")[1]
        if not told or not isinstance(told[0], bytes) or not told[0].isdigit():
            raise RetryableError(f"{self._given.host}: the folder has no UIDVALIDITY")
        return int(told[0]), count

    @contextmanager
    def _signed_in(self) -> Iterator[imaplib.IMAP4]:
        host, token = self._given.host, self._secret
        try:
            box = Box(self._guard, host, self._given.port, encrypted=self._given.security == "tls")
            try:
                self._sign_in(box, token)
                yield box
            finally:
                box.end()
        except (imaplib.IMAP4.error, OSError, UnicodeError) as error:
            kind = UnansweredError if isinstance(error, OSError) else RetryableError
            raise kind(f"{host}: {_said(error, token)}") from None
        except ValueError as error:
            raise FatalError(f"{host}: {error}") from error

    def _sign_in(self, box: imaplib.IMAP4, token: str) -> None:
        user, by_login = self._given.user, False
        spoken = f"user={user}\x01auth=Bearer {token}\x01\x01".encode()
        if self._given.auth == "password":
            spoken, by_login = f"\0{user}\0{token}".encode(), (user + token).isascii() and token.isprintable()
            if not by_login and "AUTH=PLAIN" not in box.capabilities:
                raise FatalError(
                    f"{self._given.host}: the server does not offer AUTH=PLAIN, and without it a name or password has "
                    "to be ASCII: change that in the mailbox, then here, and start again"
                )
        try:
            if by_login:
                box.login(_quoted(user), token)
            else:
                box.authenticate("PLAIN" if self._given.auth == "password" else "XOAUTH2", lambda _: spoken)
        except imaplib.IMAP4.abort:
            raise  # the connection broke: nobody said no
        except imaplib.IMAP4.error as error:
            raise SignInError(f"{self._given.host}: {_refusal(error, token, spoken)}") from None


class _Place(Cursor):
    """The cursor."""

    whose = "a mailbox"
    validity: int
    uid: int = Field(ge=0)


def _in_utf7(folder: str) -> str:
    """A folder's name as it goes over the wire (modified UTF-7, RFC 3501 5.1.3); written so already, it stays.

    >>> _in_utf7("客服 & R&D"), _in_utf7("&W6JnDQ-")
    ('&W6JnDQ- &- R&-D', '&W6JnDQ-')
    """

    def written(found: re.Match[str]) -> str:
        if found[1] or found[0] == "&":
            return found[1] or "&-"
        packed = b64encode(found[0].encode("utf-16-be")).decode("ascii")
        return f"&{packed.rstrip('=').replace('/', ',')}-"

    return _FOREIGN.sub(written, folder)


def _search(box: imaplib.IMAP4, count: int, wanted: str) -> set[int]:
    """The UIDs that `wanted` finds in a folder of so many messages."""
    found = set[int]()
    # From the newest down: what is moved away meanwhile moves the later ones down, to where is still searched.
    for start in range((max(count, 1) - 1) // SEARCHED * SEARCHED + 1, 0, -SEARCHED):
        end = "*" if start + SEARCHED > count else start + SEARCHED - 1
        part = wanted if count <= SEARCHED else f"{start}:{end} {wanted}"
        found.update(int(uid) for uid in _line(box.uid("SEARCH", part)).split() if uid.isdigit())
    return found


def _said(error: Exception, token: str) -> str:
    """What went wrong, without the secret."""
    said = str(error).replace(token, "…") if token else str(error)
    return said[:200] or type(error).__name__


def _quoted(text: str) -> str:
    """A name that is no atom of the protocol (RFC 3501), as of several words, as a string; any other as it is."""
    if _ATOM.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _refusal(error: Exception, token: str, spoken: bytes) -> str:
    """The server's words; only their code (RFC 5530) when they repeat the secret, however it is spelt."""
    said = str(error)
    if any(secret.replace("\\", "") in said.replace("\\", "") for secret in (token, b64encode(spoken).decode())):
        code = _CODE.search(said)
        return f"the server refuses the name or the secret{f' ({code[1]})' if code else ''}"
    return said[:200] or type(error).__name__


def _ok(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    """What the server says, if it is OK."""
    status, told = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"the server says {status}: {str(told[:1])[:100]}")
    return told


def _line(answer: tuple[str, Sequence[object]]) -> bytes:
    """The first line of that."""
    told = _ok(answer)
    return told[0] if told and isinstance(told[0], bytes) else b""
