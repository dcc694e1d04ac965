"""What the daemons tell Prometheus. Every name is here and nowhere else.

Counters end in `_total`, times are seconds, ratios are between 0 and 1. Labels have few values: no ids, no texts.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

MetricName = Literal[
    "opinionwatch_records_total",  # records that got where they belong; outcome
    "opinionwatch_dead_letters_total",  # dead letters; reason
    "opinionwatch_drops_total",  # documents left out by a rule; rule
    "opinionwatch_deliveries_decided_total",  # by routing, not what waits; decision (send, suppress)
    "opinionwatch_late_deliveries",  # tried and not through yet, or due for over a minute; of the newest 200
    "opinionwatch_attempts_total",  # attempts; channel, outcome (sent, failed; pending, sending: comes again)
    "opinionwatch_retries_total",  # batches postponed because the world was not ready
    "opinionwatch_lag_entries",  # entries of the log that are not acknowledged; partition
    "opinionwatch_progress_timestamp_seconds",  # how far time has come, by the log; partition
    "opinionwatch_silent_lanes",  # lanes that the others no longer wait for; partition
    "opinionwatch_conservation_gap",  # accepted records that ended nowhere or in two places: anything but 0 is a defect
    "opinionwatch_pending_records",  # accepted records without an end yet
    "opinionwatch_oldest_pending_seconds",  # how long the oldest of them has waited, by full hours of acceptance
    "opinionwatch_alarms_per_watchlist_week",  # alarms opened, true and false; kind: all, real, not_crisis
    "opinionwatch_false_alarm_budget",  # false alarms per watchlist-week that the settings accept
    "opinionwatch_source_up",  # 1 unless the source is failed, backing off or its circuit open; source
    "opinionwatch_source_last_success_timestamp_seconds",  # when a poll or a page was last completed; source
    "opinionwatch_source_behind_seconds",  # how old the newest document of its last page was; source
    "opinionwatch_source_documents_total",  # documents it has handed over; source
    "opinionwatch_source_errors_total",  # errors; source, kind
    "opinionwatch_source_quota_remaining",  # requests that its service still allows, where it says so; source
    "opinionwatch_source_hour_documents",  # documents of the last whole hour; source
    "opinionwatch_source_hour_usual",  # what that hour of the week usually brings; source
    "opinionwatch_source_silent",  # 1 when it is unusual that nothing has come for so long; source
    "opinionwatch_batch_seconds",  # duration of a batch, from taken to confirmed
    "opinionwatch_batch_entries",  # how full a batch was
    "opinionwatch_latency_seconds",  # from accepted to indexed
    "opinionwatch_drift_label_psi",  # label mix of the last day against the fortnight before; over 0.25 is a shift
    "opinionwatch_drift_confidence",  # mean probability of the label in the last day, less that of before
    "opinionwatch_drift_unknown_words",  # share of words in the last day that the fortnight before did not have
    "opinionwatch_requests_total",  # answers of the scoring service; status
    "opinionwatch_request_seconds",  # from a request's arrival to its answer
    "opinionwatch_scored_texts_total",  # texts that the scoring service has read; outcome
    "opinionwatch_waiting_chars",  # characters that wait to be read by it
    "opinionwatch_step_seconds_total",  # time that batches have spent in a step; step
    "opinionwatch_step_cpu_seconds_total",  # processor time of the same, other threads' work for it included; step
]
"""Meaning and label of each; `tests/pipeline/test_metrics.py` holds that what is exported is this list."""

Step = Literal["decode", "admit", "stages", "scorer", "index", "log"]
"""What a score worker does with a batch: read its entries, enter ids in the ledger, run the plan's stages, and in them
the scorer itself, write to the index, write to the log.
"""
LABELS: dict[MetricName, str] = {
    "opinionwatch_records_total": "outcome",
    "opinionwatch_dead_letters_total": "reason",
    "opinionwatch_drops_total": "rule",
    "opinionwatch_deliveries_decided_total": "decision",
    "opinionwatch_attempts_total": "channel outcome",
    "opinionwatch_lag_entries": "partition",
    "opinionwatch_progress_timestamp_seconds": "partition",
    "opinionwatch_silent_lanes": "partition",
    "opinionwatch_alarms_per_watchlist_week": "kind",
    "opinionwatch_source_up": "source",
    "opinionwatch_requests_total": "status",
    "opinionwatch_scored_texts_total": "outcome",
    "opinionwatch_step_seconds_total": "step",
    "opinionwatch_step_cpu_seconds_total": "step",
    "opinionwatch_source_last_success_timestamp_seconds": "source",
    "opinionwatch_source_behind_seconds": "source",
    "opinionwatch_source_documents_total": "source",
    "opinionwatch_source_errors_total": "source kind",
    "opinionwatch_source_quota_remaining": "source",
    "opinionwatch_source_hour_documents": "source",
    "opinionwatch_source_hour_usual": "source",
    "opinionwatch_source_silent": "source",
}
HISTOGRAMS: dict[MetricName, tuple[float, ...]] = {
    "opinionwatch_batch_seconds": (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
    "opinionwatch_batch_entries": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "opinionwatch_request_seconds": (0.005, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
    "opinionwatch_latency_seconds": (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 10_000),
}


class Metrics:
    """The numbers of one daemon, on a registry of their own. Safe to use from many threads."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's
        self._registry = CollectorRegistry()
        self._counters: dict[MetricName, Counter] = {}
        self._gauges: dict[MetricName, Gauge] = {}
        self._histograms: dict[MetricName, Histogram] = {}
        self._steps: list[str] = []
        self._since = (0.0, 0.0)
        for name in get_args(MetricName):
            labels = LABELS.get(name, "").split()
            if name in HISTOGRAMS:
                self._histograms[name] = Histogram(
                    name, name, labels, registry=self._registry, buckets=HISTOGRAMS[name]
                )
            elif name.endswith("_total"):
                self._counters[name] = Counter(name, name, labels, registry=self._registry)
            else:
                self._gauges[name] = Gauge(name, name, labels, registry=self._registry)

    def count(self, name: MetricName, number: float = 1, label: str | None = None, *more: str) -> None:
        """Add to a counter."""
        counter = self._counters[name]
        (counter if label is None else counter.labels(label, *more)).inc(number)

    def set(self, name: MetricName, value: float, label: str | None = None) -> None:
        """Set a gauge."""
        gauge = self._gauges[name]
        (gauge if label is None else gauge.labels(label)).set(value)

    def observe(self, name: MetricName, value: float) -> None:
        """Add to a histogram."""
        self._histograms[name].observe(value)

    def total(self, sample: str) -> float:
        """The sum of a sample over all labels, by its name in the text (a histogram has `…_sum` and `…_count`)."""
        return sum(each.value for one in self._registry.collect() for each in one.samples if each.name == sample)

    @contextmanager
    def step(self, name: Step) -> Iterator[None]:
        """Count the time of a block of the working thread under its name, and under no name around it."""
        self._passed()
        self._steps.append(name)
        try:
            yield
        finally:
            self._passed()
            self._steps.pop()

    def _passed(self) -> None:
        before, self._since = self._since, (time.perf_counter(), time.thread_time())
        if self._steps:
            wall, cpu = (now - then for now, then in zip(self._since, before, strict=True))
            self.count("opinionwatch_step_seconds_total", wall, self._steps[-1])
            self.count("opinionwatch_step_cpu_seconds_total", cpu, self._steps[-1])

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
