"""Writing to the topics: nothing counts as written before the broker has confirmed every single record.

kafka-python's `flush` and `close` say nothing about failures, and its buffer has no bound; so there is a byte budget
in front of `send`, and each record's future is asked. Idempotent, acks=all.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from time import monotonic

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from opinionwatch.pipeline.budget import Budget
from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.kafka_client import RECONNECT_MS, admitted, speaking
from opinionwatch.pipeline.log import Entry, FencedError
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import topic_of

LINGER_MS = 5
BATCH_BYTES = 65_536
CLOSE_S = 2.0


class KafkaLog:
    """A producer that tells the truth. Safe to use from many threads."""

    def __init__(self, kafka: Kafka, owner: str | None = None, holds: Callable[[], bool] = lambda: True) -> None:
        """Nothing is connected yet. `owner`: whoever opens the log under the same name later shuts this one out
        (`FencedError`), and every `append` is all or nothing. `holds` is asked before a lost connection is opened
        again: whether the name is still this owner's by right. The broker cannot say so; it lets in whoever comes last.
        """
        self._kafka = kafka
        self._owner, self._holds = owner, holds
        self._budget = Budget(kafka.in_flight_bytes, patience_s=kafka.delivery_s)
        self._lock = Lock()
        self._turn = Lock()
        self._producer: KafkaProducer | None = None
        self._fenced = self._was_open = False

    def append(self, entries: Sequence[Entry]) -> None:
        """Store all; each partition keeps their order. Returns when the broker has confirmed every one.

        Raises RetryableError when it has not within `kafka.delivery_s`: then some may be stored and some not.
        """
        if not entries:
            return
        with self._budget.spend(sum(len(entry.value or b"") for entry in entries)):
            if self._owner is None:
                self._attempt(entries)
                return
            with self._turn:  # a transaction is the whole producer's
                self._attempt(entries)

    def open(self) -> None:
        """Connect now instead of at the first record; an owner shuts out the one before it."""
        self._opened()

    def close(self) -> None:
        """Close; what was confirmed stays. An owner has let go of the name: it can write nothing more under it."""
        with self._lock:
            self._fenced = self._owner is not None
            if self._producer is not None:
                _ended(self._producer)
            self._producer = None

    def _attempt(self, entries: Sequence[Entry]) -> None:
        producer = self._opened()
        try:
            with speaking(self._kafka, "log"):
                if self._owner is not None:
                    producer.begin_transaction()
                self._send(producer, entries)
                if self._owner is not None:
                    failpoint("log.before_commit")
                    producer.commit_transaction()
                    failpoint("log.committed")
        except OpinionwatchError as error:
            self._fenced = self._fenced or isinstance(error, FencedError)
            # What is still in its buffers must not come through behind our back when the next attempt has been made.
            self._discard(producer)
            raise

    def _send(self, producer: KafkaProducer, entries: Sequence[Entry]) -> None:
        deadline = monotonic() + self._kafka.delivery_s + CLOSE_S
        futures = [
            producer.send(
                topic_of(self._kafka, entry.topic), value=entry.value, key=entry.key, partition=entry.partition
            )
            for entry in entries
        ]
        failpoint("log.sent")
        for future in futures:
            future.get(timeout=max(0.0, deadline - monotonic()))
        failpoint("log.confirmed")

    def _opened(self) -> KafkaProducer:
        # One thread tries to connect; the others do not queue up behind it to try the same one after the other.
        if not self._lock.acquire(timeout=self._kafka.connect_s + 1):
            raise RetryableError("log: the broker is still being looked for", after_s=2)
        try:
            if self._fenced:  # opening it again would shut out the new owner
                raise FencedError("log: another process has taken over")
            if self._producer is None:
                if self._was_open and not self._holds():
                    self._fenced = True
                    raise FencedError("log: another process has taken over meanwhile")
                self._producer = self._connected()
                self._was_open = True
            return self._producer
        finally:
            self._lock.release()

    def _connected(self) -> KafkaProducer:
        wait_ms = int(self._kafka.delivery_s * 1000)
        with speaking(self._kafka, "log"):
            producer = KafkaProducer(
                **admitted(self._kafka),
                enable_idempotence=True,
                acks="all",
                linger_ms=LINGER_MS,
                batch_size=BATCH_BYTES,
                delivery_timeout_ms=wait_ms,
                request_timeout_ms=wait_ms - 2 * LINGER_MS,
                max_block_ms=int(self._kafka.connect_s * 1000),
                bootstrap_timeout_ms=int(self._kafka.connect_s * 1000),
                reconnect_backoff_max_ms=RECONNECT_MS,
                allow_auto_create_topics=False,
                transactional_id=self._owner,
                metrics_enabled=False,
            )
            try:
                if self._owner is not None:
                    producer.init_transactions()
            except kafka_errors.KafkaError:
                _ended(producer)
                raise
            failpoint("log.opened")
            return producer

    def _discard(self, producer: KafkaProducer) -> None:
        with self._lock:
            if self._producer is not producer:  # another thread has seen the same failure
                return
            self._producer = None
        _ended(producer)


def _ended(producer: KafkaProducer) -> None:
    """End a producer without sending what is in its buffers. Its own `close` waits for them first, and raises."""
    producer._sender.force_close()
    producer._sender.join(CLOSE_S)
    with suppress(kafka_errors.KafkaError):
        producer.close(timeout=0)
