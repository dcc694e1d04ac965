"""Which store the settings mean: the embedded one on this machine, or the index that the daemons share."""

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.settings_elastic import Elastic

if TYPE_CHECKING:  # the client takes long to load, and most commands never need it
    from opinionwatch.pipeline.store_elastic import ElasticStore


def archive_of(settings: Settings) -> Archive:
    """Read access to the store of these settings. Raises FatalError when there is none, SettingsError when the
    credentials for it are not usable.
    """
    if settings.store == "sqlite":
        return SqliteArchive(settings.store_path)
    from opinionwatch.pipeline.archive_elastic import ElasticArchive
    from opinionwatch.pipeline.elastic_client import connect

    return ElasticArchive(connect(settings.elasticsearch), settings.elasticsearch)


def ledger_of(settings: Elastic, stop: Event | None = None, alive: Callable[[], None] = lambda: None) -> "ElasticStore":
    """The daemons' ledger on Elasticsearch; gives up waiting for the cluster with RetryableError once `stop` is set,
    and calls `alive` while it waits.
    """
    from opinionwatch.pipeline.elastic_client import connect
    from opinionwatch.pipeline.store_elastic import ElasticStore

    return ElasticStore(connect(settings), settings, stop, alive)


def let_in(settings: Settings) -> None:
    """Be let in where the daemons keep what they find, before one begins. Raises FatalError when the cluster refuses us
    or shows a certificate that we do not trust; one that is away is waited for later.
    """
    if settings.store == "elasticsearch":
        from opinionwatch.pipeline.elastic_client import connect, knock

        with connect(settings.elasticsearch) as client:
            knock(client, settings.elasticsearch.prefix)
