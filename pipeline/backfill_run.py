"""Who carries a backfill out, and where one sees how far it has come: for the embedded engine and for the daemons."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Protocol

from opinionwatch.connectors.backfill import WISH, Backfill, Progress, Wish, progress_of, stored_as
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.backfill_log import BackfillLog
from opinionwatch.pipeline.engine import Engine, wishes
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.ports import Source
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_lock import held
from opinionwatch.pipeline.store_sqlite import SqliteStore

LOOK_S = 0.25
LOOK_AT_LOG_S = 1.0
PATIENCE_S = 60.0
"""So long nobody may take a wish up before the command says that nobody does."""
Come = Callable[[Progress | None], None]
"""Is told how far it has come, again and again."""


class Runner(Protocol):
    """Carries backfills out, or sees to it that somebody does."""

    def ask(self, name: str, since: datetime) -> str:
        """Keep the wish, unless the same one is under way. Returns who carries it out, in words for people."""
        ...

    def watch(self, source: Source, stop: Event, come: Come) -> Progress | None:
        """Until it is done or `stop` is set; returns how far it has come. Raises RetryableError when nobody takes it
        up, and whatever stops one that is carried out here.
        """
        ...


@contextmanager
def runner(settings: Settings, *, daemons: bool = False) -> Iterator[Runner]:
    """The runner for these settings: by way of the log with the daemons' store or on demand, else the embedded one."""
    if settings.store == "sqlite" and not daemons:
        yield Embedded(settings)
        return
    log = KafkaLog(settings.kafka)
    try:
        yield Daemons(settings, log)
    finally:
        log.close()


class Embedded:
    """On the embedded store: the running engine does it, or this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def ask(self, name: str, since: datetime) -> str:
        """As `Runner` says."""
        store = SqliteStore(self._settings.store_path)
        try:
            archive = SqliteArchive(self._settings.store_path)
            before = wishes(archive).get(name)
            progress = None if before is None else progress_of(before, archive.cursor(stored_as(name)))
            if not _is_under_way(before, progress, since):
                with store.transaction():
                    store.save_cursor(WISH + stored_as(name), _wish(since).model_dump_json())
        finally:
            store.close()
        return "the running daemon brings it" if self._is_running() else ""

    def watch(self, source: Source, stop: Event, come: Come) -> Progress | None:
        """As `Runner` says."""
        archive = SqliteArchive(self._settings.store_path)
        wish = wishes(archive)[source.name]

        def now() -> Progress | None:
            return progress_of(wish, archive.cursor(stored_as(source.name)))

        if self._is_running():
            while not (_is_done(found := now()) or stop.wait(LOOK_S)):
                come(found)
            return now()
        failure: list[BaseException] = []
        address = self._settings.web.public_url or f"http://{self._settings.web.host}:{self._settings.web.port}"
        engine = Engine(self._settings, address, sources=[Backfill(source, wish)])

        def work() -> None:
            try:
                engine.run(stop, until_exhausted=True)
            except BaseException as error:  # noqa: BLE001 - raised again where people are told
                failure.append(error)

        worker = Thread(target=work, name="backfill")
        worker.start()
        while worker.is_alive() and not stop.wait(LOOK_S):
            come(now())
        worker.join()
        if failure:
            raise failure[0]
        return now()

    def _is_running(self) -> bool:
        try:
            with held(self._settings.data_dir):
                return False
        except FatalError:
            return True


class Daemons:
    """By way of the log: the ingest daemon that reads the source does it."""

    def __init__(self, settings: Settings, log: KafkaLog) -> None:
        self._log, self._asked = log, BackfillLog(KafkaReader(settings.kafka))

    def ask(self, name: str, since: datetime) -> str:
        """As `Runner` says."""
        self._asked.look()
        if not _is_under_way(self._asked.wishes().get(name), self._asked.progress(name), since):
            BackfillLog.ask(self._log, name, _wish(since))
        return "the ingest daemon brings it"

    def watch(self, source: Source, stop: Event, come: Come) -> Progress | None:
        """As `Runner` says."""
        waited_s = 0.0
        while True:
            self._asked.look()
            found = self._asked.progress(source.name)
            come(found)
            if _is_done(found) or stop.wait(LOOK_AT_LOG_S):
                return found
            waited_s += LOOK_AT_LOG_S
            if found is None and waited_s >= PATIENCE_S:
                raise RetryableError(
                    f"no ingest daemon has taken it up in {PATIENCE_S:g} s. The wish is kept: start `opinionwatch "
                    f"ingest` with settings that name {source.name}"
                )


def _wish(since: datetime) -> Wish:
    return Wish(since=since, asked_at=datetime.now(UTC))


def _is_under_way(wish: Wish | None, progress: Progress | None, since: datetime) -> bool:
    return wish is not None and wish.since == since and not _is_done(progress)


def _is_done(progress: Progress | None) -> bool:
    return progress is not None and progress.done
