"""Signed addresses that answer an episode: whoever holds one may give that answer, once, until it expires.

`<episode>.<verb>.<expiry>.<signature>`: HMAC-SHA256 over the rest with the key beside the store. Opening the address
only asks; the answer is a POST, so that no scanner of mails gives it. Used up is what stands in the store.
"""

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args
from urllib.parse import quote

from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.contracts_trend import Alert, Feedback, Verb

LASTS = timedelta(days=14)
VERBS: tuple[Verb, ...] = get_args(Verb)
_TOKEN = re.compile(r"([\w-]{1,64})\.([a-z_]{1,16})\.(\d{1,12})\.([\w-]{43})")


def verdicts(feedback: Iterable[Feedback]) -> dict[str, Feedback]:
    """By episode: the newest answer that says what it was worth. Who only takes care of it has said nothing about that.

    >>> verdicts([])
    {}
    """
    found: dict[str, Feedback] = {}
    for one in sorted(feedback, key=lambda one: (one.at, one.id)):
        if one.verb != "acknowledge":
            found[one.episode_id] = one
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address says."""

    episode_id: str
    verb: Verb
    id: str
    """The same for every use of the address."""

    def feedback(self, now: datetime) -> Feedback:
        """The answer, given now."""
        return Feedback(id=self.id, episode_id=self.episode_id, verb=self.verb, at=now, by="e-mail", via="link")


class Answers:
    """Makes and reads such addresses. Pure."""

    def __init__(self, key: bytes) -> None:
        """`key` has at least 32 bytes."""
        if len(key) < 32:
            raise ValueError("a key of 32 bytes is needed")
        self._key = key

    def links(self, alert: Alert, public_url: str) -> tuple[tuple[Verb, str], ...]:
        """An address for each answer; the same for the same alert. None once the episode has ended."""
        if alert.event == "resolved":
            return ()
        expires = int((alert.at + LASTS).timestamp())
        return tuple(
            (verb, f"{public_url.rstrip('/')}/answer/{quote(self._token(alert.episode.id, verb, expires))}")
            for verb in VERBS
        )

    def read(self, token: str, now: datetime) -> Answer | None:
        """What a token says; None when it is not ours or has expired."""
        found = _TOKEN.fullmatch(token)
        verb = next((verb for verb in VERBS if found is not None and verb == found[2]), None)
        if found is None or verb is None:
            return None
        genuine = hmac.compare_digest(self._token(found[1], verb, int(found[3])), token)
        if not genuine or int(found[3]) < now.astimezone(UTC).timestamp():
            return None
        return Answer(found[1], verb, content_id("answer", token))

    def _token(self, episode_id: str, verb: str, expires: int) -> str:
        signed = f"{episode_id}.{verb}.{expires}"
        digest = hmac.digest(self._key, f"opinionwatch answer {signed}".encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
