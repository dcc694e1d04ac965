"""The queue between sources and the runtime: bounded, in order, and never silent about a page."""

from threading import Thread
from time import monotonic

import pytest

from opinionwatch.connectors.demo import Demo
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.intake import QueueIntake
from opinionwatch.pipeline.ports import Item, Page

SOURCE = Demo("demo", Demo.Settings())


def page(number: int, items: int = 1) -> Page:
    return Page([Item(b"{}")] * items, f"cursor-{number}")


def test_pages_are_taken_in_the_order_they_came() -> None:
    intake = QueueIntake(pages=10)
    for number in range(4):
        intake.submit(SOURCE, page(number))
    assert [each.page.cursor for each in intake.take(2, wait_s=0)] == ["cursor-0", "cursor-1"]
    assert [each.page.cursor for each in intake.take(100, wait_s=0)] == ["cursor-2", "cursor-3"]


def test_a_batch_ends_with_the_page_that_fills_it() -> None:
    intake = QueueIntake(pages=10)
    for number, items in enumerate((30, 30, 200, 1)):
        intake.submit(SOURCE, page(number, items))
    assert [len(each.page.items) for each in intake.take(50, wait_s=0)] == [30, 30]
    assert [len(each.page.items) for each in intake.take(50, wait_s=0)] == [200]


def test_an_empty_page_still_promises_its_cursor() -> None:
    intake = QueueIntake(pages=2)
    promise = intake.submit(SOURCE, page(1, items=0))
    [submitted] = intake.take(10, wait_s=0)
    submitted.durable.set_result(None)
    assert promise.done()


def test_nothing_to_take_is_an_empty_batch_after_the_wait() -> None:
    assert list(QueueIntake(pages=1).take(10, wait_s=0)) == []
    began = monotonic()
    assert list(QueueIntake(pages=1).take(10, wait_s=0.02)) == []
    assert monotonic() - began >= 0.02


def test_a_full_queue_holds_the_source_back_and_then_says_why() -> None:
    intake = QueueIntake(pages=1, patience_s=0.01)
    intake.submit(SOURCE, page(1))
    with pytest.raises(RetryableError, match="busy") as caught:
        intake.submit(SOURCE, page(2))
    assert caught.value.after_s
    assert [each.page.cursor for each in intake.take(10, wait_s=0)] == ["cursor-1"]


def test_a_source_that_waits_for_room_gets_it() -> None:
    intake = QueueIntake(pages=1)
    intake.submit(SOURCE, page(1))
    waiting = Thread(target=intake.submit, args=(SOURCE, page(2)))
    waiting.start()
    assert [each.page.cursor for each in intake.take(1, wait_s=1)] == ["cursor-1"]
    waiting.join(5)
    assert [each.page.cursor for each in intake.take(1, wait_s=1)] == ["cursor-2"]


def test_whoever_waits_when_the_runtime_stops_is_told_and_so_is_whoever_comes_later() -> None:
    intake = QueueIntake(pages=4)
    promises = [intake.submit(SOURCE, page(number)) for number in range(2)]
    intake.close(FatalError("damaged"))
    for promise in promises:
        assert isinstance(promise.exception(timeout=0), FatalError)
    with pytest.raises(FatalError, match="damaged"):
        intake.submit(SOURCE, page(3))
    assert list(intake.take(10, wait_s=0)) == []


def test_a_page_that_waits_for_room_while_the_runtime_stops_is_told_too() -> None:
    intake = QueueIntake(pages=1)
    first = intake.submit(SOURCE, page(1))
    told: list[BaseException | None] = []

    def submit() -> None:
        try:
            told.append(intake.submit(SOURCE, page(2)).exception(timeout=5))
        except RetryableError as error:
            told.append(error)

    waiting = Thread(target=submit)
    waiting.start()
    intake.close(RetryableError("the pipeline has stopped"))
    waiting.join(5)
    assert isinstance(first.exception(timeout=0), RetryableError)
    assert [type(each) for each in told] == [RetryableError]
