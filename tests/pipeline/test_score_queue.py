"""Many callers, one scorer: whatever waits is read in one pass, callers take turns, and what waits is bounded."""

from collections.abc import Iterator, Sequence
from threading import Event

import pytest

from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.score_queue import PASS_CHARS, PASS_TEXTS, ScoreQueue
from opinionwatch.pipeline.scoring import Answer, Asked, RefusedText


class Gate:
    """Reads a pass when it is let to; every text is answered with itself, and with its target where it has one."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []
        self.begun, self.go = Event(), Event()

    def __call__(self, asked: Sequence[Asked]) -> list[Answer]:
        texts = [" about ".join(filter(None, each)) for each in asked]
        self.passes.append(texts)
        self.begun.set()
        assert self.go.wait(10)
        if "broken" in texts:
            raise ZeroDivisionError
        return [RefusedText(error="empty_text", detail=text) for text in texts]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def queue(gate: Gate) -> Iterator[ScoreQueue]:
    queue = ScoreQueue(gate, most_chars=100_000)
    yield queue
    gate.go.set()
    assert queue.close(10)


def details(answers: Sequence[Answer]) -> list[str]:
    return [answer.detail for answer in answers if isinstance(answer, RefusedText)]


def test_a_lone_text_is_read_at_once_and_what_came_meanwhile_in_one_pass(gate: Gate, queue: ScoreQueue) -> None:
    first = queue.submit(["one"])
    assert gate.begun.wait(10)
    others = [queue.submit([f"{number}a", f"{number}b"]) for number in range(5)]
    gate.go.set()
    assert details(first.result(10)) == ["one"]
    assert [details(other.result(10)) for other in others] == [[f"{n}a", f"{n}b"] for n in range(5)]
    assert [len(texts) for texts in gate.passes] == [1, 10]
    assert queue.waiting_chars == 0


def test_each_caller_asks_about_a_name_of_their_own_in_the_same_pass(gate: Gate, queue: ScoreQueue) -> None:
    queue.submit(["one"])
    assert gate.begun.wait(10)
    corvo, brava, none = (queue.submit(["it is bad"], name) for name in ("Corvo", "Brava", None))
    gate.go.set()
    assert details(corvo.result(10)) == ["it is bad about Corvo"]
    assert details(brava.result(10)) == ["it is bad about Brava"]
    assert details(none.result(10)) == ["it is bad"]
    assert [len(texts) for texts in gate.passes] == [1, 3]


def test_who_brings_a_thousand_does_not_hold_up_who_brings_one(gate: Gate, queue: ScoreQueue) -> None:
    first = queue.submit(["one"])
    assert gate.begun.wait(10)
    thousand = queue.submit([f"text {number}" for number in range(1000)])
    alone = queue.submit(["alone"])
    gate.go.set()
    assert details(alone.result(10)) == ["alone"]
    assert details(thousand.result(10)) == [f"text {number}" for number in range(1000)]
    assert "alone" in gate.passes[1]
    assert max(map(len, gate.passes)) == PASS_TEXTS
    assert first.done()


def test_a_pass_is_bounded_by_its_characters(gate: Gate, queue: ScoreQueue) -> None:
    gate.go.set()
    assert len(queue.submit(["x" * (PASS_CHARS // 2 + 1)] * 3).result(10)) == 3
    assert [len(texts) for texts in gate.passes] == [1, 1, 1]


def test_what_does_not_fit_is_put_off_with_a_time(gate: Gate, queue: ScoreQueue) -> None:
    queue.submit(["one"])
    assert gate.begun.wait(10)
    queue.submit(["x" * 60_000])
    with pytest.raises(RetryableError, match="too much is waiting") as refused:
        queue.submit(["x" * 60_000])
    assert refused.value.after_s is not None
    assert 1 <= refused.value.after_s <= 60


def test_a_text_larger_than_the_bound_is_read_when_nothing_else_waits(gate: Gate, queue: ScoreQueue) -> None:
    gate.go.set()
    assert len(queue.submit(["x" * 200_000]).result(10)) == 1


def test_what_nobody_waits_for_any_more_is_not_read(gate: Gate, queue: ScoreQueue) -> None:
    queue.submit(["one"])
    assert gate.begun.wait(10)
    left = queue.submit(["left"])
    last = queue.submit(["last"])
    assert left.cancel()
    gate.go.set()
    last.result(10)
    assert gate.passes == [["one"], ["last"]]
    assert queue.waiting_chars == 0


def test_a_pass_that_fails_fails_its_callers_and_no_others(gate: Gate, queue: ScoreQueue) -> None:
    gate.go.set()
    with pytest.raises(ZeroDivisionError):
        queue.submit(["broken", *("more" for _ in range(PASS_TEXTS))]).result(10)
    assert details(queue.submit(["fine"]).result(10)) == ["fine"]
    assert queue.waiting_chars == 0


def test_a_closing_queue_finishes_and_takes_no_more(gate: Gate) -> None:
    queue = ScoreQueue(gate, most_chars=1000)
    wanted = queue.submit(["one"])
    assert gate.begun.wait(10)
    assert not queue.close(0)
    with pytest.raises(RetryableError, match="stopping"):
        queue.submit(["late"])
    gate.go.set()
    assert details(wanted.result(10)) == ["one"]
    assert queue.close(10)
