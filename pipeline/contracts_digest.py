"""The records of the digest: the last day or week of every watchlist, worded for people, and how far it is told."""

from typing import Annotated, Literal

from pydantic import Field

from opinionwatch.pipeline.contracts import Record, Utc

NOTE = "digest/"
"""What the notes of digests are called, with the digest's name."""
DigestState = Literal["waiting", "pending", "sending"]


class Told(Record):
    """How far a digest has been told. It is saved before and after every attempt, so no restart tells or skips twice.

    `waiting`: for the next time in the calendar; `pending`: the one up to `until` is to be tried (again); `sending`:
    an attempt was made whose outcome nobody knows.
    """

    schema_version: Literal[1] = 1
    told_until: Utc
    """Everything up to here has reached its readers."""
    tried_until: Utc
    """Up to here there is nothing more to try: told, or refused for good and left to the next one."""
    state: DigestState = "waiting"
    until: Utc | None = None
    attempts: Annotated[int, Field(ge=0)] = 0
    uncertain: bool = False
    """An attempt before the one that is made may have got through."""
    due_at: Utc | None = None
    """When the next attempt is made."""
    detail: str = ""
    """Why the last attempt did not get through, in words."""


class Story(Record):
    """One episode of the period."""

    title: str
    summary: str
    when: str
    answers: str
    """What people answered; empty where nobody has."""
    link: str


class Section(Record):
    """One watchlist in the period."""

    name: str
    facts: tuple[tuple[str, str], ...]
    stories: tuple[Story, ...]
    chart_png: bytes | None = None


class Digest(Record):
    """A period in the life of all watchlists, in one language and no markup. The same period has the same id."""

    id: str
    name: str
    lang: Literal["en", "zh"]
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    calm: tuple[str, ...]
    """Names of watchlists without a story, of which there is nothing more to say."""
    undelivered: tuple[tuple[str, str], ...]
    """Reasons why alerts of the period did not reach somebody, and how many."""
    link: str
    at: Utc
    """The end of the period."""
    repeat: bool = False
    """True when an earlier attempt may have got through."""
