"""Bulk writing: every operation ends as done or refused, whatever the cluster answers; only truly bad ones are refused.

An answer is taken item by item (engine.md, “Elasticsearch rules”): there already is done; busy, blocked or without
shards is tried again for ever; refused for what it says is a refusal; refused for who we are is tried again and shouted
about. An answer that is cut off or has another number of items than the question says nothing, so all of it is asked
again, which is harmless because operations are idempotent. A request that is too large is halved.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from threading import Event, Lock

import structlog
from elasticsearch import ApiError, Elasticsearch, SerializationError, TransportError

from opinionwatch.pipeline.attempts import waited
from opinionwatch.pipeline.elastic_client import DENIED, distrust, reason
from opinionwatch.pipeline.elastic_operations import Operation
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.settings_elastic import Elastic

log = structlog.get_logger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 30.0
UNKNOWN_TRIES = 5
"""How often an answer that nobody knows is asked for again before it is a refusal."""
FEWEST_OPERATIONS, LAZY_OPERATIONS, MOST_OPERATIONS = 200, 1000, 2000
"""In one request: of a batch that is shared out at least and at most, and where nobody knows how many will come."""
_PATH = "/_bulk?filter_path=took,items.*.status,items.*.error"
_TYPE = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"
_HEADERS = {"accept": "application/vnd.elasticsearch+json; compatible-with=8", "content-type": _TYPE}
_WAITING = frozenset(
    {
        "circuit_breaking_exception", "cluster_block_exception", "es_rejected_execution_exception",
        "index_closed_exception", "no_shard_available_action_exception", "process_cluster_event_timeout_exception",
        "unavailable_shards_exception",
    }
)  # fmt: skip
_NOT_SET_UP = frozenset({"index_not_found_exception", "validation_exception", "invalid_index_name_exception"})
"""The index cannot be made: no right to, or too many shards. Nothing is wrong with the record."""


class Verdict(Enum):
    """What an item's answer means."""

    DONE = "done"
    THERE = "there already"
    BUSY = "busy"
    DENIED = "denied"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An operation that the index will never take, in its own words."""

    operation: Operation
    words: str


@dataclass(frozen=True, slots=True)
class Written:
    """How a write ended: refusals, and the ids that something was there for already; the rest is done."""

    refused: Sequence[Refusal] = ()
    there: frozenset[str] = frozenset()


@dataclass(slots=True)
class Figures:
    """Counted since the start, for metrics; `denied` is what a person has to mend now, None when nothing."""

    requests: int = 0
    done: int = 0
    retried: int = 0
    refused: int = 0
    cpu_s: float = 0.0
    """Processor time of making requests and reading answers."""
    denied: str | None = None


def verdict(status: int, kind: str, *, delete: bool = False) -> Verdict:
    """What the answer to one item means.

    >>> verdict(409, "version_conflict_engine_exception"), verdict(403, "cluster_block_exception")
    (<Verdict.THERE: 'there already'>, <Verdict.BUSY: 'busy'>)
    >>> verdict(400, "document_parsing_exception"), verdict(403, "security_exception")
    (<Verdict.REFUSED: 'refused'>, <Verdict.DENIED: 'denied'>)
    """
    if status == 409:
        return Verdict.THERE
    if status in (200, 201) or (delete and status == 404 and not kind):
        return Verdict.DONE
    if kind in _WAITING or status == 429 or status >= 500:
        return Verdict.BUSY
    if status in DENIED or kind in _NOT_SET_UP:
        return Verdict.DENIED
    return Verdict.REFUSED if status in (400, 404, 413) else Verdict.UNKNOWN


def refuse_our_own(refused: Sequence[Refusal]) -> None:
    """What is not a stranger's text is ours: a refusal of it is a wrong template or a defect, and no dead letter."""
    if refused:
        operation, words = refused[0].operation, refused[0].words
        raise FatalError(
            f"Elasticsearch refuses {len(refused)} of our own records, the first one for {operation.index}: {words}. "
            "`opinionwatch index check` says whether its templates are this version's."
        )


class BulkWriter:
    """Writes operations, several bulks at a time. For one caller at a time."""

    def __init__(
        self,
        client: Elasticsearch,
        settings: Elastic,
        stop: Event | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Once `stop` is set, what still waits for the cluster is given up with RetryableError. `alive` is called while
        it waits, from any thread: a cluster may be away for longer than a watchdog is patient. A question that has no
        answer is no sign of life; it ends after `settings.timeout_s`.
        """
        self._alive = alive
        self.figures = Figures()
        self._client, self._settings = client, settings
        self._stop = stop or Event()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(settings.bulks_in_flight, thread_name_prefix="bulk")

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown()

    def write(self, operations: Iterable[Operation]) -> Written:
        """Write all of them; durable when it returns. They are asked for one by one while earlier ones are under way,
        so whoever makes them lazily works while the cluster does; no two may be for one place.

        Raises RetryableError when it was told to stop before everything had an answer, and whatever `operations`
        raises.
        """
        most = LAZY_OPERATIONS
        if isinstance(operations, Sequence):  # shared out among the requests in flight, but not into crumbs
            share = -(-len(operations) // self._settings.bulks_in_flight)
            most = min(MOST_OPERATIONS, max(FEWEST_OPERATIONS, share))
        chunks: list[Future[Written]] = []
        try:
            for chunk in self._cut(operations, most):
                # One request is made ready beside those in flight, and no more: memory has a bound.
                wait(chunks[: -self._settings.bulks_in_flight])
                chunks.append(self._pool.submit(self._settle, chunk))
                if any(each.done() and each.exception() is not None for each in chunks):
                    break
        finally:
            # All of them end before an error is raised: nothing of ours is under way when the caller tries again.
            wait(chunks)
        return _together([chunk.result() for chunk in chunks]) if chunks else Written()

    def _cut(self, operations: Iterable[Operation], most: int) -> Iterator[list[Operation]]:
        chunk: list[Operation] = []
        size = 0
        for operation in operations:
            length = len(operation.source) + 200
            if chunk and (size + length > self._settings.bulk_bytes or len(chunk) >= most):
                yield chunk
                chunk, size = [], 0
            chunk.append(operation)
            size += length
        if chunk:
            yield chunk

    def _settle(self, operations: list[Operation]) -> Written:
        """One bulk, until every operation of it has an answer."""
        refused: list[Refusal] = []
        there: set[str] = set()
        waiting, wait_s, unknown = operations, FIRST_WAIT_S, 0
        while True:
            answers = self._ask(waiting)
            if answers is None:  # too large, or not understood as a whole
                middle = len(waiting) // 2
                halves = [self._settle(half) for half in (waiting[:middle], waiting[middle:])]
                return _together([Written(refused, frozenset(there)), *halves])
            again: list[Operation] = []
            reasons: dict[Verdict, str] = {}
            for operation, (meaning, words) in zip(waiting, answers, strict=True):
                if meaning is Verdict.REFUSED:
                    refused.append(Refusal(operation, words))
                elif meaning is Verdict.UNKNOWN and unknown >= UNKNOWN_TRIES:
                    refused.append(Refusal(operation, f"unclassified: {words}"))
                elif meaning is Verdict.THERE:
                    there.add(operation.id)
                elif meaning is not Verdict.DONE:
                    again.append(operation)
                    reasons[meaning] = words
            self._count(len(waiting), len(again), answers)
            if not again:
                return Written(refused, frozenset(there))
            unknown += Verdict.UNKNOWN in reasons
            self._wait(wait_s, len(again), next(iter(reasons.values())))
            # A cluster that takes some of it is slow and not gone: no need to wait longer each time.
            wait_s = FIRST_WAIT_S if len(again) < len(waiting) else min(wait_s * 2, LONGEST_WAIT_S)
            waiting = again

    def _ask(self, operations: Sequence[Operation]) -> list[tuple[Verdict, str]] | None:
        """One request; None when it has to be cut in two."""
        began = time.thread_time()
        try:
            return self._answers(operations)
        finally:
            with self._lock:
                self.figures.cpu_s += time.thread_time() - began

    def _answers(self, operations: Sequence[Operation]) -> list[tuple[Verdict, str]] | None:
        body = b"".join(operation.lines for operation in operations)
        try:
            answer = self._client.perform_request("POST", _PATH, headers=_HEADERS, body=body)
        except ApiError as error:
            meaning = verdict(error.status_code, _kind(error.body))
            words = reason(error.body) or f"status {error.status_code}"
            if meaning in (Verdict.REFUSED, Verdict.UNKNOWN):
                if len(operations) > 1:
                    return None
                meaning = Verdict.REFUSED if error.status_code == 413 else Verdict.UNKNOWN
            return [(meaning, words)] * len(operations)
        except (TransportError, SerializationError) as error:
            doubt = distrust(error)  # renewed while we run, and somebody can mend it: nothing of ours is wrong
            if doubt is not None:
                return [(Verdict.DENIED, doubt)] * len(operations)
            return [(Verdict.BUSY, f"no answer ({type(error).__name__})")] * len(operations)
        items = answer.body.get("items") if isinstance(answer.body, dict) else None
        if not isinstance(items, list) or len(items) != len(operations):
            return [(Verdict.BUSY, "an answer with the wrong number of items")] * len(operations)
        return [_of_item(operation, item) for operation, item in zip(operations, items, strict=True)]

    def _count(self, asked: int, again: int, answers: Sequence[tuple[Verdict, str]]) -> None:
        denied = next((words for meaning, words in answers if meaning is Verdict.DENIED), None)
        done = sum(meaning in (Verdict.DONE, Verdict.THERE) for meaning, _ in answers)
        with self._lock:
            self.figures.requests += 1
            self.figures.done += done
            self.figures.retried += again
            self.figures.refused += asked - again - done
            self.figures.denied = denied
        if denied is not None:
            log.error("Elasticsearch refuses us; nothing is written until somebody mends it", reason=denied)

    def _wait(self, wait_s: float, count: int, words: str) -> None:
        log.warning("writing again", operations=count, reason=words)
        if waited(wait_s * random.uniform(0.5, 1.0), self._stop, self._alive):
            raise RetryableError(f"told to stop while {count} records wait for Elasticsearch: {words}")


def _together(parts: Sequence[Written]) -> Written:
    refused = list(chain.from_iterable(part.refused for part in parts))
    return Written(refused, frozenset().union(*(part.there for part in parts)))


def _of_item(operation: Operation, item: object) -> tuple[Verdict, str]:
    [told] = item.values() if isinstance(item, dict) and len(item) == 1 else [None]
    status = told.get("status") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(status, int):
        return Verdict.UNKNOWN, "an item without a status"
    return verdict(status, _kind(told), delete=operation.delete), reason(told) or f"status {status}"


def _kind(body: object) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("type", "")) if isinstance(error, dict) else ""
