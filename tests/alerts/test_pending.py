"""What waits for its tick: small, in the fold's order, and whole after a restart."""

import tracemalloc
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from opinionwatch.alerts.pending import Pending, Waiting
from opinionwatch.pipeline.contracts import Mention, content_id
from opinionwatch.pipeline.contracts_changes import Withdrawal
from tests.alerts.stream import Stream

AT = datetime(2026, 3, 8, 13, tzinfo=UTC)


def posts(count: int) -> list[Mention]:
    stream = Stream(seed=7)
    return [stream.say(AT + timedelta(seconds=number % 300), label="negative") for number in range(count)]


def test_mentions_come_in_the_order_of_ids_then_withdrawals_whatever_the_order_they_came_in() -> None:
    first, second, *_ = sorted(posts(5), key=lambda each: each.id)
    later = second.model_copy(update={"version": 3, "revised_at": AT + timedelta(minutes=1)})
    gone = [Withdrawal(document_id=content_id(name), version=2, at=AT) for name in ("a", "b")]
    waiting: list[Waiting] = [later, gone[0], second, gone[1], first]
    expected = [first, second, later, *sorted(gone, key=lambda each: each.document_id)]
    for order in (waiting, waiting[::-1]):
        pending = Pending()
        for record in order:
            pending.add(4, record)
        assert list(pending.take(4)) == expected
        assert list(pending.take(4)) == []


def test_a_state_brings_back_every_tick_as_it_was() -> None:
    pending, other = Pending(), Pending()
    for number, mention in enumerate(posts(50)):
        pending.add(number % 3, mention)
    other.load(pending.save())
    assert other.first(99) == pending.first(99) == 0
    for tick in range(3):
        assert list(other.take(tick)) == list(pending.take(tick)) != []
    assert other.first(99) == 99


def test_a_damaged_state_is_refused() -> None:
    pending = Pending()
    pending.add(1, posts(1)[0])
    arrays = pending.save()
    with pytest.raises(ValueError, match="not as long"):
        Pending().load(arrays | {"pending": arrays["pending"][:-1].repeat(2)})
    broken = Pending()
    broken.load(arrays | {"pending": np.full_like(arrays["pending"], 255)})
    with pytest.raises(ValueError, match="damaged"):
        list(broken.take(1))


def test_what_is_erased_waits_no_more() -> None:
    mentions, pending = posts(4), Pending()
    for mention in mentions:
        pending.add(1, mention)
    pending.forget({mentions[0].document_id})
    assert {each.document_id for each in pending.take(1)} == {each.document_id for each in mentions[1:]}


def test_a_burst_takes_a_twentieth_of_what_its_mentions_would() -> None:
    mentions = posts(20_000)
    tracemalloc.start()
    try:
        pending = Pending()
        for mention in mentions:
            pending.add(1, mention)
        size, _ = tracemalloc.get_traced_memory()
        copies = [Mention.model_validate_json(each.model_dump_json()) for each in mentions[:1000]]
        whole = tracemalloc.get_traced_memory()[0] - size
    finally:
        tracemalloc.stop()
    assert size < 300 * len(mentions)
    assert size < whole / len(copies) * len(mentions) / 10
