"""What every log must do: order, compaction's view, owners."""

from collections.abc import Callable

import pytest

from opinionwatch.pipeline.log import Appender, Entry, FencedError, OwnedAppender, Reader


class LogSuite:
    """Every log passes this. A subclass brings `log`, `reader` and `owned` as fixtures."""

    def test_a_partition_keeps_the_order_and_others_do_not_disturb_it(self, log: Appender, reader: Reader) -> None:
        log.append([Entry("documents", number % 2, b"%d" % number) for number in range(20)])
        log.append([Entry("documents", 1, b"last")])
        found = list(reader.stretch("documents", 1))
        assert [record.value for record in found] == [b"%d" % number for number in range(1, 20, 2)] + [b"last"]
        assert [record.offset for record in found] == list(range(11))

    def test_a_stretch_begins_and_ends_where_it_was_asked_to(self, log: Appender, reader: Reader) -> None:
        log.append([Entry("mentions", 0, b"%d" % number) for number in range(10)])
        assert [record.offset for record in reader.stretch("mentions", 0, 3, 7)] == [3, 4, 5, 6]
        assert list(reader.stretch("mentions", 0, 10)) == []
        assert list(reader.stretch("mentions", 0, 4, 4)) == []

    def test_the_latest_of_a_key_counts_and_an_empty_one_ends_it(self, log: Appender, reader: Reader) -> None:
        log.append([Entry("cursors", 0, value, key) for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"))])
        assert reader.latest("cursors") == {b"a": b"2", b"b": b"1"}
        log.append([Entry("cursors", 0, None, b"b")])
        assert reader.latest("cursors") == {b"a": b"2"}

    def test_nothing_is_nothing(self, log: Appender, reader: Reader) -> None:
        log.append([])
        assert list(reader.stretch("alerts", 0)) == []
        assert reader.latest("outbox") == {}

    def test_who_comes_later_under_a_name_shuts_the_one_before_out(
        self, owned: Callable[[str], OwnedAppender], reader: Reader
    ) -> None:
        first, other, second = owned("one"), owned("another"), owned("one")
        first.open()
        other.open()
        first.append([Entry("outbox", 0, b"first", b"key")])
        second.open()
        for _ in range(2):  # it does not take the name back by trying again
            with pytest.raises(FencedError):
                first.append([Entry("outbox", 0, b"zombie", b"key")])
        assert reader.latest("outbox") == {b"key": b"first"}
        second.append([Entry("outbox", 0, b"second", b"key")])
        other.append([Entry("outbox", 0, b"other", b"other")])
        assert reader.latest("outbox") == {b"key": b"second", b"other": b"other"}
        for log in (first, other, second):
            log.close()

    def test_who_has_let_go_of_a_name_cannot_take_it_back(
        self, owned: Callable[[str], OwnedAppender], reader: Reader
    ) -> None:
        first, second = owned("one"), owned("one")
        first.append([Entry("outbox", 0, b"first", b"key")])
        first.close()
        second.open()
        with pytest.raises(FencedError):  # a thread that was still at something when its owner ended
            first.append([Entry("outbox", 0, b"late", b"key")])
        second.append([Entry("outbox", 0, b"second", b"key")])
        assert reader.latest("outbox") == {b"key": b"second"}
        second.close()
