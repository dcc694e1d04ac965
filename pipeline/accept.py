"""The ingest hop's only stage: what comes from outside becomes a `Document`, or a `DeadLetter` that says why not.

Nothing personal passes: authors become keyed pseudonyms, personal data in texts is masked, and so it is in the dead
letters. What had to be done to a document is in its flags.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from opinionwatch.pipeline import submission as submissions
from opinionwatch.pipeline.clean import clean, one_line
from opinionwatch.pipeline.contracts import DeadLetter, Document, Engagement, Flag, Submission, content_id
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.pii import mask
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.shown import UNPRINTABLE, cut, headers, printable
from opinionwatch.pipeline.stages import RAW_CHARS, each
from opinionwatch.pipeline.versions import program

FUTURE = timedelta(minutes=5)
"""Clocks of sources may be ahead by this much."""
ZONES = timedelta(days=1)
"""A time of day in another zone than it says is ahead by less. What lies further ahead may be of any time, and no alert
is to be raised for it.
"""
ANCIENT = datetime(1990, 1, 1, tzinfo=UTC)
"""No post is older; epoch 0 and year 1 are defects of sources."""

_LANG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")
_ESCAPE = re.compile(r"(\\\\)|\\u([0-9A-Fa-f]{4})")
_HTML_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One raw record and the source it came from."""

    source: str
    kind: str
    instance: str
    item: Item


class Accept:
    """Validate, clean, mask, name and stamp what sources deliver.

    A stage from `Arrival` to `Document`, `Deletion` or `DeadLetter`. Times: `accepted_at` is the item's arrival (a
    replay's) or `now`; a `published_at` that is missing, more than 5 minutes ahead, or before 1990 becomes
    `accepted_at`, flagged. An `edited_at` that is not after `published_at`, or before 1990, says nothing; one that is
    ahead becomes `accepted_at`.
    """

    def __init__(self, limits: Limits, tenant: str, pseudonym_key: bytes) -> None:
        self._limits = limits
        self._tenant = tenant
        self._key = hashlib.sha256(b"author\0" + pseudonym_key).digest()
        self._stage = each(self._accept, self.bury)

    def __call__(self, batch: Sequence[Arrival], now: datetime) -> list[Document | Deletion | DeadLetter]:
        """Accept a batch; the result has the batch's order."""
        return self._stage(batch, now)

    def _accept(self, arrival: Arrival, now: datetime) -> Document | Deletion:
        given = submissions.parse(arrival.item, self._limits)
        accepted_at = arrival.item.arrived_at or now
        if given.deleted:
            return Deletion(
                id=self._id(arrival, given.native_id),
                tenant=self._tenant,
                source=_label(given.source) or arrival.source,
                source_kind=arrival.kind,
                instance=arrival.instance,
                accepted_at=accepted_at,
            )
        text, flags = self._text(given)
        published_at, time_flags = _published(given.published_at, accepted_at)
        return Document(
            id=self._id(arrival, given.native_id),
            tenant=self._tenant,
            source=_label(given.source) or arrival.source,
            source_kind=arrival.kind,
            instance=arrival.instance,
            native_id=given.native_id,
            text=text,
            author=self.pseudonym(arrival.kind, given.author),
            url=safe_url(given.url),
            published_at=published_at,
            accepted_at=accepted_at,
            declared_lang=_declared_lang(given.lang),
            flags=tuple(dict.fromkeys((*flags, *time_flags, *(("history",) if arrival.item.history else ())))),
            edited_at=_edited(given, accepted_at),
            engagement=_engagement(given, accepted_at),
        )

    def _text(self, given: Submission) -> tuple[str, tuple[Flag, ...]]:
        limit = self._limits.text_chars
        body = clean(given.text, html=given.html, limit=limit)
        flags = list(body.flags)
        text = body.text
        if given.title:
            title = clean(given.title, html=given.html, limit=limit)
            flags += title.flags
            headline = one_line(title.text)
            if headline and not text.startswith(headline):
                text = f"{headline}\n{text}".strip()
        masked = mask(text)
        if masked != text:
            flags.append("masked")
        shown = cut(masked, limit, whole=len(text) <= limit)
        if len(text) > limit:
            flags.append("truncated")
        if not shown or shown.strip("\ufffd\ufe0e\ufe0f \n") == "":
            raise RejectedError("empty_text", "nothing readable is left after cleaning")
        return shown, tuple(dict.fromkeys(flags))

    def pseudonym(self, kind: str, author: str | None) -> str | None:
        """16 hex digits that stand for an author within one kind of source; nobody without the key can name them."""
        name = unicodedata.normalize("NFKC", author).strip().casefold() if author else ""
        if not name:
            return None
        told = f"{self._tenant}\0{kind}\0{name}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()[:16]

    def _id(self, arrival: Arrival, native_id: str) -> str:
        return content_id(self._tenant, arrival.kind, arrival.instance, native_id)

    def bury(self, arrival: Arrival, error: RejectedError, now: datetime) -> DeadLetter:
        """The dead letter of a record that this stage, or a defect in it, refuses."""
        item = arrival.item
        try:
            native_id = submissions.native_id(submissions.load(item.body, self._limits.record_bytes), item.fields)
        except RejectedError:
            native_id = None
        name = native_id or "bytes:" + hashlib.blake2b(item.body, digest_size=16).hexdigest()
        return DeadLetter(
            id=self._id(arrival, name),
            tenant=self._tenant,
            source=arrival.source,
            source_kind=arrival.kind,
            instance=arrival.instance,
            native_id=native_id,
            stage="accept",
            reason=error.reason,
            detail=error.detail,
            raw=self._raw(arrival),
            headers=headers(item.headers),
            fields=item.fields,
            program=program(),
            accepted_at=item.arrived_at or now,
        )

    def _raw(self, arrival: Arrival) -> str:
        """The record's bytes as people may see them: decoded, authors and personal data masked, controls escaped."""
        window = 2 * RAW_CHARS
        text = arrival.item.body[: 4 * window].decode("utf-8", "backslashreplace")
        whole = len(arrival.item.body) <= 4 * window and len(text) <= window
        text = text[:window]
        # JSON may spell any character as an escape; personal data must not hide behind it.
        text = _ESCAPE.sub(_unescape, text)
        path = next((path for name, path in arrival.item.fields if name == "author"), "author")
        author = re.compile(rf'("{re.escape(path.rpartition(".")[2])}"\s*:\s*)(?:"((?:[^"\\]|\\.)*+)"?|([0-9]++))')
        text = author.sub(lambda found: f'{found[1]}"{self.pseudonym(arrival.kind, found[2] or found[3]) or ""}"', text)
        return printable(cut(mask(text), RAW_CHARS, whole=whole))[:RAW_CHARS]


def _published(given: datetime | None, accepted_at: datetime) -> tuple[datetime, tuple[Flag, ...]]:
    if given is None:
        return accepted_at, ("no_time",)
    if given > accepted_at + FUTURE:
        return accepted_at, ("future_time", "history") if given > accepted_at + ZONES else ("future_time",)
    if given < ANCIENT:
        return accepted_at, ("ancient_time", "history")
    return given, ()


def _edited(given: Submission, accepted_at: datetime) -> datetime | None:
    at = given.edited_at
    if at is None or at < ANCIENT or (given.published_at is not None and at <= given.published_at):
        return None
    return at if at <= accepted_at + FUTURE else accepted_at


def _engagement(given: Submission, accepted_at: datetime) -> Engagement | None:
    figures = {name: getattr(given, name) for name in ("likes", "reposts", "replies")}
    return Engagement(**figures, seen_at=accepted_at) if any(each is not None for each in figures.values()) else None


def safe_url(url: str | None) -> str | None:
    """The address if a page may link to it: http or https, a host, no credentials; else None.

    A query that holds an e-mail address is cut off.

    >>> safe_url("https://example.com/a?b=1"), safe_url("javascript:alert(1)"), safe_url("http://me:pw@example.com/")
    ('https://example.com/a?b=1', None, None)
    """
    if not url or _HTML_BLANK.search(url.strip()):
        return None
    try:
        parts = urlsplit(url.strip())
        safe = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return None
    if not safe or '"' in url or "<" in url:
        return None
    query = parts.query + parts.fragment
    if query and mask(query.replace("%40", "@")) != query.replace("%40", "@"):
        return parts._replace(query="", fragment="").geturl()
    return url.strip()


def _declared_lang(tag: str | None) -> str | None:
    return tag.replace("_", "-") if tag and _LANG.fullmatch(tag) else None


def _label(source: str | None) -> str | None:
    return mask(one_line(UNPRINTABLE.sub("", source))) or None if source else None


def _unescape(found: re.Match[str]) -> str:
    char = chr(int(found[2], 16)) if found[2] else ""
    plain = char and (char.isalnum() or char in "@.+-_ ()" or (ord(char) > 0x9F and char.isprintable()))
    return char if plain else found[0]
