"""What every outbox must do, whoever owns it and however late its searches see what was written."""

from contextlib import AbstractContextManager
from datetime import timedelta
from threading import Thread
from typing import Protocol, get_args

import pytest

from opinionwatch.pipeline.contracts_trend import Delivery, DeliveryState
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.outbox_fenced import NotingOutbox
from tests.pipeline.sample import NOON, delivery

LATER = NOON + timedelta(hours=1)
SETTLED: tuple[DeliveryState, ...] = ("sent", "failed", "suppressed")
WORDS = '频道回答：503 服务不可用 🔥👩‍👩‍👧 — «café»\n\t\\"{}\x7f'


def after(minutes: int, number: int, **changes: object) -> Delivery:
    """A delivery that is due so many minutes after noon."""
    return delivery(number, due_at=NOON + timedelta(minutes=minutes)).model_copy(update=changes)


class Place(Protocol):
    """A store, and what only tests do to it."""

    def outbox(self) -> NotingOutbox:
        """One more outbox on it, which remembers nothing of the others."""
        ...

    def settle(self) -> None:
        """Let searches see what was written so far."""
        ...

    def spoil(self, told: Delivery) -> None:
        """Make of it one that a newer version has written."""
        ...

    def away(self) -> AbstractContextManager[NotingOutbox]:
        """An outbox whose store takes nothing now."""
        ...


class OutboxSuite:
    """Every outbox passes this. A subclass brings `place`, which is empty, as a fixture."""

    @pytest.fixture
    def outbox(self, place: Place) -> NotingOutbox:
        """The first one."""
        return place.outbox()

    def test_what_is_due_comes_oldest_first_and_nothing_before_its_time(
        self, place: Place, outbox: NotingOutbox
    ) -> None:
        assert outbox.due(LATER, 10) == []
        third, first, second, late = (after(minutes, minutes) for minutes in (3, 1, 2, 90))
        outbox.save(third, first, second, late)
        place.settle()
        assert outbox.due(LATER, 10) == [first, second, third]
        assert outbox.due(LATER, 2) == [first, second]
        assert outbox.due(first.due_at, 10) == [first]
        assert outbox.due(first.due_at - timedelta(microseconds=1), 10) == []
        assert outbox.due(LATER, 0) == []

    def test_what_is_due_at_one_moment_comes_by_id(self, place: Place, outbox: NotingOutbox) -> None:
        made = [delivery(number) for number in range(9)]
        outbox.save(*made)
        place.settle()
        by_id = sorted(made, key=lambda one: one.id)
        assert by_id != made
        assert outbox.due(NOON, 100) == by_id
        assert outbox.due(NOON, 4) == by_id[:4]

    def test_a_microsecond_makes_one_older(self, place: Place, outbox: NotingOutbox) -> None:
        low, high = sorted((delivery(1), delivery(2)), key=lambda one: one.id)
        low = low.model_copy(update={"due_at": NOON + timedelta(microseconds=1)})
        outbox.save(low, high)
        place.settle()
        assert outbox.due(LATER, 10) == [high, low]
        assert outbox.due(NOON, 10) == [high]

    def test_what_an_earlier_life_left_in_sending_is_due_whenever_and_what_is_settled_never(
        self, place: Place, outbox: NotingOutbox
    ) -> None:
        left = after(24 * 60, 1, state="sending", attempts=1, uncertain=True)
        done = [after(0, 2 + number, state=state, attempts=1) for number, state in enumerate(SETTLED)]
        assert {"pending", "sending", *SETTLED} == set(get_args(DeliveryState))
        outbox.save(left, *done)
        place.settle()
        assert place.outbox().due(NOON, 10) == [left]

    @pytest.mark.parametrize("state", get_args(DeliveryState))
    def test_a_saved_state_replaces_the_one_before(
        self, place: Place, outbox: NotingOutbox, state: DeliveryState
    ) -> None:
        outbox.save(delivery(1), delivery(2))
        changed = after(5, 1, state=state, attempts=3, uncertain=True, detail="503", fallback="mail")
        outbox.save(changed)
        place.settle()
        assert outbox.due(LATER, 10) == [delivery(2)] + ([changed] if state in ("pending", "sending") else [])

    @pytest.mark.parametrize("state", get_args(DeliveryState))
    def test_one_that_is_new_again_stays_as_it_is(
        self, place: Place, outbox: NotingOutbox, state: DeliveryState
    ) -> None:
        known = after(5, 1, state=state, attempts=1, detail="as it stands")
        outbox.save(known)
        place.outbox().save(delivery(1), delivery(2))
        place.settle()
        assert outbox.due(LATER, 10) == [delivery(2)] + ([known] if state in ("pending", "sending") else [])

    def test_one_that_was_tried_is_kept_though_it_was_never_there_as_new(
        self, place: Place, outbox: NotingOutbox
    ) -> None:
        tried = after(1, 1, attempts=2, detail="503")
        outbox.save(tried)
        place.settle()
        assert outbox.due(LATER, 10) == [tried]

    def test_one_save_takes_new_ones_and_changed_ones_and_none(self, place: Place, outbox: NotingOutbox) -> None:
        refused, other = delivery(1), delivery(2)
        outbox.save()
        outbox.save(refused, other)
        instead = after(1, 1, channel="mail", purpose="fallback")
        outbox.save(
            refused.model_copy(update={"state": "failed", "attempts": 1, "detail": "no_service"}),
            other.model_copy(update={"state": "sending", "attempts": 1}),
            instead,
        )
        place.settle()
        assert [(one.id, one.state) for one in outbox.due(LATER, 10)] == [
            (other.id, "sending"),
            (instead.id, "pending"),
        ]

    def test_what_another_one_saved_a_moment_ago_counts_at_once(self, place: Place, outbox: NotingOutbox) -> None:
        tried, left, done, put_off = made = [after(number, number) for number in range(4)]
        outbox.save(*made)
        place.settle()
        assert outbox.due(LATER, 10) == made
        tried = tried.model_copy(update={"attempts": 3, "detail": "503 from the channel"})
        left = left.model_copy(update={"state": "sending", "attempts": 2, "uncertain": True})
        waiting = put_off.model_copy(update={"attempts": 1, "due_at": LATER + timedelta(microseconds=1)})
        place.outbox().save(tried, left, done.model_copy(update={"state": "sent", "attempts": 1}), waiting)
        assert outbox.due(LATER, 10) == [tried, left], (
            "so that nothing is sent twice, and a repetition says that it is one"
        )
        assert place.outbox().due(LATER, 10) == [tried, left]

    def test_what_it_saved_a_moment_ago_itself_counts_at_once(self, place: Place, outbox: NotingOutbox) -> None:
        outbox.save(delivery(1))
        place.settle()
        for state in ("sending", "sent"):
            outbox.save(delivery(1).model_copy(update={"state": state, "attempts": 1}))
            assert [one.state for one in outbox.due(LATER, 10)] == [state] * (state == "sending")

    def test_what_was_settled_a_moment_ago_takes_nobodys_place(self, place: Place, outbox: NotingOutbox) -> None:
        made = [after(number, number) for number in range(7)]
        outbox.save(*made)
        place.settle()
        place.outbox().save(*(one.model_copy(update={"state": "sent", "attempts": 1}) for one in made[:3]))
        assert outbox.due(LATER, 2) == made[3:5]
        assert outbox.due(LATER, 4) == made[3:]

    def test_what_was_put_off_a_moment_ago_comes_where_it_belongs_now(self, place: Place, outbox: NotingOutbox) -> None:
        outbox.save(after(1, 1), after(2, 2))
        place.settle()
        put_off = after(3, 1, attempts=1)
        place.outbox().save(put_off)
        assert outbox.due(LATER, 10) == [after(2, 2), put_off]

    def test_one_that_was_never_tried_can_be_put_off_with_the_reason(self, place: Place, outbox: NotingOutbox) -> None:
        outbox.save(after(1, 1), after(2, 2))
        place.settle()
        put_off = after(3, 1, detail="put off: silenced by mei")
        outbox.put_off(put_off)
        assert outbox.due(LATER, 10) == [after(2, 2), put_off]
        assert place.outbox().due(NOON + timedelta(minutes=2), 10) == [after(2, 2)]

    def test_texts_come_back_as_they_were_in_every_language(self, place: Place, outbox: NotingOutbox) -> None:
        alert = delivery(1).alert
        shown = alert.episode.explanation.exemplars[0].model_copy(update={"text": f"流墨电池发烫 🔋🥵 {WORDS}" * 50})
        explanation = alert.episode.explanation.model_copy(update={"exemplars": (shown,)})
        episode = alert.episode.model_copy(update={"explanation": explanation, "watchlist": "流墨"})
        told = Delivery(
            alert=alert.model_copy(update={"episode": episode}), channel="值班 📟", state="pending", attempts=1,
            due_at=NOON, detail=WORDS * 200, group="群", joined="早", fallback="邮件",
        )  # fmt: skip
        outbox.save(told)
        place.settle()
        assert place.outbox().due(NOON, 10) == [told]

    def test_lanes_of_several_channels_may_save_at_once(self, place: Place, outbox: NotingOutbox) -> None:
        made = [delivery(number) for number in range(12)]
        outbox.save(*made)
        place.settle()
        lanes = [Thread(target=outbox.save, args=(each.model_copy(update={"state": "sent"}),)) for each in made]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        assert outbox.due(LATER, 100) == []

    def test_a_note_is_there_at_once_for_the_next_owner_until_it_is_replaced(
        self, place: Place, outbox: NotingOutbox
    ) -> None:
        assert outbox.note("digest/morning") is None
        outbox.keep("digest/evening", "another")
        for text in ("first", "second", "", WORDS, "电" * 40_000):
            outbox.keep("digest/morning", text)
            assert (outbox.note("digest/morning"), place.outbox().note("digest/morning")) == (text, text)
        assert outbox.note("digest/evening") == "another"
        assert outbox.note("digest") is None

    @pytest.mark.parametrize("name", ["早报/🗞", "a b?c=d&e#f%2F", "*"])
    def test_a_note_may_have_any_name(self, outbox: NotingOutbox, name: str) -> None:
        outbox.keep(name, "kept")
        outbox.keep("other", "not this")
        assert outbox.note(name) == "kept"

    def test_what_this_program_cannot_read_is_not_passed_over(self, place: Place, outbox: NotingOutbox) -> None:
        outbox.save(delivery(1), delivery(2))
        place.spoil(delivery(1))
        place.settle()
        with pytest.raises(FatalError):
            outbox.due(NOON, 10)

    def test_a_store_that_takes_nothing_now_is_to_be_asked_again(self, place: Place) -> None:
        with place.away() as outbox:
            with pytest.raises(RetryableError) as refused:
                outbox.save(delivery(1))
            assert refused.value.after_s
            with pytest.raises(RetryableError):
                outbox.save(delivery(1, state="sent"))
            with pytest.raises(RetryableError):
                outbox.put_off(delivery(1))
            with pytest.raises(RetryableError):
                outbox.keep("digest/morning", "text")
        place.settle()
        assert place.outbox().due(NOON, 10) == []
        assert place.outbox().note("digest/morning") is None
