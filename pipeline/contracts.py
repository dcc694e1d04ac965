"""The records that travel: from a submission to a scored document and its mentions.

Frozen pydantic models, UTC times, no untyped dictionaries. What crosses a topic or a process carries `schema_version`.
The records of the trend hop (windows, signals, episodes, alerts) are in `contracts_trend`.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from opinionwatch.pipeline.errors import DeadReason
from opinionwatch.pipeline.versions import version_of

Label = Literal["negative", "neutral", "positive"]
Utc = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
Span = tuple[int, int]
"""Half-open character offsets `[start, end)` into the text that the record carries."""

Flag = Literal[
    "html", "repaired", "truncated", "masked", "future_time", "ancient_time", "no_time", "obfuscated", "history"
]
"""What had to be done to a document on its way in; `history`: it raises no alert, for a backfill brought it, or nobody
knows of when it is, since its time is more than a day ahead or before 1990.
"""


class Record(BaseModel):
    """Base of all contracts: immutable, and unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def content_id(*parts: str) -> str:
    """Name something by what it is: 32 hex digits of BLAKE2b over the length-prefixed parts.

    >>> content_id("default", "rss", "blog", "1") == content_id("default", "rss", "blog", "1")
    True
    >>> content_id("ab", "c") == content_id("a", "bc")
    False
    """
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()


Figure = Annotated[int, Field(ge=0, le=10**12)]


class Engagement(Record):
    """What others did with a text, as last seen. Weights by which texts are sorted and shown; never voices."""

    likes: Figure | None = None
    reposts: Figure | None = None
    replies: Figure | None = None
    seen_at: Utc

    @property
    def total(self) -> int:
        """All of it together: what texts are sorted by."""
        return (self.likes or 0) + (self.reposts or 0) + (self.replies or 0)


class Submission(Record):
    """One public text as a connector or a user hands it in. Its JSON Schema is the published input format.

    Only `text` and `native_id` are required. `native_id` names the text within its source for ever: it is what makes
    a second delivery a duplicate and not a second opinion.
    """

    native_id: Annotated[str, Field(min_length=1, max_length=1024, description="The source's own id of this text.")]
    text: Annotated[str, Field(description="What was said. HTML is accepted when `html` is true.")]
    title: Annotated[str | None, Field(description="Headline, if the text has one.")] = None
    author: Annotated[str | None, Field(max_length=1024, description="Stored only as a keyed pseudonym.")] = None
    url: Annotated[str | None, Field(max_length=4096, description="Where a reader finds it; http(s) only.")] = None
    published_at: Annotated[datetime | None, Field(description="Event time; without an offset it is UTC.")] = None
    lang: Annotated[str | None, Field(max_length=35, description="BCP-47 tag, if the source says so.")] = None
    source: Annotated[
        str | None,
        Field(min_length=1, max_length=64, description="Where it was said, if one feed carries several places."),
    ] = None
    html: Annotated[bool, Field(description="Whether text and title are HTML.")] = False
    edited_at: Annotated[
        datetime | None,
        Field(description="When this version was written. A later version takes the place of an earlier one."),
    ] = None
    deleted: Annotated[
        bool, Field(description="The text was taken back: it goes everywhere, and stays away. `text` may be empty.")
    ] = False
    likes: Annotated[Figure | None, Field(description="How many like it now. Told again, it is updated.")] = None
    reposts: Annotated[Figure | None, Field(description="How many have passed it on.")] = None
    replies: Annotated[Figure | None, Field(description="How many answers it has.")] = None


class Document(Record):
    """An accepted text: cleaned, masked, named and stamped. Nothing personal is left to mask in it."""

    schema_version: Literal[1] = 1
    id: str
    """`content_id(tenant, source_kind, instance, native_id)`."""
    tenant: str
    source: str
    """What people read: the submission's own `source`, else the name in the settings."""
    source_kind: str
    instance: str
    native_id: str
    text: str
    """As shown to people; spans refer to this text. A title is its first line."""
    author: str | None
    """Keyed pseudonym, 16 hex digits."""
    url: str | None
    published_at: Utc
    accepted_at: Utc
    declared_lang: str | None = None
    flags: tuple[Flag, ...] = ()
    edited_at: Utc | None = None
    """When its author changed it last, as the source says; None: it is as it was first."""
    revised_at: Utc | None = None
    """When this version was accepted, if another was before; source, `accepted_at`, `published_at` are the first's."""
    engagement: Engagement | None = None

    @property
    def version(self) -> int:
        """Which of the versions of this id it is; see `version_of`."""
        return version_of(self.edited_at, self.text)


class Sentiment(Record):
    """Calibrated probabilities (they sum to 1), and whether the scorer is sure enough to be counted."""

    label: Label
    negative: Annotated[float, Field(ge=0, le=1)]
    neutral: Annotated[float, Field(ge=0, le=1)]
    positive: Annotated[float, Field(ge=0, le=1)]
    unsure: bool


class Confusion(Record):
    """How a scorer errs in one language, counted on texts of known label that it is sure about."""

    hits: Annotated[int, Field(ge=0, description="Negative texts that it calls negative.")]
    negatives: Annotated[int, Field(ge=1, description="Negative texts.")]
    false_hits: Annotated[int, Field(ge=0, description="Other texts that it calls negative.")]
    others: Annotated[int, Field(ge=1, description="Other texts.")]

    @model_validator(mode="after")
    def _parts_fit(self) -> "Confusion":
        if self.hits > self.negatives or self.false_hits > self.others:
            raise ValueError("hits are a part of negatives, false_hits of others")
        return self


class OpinionTerm(Record):
    """One aspect–opinion–polarity triplet with its place in the text. `aspect` is None where it is only implied.

    With the mention it stands in (target, holder, time) it is the quintuple of opinion mining (Liu 2012, §2.1).
    """

    aspect: str | None
    opinion: str
    polarity: Label
    aspect_span: Span | None
    opinion_span: Span
    confidence: Annotated[float, Field(ge=0, le=1)]


class Reading(Record):
    """What a scorer makes of one text."""

    sentiment: Sentiment
    opinions: tuple[OpinionTerm, ...] = ()
    targets: tuple[Sentiment, ...] = ()
    """Towards each target of the passage, in order; empty where the scorer has no opinion on targets."""


class Match(Record):
    """Why a document belongs to a watchlist, and what it says of it."""

    watchlist: str
    clause: str
    """The clause that matched, as it stands in the settings, e.g. `name: Lumora` or `any: 流墨`."""
    spans: tuple[Span, ...]
    sentiment: Sentiment | None = None
    """Towards what is watched, as its mention counts it; None: as the whole text, for the scorer knows no targets."""


class ScoredDocument(Record):
    """A document with everything the score hop found: the unit of the documents index."""

    schema_version: Literal[1] = 1
    document: Document
    lang: str
    """BCP-47 primary tag, `und` if unknown."""
    lang_confidence: float
    fingerprint: str
    """64-bit SimHash of the folded text, 16 hex digits; all zeros when the text is too short to compare."""
    matches: tuple[Match, ...]
    reading: Reading
    scorer: str
    """Version of the scorer, changes with its weights."""

    @property
    def id(self) -> str:
        """The document's id."""
        return self.document.id


class Mention(Record):
    """One scored document as it concerns one watchlist: the unit of the opinions log, and all the trend hop reads."""

    schema_version: Literal[1] = 1
    watchlist: str
    document_id: str
    tenant: str
    source: str
    author: str | None
    url: str | None
    lang: str
    text: str
    published_at: Utc
    accepted_at: Utc
    fingerprint: str
    aspect: str
    """The cell this mention is counted in: the canonical aspect of its strongest opinion, `general` if none."""
    aspects: tuple[str, ...]
    reading: Reading
    scorer: str
    history: bool = False
    """A backfill brought it: it is counted in its window, and is evidence of nothing."""
    version: int = 0
    """Of the document."""
    revised_at: Utc | None = None
    """When this version was accepted, if it takes an earlier one's place."""

    @property
    def id(self) -> str:
        """Content-derived: the same document in the same watchlist is the same mention."""
        return content_id(self.document_id, self.watchlist)


class Gap(Record):
    """What a source could not have, because its service had dropped it before it was asked for: never passed over in
    silence. The audit and the page show it; it is in no sum of the ledger, for nothing of it was ever accepted.
    """

    schema_version: Literal[1] = 1
    source: str
    since: Utc | None
    """The last that is known to have been had before the gap; None when nobody knows."""
    until: Utc | None
    """The first that is known to have been had after it."""
    missed: int | None = None  # how many records, where the service says so
    detail: str  # how it was noticed, in words without secrets
    history: bool = False  # a backfill noticed it; the live cursor passes nothing over
    found_at: Utc

    @property
    def id(self) -> str:
        """Content-derived: a gap that is found again after a crash is the same gap."""
        return content_id(self.source, str(self.since), str(self.until), self.detail)


class DeadLetter(Record):
    """A record that could not be taken, with its reason and its (masked) bytes. It waits for a person or a redrive."""

    schema_version: Literal[1] = 1
    id: str
    tenant: str
    source: str
    source_kind: str
    instance: str
    native_id: str | None
    stage: str
    reason: DeadReason
    detail: str
    raw: str
    """The record's bytes as text, undecodable ones escaped, personal data masked, cut to a declared length."""
    headers: tuple[tuple[str, str], ...] = ()
    """What Kafka or HTTP said beside it: the first ones, masked and cut like `raw`."""
    fields: tuple[tuple[str, str], ...] = ()
    """The renames it was read with, so that a redrive reads it the same way."""
    program: str = ""  # the version that buried it; empty in letters from before that was noted
    scorer: str | None = None  # the version, where one had to do with it
    accepted_at: Utc
    attempts: int = 1
    version: int = 0  # of the document that it was


class Drop(Record):
    """A document that a named rule of the settings leaves out: counted, and not an error."""

    schema_version: Literal[1] = 1
    id: str
    source: str
    accepted_at: Utc
    rule: Literal["no-watchlist", "deleted"]
    version: int = 0  # of the document that it was
