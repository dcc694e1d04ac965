"""The life of an episode."""

from dataclasses import replace

from opinionwatch.alerts.detect_settings import EpisodeSettings
from opinionwatch.alerts.episodes import Episodes, Evidence, Verdict
from opinionwatch.pipeline.contracts_trend import Alert, Episode, Explanation, Interval, Signal
from opinionwatch.pipeline.ticks import start_of

FIRST = 5_000_000
HOUR = 12


def verdict(
    score: float = 12.0,
    *,
    theta: float = 2.2,
    carriers: tuple[str, ...] = ("forum",),
    loud: bool = False,
    impact: float = 20.0,
) -> Verdict:
    """The negative verdict of one tick, threshold 10."""
    share = Interval(low=0.1, value=0.2, high=0.3)
    signal = Signal(
        watchlist="lumora",
        at=start_of(FIRST),
        score=score,
        threshold=10,
        kind="tone shift",
        theta=theta,
        volume_ratio=1,
        share_before=share,
        share_now=share,
        posts=10,
        voices=9,
        negative=5,
        expected=2,
        aspects=(),
        sources=(),
    )
    explanation = Explanation(signal=signal, terms=(), exemplars=(), repost_share=0, once_in_weeks=10)
    return Verdict(
        watchlist="lumora",
        family="negative",
        kind="crisis" if loud else "tone shift",
        alarm=score >= 10,
        calm=score < 8,
        loud=loud,
        score=score,
        counts=(2, 2, 1),
        explain=lambda: Evidence(explanation, FIRST - 5, 7, impact, carriers),
    )


CALM = verdict(3.0)


class Life:
    """Episodes with a clock."""

    def __init__(self, **settings: float) -> None:
        self.episodes = Episodes(EpisodeSettings.model_validate(settings), "default")
        self.tick = FIRST
        self.accepted = 0

    def go(self, given: Verdict, ticks: int = 1) -> list[Episode | Alert]:
        """The same verdict for some ticks; all that comes of it."""
        found = []
        for _ in range(ticks):
            told, accept = self.episodes.step(self.tick, given)
            found += told
            self.accepted += accept
            self.tick += 1
        return found


def events(found: list[Episode | Alert]) -> list[str]:
    """The events of the alerts."""
    return [record.event for record in found if isinstance(record, Alert)]


def test_an_alarm_opens_one_episode_and_tells_once() -> None:
    life = Life()
    (episode, alert) = life.go(verdict())
    assert isinstance(episode, Episode)
    assert isinstance(alert, Alert)
    assert (episode.state, episode.severity, episode.began_at) == ("open", "warning", start_of(FIRST - 5))
    assert (alert.event, alert.episode) == ("opened", episode)
    assert events(life.go(verdict(), 30)) == []


def test_it_resolves_after_an_hour_of_calm_and_says_so_once() -> None:
    life = Life()
    life.go(verdict())
    assert events(life.go(CALM, HOUR - 1)) == []
    found = life.go(CALM)
    assert events(found) == ["resolved"]
    assert isinstance(found[0], Episode)
    assert found[0].state == "resolved"
    assert found[0].resolved_at == start_of(life.tick)
    assert life.go(CALM, 50) == []


def test_a_score_between_resolve_and_threshold_keeps_it_open() -> None:
    life = Life()
    life.go(verdict())
    assert events(life.go(verdict(8.5), 40)) == []
    assert life.episodes.is_open("lumora", "negative")


def test_an_alarm_within_the_cooldown_takes_up_the_old_story() -> None:
    life = Life()
    (first, _) = life.go(verdict())
    life.go(CALM, 3 * HOUR)
    (again, alert) = life.go(verdict(20))
    assert isinstance(again, Episode)
    assert isinstance(alert, Alert)
    assert (again.id, alert.event) == (first.id, "updated")
    assert again.peak_score == 20
    assert again.resolved_at is None


def test_an_alarm_after_the_cooldown_is_a_new_story() -> None:
    life = Life()
    (first, _) = life.go(verdict())
    life.go(CALM, 8 * HOUR)
    (new, alert) = life.go(verdict())
    assert isinstance(alert, Alert)
    assert new.id != first.id
    assert alert.event == "opened"


def test_a_stronger_effect_a_new_source_or_volume_escalates_at_most_hourly() -> None:
    for worse in (
        verdict(14, theta=6.0),
        verdict(14, carriers=("forum", "news")),
        verdict(14, loud=True),
    ):
        life = Life()
        life.go(verdict())
        found = life.go(worse, 5 * HOUR)
        assert events(found) == ["escalated"]
        assert life.episodes.is_open("lumora", "negative")
    assert [record.kind for record in found if isinstance(record, Episode)][-1] == "crisis"


def test_the_strongest_explanation_is_kept() -> None:
    life = Life()
    life.go(verdict(18))
    life.go(verdict(11), 2 * HOUR)
    found = life.go(CALM, HOUR)
    assert isinstance(found[-1], Alert)
    assert found[-1].episode.explanation.signal.score == 18


def test_a_large_impact_is_critical_and_stays_so() -> None:
    life = Life(critical_impact=50)
    (episode, _) = life.go(verdict(impact=80))
    assert isinstance(episode, Episode)
    assert episode.severity == "critical"
    later = [record for record in life.go(verdict(impact=10), 2 * HOUR) if isinstance(record, Episode)]
    assert {record.severity for record in later} == {"critical"}


def test_an_episode_that_becomes_critical_tells_it_once_even_when_nothing_else_is_worse() -> None:
    life = Life(critical_impact=50)
    life.go(verdict(impact=20))
    found = life.go(verdict(impact=80), 3 * HOUR)
    assert [alert.episode.severity for alert in found if isinstance(alert, Alert)] == ["critical"]
    assert events(found) == ["escalated"]


def test_a_calm_hour_makes_no_episode_critical_behind_everybodys_back() -> None:
    life = Life(critical_impact=50, resolve_h=4)
    life.go(verdict(impact=20))
    assert {
        one.severity
        for one in life.go(replace(CALM, explain=verdict(impact=80).explain), 2 * HOUR)
        if isinstance(one, Episode)
    } == {"warning"}
    assert events(life.go(verdict(impact=80), HOUR)) == ["escalated"]


def test_after_three_days_the_new_mood_is_normal_and_a_later_alarm_is_a_new_story() -> None:
    life = Life()
    (first, _) = life.go(verdict())
    found = life.go(verdict(), 72 * HOUR)
    assert events(found) == ["resolved"]
    assert [record.episode.accepted for record in found if isinstance(record, Alert)] == [True]
    assert life.accepted == 1
    (new, alert) = life.go(verdict())
    assert isinstance(alert, Alert)
    assert (alert.event, new.id == first.id) == ("opened", False)


def test_what_is_calm_when_the_three_days_are_over_has_ended_and_is_not_taken_for_the_normal() -> None:
    life = Life()
    life.go(verdict(), 72 * HOUR - 3)
    found = life.go(CALM, HOUR)
    assert events(found) == ["resolved"]
    assert [record.episode.accepted for record in found if isinstance(record, Alert)] == [False]
    assert life.accepted == 0


def test_a_state_of_before_still_knows_what_was_taken_for_the_normal() -> None:
    life, later = Life(), Life()
    (first, _) = life.go(verdict())
    life.go(verdict(), 72 * HOUR)
    (saved,) = life.episodes.save()
    told = {name: value for name, value in saved["episode"].items() if name != "accepted"}
    later.episodes.load([{**saved, "episode": told, "accepted": True}])
    later.tick = life.tick
    (new, alert) = later.go(verdict())
    assert isinstance(alert, Alert)
    assert (alert.event, new.id == first.id) == ("opened", False)


def test_information_is_kept_but_not_told_unless_asked_for() -> None:
    info = replace(verdict(), family="info", kind="volume surge")
    quiet, loud = Life(), Life(alert_on_info=True)
    (shown,) = quiet.go(info)
    assert isinstance(shown, Episode)
    assert shown.severity == "info"
    assert events(loud.go(info)) == ["opened"]


def test_counts_add_up_over_the_life() -> None:
    life = Life()
    life.go(verdict())
    found = life.go(CALM, HOUR)
    assert isinstance(found[0], Episode)
    assert (found[0].posts, found[0].voices, found[0].negative) == (10 + 2 * HOUR, 9 + 2 * HOUR, 7 + HOUR)


def test_ids_are_functions_of_the_story() -> None:
    one, other = Life().go(verdict()), Life().go(verdict())
    assert [record.id for record in one] == [record.id for record in other]


def test_restored_stories_go_on() -> None:
    life, copy = Life(), Life()
    life.go(verdict())
    copy.episodes.load(life.episodes.save())
    copy.tick = life.tick
    assert copy.go(verdict(14, theta=6.0), 20) == life.go(verdict(14, theta=6.0), 20)
    assert copy.go(CALM, 20) == life.go(CALM, 20)
