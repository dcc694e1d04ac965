"""The embedded runtime: batches that are all or nothing, and a world that depends on the records alone."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import orjson
import pytest

from opinionwatch.connectors.demo import Demo
from opinionwatch.connectors.demo import watchlists as demo_watchlists
from opinionwatch.models.lexicon import LexiconScorer
from opinionwatch.pipeline import embedded, failpoints
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.ports import Item, ManualClock, Missed, Page, Passage
from tests.pipeline.rig import BEGIN, TODAY, Feed, Rig, Words, pages, post, rows, story, world
from tests.pipeline.sample import LABELS

STORY = story()
BATCH_POINTS = [point for point in failpoints.FAILPOINTS if point.startswith("batch.")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    """The world after one life that took the whole story in one batch."""
    rig = Rig(tmp_path_factory.mktemp("undisturbed"), limits={"batch_documents": 10_000})
    rig.play(pages(STORY, [10_000]))
    rig.finish()
    return world(rig.path)


def armed(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setattr(failpoints, "_armed", failpoints._Armed(wish))


def test_a_gap_is_stored_with_the_page_that_found_it_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    missed = Missed(BEGIN, BEGIN + timedelta(hours=2), "the window turned over", 7)
    page = Page([post(1, "Lumora is great", BEGIN)], "1", [missed])
    armed(monkeypatch, "batch.before_commit=raise:1")
    [promise] = rig.play([page], stopped())
    assert isinstance(promise.exception(0), RetryableError)
    assert SqliteArchive(rig.path).gaps() == []
    rig.die()
    again = Rig(tmp_path)
    again.play([page])
    again.play([page])
    [gap] = SqliteArchive(again.path).gaps()
    assert (gap.source, gap.since, gap.until, gap.missed) == ("feed", BEGIN, BEGIN + timedelta(hours=2), 7)
    again.die()


def stopped() -> Event:
    stop = Event()
    stop.set()
    return stop


def test_the_story_has_everything_in_it(undisturbed: dict[str, list[tuple[object, ...]]]) -> None:
    assert all(undisturbed.values())
    assert len(undisturbed["alerts"]) >= 1
    assert {state for _, _, _, state, _ in undisturbed["ledger"]} == {"indexed", "dead", "dropped"}


@pytest.mark.parametrize("seed", range(5))
def test_the_same_records_cut_at_random_into_pages_batches_and_lives_give_the_same_world(
    tmp_path: Path, undisturbed: dict[str, list[tuple[object, ...]]], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(embedded, "SNAPSHOT_EVERY", dice.choice((60, 200, 10**9)))
    cut = pages(STORY, [dice.choice((1, dice.randrange(2, 30), dice.randrange(30, 200))) for _ in STORY])
    while cut:
        rig = Rig(tmp_path, limits={"batch_documents": dice.choice((1, 20, 150))})
        rig.play(cut[: (life := dice.randrange(1, 25))])
        cut = cut[life:]
        rig.die()
    Rig(tmp_path).finish()
    assert world(tmp_path / "opinionwatch.db") == undisturbed


def test_the_demos_posts_give_the_same_world_however_they_are_cut(tmp_path: Path) -> None:
    posts = [item for page in islice(Demo("demo", Demo.Settings()).fetch(None), 12) for item in page.items]
    worlds, dice = [], random.Random(9)
    for name, sizes, batch in (("whole", [1200], 10_000), ("cut", [dice.randrange(1, 120) for _ in posts], 90)):
        rig = Rig(
            tmp_path / name,
            scorer=LexiconScorer(LexiconScorer.Settings()),
            watchlists=demo_watchlists(),
            limits={"batch_documents": batch},
        )
        rig.play(pages(posts, sizes))
        rig.finish()
        worlds.append(world(rig.path))
    assert worlds[0] == worlds[1]
    assert len(worlds[0]["documents"]) > 1100
    assert {watchlist for watchlist, *_ in worlds[0]["windows"]} == {"lumora", "kumobean", "skyfare"}


@pytest.mark.parametrize("point", BATCH_POINTS)
def test_a_batch_that_fails_at_any_point_leaves_all_of_itself_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    first, second = pages(STORY[-120:], [60])
    rig = Rig(tmp_path)
    rig.play([first])
    before = world(rig.path)
    armed(monkeypatch, f"{point}=raise:1")
    [promise] = rig.play([second], stopped())
    assert isinstance(promise.exception(timeout=0), RetryableError)
    after = world(rig.path)
    if point == "batch.committed":
        assert after["cursors"] == [("feed", "120")]
        assert len(after["ledger"]) > len(before["ledger"])
    else:
        assert after == before
    rig.die()
    again = Rig(tmp_path)
    again.play([second])
    again.finish()
    alone = Rig(tmp_path / "alone")
    alone.play([first, second])
    alone.finish()
    assert world(again.path) == world(alone.path)


@pytest.mark.parametrize("point", BATCH_POINTS)
def test_what_fails_for_a_moment_is_tried_again_until_it_is_done(
    tmp_path: Path, undisturbed: dict[str, list[tuple[object, ...]]], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    armed(monkeypatch, "|".join([f"{point}=raise:2", "batch.begin=raise:3"]))
    rig = Rig(tmp_path, limits={"batch_documents": 150})
    promises = rig.play(pages(STORY, [150] * 10))
    rig.finish()
    assert [promise.exception(timeout=0) for promise in promises] == [None] * len(promises)
    assert world(rig.path) == undisturbed


def test_a_page_is_promised_durable_only_after_a_second_reader_sees_it(tmp_path: Path) -> None:
    seen: list[tuple[str, int, list[tuple[object, ...]]]] = []

    class Watching(Words):
        """Looks into the store while the batch is being scored."""

        def score(self, passages: Sequence[Passage]) -> list[Reading]:
            look("scoring")
            return super().score(passages)

    def look(when: str, _: object = None) -> None:
        count = len(rows(rig.path, "SELECT id FROM documents"))
        seen.append((when, count, rows(rig.path, "SELECT cursor FROM cursors")))

    rig = Rig(tmp_path, scorer=Watching())
    promise = rig.submit(Page([post(1, "Lumora one", BEGIN), post(2, "Lumora two", BEGIN)], "2"))
    promise.add_done_callback(lambda _: look("promised"))
    rig.play([])
    assert seen == [("scoring", 0, []), ("promised", 2, [("2",)])]
    rig.die()


def test_a_scorer_that_is_not_ready_gets_the_same_batch_again(tmp_path: Path) -> None:
    class Slow(Words):
        """Ready at the third call."""

        def __init__(self) -> None:
            super().__init__()
            self.texts: list[list[str]] = []

        def score(self, passages: Sequence[Passage]) -> list[Reading]:
            self.texts.append([passage.text for passage in passages])
            if len(self.texts) < 3:
                raise RetryableError("the device is busy", after_s=0.01)
            return super().score(passages)

    scorer = Slow()
    rig = Rig(tmp_path, scorer=scorer)
    [promise] = rig.play([Page([post(n, f"Lumora number {n}", BEGIN) for n in range(4)], "4")])
    assert promise.result(timeout=0) is None
    assert scorer.texts == [scorer.texts[0]] * 3
    assert [len(rows(rig.path, f"SELECT * FROM {table}")) for table in ("ledger", "documents", "mentions")] == [4, 4, 4]
    rig.die()


def test_waiting_for_a_scorer_that_is_not_ready_is_not_standing_still(tmp_path: Path) -> None:
    asked, stop, signs = Event(), Event(), Queue[None]()

    class Busy(Words):
        """Wants to be left alone for a minute."""

        def score(self, _: Sequence[Passage]) -> list[Reading]:
            asked.set()
            raise RetryableError("the device is busy", after_s=60)

    rig = Rig(tmp_path, scorer=Busy())
    rig.submit(Page([post(1, "Lumora", BEGIN)], "1"))
    thread = Thread(target=rig.runtime.run, args=(stop, lambda: signs.put(None)))
    thread.start()
    assert asked.wait(10)
    before = signs.qsize()
    for _ in range(before + 3):
        signs.get(timeout=10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    rig.die()


@pytest.mark.parametrize("failure", [FatalError("the artefact is damaged"), KeyboardInterrupt()])
def test_what_must_stop_the_runtime_takes_nothing_of_the_batch(tmp_path: Path, failure: BaseException) -> None:
    class Broken(Words):
        """Cannot go on."""

        def score(self, _: Sequence[Passage]) -> list[Reading]:
            raise failure

    rig = Rig(tmp_path, scorer=Broken())
    promise = rig.submit(Page([post(1, "Lumora", BEGIN)], "1"))
    with pytest.raises(type(failure)):
        rig.play([])
    assert isinstance(promise.exception(timeout=0), type(failure))
    assert not any(world(rig.path).values())
    rig.die()


def test_a_text_the_scorer_dies_of_costs_that_text(tmp_path: Path) -> None:
    items = [post(n, "Lumora poison" if n == 17 else f"Lumora number {n}", BEGIN) for n in range(40)]
    rig = Rig(tmp_path)
    rig.play([Page(items, "40")])
    [letter] = SqliteArchive(rig.path).deadletters()
    assert (letter.native_id, letter.reason) == ("post-17", "stage_failed")
    assert len(rows(rig.path, "SELECT id FROM documents")) == 39
    assert SqliteArchive(rig.path).misfiled() == 0
    rig.die()


def test_records_delivered_again_are_counted_and_not_written_again(tmp_path: Path) -> None:
    part = pages(STORY[:100], [100])
    once, twice = Rig(tmp_path / "once"), Rig(tmp_path / "twice")
    once.play(part)
    twice.play(part)
    twice.play(part)
    assert world(once.path) == world(twice.path)
    [counts] = rows(twice.path, "SELECT sum(duplicates) - (SELECT count(*) FROM ledger) FROM ledger")
    [repeated] = rows(once.path, "SELECT sum(duplicates) * 2 FROM ledger")
    assert counts == repeated
    once.die()
    twice.die()


def test_a_flood_of_dead_letters_stops_the_runtime_and_takes_nothing_of_its_batch(tmp_path: Path) -> None:
    def broken(first: int, count: int) -> list[Item]:
        return [Item(b'{"text": %d' % number, BEGIN) for number in range(first, first + count)]

    rig = Rig(tmp_path, limits={"deadletters_per_hour": 5})
    rig.play([Page([*broken(0, 5), post(1, "Lumora", BEGIN)], "6")])
    before = world(rig.path)
    with pytest.raises(FatalError, match=r"limits\.deadletters_per_hour.*deadletters list"):
        rig.play([Page([post(2, "Lumora", BEGIN), *broken(5, 1)], "8")])
    assert world(rig.path) == before
    rig.die()
    patient = Rig(tmp_path, limits={"deadletters_per_hour": 6})
    patient.play([Page([post(2, "Lumora", BEGIN), *broken(5, 1)], "8")])
    patient.play([Page([*broken(9, 5)[:0], Item(b"{", BEGIN + timedelta(hours=2))], "9")])
    assert Counter(state for _, _, _, state, _ in world(rig.path)["ledger"]) == {"dead": 7, "indexed": 2}
    patient.die()


def test_a_dead_letter_goes_round_again_after_what_broke_it_was_mended(tmp_path: Path) -> None:
    class Mended(Words):
        """Reads everything."""

        def score(self, passages: Sequence[Passage]) -> list[Reading]:
            return super().score([Passage(each.text.replace("poison", "-"), each.lang) for each in passages])

    items = [post(n, f"Lumora poison {n} awful" if n < 2 else f"Lumora {n}", BEGIN, source="forum") for n in range(4)]
    rig = Rig(tmp_path, limits={"record_bytes": 200})
    rig.play([Page([*items, post(9, "Lumora " + "battery " * 25, BEGIN), Item(b"{", BEGIN)], "6")])
    archive = SqliteArchive(rig.path)
    letters = {letter.reason: letter for letter in archive.deadletters()}
    assert sorted(letters) == ["malformed_json", "stage_failed", "too_large"]
    rig.die()

    later = Rig(tmp_path, scorer=Mended())
    later.play([Page([post(50, "Lumora", BEGIN + timedelta(hours=1))], "7")])
    asked = later.store.request_redrive([letter.id for letter in archive.deadletters()])
    assert asked == 4
    later.play([])
    [still] = archive.deadletters()
    assert still.reason == "malformed_json"
    found = {each.document.native_id: each for each in archive.every_document()}
    assert sorted(found) == ["post-0", "post-1", "post-2", "post-3", "post-50", "post-9"]
    assert found["post-1"].document.published_at == BEGIN
    assert found["post-1"].document.source == "forum"
    assert all(row.gap == 0 and row.pending == 0 for row in archive.ledger())
    assert archive.misfiled() == 0
    assert not later.store.redrives()
    later.finish()
    [counted] = rows(rig.path, "SELECT sum(posts), sum(negative) FROM windows")
    assert counted == (6, 2)


def test_a_letter_that_dies_again_counts_its_attempts(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.play([Page([post(1, "Lumora poison", BEGIN)], "1")])
    for attempt in (2, 3):
        [letter] = SqliteArchive(rig.path).deadletters()
        rig.store.request_redrive([letter.id])
        rig.play([])
        assert [each.attempts for each in SqliteArchive(rig.path).deadletters()] == [attempt]
    rig.die()


def test_a_restart_after_a_redrive_gives_the_same_world_as_none(tmp_path: Path) -> None:
    poisoned = [Item(item.body.replace(b"Lumora", b"Lumora poison"), item.arrived_at) for item in STORY[100:140]]
    items = [*STORY[:100], *poisoned, *STORY[140:]]

    class Mended(Words):
        """Reads everything."""

        def score(self, passages: Sequence[Passage]) -> list[Reading]:
            return super().score([Passage(each.text.replace("poison", "-"), each.lang) for each in passages])

    worlds = []
    for name, restarts in (("through", False), ("restarted", True)):
        rig = Rig(tmp_path / name)
        rig.play(pages(items[:300], [100] * 3))
        rig.die()
        rig = Rig(tmp_path / name, scorer=Mended())
        rig.store.request_redrive([letter.id for letter in SqliteArchive(rig.path).deadletters("stage_failed")])
        for page in pages(items[300:], [50] * 10):
            rig.play([page])
            if restarts:
                rig.die()
                rig = Rig(tmp_path / name, scorer=Mended())
        rig.finish()
        worlds.append(world(rig.path))
    assert worlds[0] == worlds[1]
    assert "stage_failed" not in {rule for _, _, _, _, rule in worlds[0]["ledger"]}


def test_windows_are_what_anybody_counts_from_the_index(undisturbed: dict[str, list[tuple[object, ...]]]) -> None:
    counted: Counter[tuple[object, ...]] = Counter()
    aspects = {document: aspect for document, _, aspect, _, _ in undisturbed["mentions"]}
    for _, body in undisturbed["documents"]:
        found = orjson.loads(bytes(body))  # type: ignore[call-overload]  # a blob
        at = datetime.fromisoformat(found["document"]["published_at"]).timestamp()
        bucket = datetime.fromtimestamp(at // 300 * 300, UTC)
        key = (
            "lumora",
            f"{bucket:%Y-%m-%dT%H:%M:%S.%fZ}",
            found["document"]["source"],
            aspects[found["document"]["id"]],
        )
        for kind in ("posts", found["reading"]["sentiment"]["label"]):
            counted[*key, kind] += 1
    for watchlist, start, source, aspect, posts, voices, negative, positive, unsure, *_ in undisturbed["windows"]:
        cell = {kind: counted.pop((watchlist, start, source, aspect, kind), 0) for kind in ("posts", *LABELS)}
        assert (posts, negative, positive, unsure) == (cell["posts"], cell["negative"], cell["positive"], 0)
        assert 0 <= int(str(voices)) <= cell["posts"]
    assert not counted


def test_a_damaged_snapshot_is_rebuilt_from_the_log(
    tmp_path: Path, undisturbed: dict[str, list[tuple[object, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "SNAPSHOT_EVERY", 100)
    rig = Rig(tmp_path)
    rig.play(pages(STORY[:300], [100] * 3))
    with rig.store.transaction():
        rig.store._db.execute("UPDATE snapshots SET state = substr(state, 1, 500)")
    rig.die()
    rig = Rig(tmp_path)
    rig.play([Page(STORY[300:], str(len(STORY)))])
    rig.finish()
    assert world(rig.path) == undisturbed


def test_a_replay_that_had_ended_may_be_started_again_and_changes_nothing(
    tmp_path: Path, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    rig = Rig(tmp_path)
    rig.play([Page(STORY, str(len(STORY)))])
    rig.die()
    for _ in range(3):
        again = Rig(tmp_path)
        again.finish()
        assert world(again.path) == undisturbed


def test_the_slowest_of_several_replays_sets_the_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.replaying = ["fast", "slow"]
    noon = BEGIN + timedelta(hours=12)

    def say(feed: str, number: int, at: datetime) -> None:
        rig.intake.submit(Feed(feed), Page([post(number, "Lumora", at)], feed))
        rig.play([])

    say("fast", 1, noon)
    assert (rig.store.progress() or BEGIN) < noon
    say("slow", 2, noon - timedelta(hours=2))
    assert rig.store.progress() == noon - timedelta(hours=2)
    say("slow", 3, noon - timedelta(hours=1))
    assert rig.store.progress() == noon - timedelta(hours=1)
    rig.replaying = ["fast"]
    rig.play([])
    assert rig.store.progress() == noon
    rig.die()


def live(folder: Path) -> Rig:
    return Rig(folder, live=True, clock=ManualClock(TODAY))


def test_live_records_are_accepted_now_and_their_tick_closes_when_the_clock_has_passed_it(tmp_path: Path) -> None:
    rig = live(tmp_path)
    rig.play([Page([post(1, "Lumora is awful", published_at=(TODAY - timedelta(minutes=1)).isoformat())], "1")])
    [scored] = SqliteArchive(rig.path).every_document()
    assert scored.document.accepted_at == TODAY
    assert rows(rig.path, "SELECT * FROM windows") == []
    rig.clock.now += timedelta(minutes=4)
    rig.play([])
    assert rows(rig.path, "SELECT * FROM windows") == []
    rig.clock.now += timedelta(minutes=1)
    rig.play([])
    assert [row[4] for row in rows(rig.path, "SELECT * FROM windows")] == [1]
    rig.die()


def test_a_clock_that_jumps_back_stamps_nothing_before_what_was_decided(tmp_path: Path) -> None:
    rig = live(tmp_path)
    rig.play([Page([post(1, "Lumora", published_at=TODAY.isoformat())], "1")])
    rig.clock.now -= timedelta(hours=1)
    rig.play([Page([post(2, "Lumora", published_at=TODAY.isoformat())], "2")])
    rig.die()
    again = live(tmp_path)
    again.clock.now -= timedelta(hours=2)
    again.play([Page([post(3, "Lumora", published_at=TODAY.isoformat())], "3")])
    assert {each.document.accepted_at for each in SqliteArchive(rig.path).every_document()} == {TODAY}
    again.die()


def test_nothing_is_written_while_nothing_happens(tmp_path: Path) -> None:
    rig = live(tmp_path)
    rig.play([Page([post(1, "Lumora")], "1")])
    archive = SqliteArchive(rig.path)
    before = archive.revision()
    for _ in range(5):
        rig.clock.now += timedelta(seconds=20)
        rig.play([])
    assert archive.revision() == before
    rig.die()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Rig, Event, Thread]]:
    rig, stop = live(tmp_path), Event()
    thread = Thread(target=rig.runtime.run, args=(stop,))
    thread.start()
    yield rig, stop, thread
    stop.set()
    thread.join(10)
    rig.die()


def test_run_takes_pages_until_it_is_told_to_stop_and_tells_who_comes_later(running: tuple[Rig, Event, Thread]) -> None:
    rig, stop, thread = running
    promises: list[Future[None]] = [rig.submit(Page([post(n, "Lumora")], str(n))) for n in range(5)]
    assert [promise.result(timeout=10) for promise in promises] == [None] * 5
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(RetryableError, match="stopped"):
        rig.submit(Page([post(9, "Lumora")], "9"))
    assert rig.store.snapshot("trend") is not None
