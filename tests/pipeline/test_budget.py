"""The byte budget: what is on its way is bounded, and who waits too long is sent back."""

from threading import Event, Thread

import pytest

from opinionwatch.pipeline.budget import Budget
from opinionwatch.pipeline.errors import RetryableError


def test_who_finds_no_room_is_sent_back_and_costs_nothing() -> None:
    budget = Budget(100, patience_s=0.01)
    with budget.spend(60):
        with pytest.raises(RetryableError) as refused, budget.spend(41):
            pass
        assert refused.value.after_s
        with budget.spend(40):
            assert budget.free == 0
    assert budget.free == 100


def test_more_than_everything_waits_for_everything() -> None:
    budget = Budget(100, patience_s=0.01)
    with budget.spend(10_000):
        assert budget.free == 0
    assert budget.free == 100


def test_room_is_given_back_when_the_work_fails() -> None:
    budget = Budget(100, patience_s=0.01)
    with pytest.raises(ValueError, match="work"), budget.spend(70):
        raise ValueError("work")
    assert budget.free == 100


def test_one_who_waits_goes_on_as_soon_as_there_is_room() -> None:
    budget, inside, go, passed = Budget(100, patience_s=30), Event(), Event(), Event()

    def first() -> None:
        with budget.spend(100):
            inside.set()
            go.wait(30)

    def second() -> None:
        with budget.spend(1):
            passed.set()

    threads = [Thread(target=first), Thread(target=second)]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    assert not passed.is_set()
    go.set()
    assert passed.wait(30)
    for thread in threads:
        thread.join()
