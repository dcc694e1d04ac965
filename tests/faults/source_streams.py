"""What a stand is, and those that stream or are told: a host of Jetstream, a topic, somebody who pushes."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from threading import Event, Thread
from uuid import uuid4

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from opinionwatch.pipeline.contracts import Gap
from tests.connectors.jetstream import BEGIN_US, jetstream, post
from tests.connectors.pushing import SECRET, Sender
from tests.contract.source_suite import Making

EVENT_S = 5
"""Between two events of the stream: a new connection goes back as far."""


@dataclass
class Stand:
    """One source and its service."""

    kind: str
    given: Mapping[str, object]
    most: int
    grow: Callable[[int], None]
    """Be as if there were so many."""
    ids: Callable[[], set[str]] | None = None
    """Ids of all there have been; None: what a fresh source finds."""
    drop: Callable[[int], int] | None = None
    """Lose what is old, as if nobody had looked for long; given how many there are, returns how many there are now."""
    lost: Callable[[str, Gap], bool] = lambda _, __: False
    """Whether a gap tells of the loss of an id."""
    service: Making | None = None
    there: int = 0


def within(at: datetime, gap: Gap) -> bool:
    """Whether a moment lies in a gap."""
    return (gap.since is None or gap.since < at) and (gap.until is None or at < gap.until)


@contextmanager
def bluesky(most: int) -> Iterator[Stand]:
    """A stream that forgets."""
    with jetstream([]) as host:

        def grow(count: int) -> None:
            for number in range(len(host.events), count):
                host.events.append({**post(number), "time_us": BEGIN_US + number * EVENT_S * 1_000_000})

        def drop(there: int) -> int:
            host.kept_from = there + 30
            return there + 60

        def key(number: int) -> str:
            return f"at://did:plc:{number % 7}/app.bsky.feed.post/k{number}"

        def lost(name: str, gap: Gap) -> bool:
            at = BEGIN_US / 1_000_000 + int(name.rpartition("/k")[2]) * EVENT_S
            return within(datetime.fromtimestamp(at, UTC), gap)

        given = {"url": host.url, "allow_hosts": ["127.0.0.1"]}
        yield Stand("bluesky", given, most, grow, lambda: {key(n) for n in range(len(host.events))}, drop, lost)


@contextmanager
def kafka(most: int, servers: str) -> Iterator[Stand]:
    """A topic of three partitions, whose oldest records go."""
    name, sent = f"posts-{uuid4().hex[:12]}", list[int]()
    with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        admin.create_topics({name: {"num_partitions": 3, "replication_factor": 1}})
    producer = KafkaProducer(bootstrap_servers=servers, enable_idempotence=True, delivery_timeout_ms=120_000)

    def grow(count: int) -> None:
        futures = [
            producer.send(name, b'{"native_id": "%d", "text": "text %d"}' % (number, number), partition=number % 3)
            for number in range(len(sent), count)
        ]
        sent.extend(range(len(sent), count))
        for future in futures:
            future.get(120)

    def drop(there: int) -> int:
        grow(there)
        with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
            admin.delete_records({TopicPartition(name, part): (there - part + 2) // 3 for part in range(3)})
        return there + 30

    def lost(key: str, gap: Gap) -> bool:
        words = gap.detail.replace(":", "").split()
        part, first, last = int(words[1]), int(words[-3]), int(words[-1])
        return int(key) % 3 == part and first <= int(key) // 3 <= last

    try:
        given = {"servers": [servers], "topic": name}
        yield Stand("kafka", given, most, grow, lambda: {str(number) for number in sent}, drop, lost)
    finally:
        producer.close(5)


@contextmanager
def webhook(most: int, port: int) -> Iterator[Stand]:
    """Somebody who pushes, again and again until it was taken."""
    sender, over, wanted, taken = Sender(port), Event(), [0], [0]

    def push() -> None:
        while not over.wait(0.005):
            first, last = taken[0], min(wanted[0], taken[0] + 20)
            if first == last:
                continue
            body = json.dumps([{"native_id": f"{n}", "text": f"text {n} 很好"} for n in range(first, last)]).encode()
            try:
                status, _, _ = sender.post(body, webhook_id=f"msg_{first}_{last}")
            except (OSError, HTTPException):
                over.wait(0.2)
                continue
            if status == 200:
                taken[0] = last

    def grow(count: int) -> None:
        wanted[0] = count

    thread = Thread(target=push, name="push")
    thread.start()
    try:
        ids = lambda: {f"{number}" for number in range(wanted[0])}  # noqa: E731 - one line is enough
        yield Stand("webhook", {"secrets": [SECRET]}, most, grow, ids)
    finally:
        over.set()
        thread.join(30)
