"""A taste of a source: bounded in count and time, stored nowhere, errors part of the answer."""

from collections.abc import Iterator

from opinionwatch.connectors.quota import Quota
from opinionwatch.connectors.trying import taste
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Item, Page
from tests.connectors.test_schedule import Numbers, numbers


class Silent(Numbers):
    """Never brings anything, until it is closed."""

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        del cursor
        self._closed.wait()
        yield Page([Item(b"too late")], "1")


class Counting(Numbers):
    """Knows its quota."""

    quota = Quota(7)


def test_as_many_as_were_asked_for_and_whether_there_is_more() -> None:
    assert ([item.body for item in taste(Numbers("a"), 4, 10).items], taste(Numbers("a"), 4, 10).more) == (
        numbers(4),
        True,
    )
    whole = taste(Numbers("a"), 10, 10)
    assert ([item.body for item in whole.items], whole.more, whole.error) == (numbers(10), False, "")


def test_an_endless_source_is_closed_when_there_is_enough() -> None:
    source = Numbers("a", 10**9)
    assert taste(source, 3, 10).more
    assert source._closed.is_set()


def test_a_silent_source_is_not_waited_for() -> None:
    found = taste(Silent("a"), 3, 0.05)
    assert (found.items, found.more, found.error) == ([], False, "")
    assert 0.05 <= found.took_s < 5


def test_what_came_before_an_error_is_kept_and_no_secret_is_told() -> None:
    found = taste(Numbers("a", errors=(RetryableError("503 from https://me:pw@x.example/f?key=s3cret"),)), 10, 10)
    assert [item.body for item in found.items] == numbers(3)
    assert (found.kind, found.error) == ("not ready", "503 from https://x.example/f")
    bug = taste(Numbers("a", errors=(ZeroDivisionError("a bug"),)), 10, 10)
    assert (bug.kind, bug.error) == ("defect", "unexpected ZeroDivisionError: a bug")


def test_what_is_left_of_a_quota_is_told_where_it_is_known() -> None:
    assert taste(Counting("a"), 1, 10).quota == Quota(7)
    assert taste(Numbers("a"), 1, 10).quota is None
