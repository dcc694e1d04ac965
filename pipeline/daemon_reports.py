"""How a daemon is, told to Elasticsearch for its dashboards, in a thread of its own: nobody waits for the index."""

from collections.abc import Callable
from datetime import datetime
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.settings import Settings

if TYPE_CHECKING:
    from opinionwatch.pipeline.store_elastic import ElasticStore

EVERY_S = 15.0
JOIN_S = 5.0
log = structlog.get_logger(__name__)


class Reports:
    """Tells while the block runs, and once more at its end. With a store that has no dashboards it does nothing."""

    def __init__(self, settings: Settings, tell: Callable[["ElasticStore"], None], every_s: float = EVERY_S) -> None:
        self._settings, self._tell, self._every_s = settings, tell, every_s
        self._ended = Event()
        self._thread = Thread(target=self._run, name="reports", daemon=True)

    def __enter__(self) -> "Reports":
        """Begin."""
        if self._settings.store == "elasticsearch":
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell for the last time; an index that does not answer is not waited for."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        from opinionwatch.pipeline.elastic_client import connect  # takes long to load, and only this store needs it
        from opinionwatch.pipeline.store_elastic import ElasticStore

        with connect(self._settings.elasticsearch) as client:
            store = ElasticStore(client, self._settings.elasticsearch, self._ended)
            going = True
            while going:
                going = not self._ended.wait(self._every_s)
                try:
                    self._tell(store)
                except OpinionwatchError as error:
                    log.warning("the dashboards are not told how this process is", reason=str(error))
            store.close()


class WorkerReport:
    """What a worker has done since it was last asked, from its own metrics."""

    _SAMPLES = (
        "opinionwatch_records_total",
        "opinionwatch_retries_total",
        "opinionwatch_latency_seconds_sum",
        "opinionwatch_latency_seconds_count",
        "opinionwatch_batch_seconds_sum",
        "opinionwatch_batch_seconds_count",
    )

    def __init__(self, service: str, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._service, self._metrics, self._clock = service, metrics, clock
        self._before = dict.fromkeys(self._SAMPLES, 0.0)

    def __call__(self, store: "ElasticStore") -> None:
        """Tell it. What cannot be told now is in the next report."""
        now = {name: self._metrics.total(name) for name in self._SAMPLES}
        records, retries, *means = (now[name] - self._before[name] for name in self._SAMPLES)
        latency, documents, batch, batches = means
        figures = {"lag": self._metrics.total("opinionwatch_lag_entries"), "records": records, "retries": retries}
        figures |= {"latency_s": latency / documents} if documents else {}
        figures |= {"batch_s": batch / batches} if batches else {}
        store.report_worker(self._service, figures, self._clock())
        self._before = now
