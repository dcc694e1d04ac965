from datetime import timedelta

from opinionwatch.alerts.route import Route
from tests.alerts.sample import BEGAN, OPENED, crisis, silence

NOW = OPENED + timedelta(minutes=5)


def test_an_alert_goes_to_every_channel_once_and_is_due_now() -> None:
    deliveries = Route(["terminal", "slack"])([crisis()], NOW)
    assert [(d.channel, d.state, d.due_at) for d in deliveries] == [
        ("terminal", "pending", NOW),
        ("slack", "pending", NOW),
    ]
    assert len({d.id for d in deliveries}) == 2


def test_routing_a_batch_again_gives_the_same_ids() -> None:
    first, again = (Route(["slack"])([crisis(), crisis("resolved")], now) for now in (NOW, NOW + timedelta(days=1)))
    assert [d.id for d in first] == [d.id for d in again]


def test_a_silence_at_the_alerts_own_time_suppresses_it_and_says_whose_it_is() -> None:
    (delivery,) = Route(["slack"])([crisis(), silence()], NOW + timedelta(days=9))
    assert delivery.state == "suppressed"
    assert delivery.detail == "silenced by mei until 2026-03-08 15:40 UTC: known recall (silence s1)"


def test_a_silence_for_everything_covers_every_watchlist() -> None:
    (delivery,) = Route(["slack"])([silence(None), crisis(watchlist="skyfare")], NOW)
    assert delivery.state == "suppressed"


def test_a_silence_of_another_watchlist_or_another_time_changes_nothing() -> None:
    ended = silence(ends_at=OPENED)
    later = silence(starts_at=OPENED + timedelta(seconds=1))
    (delivery,) = Route(["slack"])([silence("skyfare"), ended, later, crisis()], NOW)
    assert delivery.state == "pending"


def test_a_silence_begins_at_its_first_moment() -> None:
    (delivery,) = Route(["slack"])([silence(starts_at=OPENED), crisis()], BEGAN)
    assert delivery.state == "suppressed"


def test_information_goes_only_where_it_is_wanted_and_the_rest_says_why() -> None:
    route = Route(["terminal", "slack"], informed=["terminal"])
    terminal, slack = route([crisis(kind="volume surge", severity="info")], NOW)
    assert (terminal.state, slack.state) == ("pending", "suppressed")
    assert slack.detail == "information only; `info: true` on channel slack sends it there too"


def test_an_empty_batch_and_a_batch_of_silences_tell_nobody() -> None:
    assert Route(["slack"])([], NOW) == Route(["slack"])([silence()], NOW) == []
