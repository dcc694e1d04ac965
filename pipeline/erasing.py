"""Erasure, end to end in the embedded store: tables, the trend hop's memory, its snapshot, the write-ahead log.

A daemon carries requests out itself, between two batches, because it holds the trend hop's memory; without a daemon
the command does, on a memory rebuilt from the snapshot and the log.
"""

from collections.abc import Callable
from datetime import datetime

import structlog

from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ports import ForgetfulStage, StatefulStage
from opinionwatch.pipeline.store_erasures import Erased
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.ticks import Progress

log = structlog.get_logger(__name__)


def restored(store: SqliteStore, make: Callable[[], StatefulStage]) -> StatefulStage:
    """The trend hop as it stood at the last commit: its snapshot, then the log after it, outputs already known."""
    trend = make()
    saved = store.snapshot("trend")
    after = 0
    if saved is not None:
        try:
            trend.restore(saved[1])
            after = saved[0]
        except FatalError as error:
            log.warning("the trend state is rebuilt from the whole log", reason=str(error))
            trend = make()
    progress = store.progress()
    if progress is not None:
        for mentions in store.mentions(after):
            trend(mentions, progress)
        trend([Progress(progress)], progress)
    return trend


def carry_out(store: SqliteStore, trend: StatefulStage, now: datetime) -> Erased:
    """Erase what is asked for, in the caller's transaction. `trend` must have read the whole log, and is left without
    what was erased; its snapshot is replaced in the same transaction, so no crash brings anything back.
    """
    authors, mentions = store.erasures.doomed()
    if isinstance(trend, ForgetfulStage):
        trend.forget(mentions, authors)
    erased = store.erasures.erase(authors, mentions, now)
    progress = store.progress()
    if progress is not None:
        store.save_snapshot("trend", trend.snapshot(), progress)
    return erased
