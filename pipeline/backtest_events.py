"""Marked events of the past, as people write them down for a back-test: a YAML list of what should have been told.

What people answered to the alerts of the time is the other source of such knowledge.
"""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from opinionwatch.pipeline.answers import verdicts
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts import Utc
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.moments import moment
from opinionwatch.pipeline.ticks import TICK

MOST = 1000
MOST_BYTES = 4 * 1024 * 1024


def _moment(given: object) -> object:
    if isinstance(given, date) and not isinstance(given, datetime):  # YAML's own
        given = given.isoformat()
    return moment(given) if isinstance(given, str | int | float | datetime) else given


Moment = Annotated[Utc, BeforeValidator(_moment)]


class Event(BaseModel):
    """Something that happened to a watchlist. Times without an offset are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    watchlist: Annotated[str, Field(min_length=1, max_length=64)]
    start: Moment
    end: Moment
    name: Annotated[str, Field(max_length=200)] = ""
    should_alert: bool = True
    """False: loud, but no crisis; an alarm in it is a false one."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Event":
        if self.end <= self.start:
            raise ValueError("it ends before it starts")
        return self


def answered(archive: Archive, since: datetime, until: datetime, marked: Sequence[Event]) -> tuple[Event, ...]:
    """Events from what people answered to episodes that opened in the period: real ones, and those that were none.

    Where somebody has marked an event of the watchlist in that time, the mark counts.
    """
    judged = verdicts(archive.feedback(limit=MOST))
    found = []
    for episode in archive.episodes(limit=MOST):
        answer = judged.get(episode.id)
        if answer is None or not since <= episode.opened_at < until:
            continue
        start, end = episode.began_at, max(episode.resolved_at or until, episode.began_at + TICK)
        if any(one.watchlist == episode.watchlist and one.start <= end and start <= one.end for one in marked):
            continue
        said = "real" if answer.verb == "real" else "not a crisis"
        event = Event(
            watchlist=episode.watchlist,
            start=start,
            end=end,
            name=f"{said} ({answer.by})"[:200],
            should_alert=answer.verb == "real",
        )
        found.append(event)
    return tuple(found)


_EVENTS = TypeAdapter(list[Event])


def load(path: Path) -> tuple[Event, ...]:
    """The events of a file, by start. Raises SettingsError that names entry and cure.

    Example of an entry: `- {watchlist: acme, start: 2026-03-08T10:00Z, end: 2026-03-08T20:00Z, name: recall}`
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SettingsError(f"{path} is larger than {MOST_BYTES} bytes")
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid YAML") from error
    try:
        found = _EVENTS.validate_python(given if given is not None else [])
    except ValidationError as error:
        mistake = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in mistake["loc"])
        raise SettingsError(
            f"{path}: entry {place or '-'}: {mistake['msg']}; write a list of "
            "{watchlist: …, start: 2026-03-08T10:00Z, end: …, name: …, should_alert: true}"
        ) from error
    return tuple(sorted(found, key=lambda event: (event.start, event.watchlist, event.end)))
