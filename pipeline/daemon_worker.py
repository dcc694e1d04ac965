"""`opinionwatch worker score` and `worker trend`: a hop's work, fed by Faust."""

from collections.abc import Callable

import structlog

from opinionwatch.pipeline import live_scorer, stores, wiring
from opinionwatch.pipeline.daemon_life import Life, wall_clock
from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.trend_store import TrendStore
from opinionwatch.pipeline.trials import Trials
from opinionwatch.pipeline.work import Work
from opinionwatch.pipeline.work_score import ScoreWork
from opinionwatch.pipeline.work_trend import TrendWork


def score(settings: Settings, life: Life, scorer: Callable[[Settings], Scorer] = live_scorer.scorer) -> None:
    """Score documents until told to stop. Raises what ended the work, if it was not told to stop."""
    kafka = settings.kafka
    log = KafkaLog(kafka)
    try:
        with stores.ledger(settings, life.stop) as ledger:
            hop = wiring.score_hop(settings, scorer(settings))
            trials = Trials(log, KafkaReader(kafka))
            work = ScoreWork(kafka, settings.limits, hop, ledger, log, trials, wall_clock, life.metrics)
            _run(settings, work, life)
    finally:
        log.close()


def trend(settings: Settings, life: Life) -> None:
    """Keep windows and episodes until told to stop. Raises what ended the work, if it was not told to stop."""
    kafka = settings.kafka
    log, reader = KafkaLog(kafka), KafkaReader(kafka)
    store = TrendStore(lambda partition: KafkaLog(kafka, owner=f"{kafka.prefix}.trend.{partition}"), reader)
    try:
        with stores.ledger(settings, life.stop) as ledger:
            stage = wiring.trend_stage(settings)
            _run(settings, TrendWork(kafka, stage, ledger, log, reader, store, wall_clock, life.metrics), life)
    finally:
        log.close()


def _run(settings: Settings, work: Work, life: Life) -> None:
    from opinionwatch.pipeline.faust_app import FaustRuntime  # takes long to load, and only workers need it

    FaustRuntime(settings.kafka, work, life.watchdog, life.metrics, life.ready).run(life.stop)
    try:
        work.finish()
    except OpinionwatchError as error:
        structlog.get_logger(__name__).warning("not saved at the end", reason=str(error))
