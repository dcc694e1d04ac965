"""Where the daemons keep what they find: what `store` in the settings names, behind the ports."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

from opinionwatch.pipeline.archives import ledger_of, let_in
from opinionwatch.pipeline.ledger_sqlite import SqliteLedger
from opinionwatch.pipeline.outbox_fenced import NotingOutbox
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.work import DaemonLedger


@contextmanager
def ledger(settings: Settings, stop: Event, alive: Callable[[], None]) -> Iterator[DaemonLedger]:
    """The ledger and index that workers write to; once `stop` is set, it waits for nothing any more. `alive` is called
    while it waits for a cluster that is away.

    Raises FatalError when the cluster refuses us.
    """
    if settings.store == "sqlite":
        store = SqliteStore(settings.store_path)
        try:
            yield SqliteLedger(store)
        finally:
            store.close()
        return
    let_in(settings)
    found = ledger_of(settings.elasticsearch, stop, alive)
    try:
        yield found
    finally:
        found.close()


@contextmanager
def outbox(settings: Settings) -> Iterator[NotingOutbox]:
    """The outbox that the notifier works on."""
    if settings.store == "sqlite":
        found = SqliteOutbox(settings.store_path)
        try:
            yield found
        finally:
            found.close()
        return
    from opinionwatch.pipeline.elastic_client import connect
    from opinionwatch.pipeline.outbox_elastic import ElasticOutbox

    with connect(settings.elasticsearch) as client:
        yield ElasticOutbox(client, settings.elasticsearch)
