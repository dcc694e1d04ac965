"""A notifier that sends no more must not look as if it did."""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.pipeline import digests
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Alert, Delivery
from opinionwatch.pipeline.daemon_life import wall_clock
from opinionwatch.pipeline.daemon_notify import _Sending
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.outbox_fenced import FencedOutbox
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.services.server import until


class Deleted(SqliteOutbox):
    """An outbox whose index somebody has deleted."""

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        raise FatalError(f"no such index ({limit} of {now})")


class Owner:
    """An owner's log that takes everything."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Nothing."""

    def open(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def unsaid(alert: Alert, again: bool) -> NoReturn:
    """Nothing is ever due."""
    raise AssertionError(alert, again)


def test_what_ends_the_sending_is_known_to_the_daemon(tmp_path: Path) -> None:
    path, owner = tmp_path / "opinionwatch.db", Owner()
    with closing(SqliteStore(path)), closing(Deleted(path)) as deleted:
        outbox = FencedOutbox(deleted, owner)
        deliverer = Deliverer(outbox, {}, unsaid, wall_clock, patience_s=1)
        maker = digests.Maker(Settings(data_dir=tmp_path), SqliteArchive(path), lambda: "")
        sending = _Sending(outbox, deliverer, digests.Digests((), {}, maker, outbox, wall_clock), owner)
        try:
            assert until(lambda: [type(each) for each in sending.failures] == [FatalError])
        finally:
            sending.stop()
