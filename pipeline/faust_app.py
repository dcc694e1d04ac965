"""The only file that knows Faust: feeds a hop's `Work` with micro-batches of its log.

What is set here and what is not done here follows from failures that were measured: `take` and plain iteration
acknowledge work that failed; a stream whose own acknowledgements are not off acknowledges its buffer when its agent
ends; `concurrency` above 1 commits past work in flight; any supervisor but the crashing one leaves a dead agent in a
living process; typed topics stall on one bad entry; a finite poll interval loses the group for ever; `exactly_once` and
Faust's tables lose what they promise; its web server listens on every address.

An entry is acknowledged only after `take` has returned for the batch it was in. Whatever goes wrong ends the process
with a code other than 0: its supervisor starts it again, and the batch comes again.
"""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import faust
import mode
import structlog
from aiokafka.errors import IllegalStateError, KafkaError
from faust.types.auth import CredentialsT
from faust.types.transports import ConsumerT
from mode.threads import WorkerThread

from opinionwatch.pipeline.attempts import StoppedError, until_done
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.kafka_client import password, tls_context
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import partitions_of, topic_of
from opinionwatch.pipeline.watchdog import Watchdog
from opinionwatch.pipeline.work import Delivered, Work

BATCH = 16
"""Entries in a micro-batch at most; each may hold dozens of documents or hundreds of mentions."""
WITHIN_S = 0.2
PULSE_S = 0.25
METADATA_MS = 2_000
"""How long the group's leader may believe what it knows of the topic. While a broker comes back, it may not know it at
all; then it gives nothing to anybody, and nothing but new metadata makes it think again.
"""
THREADS_S = 5.0
FINISH_S = 12.0
"""How long the batch in flight may take to end after the worker was told to stop."""
log = structlog.get_logger(__name__)


class _App(faust.App):
    """An app that leaves no folders where it is started (a container's root is read-only, and we have no tables), and
    that does not wait at its end for what nobody works on any more. (Before it gives a partition away, it does wait.)
    """

    def _create_directories(self) -> None:
        pass

    async def _consumer_wait_empty(self, consumer: ConsumerT, logger: Any) -> None:  # noqa: ANN401 - Faust's own
        if not self.should_stop:
            await super()._consumer_wait_empty(consumer, logger)


class FaustRuntime:
    """Runs one hop's work as one Faust agent, in this process, until told to stop."""

    def __init__(self, kafka: Kafka, work: Work, watchdog: Watchdog, metrics: Metrics, ready: Event) -> None:
        """`ready` is set while the worker is a member of its group."""
        self._kafka, self._work, self._watchdog, self._metrics = kafka, work, watchdog, metrics
        self._ready = ready
        self._stop = Event()
        self._idle = Event()
        self._idle.set()
        self._failure: BaseException | None = None
        # Inference and waiting for sinks would otherwise stop heartbeats and commits.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="work")

    def run(self, stop: Event) -> None:
        """Run until `stop` is set. Raises what ended the work, if it did not end by being told."""
        asyncio.run(self._run(stop))
        # A batch that was abandoned may still be under way: nobody may touch its work before it has ended.
        self._thread.shutdown(wait=True)
        if self._failure is not None:
            raise self._failure

    async def _run(self, stop: Event) -> None:
        app = self._app()
        self._agent(app)
        pulse = asyncio.create_task(self._pulse(app, stop))
        try:
            await app.start()
            await app.wait_until_stopped()
        finally:
            # The pulse says goodbye. Cut short, it could leave Kafka's thread running, and the process would never end.
            if not self._stop.is_set():
                pulse.cancel()
            await asyncio.wait([pulse])
            await app.stop()
            await _threads_ended()
        if self._failure is None and not self._stop.is_set():
            self._failure = app.crash_reason or FatalError("the worker has stopped by itself")

    def _app(self) -> faust.App:
        kafka = self._kafka
        return _App(
            f"{kafka.prefix}.{self._work.reads}",
            broker=[f"kafka://{server}" for server in kafka.servers],
            broker_credentials=_credentials(kafka),
            broker_session_timeout=kafka.session_s,
            broker_heartbeat_interval=kafka.session_s / 4,
            broker_commit_interval=0.5,
            broker_max_poll_interval=3e8,
            consumer_auto_offset_reset="earliest",
            consumer_metadata_max_age_ms=METADATA_MS,
            stream_wait_empty=True,
            stream_buffer_maxsize=8 * BATCH,
            agent_supervisor=mode.CrashingSupervisor,
            topic_disable_leader=True,
            topic_allow_declare=False,
            topic_partitions=partitions_of(kafka, self._work.reads),
            store="memory://",
            web_enabled=False,
            autodiscover=False,
            loghandlers=[],
        )

    def _agent(self, app: faust.App) -> None:
        topic = app.topic(
            topic_of(self._kafka, self._work.reads),
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
        )

        async def take(stream: Any) -> AsyncIterator[None]:  # noqa: ANN401 - Faust's own, untyped
            # When `noack_take` ends it puts back what it found here, and whatever is still buffered runs through the
            # stream: with True that is acknowledged though nobody has done it, and committed at the goodbye.
            stream.enable_acks = False
            async for events in stream.noack_take(BATCH, within=WITHIN_S):
                if self._stop.is_set():
                    continue
                self._idle.clear()
                self._watchdog.alive(waiting=True)
                try:
                    failpoint("worker.taken")
                    await self._take([_delivered(event) for event in events])
                    failpoint("worker.done")
                    for event in events:
                        await stream.ack(event)
                    failpoint("worker.acked")
                finally:
                    self._idle.set()
                self._watchdog.alive(waiting=True)
                yield

        app.agent(topic, concurrency=1, name=self._work.reads)(take)

    async def _take(self, entries: Sequence[Delivered]) -> None:
        self._metrics.observe("opinionwatch_batch_entries", len(entries))
        began = time.monotonic()
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._thread,
                partial(
                    until_done,
                    partial(self._work.take, entries),
                    self._stop,
                    self._attempted,
                    lambda: self._metrics.count("opinionwatch_retries_total"),
                ),
            )
            self._metrics.observe("opinionwatch_batch_seconds", time.monotonic() - began)
        except (StoppedError, asyncio.CancelledError):  # abandoned: it comes again
            raise
        except BaseException as error:
            self._failure = self._failure or error
            if not isinstance(error, OpinionwatchError):
                log.exception("the work has failed")
            raise

    async def _pulse(self, app: faust.App, stop: Event) -> None:
        """Look whether to stop, and whether there is work that nobody does."""
        while not stop.is_set() and not app.crashed:
            await asyncio.sleep(PULSE_S)
            if not app.started or app.consumer is None:
                continue
            self._ready.set()
            try:
                behind = await self._is_behind(app.consumer)
            except KafkaError as error:  # of its coordination, which stands still; it is said to whoever asks first
                self._failure = self._failure or error
                break
            if behind:
                self._watchdog.waiting()
            elif self._idle.is_set():  # so that it is also noticed when this loop hangs
                self._watchdog.alive(waiting=True)
        self._ready.clear()
        self._stop.set()
        await self._batch_ended()
        # From here on its agents are cancelled, which Faust reports as crashes.
        for name in ("faust", "mode", "aiokafka"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        await app.stop()

    async def _batch_ended(self) -> None:
        """Let the batch in flight be finished and committed, if that does not take long."""
        deadline = time.monotonic() + FINISH_S
        while not self._idle.is_set() and time.monotonic() < deadline:
            await asyncio.sleep(PULSE_S / 10)

    def _attempted(self) -> None:
        self._watchdog.alive(waiting=True)

    async def _is_behind(self, consumer: ConsumerT) -> bool:
        """Whether the log holds entries for us that are not acknowledged; says how many."""
        behind = 0
        for place in consumer.assignment():
            try:
                position = await consumer.position(place)
            except IllegalStateError:  # given away meanwhile
                continue
            # What Faust has fetched, it has passed; what is not acknowledged would be fetched again after a crash.
            fetched = sum(message.tp == place for message in list(consumer.unacked))
            ahead = max(0, (consumer.highwater(place) or 0) - position) if position is not None else 0
            behind += ahead + fetched
            self._metrics.set("opinionwatch_lag_entries", ahead + fetched, str(place.partition))
        return bool(behind)


async def _threads_ended() -> None:
    """Faust's own threads say goodbye to this loop; it must not be closed before."""
    deadline = time.monotonic() + THREADS_S
    while time.monotonic() < deadline and any(isinstance(thread, WorkerThread) for thread in threading.enumerate()):
        await asyncio.sleep(0.02)


def _delivered(event: Any) -> Delivered:  # noqa: ANN401 - Faust's own, untyped
    message = event.message
    return Delivered(message.partition, message.offset, message.value or b"")


def _credentials(kafka: Kafka) -> CredentialsT | None:
    context: ssl.SSLContext | None = tls_context(kafka)
    if kafka.security.startswith("SASL"):
        return faust.SASLCredentials(
            username=kafka.username, password=password(kafka), ssl_context=context, mechanism=kafka.mechanism
        )
    return faust.SSLCredentials(context) if context is not None else None


__all__ = ["FaustRuntime"]
