"""The tree of routes, groups, inhibition, limits and escalation: every decision with its reason."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from opinionwatch.alerts.route import Route
from opinionwatch.alerts.route_settings import NotifySettings
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Episode
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import options
from tests.alerts.sample import OPENED, crisis, silence

NOW = OPENED + timedelta(minutes=5)
CHANNELS = ("team", "mail", "pager")
DESK = {"name": "desk", "channels": ["team"]}
BOSS = {"name": "boss", "channels": ["mail"]}
DUTY = {"name": "duty", "channels": ["pager"], "fallback": "mail"}


def settings(route: object, **more: object) -> NotifySettings:
    given = {"receivers": [DESK, BOSS, DUTY], "route": route, **more}
    notify = options(NotifySettings, given, "notify")
    notify.check(CHANNELS, ["lumora", "skyfare"], ["listed"])
    return notify


def routed(notify: NotifySettings, *batch: object, tags: dict[str, tuple[str, ...]] | None = None) -> list[Delivery]:
    return Route((), settings=notify, tags=tags)(batch, NOW)  # type: ignore[arg-type]  # records of several kinds


def told(deliveries: Sequence[Delivery]) -> list[tuple[str, str]]:
    return [(one.channel, one.state) for one in deliveries]


def of(watchlist: str, **changes: object) -> Alert:
    """An alert about another watchlist is another episode."""
    alert = crisis(watchlist=watchlist)
    return alert.model_copy(update={"episode": alert.episode.model_copy(update={"id": f"ep-{watchlist}", **changes})})


def test_the_first_branch_that_matches_takes_it_and_continue_goes_on() -> None:
    notify = settings(
        {
            "receiver": "desk",
            "routes": [
                {"matchers": ['severity="critical"'], "receiver": "duty", "continue": True},
                {"matchers": ["watchlist=lumora"], "receiver": "boss"},
                {"matchers": ["watchlist=~lum.*"], "receiver": "desk"},
            ],
        }
    )
    assert told(routed(notify, crisis())) == [("pager", "pending"), ("mail", "pending")]
    assert told(routed(notify, crisis(severity="warning"))) == [("mail", "pending")]
    assert told(routed(notify, crisis(severity="warning", watchlist="skyfare"))) == [("team", "pending")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], ['severity="critical"']),
        ([], []),
        (['severity="critical"'], ['severity="critical"', "watchlist=lumora"]),
    ],
)
def test_a_branch_that_no_alert_can_reach_is_refused_unless_the_one_before_goes_on(
    first: list[str], second: list[str]
) -> None:
    branches = [{"matchers": first, "receiver": "boss"}, {"matchers": second, "receiver": "duty"}]
    with pytest.raises(SettingsError, match=r"route\.routes\.1: no alert ever comes here, for routes\.0 before it"):
        settings({"receiver": "desk", "routes": branches})
    settings({"receiver": "desk", "routes": [{**branches[0], "continue": True}, branches[1]]})
    settings({"receiver": "desk", "routes": branches[::-1]}) if first != second else None


def test_branches_nest_and_what_they_leave_out_they_have_from_above() -> None:
    notify = settings(
        {
            "receiver": "boss",
            "group_wait_s": 60,
            "routes": [{"matchers": ["kind=crisis"], "routes": [{"matchers": ["tag=listed"], "group_by": ["tag"]}]}],
        }
    )
    (delivery,) = routed(notify, crisis(), tags={"lumora": ("listed",)})
    assert (delivery.channel, delivery.due_at) == ("mail", NOW + timedelta(seconds=60))


def test_sources_and_aspects_that_lead_the_finding_can_be_matched() -> None:
    notify = settings(
        {
            "receiver": "desk",
            "routes": [
                {"matchers": ["source=forum", "aspect=battery"], "receiver": "boss"},
                {"matchers": ["source!~forum|microblog"], "receiver": "duty"},
            ],
        }
    )
    assert told(routed(notify, crisis())) == [("mail", "pending")]
    other = crisis(sources=("news",), aspects=("price",))
    assert told(routed(notify, other)) == [("pager", "pending")]


def test_one_story_over_many_watchlists_is_one_group() -> None:
    notify = settings({"receiver": "desk", "group_by": ["aspect", "kind"], "group_wait_s": 30})
    first, second = routed(notify, of("lumora"), of("skyfare"))
    assert first.group == second.group
    assert first.due_at == second.due_at == NOW + timedelta(seconds=30)
    (alone,) = routed(notify, of("skyfare", kind="tone shift"))
    assert alone.group != first.group


def test_a_group_is_told_again_only_after_its_interval() -> None:
    notify = settings({"receiver": "desk", "group_by": ["kind"], "group_interval_s": 600})
    (first,) = routed(notify, of("lumora"))
    assert first.due_at == NOW
    (second,) = routed(notify, of("skyfare"), first.model_copy(update={"state": "sent"}))
    assert second.due_at == NOW + timedelta(seconds=600)
    assert second.detail == "held until 2026-03-08 14:55 UTC: its group is told every 0:10:00"
    (third,) = routed(notify, crisis("escalated"), first.model_copy(update={"state": "sent"}), second)
    assert third.due_at == second.due_at


def test_a_graver_open_episode_inhibits_what_it_explains_and_says_which() -> None:
    rule = {"source": ["severity=critical"], "target": ["severity=warning"], "equal": ["watchlist"]}
    notify = settings({"receiver": "desk"}, inhibit=[rule])
    other: Episode = of("lumora", severity="critical").episode
    (delivery,) = routed(notify, crisis(severity="warning"), other)
    assert delivery.state == "suppressed"
    assert delivery.detail == "inhibited while the crisis about lumora is open (episode ep-lumora)"
    ended = other.model_copy(update={"state": "resolved", "resolved_at": NOW})
    assert routed(notify, crisis(severity="warning"), ended)[0].state == "pending"
    elsewhere = other.model_copy(update={"watchlist": "skyfare"})
    assert routed(notify, crisis(severity="warning"), elsewhere)[0].state == "pending"
    assert routed(notify, crisis(), other)[0].state == "pending"


def test_the_end_is_told_under_a_silence_and_an_inhibition_where_the_channel_knows_of_the_episode() -> None:
    rule = {"source": ["severity=critical"], "target": ["kind=crisis"]}
    notify = settings({"receiver": "desk"}, inhibit=[rule])
    over, other = crisis("resolved", at=NOW), of("skyfare").episode
    (opened,) = routed(notify, crisis())
    assert told(routed(notify, over, opened, silence(), other)) == [("team", "pending")]
    kept = opened.model_copy(update={"state": "suppressed"})
    assert (
        told(routed(notify, over, kept, silence()))
        == told(routed(notify, over, kept, other))
        == [("team", "suppressed")]
    )
    elsewhere = opened.model_copy(update={"channel": "mail"})
    assert told(routed(notify, over, elsewhere, silence())) == [("team", "suppressed"), ("mail", "pending")]
    assert told(routed(notify, crisis("updated", at=NOW), opened, silence())) == [("team", "suppressed")]


def test_the_end_of_a_long_episode_is_told_under_a_silence_only_where_the_channel_knows_of_it() -> None:
    days, notify = OPENED + timedelta(days=2), settings({"receiver": "desk"})
    still, over = silence(ends_at=days + timedelta(hours=1)), crisis("resolved", at=days)
    (opened,) = routed(notify, crisis())
    assert told(routed(notify, over, opened, still)) == [("team", "pending")]
    assert told(routed(notify, over, opened.model_copy(update={"state": "suppressed"}), still)) == [
        ("team", "suppressed")
    ]


def test_more_than_so_many_an_hour_wait_for_room_unless_they_are_critical() -> None:
    notify = settings({"receiver": "desk"}, receivers=[{**DESK, "per_hour": 2}, BOSS, DUTY])
    alerts = [of(f"w{n}", severity="warning") for n in range(4)]
    deliveries = routed(notify, *alerts)
    hour = timedelta(hours=1)
    assert [one.due_at - NOW for one in deliveries] == [timedelta(0), timedelta(0), hour, hour]
    assert deliveries[2].detail == "held until 2026-03-08 15:45 UTC: more than 2 messages an hour"
    (fifth,) = routed(notify, of("w5", severity="warning"), *deliveries)
    assert fifth.due_at - NOW == 2 * hour
    (critical,) = routed(notify, of("w6"), *deliveries)
    assert critical.due_at == NOW


def test_quiet_hours_hold_with_their_name_and_a_critical_alert_passes() -> None:
    night = {"name": "nights", "begins": "22:00", "ends": "07:00", "zone": "Asia/Shanghai"}
    notify = settings({"receiver": "desk", "quiet_hours": ["nights"]}, quiet_hours=[night])
    (held,) = routed(notify, crisis(severity="warning"))  # 14:45 UTC is 22:45 in Shanghai
    assert held.detail == "held until 2026-03-08 23:00 UTC: quiet hours 'nights'"
    assert routed(notify, crisis())[0].due_at == NOW
    strict = settings({"receiver": "desk", "quiet_hours": ["nights"]}, quiet_hours=[{**night, "even_critical": True}])
    assert routed(strict, crisis())[0].due_at == held.due_at


def test_escalation_is_planned_with_the_alert_and_has_an_id_of_its_own() -> None:
    notify = settings({"receiver": "desk", "escalate": {"after_m": 30, "receiver": "desk"}})
    first, later = routed(notify, crisis())
    assert (later.purpose, later.due_at, later.channel) == ("escalation", NOW + timedelta(minutes=30), "team")
    assert first.id != later.id
    assert [one.purpose for one in routed(notify, crisis("resolved"))] == ["alert"]
    assert told(routed(notify, crisis(), silence())) == [("team", "suppressed")]


def test_a_branch_whose_channel_an_earlier_one_tells_still_plans_its_escalation_and_the_soonest_counts() -> None:
    branches = [
        {"receiver": "desk", "continue": True},
        *(
            {"receiver": "desk", "escalate": {"after_m": after, "receiver": "duty"}, "continue": True}
            for after in (45, 20)
        ),
    ]
    first, later = routed(settings({"receiver": "desk", "routes": branches}), crisis())
    assert (first.channel, first.purpose) == ("team", "alert")
    assert (later.channel, later.purpose, later.due_at) == ("pager", "escalation", NOW + timedelta(minutes=20))


def test_information_that_one_branch_leaves_out_is_told_by_a_later_one_that_wants_it_there() -> None:
    curious = {"name": "curious", "channels": ["team"], "info": True}
    branches = [{"receiver": "desk", "continue": True}, {"receiver": "curious"}]
    notify = settings({"receiver": "desk", "routes": branches}, receivers=[DESK, curious])
    assert told(routed(notify, crisis(severity="info"))) == [("team", "pending")]


def test_a_fallback_goes_with_the_delivery() -> None:
    assert routed(settings({"receiver": "duty"}), crisis())[0].fallback == "mail"


def test_a_channel_that_is_beside_the_settings_hears_everything() -> None:
    notify = settings({"receiver": "desk"})
    assert told(Route(["screen"], settings=notify)([crisis()], NOW)) == [("screen", "pending"), ("team", "pending")]


def test_routing_a_batch_again_gives_the_same_ids() -> None:
    notify = settings({"receiver": "desk", "escalate": {"after_m": 30, "receiver": "boss"}})
    first = routed(notify, crisis())
    again = Route((), settings=notify)([crisis(), *first], NOW + timedelta(days=1))
    assert [one.id for one in first] == [one.id for one in again]


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ({"receivers": [DESK]}, "notify.route: missing; write `route: {receiver: …}`"),
        ({"receivers": [DESK], "route": {}}, "notify.route.receiver: missing"),
        ({"receivers": [DESK], "route": {"receiver": "dsk"}}, "no receiver 'dsk'.*did you mean 'desk'"),
        ({"route": {"receiver": "desk"}}, "no receiver 'desk'.*there is none under notify.receivers"),
        ({"receivers": [{"name": "desk", "channels": ["taem"]}], "route": {"receiver": "desk"}}, "did you mean 'team'"),
        ({"receivers": [{"name": "desk", "channels": []}], "route": {"receiver": "desk"}}, "at least 1 item"),
        ({"receivers": [DESK, DESK], "route": {"receiver": "desk"}}, "used twice"),
        (
            {"receivers": [{**DESK, "fallback": "team"}], "route": {"receiver": "desk"}},
            "fallback: 'team' is one of its channels",
        ),
        ({"receivers": [DESK], "route": {"receiver": "desk", "matchers": ["tag=listed"]}}, "under `routes:`"),
        (
            {"receivers": [DESK], "route": {"receiver": "desk", "routes": [{"matchers": ["sevrity=critical"]}]}},
            "no label 'sevrity'; did you mean 'severity'",
        ),
        (
            {"receivers": [DESK], "route": {"receiver": "desk", "routes": [{"matchers": ["severity=crtical"]}]}},
            "severity is never 'crtical'; did you mean 'critical'",
        ),
        (
            {"receivers": [DESK], "route": {"receiver": "desk", "routes": [{"matchers": ["watchlist=lumra"]}]}},
            "no watchlist 'lumra'.*did you mean 'lumora'",
        ),
        (
            {"receivers": [DESK], "route": {"receiver": "desk", "routes": [{"matchers": ["kind=~["]}]}},
            "regular expression",
        ),
        ({"receivers": [DESK], "route": {"receiver": "desk", "routes": [{"matchers": ["critical"]}]}}, "no matcher"),
        ({"receivers": [DESK], "route": {"receiver": "desk", "quiet_hours": ["x"]}}, "no quiet hours 'x'"),
        (
            {"quiet_hours": [{"name": "n", "begins": "22:00", "ends": "07:00", "zone": "Asia/Shangai"}]},
            "no such time zone 'Asia/Shangai'; did you mean 'Asia/Shanghai'",
        ),
        ({"quiet_hours": [{"name": "n", "begins": "25:00", "ends": "07:00", "zone": "UTC"}]}, "begins"),
        ({"rout": {}}, "unknown setting; did you mean 'route'"),
        ({"receivers": [{**DESK, "per_hour": 0}]}, "per_hour"),
    ],
)
def test_a_mistake_refuses_to_start_and_says_what_to_write(given: dict[str, object], cure: str) -> None:
    with pytest.raises(SettingsError, match=cure):
        options(NotifySettings, given, "notify").check(CHANNELS, ["lumora", "skyfare"], ["listed"])
