"""One poison record costs itself, and a logarithm of calls."""

from collections.abc import Sequence
from datetime import datetime
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.pipeline.contracts import DeadLetter, Document
from opinionwatch.pipeline.errors import FatalError, RejectedError, RetryableError
from opinionwatch.pipeline.isolate import isolated
from opinionwatch.pipeline.stages import bury_document
from tests.pipeline.sample import NOON, document


class Hop:
    """A hop that fails on some numbers, and remembers the batches it was given."""

    def __init__(self, poison: set[int], error: type[Exception] = KeyError, room: int = 10**9) -> None:
        self.poison, self.error, self.room = poison, error, room
        self.calls: list[int] = []

    def __call__(self, batch: Sequence[Document], now: datetime) -> list[str]:
        del now
        self.calls.append(len(batch))
        numbers = {int(each.native_id.split("-")[1]) for each in batch}
        if len(batch) > self.room:
            raise MemoryError("no room")
        if bad := sorted(numbers & self.poison):
            if self.error is RejectedError:
                raise RejectedError("model_output", f"number {bad[0]}")
            raise self.error(f"number {bad[0]}")
        return [each.id for each in batch]


def run(hop: Hop, size: int) -> tuple[list[str], list[DeadLetter]]:
    guarded = isolated(hop, lambda record, error, _: bury_document(record, "score", error))
    outcome = guarded([document(number) for number in range(size)], NOON)
    return (
        [each for each in outcome if isinstance(each, str)],
        [each for each in outcome if isinstance(each, DeadLetter)],
    )


@given(st.integers(1, 600).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_a_poison_record_is_found_in_log2_n_plus_one_extra_calls(drawn: tuple[int, int]) -> None:
    size, bad = drawn
    hop = Hop({bad})
    taken, dead = run(hop, size)
    assert taken == [document(number).id for number in range(size) if number != bad]
    assert [letter.id for letter in dead] == [document(bad).id]
    # The first call and the one for the rest behind the poison would be there without it, too.
    assert len(hop.calls) - 1 - (bad < size - 1) <= ceil(log2(size)) + 1


@given(
    st.integers(0, 80).flatmap(
        lambda size: st.tuples(st.just(size), st.sets(st.integers(0, max(0, size - 1)), max_size=30))
    )
)
def test_every_record_is_taken_once_or_buried_once(drawn: tuple[int, set[int]]) -> None:
    size, poison = drawn
    taken, dead = run(Hop(poison), size)
    assert taken == [document(number).id for number in range(size) if number not in poison]
    assert [letter.id for letter in dead] == [document(number).id for number in range(size) if number in poison]


def test_a_healthy_batch_is_one_call_and_an_empty_one_none() -> None:
    hop = Hop(set())
    assert len(run(hop, 500)[0]) == 500
    assert run(hop, 0) == ([], [])
    assert hop.calls == [500]


def test_what_fails_only_together_is_taken_in_parts_and_nobody_is_buried() -> None:
    hop = Hop(set(), room=100)
    taken, dead = run(hop, 512)
    assert len(taken) == 512
    assert dead == []


def test_the_reason_is_the_stages_own_or_stage_failed_with_the_words_of_the_defect() -> None:
    [letter] = run(Hop({3}, RejectedError), 8)[1]
    assert (letter.reason, letter.detail) == ("model_output", "number 3")
    [letter] = run(Hop({3}, ZeroDivisionError), 8)[1]
    assert (letter.reason, letter.detail) == ("stage_failed", "ZeroDivisionError: number 3")


@pytest.mark.parametrize("error", [RetryableError, FatalError, KeyboardInterrupt])
def test_what_is_about_the_world_passes_through(error: type[BaseException]) -> None:
    with pytest.raises(error):
        run(Hop({3}, error), 8)  # type: ignore[arg-type]  # KeyboardInterrupt is no Exception, on purpose


def test_a_hop_that_fails_on_every_record_stops_the_runtime_instead_of_burying_the_world() -> None:
    with pytest.raises(FatalError, match="nothing of the batch was taken"):
        run(Hop(set(range(200))), 200)
