"""Back-test: the past again, as it was and under other settings."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import copytree

import pytest

from opinionwatch.alerts.detect_settings import DetectorSettings, TrendSettings
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.backtest import Candidate, backtest
from opinionwatch.pipeline.backtest_events import Event, answered, load
from opinionwatch.pipeline.backtest_judge import judged
from opinionwatch.pipeline.contracts import Confusion
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Verb
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.store_elastic import ElasticStore
from tests.pipeline.command import Command
from tests.pipeline.elastic import Cluster, cluster
from tests.pipeline.rig import BEGIN, Rig, Torn, Words, pages, rows, story
from tests.pipeline.sample import feedback

TURN = BEGIN + timedelta(days=2)
UNTIL = TURN + timedelta(hours=4)
CONFIG = "data_dir: data\nscorer: {kind: lexicon}\nwatchlists: [{id: lumora, name: <Lumora>, names: [Lumora, 流墨]}]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has seen two quiet days and a crisis."""
    path = tmp_path_factory.mktemp("backtest") / "data"
    rig = Rig(path)
    rig.play(pages(story(), [300, 41, 5]))
    rig.finish()
    return path


@pytest.fixture
def archive(folder: Path) -> SqliteArchive:
    """What can be read of it."""
    return SqliteArchive(folder / "opinionwatch.db")


def candidate(folder: Path, **detector: float) -> Candidate:
    """The settings that the store was made with, or others."""
    made = wiring.watchlists(Rig(folder / "scratch").settings)
    return Candidate("a", made, TrendSettings(detector=DetectorSettings(**detector)))


def told(folder: Path) -> list[Alert]:
    """The alerts that production told."""
    found = rows(folder / "opinionwatch.db", "SELECT CAST(body AS TEXT) FROM deliveries")
    alerts = [Delivery.model_validate_json(str(body)).alert for (body,) in found]
    return sorted(alerts, key=lambda alert: (alert.at, alert.event))


def test_the_settings_of_the_time_raise_the_alerts_of_the_time(folder: Path, archive: SqliteArchive) -> None:
    [found] = backtest(archive, [candidate(folder)], BEGIN, UNTIL, "default")
    expected = told(folder)
    assert expected
    assert [alert.model_dump_json() for alert in found] == [alert.model_dump_json() for alert in expected]


def test_what_was_said_of_a_watchlist_counts_again_as_it_did(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "data", scorer=Torn())
    rig.play(pages(story(), [300, 41, 5]))
    rig.finish()
    [found] = backtest(SqliteArchive(rig.path), [candidate(tmp_path / "data")], BEGIN, UNTIL, "default")
    expected = told(tmp_path / "data")
    assert expected
    assert [alert.model_dump_json() for alert in found] == [alert.model_dump_json() for alert in expected]


def test_two_settings_in_one_pass_are_what_each_is_alone(folder: Path, archive: SqliteArchive) -> None:
    both = [candidate(folder), candidate(folder, false_alarms_per_week=0.0001, min_authors=500)]
    together = backtest(archive, both, BEGIN, UNTIL, "default")
    alone = [backtest(archive, [one], BEGIN, UNTIL, "default")[0] for one in both]
    assert together == alone
    assert together[0]
    assert together[1] == ()


def test_shares_are_corrected_for_what_the_scorer_does_wrong(folder: Path, archive: SqliteArchive) -> None:
    known = {Words.version: {"other": Confusion(hits=80, negatives=100, false_hits=5, others=100)}}
    both = [candidate(folder), replace(candidate(folder), confusion=known)]
    plain, corrected = backtest(archive, both, BEGIN, UNTIL, "default")
    assert [alert.at for alert in corrected] == [alert.at for alert in plain]
    before, after = (found[0].episode.explanation.signal.share_before for found in (plain, corrected))
    assert after.value == pytest.approx((before.value - 0.0545) / (0.797 - 0.0545), abs=0.01)


def test_what_lies_before_the_period_is_learned_from_and_not_counted(folder: Path, archive: SqliteArchive) -> None:
    [late] = backtest(archive, [candidate(folder)], TURN + timedelta(hours=3), UNTIL, "default")
    assert all(alert.event != "opened" for alert in late)
    [whole] = backtest(archive, [candidate(folder)], BEGIN, UNTIL, "default")
    assert [alert for alert in whole if alert.at >= TURN + timedelta(hours=3)] == list(late)


def crisis(hours: float = 0, *, should_alert: bool = True) -> Event:
    """The crisis of the story, moved by so many hours."""
    start = TURN + timedelta(hours=hours)
    return Event(watchlist="lumora", start=start, end=start + timedelta(hours=2), should_alert=should_alert)


def test_figures_count_found_missed_and_false(folder: Path) -> None:
    alerts = told(folder)
    period = (BEGIN, BEGIN + timedelta(weeks=1))
    found = judged("a", alerts, [crisis(), crisis(-30)], nominal=0.1, watchlists=2, period=period)
    assert (found.events, found.found, found.false_alarms, found.watchlist_weeks) == (2, 1, 0, 2)
    assert found.median_delay_min is not None
    assert 0 < found.median_delay_min < 120
    assert [verdict.right for verdict in found.verdicts] == [True, False]
    fooled = judged("a", alerts, [crisis(should_alert=False)], nominal=0.1, watchlists=2, period=period)
    assert (fooled.false_alarms, fooled.per_week_realised, fooled.events) == (1, 0.5, 0)
    assert judged("a", alerts, [], nominal=0.1, watchlists=1, period=period).false_alarms == 1


def test_events_are_read_from_yaml_with_times_of_any_kind(tmp_path: Path) -> None:
    file = tmp_path / "events.yaml"
    file.write_text(
        "- {watchlist: b, start: 2024-03-05, end: 2024-03-05T10:00:00+08:00, name: 召回}\n", encoding="utf-8"
    )
    [event] = load(file)
    assert event.end - event.start == timedelta(hours=2)
    assert event.name == "召回"
    file.write_text("")
    assert load(file) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {watchlist: a, start: 2024-03-05, end: 2024-03-04}", "it ends before it starts"),
        ("- {watchlist: a, start: soon, end: 2024-03-04}", "not a time"),
        ("- {watchlist: a, start: 2024-03-04}", "entry 0.end: Field required"),
        ("watchlist: a", "write a list of"),
        ("- [", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_events_is_named_with_its_cure(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "events.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load(file)


@pytest.fixture
def here(command: Command, folder: Path) -> None:
    """The store and its settings in the working folder."""
    del command
    Path("data").symlink_to(folder)
    Path("a.yaml").write_text(CONFIG)
    Path("b.yaml").write_text(CONFIG + "trend: {detector: {min_authors: 900}}\n")
    start, end = TURN.isoformat(), (TURN + timedelta(hours=2)).isoformat()
    Path("events.yaml").write_text(f"- {{watchlist: lumora, start: {start}, end: {end}, name: <b>}}\n")


@pytest.mark.usefixtures("here")
def test_the_command_shows_both_settings_side_by_side_and_writes_a_page(command: Command) -> None:
    typed = ("backtest", "-c", "a.yaml", "--from", BEGIN.isoformat(), "--settings", "b.yaml", "--events", "events.yaml")
    ended = command(*typed, "--html", "page.html")
    assert ended.code == 0
    assert "1 of 1 │ 0 of 1" in ended.said
    assert "missed" in ended.said
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 1
    assert "&lt;Lumora&gt;" in page
    assert "<b>" not in page
    assert "<script" not in page
    assert command(*typed, "--html", "again.html").said.replace("again", "page") == ended.said
    assert Path("again.html").read_bytes() == Path("page.html").read_bytes()


@pytest.mark.usefixtures("here")
def test_figures_as_json_and_a_page_in_chinese(command: Command) -> None:
    Path("a.yaml").write_text(CONFIG + "language: zh\n")
    ended = command("backtest", "-c", "a.yaml", "--from", BEGIN.isoformat(), "--json", "--html", "page.html")
    [figures] = json.loads(ended.out)
    assert figures["sent"]["opened"] == figures["false_alarms"] == 1
    assert "没有标注事件" in Path("page.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--from", "later"], "--from later: not a time"),
        (["--from", "2050-01-01"], "--from must lie before --to and within the history"),
        (["--from", "2020-01-01", "--events", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["--from", "2020-01-01", "--html", "nowhere/page.html"], "--html nowhere/page.html cannot be written"),
    ],
)
def test_what_cannot_work_is_refused_with_its_cure(command: Command, more: list[str], said: str) -> None:
    ended = command("backtest", "-c", "a.yaml", *more)
    assert ended.code == 2
    assert said in ended.said


@pytest.mark.usefixtures("here")
def test_an_event_of_an_unknown_watchlist_is_refused(command: Command) -> None:
    Path("events.yaml").write_text("- {watchlist: kite, start: 2024-03-04, end: 2024-03-05}\n")
    ended = command("backtest", "-c", "a.yaml", "--from", "2020-01-01", "--events", "events.yaml")
    assert (ended.code, "no watchlist 'kite'" in ended.said) == (2, True)


@pytest.fixture
def judged_by_people(folder: Path, tmp_path: Path) -> Path:
    """The same history in a folder of its own, for people to answer to."""
    copied = tmp_path / "data"
    copytree(folder, copied)
    return copied


def answers(folder: Path, *verbs: Verb) -> SqliteArchive:
    """The alarm has got these answers, one after the other."""
    archive = SqliteArchive(folder / "opinionwatch.db")
    [episode] = [one for one in archive.episodes() if one.kind == "crisis"]
    for number, verb in enumerate(verbs):
        archive.add_feedback(feedback(number, episode_id=episode.id, at=UNTIL + timedelta(minutes=number), verb=verb))
    return archive


@pytest.mark.parametrize(
    ("verbs", "found"),
    [
        ((), []),
        (("acknowledge",), []),
        (("not_crisis", "real"), [True]),
        (("real", "not_crisis", "acknowledge"), [False]),
    ],
)
def test_the_last_answer_that_judges_an_alarm_marks_it(
    judged_by_people: Path, verbs: tuple[Verb, ...], found: list[bool]
) -> None:
    archive = answers(judged_by_people, *verbs)
    events = answered(archive, BEGIN, UNTIL, ())
    assert [event.should_alert for event in events] == found
    assert answered(archive, BEGIN, TURN, ()) == ()
    assert answered(archive, BEGIN, UNTIL, [crisis()]) == (), "what somebody has marked counts"


def test_answers_are_on_the_scoreboard_unless_they_are_not_wanted(judged_by_people: Path, command: Command) -> None:
    answers(judged_by_people, "real")
    Path("data").symlink_to(judged_by_people)
    Path("a.yaml").write_text(CONFIG)
    typed = ("backtest", "-c", "a.yaml", "--from", BEGIN.isoformat(), "--json")
    [with_them] = json.loads(command(*typed).out)
    assert (with_them["found"], with_them["events"], with_them["false_alarms"]) == (1, 1, 0)
    assert with_them["verdicts"][0]["name"] == "real (mei)"
    [without] = json.loads(command(*typed, "--no-answers").out)
    assert (without["found"], without["events"], without["false_alarms"]) == (0, 0, 1)


@pytest.fixture
def index(folder: Path, services: Mapping[str, str]) -> Iterator[Cluster]:
    """The same history in an Elasticsearch."""
    archive = SqliteArchive(folder / "opinionwatch.db")
    with cluster(services["elasticsearch"]) as given:
        store = ElasticStore(given.client, given.settings)
        documents = list(archive.every_document())
        store.admit([scored.document for scored in documents])
        store.write([*documents, *archive.windows("lumora", BEGIN - timedelta(1), UNTIL)])
        store.write(archive.episodes())
        now = archive.now()
        assert now is not None
        store.save_progress(now)
        store.close()
        given.refresh()
        yield given


def test_the_history_of_an_elasticsearch_raises_the_same_alerts(
    folder: Path, archive: SqliteArchive, index: Cluster
) -> None:
    both = [candidate(folder), candidate(folder, min_authors=5)]
    assert backtest(ElasticArchive(index.client, index.settings), both, BEGIN, UNTIL, "default") == backtest(
        archive, both, BEGIN, UNTIL, "default"
    )


@pytest.mark.usefixtures("here")
def test_the_command_says_the_same_of_an_elasticsearch(command: Command, index: Cluster) -> None:
    place = index.settings
    elastic = f"store: elasticsearch\nelasticsearch: {{hosts: ['{place.hosts[0]}'], prefix: {place.prefix}}}\n"
    Path("e.yaml").write_text(CONFIG + elastic)
    typed = ("--from", BEGIN.isoformat(), "--events", "events.yaml")
    figures, pages_ = [], []
    for config in ("a.yaml", "e.yaml"):
        ended = command("backtest", "-c", config, *typed, "--json", "--html", "page.html")
        assert ended.code == 0, ended.said
        assert ("the bound is the threshold" in ended.said) is (config == "e.yaml")
        figures.append([{**found, "settings": "same"} for found in json.loads(ended.out)])
        pages_.append(Path("page.html").read_text(encoding="utf-8").replace(config, "same"))
    assert figures[0] == figures[1]
    assert figures[0][0]["found"] == 1
    assert pages_[0] == pages_[1]
