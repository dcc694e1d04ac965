"""How sources are doing, as their ingest daemons have reported it to the index: what a page beside them shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_query import MOST, Reader

STALE = timedelta(minutes=2)
"""A report that is older says how it was, and not how it is: its daemon is gone, or cannot reach the index."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a service lets a source ask."""

    remaining: float
    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reported:
    """A source, as it was reported last."""

    state: str
    """As its daemon said; `unreported` when that was too long ago."""
    last_error: str | None
    last_success: datetime | None
    kinds: tuple[tuple[str, int], ...]
    """Errors by kind."""
    quota: Allowance | None


def reported(reader: Reader, prefix: str, now: datetime) -> dict[str, Reported]:
    """The last report of each source, by name."""
    hits = reader.hits(index_of(prefix, "health"), [], (("event.provider", "asc"),), MOST)
    return {hit["_source"]["event.provider"]: _read(hit["_source"], now) for hit in hits}


def _read(told: Mapping[str, Any], now: datetime) -> Reported:
    left = told.get("health.quota_left")
    stale = now - datetime.fromisoformat(told["@timestamp"]) > STALE
    return Reported(
        state="unreported" if stale else told["health.state"],
        last_error=told.get("error.message"),
        last_success=_moment(told.get("health.last_success")),
        kinds=tuple((kind, int(count)) for kind, _, count in (each.rpartition(": ") for each in told["health.kinds"])),
        quota=None if left is None else Allowance(left, _moment(told.get("health.quota_until"))),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
