"""Where calibrations are kept: one JSON line each in `calibration.jsonl` beside the store, oldest first, none removed.

A calibration is only found by `opinionwatch calibrate`; the next runtime that starts takes it up, from the tick after
the last one it has decided. Daemons have no such file: there it goes through the mentions log (`Calibrated`). So no
decision is ever read again under another threshold than the one it was made with.
"""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import ValidationError

from opinionwatch.alerts.calibration import HISTORY_DAYS, Curve, History, calibrated, history
from opinionwatch.pipeline.answers import verdicts
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts_trend import Feedback
from opinionwatch.pipeline.errors import FatalError, SettingsError
from opinionwatch.pipeline.log import Reader
from opinionwatch.pipeline.ticks import TICK, TICKS_PER_DAY, start_of, tick_of
from opinionwatch.pipeline.trend_partition import Adopted, adopted_in
from opinionwatch.pipeline.trend_store import last_saved

NAME = "calibration.jsonl"
EPISODES = 1000


def load(folder: Path) -> tuple[Curve, ...]:
    """The calibrations there have been, oldest first. Raises FatalError when the file is damaged."""
    try:
        lines = (folder / NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    try:
        return tuple(Curve.model_validate_json(line) for line in lines)
    except ValidationError as error:
        raise FatalError(f"{folder / NAME} is damaged: restore it from a backup, or move it away and start") from error


def adopted(told: Iterable[Adopted]) -> tuple[Curve, ...]:
    """The calibrations that a partition of the log holds. Raises FatalError for one that this program cannot read."""
    try:
        return tuple(
            Curve.model_validate_json(each.curve).model_copy(update={"applies_from": each.since}) for each in told
        )
    except ValidationError as error:
        raise FatalError("a calibration in the mentions log cannot be read: two versions of opinionwatch?") from error


def in_the_log(reader: Reader, partitions: int) -> tuple[Curve, ...]:
    """The calibrations in the trend workers' saved states, oldest first.

    Each partition has taken one up at a tick of its own, minutes apart; here it counts from the last of them.
    """
    last: dict[str, Adopted] = {}
    for partition in range(partitions):
        saved = last_saved(reader, partition)
        for each in adopted_in(saved.state) if saved is not None else ():
            last[each.curve] = max(each, last.get(each.curve, each), key=lambda one: one.since)
    return adopted(sorted(last.values(), key=lambda one: one.since))


def add(folder: Path, curve: Curve) -> None:
    """Put one behind the others; the next runtime takes it up."""
    _write(folder, (*(known for known in load(folder) if known.applies_from is not None), curve))


def adopt(folder: Path, decided: datetime | None) -> None:
    """Take up what waits, from the tick after all that is decided. Call it under the store's lock, before the start."""
    known = load(folder)
    if any(curve.applies_from is None for curve in known):
        since = datetime(1970, 1, 1, tzinfo=UTC) if decided is None else start_of(tick_of(decided)) + TICK
        _write(folder, tuple(c if c.applies_from else c.model_copy(update={"applies_from": since}) for c in known))


def found(archive: Archive, watchlists: list[str], min_voices: int) -> Curve | None:
    """Calibrate on the last fortnight of whole days in the archive; None where it holds too little.

    Days of an episode are left out, unless somebody has answered that it was none: then they are quiet days like any
    other, and what the detector raises on them counts as false.
    """
    span = archive.span()
    if span is None:
        return None
    until = tick_of(span[1]) // TICKS_PER_DAY * TICKS_PER_DAY
    since = until - HISTORY_DAYS * TICKS_PER_DAY
    judged = verdicts(archive.feedback(limit=EPISODES))
    histories: list[History] = []
    for watchlist in watchlists:
        episodes = [
            (episode.began_at, episode.resolved_at or span[1])
            for episode in archive.episodes(watchlist, EPISODES)
            if episode.kind in ("crisis", "tone shift") and not _was_none(judged.get(episode.id))
        ]
        histories.append(history(archive.windows(watchlist, start_of(since), start_of(until)), episodes))
    return calibrated(histories, min_voices)


def _was_none(answer: Feedback | None) -> bool:
    return answer is not None and answer.verb == "not_crisis"


def _write(folder: Path, curves: tuple[Curve, ...]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=NAME, delete=False) as file:
            file.write(b"".join(curve.model_dump_json().encode() + b"\n" for curve in curves))
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(folder / NAME)
    except OSError as error:
        raise SettingsError(f"data_dir: cannot write {folder / NAME} ({error.strerror})") from error
