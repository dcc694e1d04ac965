"""`opinionwatch worker score` and `worker trend`: a hop's work, fed by Faust."""

from collections.abc import Callable, Mapping, Sequence

import structlog

from opinionwatch.models.manifest import Counted
from opinionwatch.pipeline import curves, live_scorer, stores, wiring
from opinionwatch.pipeline.contracts import Confusion, Reading
from opinionwatch.pipeline.daemon_life import Life, wall_clock
from opinionwatch.pipeline.daemon_reports import Reports, WorkerReport
from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.kafka_client import admitted
from opinionwatch.pipeline.kafka_group import committed
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.promotions import Shelf
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.trend_partition import Make
from opinionwatch.pipeline.trend_store import TrendStore
from opinionwatch.pipeline.trials import Trials
from opinionwatch.pipeline.work import Work
from opinionwatch.pipeline.work_score import ScoreWork
from opinionwatch.pipeline.work_trend import TrendWork

log = structlog.get_logger(__name__)
_SERVICES = {"documents": "score", "mentions": "trend"}


class Timed:
    """A scorer whose time is counted apart from that of the stages around it. The rest of it is the scorer's own: its
    version, which may change, and what else it can do.
    """

    version: str

    def __init__(self, scorer: Scorer, metrics: Metrics) -> None:
        self._scorer, self._metrics = scorer, metrics

    def __getattr__(self, name: str) -> object:
        """Of the scorer."""
        return getattr(self._scorer, name)

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """What the scorer says."""
        with self._metrics.step("scorer"):
            return self._scorer.score(passages)


def score(settings: Settings, life: Life, scorer: Callable[[Settings], Scorer] = live_scorer.scorer) -> None:
    """Score documents until told to stop. Raises what ended the work, if it was not told to stop."""
    kafka = settings.kafka
    topics = KafkaLog(kafka)
    try:
        with stores.ledger(settings, life.stop, life.waits) as ledger:
            hop = wiring.score_hop(settings, Timed(scorer(settings), life.metrics))
            trials = Trials(topics, KafkaReader(kafka))
            work = ScoreWork(kafka, settings.limits, hop, ledger, topics, trials, wall_clock, life.metrics)
            _run(settings, work, life)
    finally:
        topics.close()


def errors_of(settings: Settings) -> dict[str, Mapping[str, Confusion]]:
    """How the settings' scorer and the models that were promoted err, by version, without their weights in memory."""
    if settings.scorer.kind != "neural":
        return {}
    base = Counted(settings.scorer.options)
    return {base.version: base.confusion, **live_scorer.errors_of_promoted(Shelf(settings.data_dir))}


def trend_of(settings: Settings) -> Make:
    """What makes the trend stage of a partition."""
    known = errors_of(settings)
    return lambda told: wiring.trend_stage(settings, known, curves.adopted(told))()


def trend(settings: Settings, life: Life) -> None:
    """Keep windows and episodes until told to stop. Raises what ended the work, if it was not told to stop."""
    kafka = settings.kafka
    topics, reader = KafkaLog(kafka), KafkaReader(kafka)
    store = TrendStore(lambda partition: KafkaLog(kafka, owner=f"{kafka.prefix}.trend.{partition}"), reader)
    try:
        with stores.ledger(settings, life.stop, life.waits) as ledger:
            work = TrendWork(
                kafka, trend_of(settings), ledger, topics, reader, store, wall_clock, life.metrics,
                watched=wiring.watched(settings),
                committed=lambda partition: committed(kafka, TrendWork.reads, partition),
            )  # fmt: skip
            _run(settings, work, life)
    finally:
        topics.close()


def _run(settings: Settings, work: Work, life: Life) -> None:
    admitted(settings.kafka)  # Faust says only that it could not begin
    from opinionwatch.pipeline.faust_app import FaustRuntime  # takes long to load, and only workers need it

    with Reports(settings, WorkerReport(_SERVICES[work.reads], life.metrics, wall_clock)):
        FaustRuntime(settings.kafka, work, life.watchdog, life.metrics, life.ready).run(life.stop)
    try:
        work.finish()
    except OpinionwatchError as error:
        log.warning("not saved at the end", reason=str(error))
