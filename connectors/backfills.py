"""Backfills as a runtime takes them up: what is wished for and not done yet, each as a source of its own."""

from collections.abc import Callable, Collection, Mapping

import structlog

from opinionwatch.connectors.backfill import Backfill, Wish, progress_of, stored_as
from opinionwatch.connectors.schedule import Schedule
from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.ports import Source

log = structlog.get_logger(__name__)


class Backfills:
    """Begins backfills in a running schedule, and goes on with those that an earlier life did not finish."""

    def __init__(self, schedule: Schedule, build: Callable[[str], Source], cursor: Callable[[str], str | None]) -> None:
        """`build` makes a source anew by its name; `cursor` says what is stored under a name."""
        self._schedule, self._build, self._cursor = schedule, build, cursor
        self._known: dict[str, tuple[Wish, Backfill | None]] = {}

    def take_up(self, wishes: Mapping[str, Wish], ours: Collection[str]) -> None:
        """Begin what of these wishes, by source, is new and concerns one of our sources. One that is under way for the
        same source ends: the later wish takes its place.
        """
        for name in sorted(wishes.keys() & set(ours)):
            wish = wishes[name]
            known, running = self._known.get(name, (None, None))
            if known == wish:
                continue
            if running is not None:
                running.close()
            self._known[name] = wish, self._begun(name, wish)

    def _begun(self, name: str, wish: Wish) -> Backfill | None:
        try:
            progress = progress_of(wish, self._cursor(stored_as(name)))
            if progress is not None and progress.done:
                return None
            backfill = Backfill(self._build(name), wish)
        except (OpinionwatchError, TypeError) as error:
            log.warning("backfill.impossible", source=name, reason=str(error))
            return None
        self._schedule.add(backfill)
        return backfill
