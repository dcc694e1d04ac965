"""The shape of a language that alerts speak: phrases with named gaps. One instance a language, in `words_<lang>`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from opinionwatch.pipeline.contracts_trend import AlertEvent, EpisodeKind, Purpose, Severity

Ending = Literal["accepted"]
"""What `resolved` is called when the story ended because what it tells of is taken as the normal from then on."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language. Gaps are filled by `message`."""

    titles: Mapping[EpisodeKind, Mapping[AlertEvent | Ending, str]]
    summaries: Mapping[EpisodeKind, Mapping[AlertEvent | Ending, str]]
    labels: Mapping[str, str]
    severities: Mapping[Severity, str]
    about: str
    places: str
    where: str
    both: str
    comma: str
    semicolon: str
    percent: str
    percents: str
    since: str
    noticed: str
    months: tuple[str, ...]
    day: str
    strong: str
    times_expected: str
    much: str
    volume: str
    sure: str
    surest: str
    unsure: str
    contribution: str
    term: str
    reposts: str
    repeat: str
    purposes: Mapping[Purpose, str]
    """Why somebody is told who usually is not."""
    spell: tuple[str, str, str]
    """Days, hours, minutes."""
    quoted: str
    test: tuple[str, str]
    """Title and summary of `notify test`."""
