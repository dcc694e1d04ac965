"""The trend hop: one story among the noise, and the same story however the log is cut."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from opinionwatch.alerts.detect_settings import DetectorSettings, EpisodeSettings, TrendSettings
from opinionwatch.alerts.trend import Trend
from opinionwatch.pipeline.contracts import Confusion, Mention
from opinionwatch.pipeline.contracts_trend import Alert, Episode, Window
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ticks import Progress
from tests.alerts.stream import START, Stream

DAY = timedelta(days=1)
CRISIS = START + 7 * DAY + timedelta(hours=10)
END = START + 9 * DAY
Found = Window | Episode | Alert


def run(mentions: Sequence[Mention], settings: TrendSettings | None = None) -> list[Found]:
    """Everything in one batch."""
    return list(Trend(settings or TrendSettings(), "default")([*mentions, Progress(END)], START))


def alerts(found: Sequence[Found], event: str = "opened") -> list[Alert]:
    """The alerts of one event."""
    return [record for record in found if isinstance(record, Alert) and record.event == event]


def quiet(seed: int = 1, days: int = 9, watchlists: Sequence[str] = ("lumora",)) -> Stream:
    """Ordinary talk about every watchlist."""
    stream = Stream(seed)
    for watchlist in watchlists:
        stream.talk(START, 24 * days, 9, watchlist=watchlist)
    return stream


@pytest.fixture(scope="module")
def story() -> Stream:
    """A crisis about one brand, a launch of another, a repost storm by four accounts about a third."""
    stream = quiet(watchlists=("lumora", "kite", "nori"))
    stream.crisis(CRISIS, 8, 12)
    stream.talk(CRISIS - timedelta(hours=4), 6, 80, watchlist="kite")
    stream.storm(CRISIS, 4, 60, watchlist="nori", authors=4)
    return stream


@pytest.fixture(scope="module")
def told(story: Stream) -> list[Found]:
    """What one run makes of it."""
    return run(story.mentions)


def test_a_crisis_a_launch_and_a_storm_of_few_voices_give_exactly_one_negative_alert(told: list[Found]) -> None:
    (opened,) = alerts(told)
    assert opened.episode.watchlist == "lumora"
    assert opened.episode.kind in ("crisis", "tone shift")
    assert timedelta(0) < opened.at - CRISIS < timedelta(hours=1, minutes=30)
    assert [alert.episode.id for alert in alerts(told, "resolved")] == [opened.episode.id]


def test_a_launch_is_shown_as_a_volume_surge_and_nobody_is_told(told: list[Found]) -> None:
    surges = {record.watchlist for record in told if isinstance(record, Episode) and record.kind == "volume surge"}
    assert "kite" in surges
    first = next(record for record in told if isinstance(record, Episode) and record.watchlist == "kite")
    assert first.explanation.signal.volume_ratio > 2
    assert first.opened_at - first.began_at == timedelta(hours=1)
    assert first.explanation.exemplars == ()
    assert not [alert for alert in told if isinstance(alert, Alert) and alert.episode.severity == "info"]


def test_information_is_told_where_the_settings_ask_for_it(story: Stream) -> None:
    settings = TrendSettings(episodes=EpisodeSettings(alert_on_info=True))
    told = alerts(run(story.mentions, settings))
    assert any(alert.episode.watchlist == "kite" and alert.episode.severity == "info" for alert in told)


def test_the_alert_says_where_in_which_words_and_since_when(told: list[Found]) -> None:
    (opened,) = alerts(told)
    explanation = opened.episode.explanation
    signal = explanation.signal
    assert signal.aspects[0].name == "battery"
    assert signal.aspects[0].odds_ratio.low > 1
    assert {source.name for source in signal.sources[:2]} == {"microblog", "forum"}
    assert {"overheats", "发烫"} <= {term.term for term in explanation.terms}
    assert signal.share_before.high < signal.share_now.low
    assert signal.negative > 2 * signal.expected
    assert abs(opened.episode.began_at - CRISIS) <= timedelta(hours=1)
    assert opened.episode.began_at <= opened.episode.opened_at == opened.at
    assert explanation.once_in_weeks >= 10


def test_exemplars_are_of_different_people_in_both_languages(told: list[Found]) -> None:
    (opened,) = alerts(told)
    exemplars = opened.episode.explanation.exemplars
    assert 3 <= len(exemplars) <= 5
    assert len({exemplar.author for exemplar in exemplars}) == len(exemplars)
    assert {exemplar.lang for exemplar in exemplars} == {"en", "zh"}
    assert all("overheats" in exemplar.text or "发烫" in exemplar.text for exemplar in exemplars)


def cut(records: Sequence[Mention], seed: int) -> Iterator[list[Mention | Progress]]:
    """The log in batches of random size, shuffled between marks of progress that come at random moments."""
    chance = random.Random(seed)
    log = sorted(records, key=lambda mention: mention.accepted_at)
    place = 0
    while place < len(log):
        size = chance.choice((1, 7, 60, 900))
        batch: list[Mention | Progress] = list(log[place : place + size])
        chance.shuffle(batch)
        place += size
        if chance.random() < 0.6 and place < len(log):
            batch.insert(chance.randrange(len(batch) + 1), Progress(log[place].accepted_at))
        yield batch
    yield [Progress(END)]


@pytest.mark.parametrize("seed", [1, 2])
def test_cuts_order_and_restarts_change_no_bit(story: Stream, told: list[Found], seed: int) -> None:
    chance = random.Random(seed)
    trend = Trend(TrendSettings(), "default")
    found: list[Found] = []
    for batch in cut(story.mentions, seed):
        found += trend(batch, START)
        if chance.random() < 0.15:
            saved = trend.snapshot()
            trend = Trend(TrendSettings(), "default")
            trend.restore(saved)
    assert [record.model_dump_json() for record in found] == [record.model_dump_json() for record in told]


def test_a_watchlist_hears_the_same_alone_and_in_company(story: Stream, told: list[Found]) -> None:
    alone = run([mention for mention in story.mentions if mention.watchlist == "lumora"])
    company = [record for record in told if isinstance(record, Alert) and record.episode.watchlist == "lumora"]
    assert [record for record in alone if isinstance(record, Alert)] == company


def test_company_with_more_sources_and_aspects_changes_no_bit() -> None:
    stream = quiet(days=8)
    for at in stream.times(START + 5 * DAY, 72, 2):
        stream.mood(at, 0.5, source=f"blog-{at.hour % 6}", aspect=f"part-{at.minute % 9}")
    stream.crisis(CRISIS, 8, 12)
    alone = run(stream.mentions)
    for at in stream.times(START, 24 * 8, 5):
        stream.mood(at, 0.2, source=f"site-{at.minute % 30}", aspect=f"side-{at.second % 50}", watchlist="kite")
    company = run(stream.mentions)
    assert [record for record in company if getattr(record, "watchlist", "lumora") == "lumora"] == alone


def test_mentions_that_come_twice_count_once(story: Stream, told: list[Found]) -> None:
    again = random.Random(3).sample(story.mentions, 500)
    assert run([*story.mentions, *again]) == told


def test_a_tick_of_duplicates_alone_changes_nothing() -> None:
    stream = Stream()
    first = stream.say(START, label="negative")
    again = first.model_copy(update={"accepted_at": START + timedelta(hours=3)})
    assert run([first, again]) == run([first])


def test_windows_are_the_recount_of_the_mentions(story: Stream, told: list[Found]) -> None:
    last = {record.id: record for record in told if isinstance(record, Window)}
    assert sum(window.posts for window in last.values()) == len(story.mentions)
    negative = sum(mention.reading.sentiment.label == "negative" for mention in story.mentions)
    assert sum(window.negative for window in last.values()) == negative


def test_five_hundred_posts_by_a_few_authors_raise_no_alarm_and_by_many_do() -> None:
    few, many = quiet(), quiet()
    few.storm(CRISIS, 5, 100, authors=4)
    many.storm(CRISIS, 5, 100, authors=500)
    assert not alerts(run(few.mentions))
    assert alerts(run(many.mentions))


def test_another_scorer_is_another_baseline_and_no_alarm() -> None:
    stream = Stream()
    stream.talk(START, 24 * 5, 9, negative=0.15)
    stream.talk(START + 5 * DAY, 24 * 4, 9, negative=0.4, scorer="v2")
    assert not alerts(run(stream.mentions))


def test_a_backfill_after_an_outage_is_no_alarm() -> None:
    stream = quiet(days=7)
    stream.talk(START + 7 * DAY, 48, 9)
    back = START + 8 * DAY
    flood = [
        mention.model_copy(update={"accepted_at": max(mention.accepted_at, back)})
        for mention in stream.mentions
        if mention.published_at > CRISIS
    ]
    before = [mention for mention in stream.mentions if mention.published_at <= CRISIS]
    found = run([*before, *flood])
    told = [record for record in found if isinstance(record, Alert)]
    assert {record.episode.kind for record in told} == {"no data"}
    assert [record.event for record in told if record.event != "escalated"] == ["opened", "resolved"]


def outage(hours: float) -> Stream:
    """One of three sources says nothing for so many hours of the eighth day."""
    stream = quiet()
    stream.mentions = [
        mention
        for mention in stream.mentions
        if not (mention.source == "news" and CRISIS <= mention.accepted_at < CRISIS + timedelta(hours=hours))
    ]
    return stream


def test_a_source_that_goes_silent_is_told_by_name_and_told_again_when_it_is_back() -> None:
    told = [record for record in run(outage(24).mentions) if isinstance(record, Alert)]
    assert [(record.event, record.episode.kind) for record in told] == [("opened", "no data"), ("resolved", "no data")]
    opened, resolved = told
    assert [source.name for source in opened.episode.explanation.signal.sources] == ["news"]
    assert timedelta(hours=6) < opened.at - CRISIS < timedelta(hours=16)
    assert abs(opened.episode.began_at - CRISIS) <= timedelta(hours=1)
    assert opened.episode.severity == "warning"
    assert timedelta(0) < resolved.at - (CRISIS + timedelta(hours=24)) < timedelta(hours=3)


def test_an_hour_without_a_post_is_no_silence() -> None:
    assert not [record for record in run(outage(3).mentions) if isinstance(record, Alert | Episode)]


def test_silence_of_everybody_is_told_although_nothing_arrives() -> None:
    stream = quiet(days=8)
    told = [record for record in run(stream.mentions) if isinstance(record, Alert)]
    assert {record.episode.kind for record in told} == {"no data"}
    assert {source.name for source in told[-1].episode.explanation.signal.sources} == {"microblog", "forum", "news"}


def test_a_silence_is_the_same_however_often_one_looks_and_whenever_the_state_is_restored() -> None:
    mentions = outage(24).mentions
    expected = run(mentions)
    trend, found = Trend(TrendSettings(), "default"), list[Found]()
    for batch in cut(mentions, 7):
        found += trend(batch, START)
        saved = trend.snapshot()
        trend = Trend(TrendSettings(), "default")
        trend.restore(saved)
    assert found == expected


def test_shares_are_corrected_by_what_is_known_of_the_scorer(story: Stream, told: list[Found]) -> None:
    known = Confusion(hits=80, negatives=100, false_hits=5, others=100)
    trend = Trend(TrendSettings(), "default", confusion={"v1": {"other": known}})
    found = list(trend([*story.mentions, Progress(END)], START))
    (plain,), (corrected,) = alerts(told), alerts(found)
    assert corrected.at == plain.at
    before, after = (alert.episode.explanation.signal.share_now for alert in (plain, corrected))
    assert after.value == pytest.approx(min(1.0, (before.value - 0.0545) / (0.797 - 0.0545)), abs=0.01)
    assert after.low < after.value


def test_a_young_watchlist_is_not_judged() -> None:
    stream = Stream()
    stream.talk(START, 3, 10)
    stream.crisis(START + timedelta(hours=3), 6, 20)
    assert not alerts(run(stream.mentions))


def test_a_smaller_budget_needs_more_evidence() -> None:
    assert DetectorSettings(false_alarms_per_week=0.01).threshold > DetectorSettings().threshold


def test_an_empty_batch_and_progress_alone_are_fine() -> None:
    trend = Trend(TrendSettings(), "default")
    assert trend([], START) == []
    assert trend([Progress(END)], START) == []
    trend.restore(trend.snapshot())
    assert trend([Progress(END + DAY)], START) == []


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_snapshot_is_refused(damage: bytes | None) -> None:
    saved = Trend(TrendSettings(), "default").snapshot()
    with pytest.raises(FatalError, match="trend state"):
        Trend(TrendSettings(), "default").restore(saved[: len(saved) // 2] if damage is None else damage)


def test_a_loud_source_that_is_always_negative_is_a_source_mix_and_no_alarm() -> None:
    stream = Stream()
    for source, share in (("news", 0.05), ("forum", 0.6)):
        for at in stream.times(START, 24 * 9, 8):
            stream.mood(at, share, source=source, aspect="general")
    for at in stream.times(CRISIS, 4, 60):
        stream.mood(at, 0.6, source="forum", aspect="general")
    found = run(stream.mentions)
    kinds = {record.kind for record in found if isinstance(record, Episode)}
    assert "source mix" in kinds
    assert not alerts(found)


def test_a_backfill_is_counted_in_its_windows_and_is_evidence_of_nothing() -> None:
    live, history = quiet(), quiet()
    for stream in (live, history):
        stream.storm(CRISIS, 5, 100, authors=500)
    marked = [mention.model_copy(update={"history": mention.published_at >= CRISIS}) for mention in history.mentions]
    assert alerts(run(live.mentions))
    found = run(marked)
    assert not [record for record in found if isinstance(record, Alert | Episode)]
    counted = {record.id: record.posts for record in found if isinstance(record, Window)}
    assert sum(counted.values()) == len(marked)
