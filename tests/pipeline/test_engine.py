"""The embedded engine: sources, runtime, notifier in their threads, started and stopped together."""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread, Timer

import orjson
import pytest

from opinionwatch.alerts.dry import REASON
from opinionwatch.connectors import files
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.rig import Words, post, settings, story, world
from tests.pipeline.sample import delivery

URL = "http://mood.example"


class Listed:
    """A channel that keeps what it is given.

    Delivery: to a list.
    """

    def __init__(self, name: str = "list") -> None:
        self.name = name
        self.messages: list[Message] = []

    def notify(self, message: Message) -> None:
        """Keep it."""
        self.messages.append(message)


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The story as a file, read in small pages."""
    monkeypatch.setattr(files, "PAGE_ITEMS", 25)
    path = tmp_path / "posts.jsonl"
    path.write_bytes(b"".join(item.body + b"\n" for item in story()))
    return path


def watching(folder: Path, *sources: Mapping[str, object], **more: object) -> Settings:
    """Settings of an engine on these sources; the same authors in every folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pseudonym.key").write_bytes(b"the same authors in every folder")
    return settings(folder, sources=sources, limits={"batch_documents": 60}, **more)


def replay(path: Path) -> dict[str, object]:
    return {"name": "recording", "kind": "jsonl", "path": str(path), "instance": "posts", "replay": {}}


def words(_: Settings) -> Scorer:
    return Words()


def test_a_recording_is_read_decided_written_and_told_to_the_end(tmp_path: Path, recording: Path) -> None:
    channel = Listed()
    Engine(watching(tmp_path / "data", replay(recording)), URL, {"list": channel}, words).run(
        Event(), until_exhausted=True
    )
    archive = SqliteArchive(tmp_path / "data" / "opinionwatch.db")
    crisis = next(episode for episode in archive.episodes() if episode.kind == "crisis")
    assert crisis.watchlist == "lumora"
    sent = [delivery for delivery in archive.deliveries() if delivery.state == "sent"]
    assert {delivery.alert.id for delivery in sent} == {message.alert_id for message in channel.messages}
    [opened] = [
        message for message in channel.messages if message.episode_id == crisis.id and message.event == "opened"
    ]
    assert opened.link.startswith(f"{URL}/episodes/{crisis.id}")
    assert not [delivery for delivery in archive.deliveries() if delivery.state in ("pending", "sending")]
    assert all(row.gap == row.pending == 0 for row in archive.ledger())
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("runtime", "notifier")]


def test_an_engine_that_is_stopped_and_started_gives_the_world_of_one_that_ran_through(
    tmp_path: Path, recording: Path
) -> None:
    class Stopping(Words):
        """Stops the engine in the middle of scoring."""

        def __init__(self, stop: Event, calls: int) -> None:
            super().__init__()
            self._stop, self._left = stop, calls

        def score(self, passages: Sequence[Passage]) -> list[Reading]:
            self._left -= 1
            if self._left == 0:
                self._stop.set()
            return super().score(passages)

    through = watching(tmp_path / "through", replay(recording))
    once = Listed()
    Engine(through, URL, {"list": once}, words).run(Event(), until_exhausted=True)

    again = watching(tmp_path / "again", replay(recording))
    told: list[str] = []
    for calls in (2, 3, 1, 4):
        stop, channel = Event(), Listed()
        scorer = Stopping(stop, calls)
        Engine(again, URL, {"list": channel}, lambda _, scorer=scorer: scorer).run(stop)  # type: ignore[misc]  # a lambda
        assert stop.is_set()
        told += [message.alert_id for message in channel.messages]
    last = Listed()
    Engine(again, URL, {"list": last}, words).run(Event(), until_exhausted=True)
    told += [message.alert_id for message in last.messages]
    assert world(again.store_path) == world(through.store_path)
    assert sorted(told) == sorted(message.alert_id for message in once.messages)


def test_a_second_engine_on_the_same_folder_is_refused(tmp_path: Path, recording: Path) -> None:
    started, stop = Event(), Event()

    def scorer(_: Settings) -> Scorer:
        started.set()
        return Words()

    chosen = watching(tmp_path / "data", {**replay(recording), "follow": True, "replay": None})
    first = Thread(target=Engine(chosen, URL, {"list": Listed()}, scorer).run, args=(stop,))
    first.start()
    assert started.wait(30)
    with pytest.raises(FatalError, match="another opinionwatch already runs on"):
        Engine(chosen, URL, {"list": Listed()}, words).run(Event())
    stop.set()
    first.join(30)
    assert not first.is_alive()


def test_a_source_that_can_never_work_is_named_and_the_others_are_read_to_the_end(
    tmp_path: Path, recording: Path
) -> None:
    missing = {"name": "gone", "kind": "jsonl", "path": str(tmp_path / "missing.jsonl")}
    chosen = watching(tmp_path / "data", missing, replay(recording))
    with pytest.raises(FatalError, match="source gone: "):
        Engine(chosen, URL, {"list": Listed()}, words).run(Event(), until_exhausted=True)
    assert sum(row.indexed for row in SqliteArchive(chosen.store_path).ledger()) > 300


def test_what_stops_the_runtime_stops_the_engine_and_is_raised_there(tmp_path: Path, recording: Path) -> None:
    class Broken(Words):
        """Cannot go on."""

        def score(self, passages: Sequence[Passage]) -> list[Reading]:
            raise FatalError(f"the artefact is damaged; {len(passages)} texts wait")

    chosen = watching(tmp_path / "data", replay(recording))
    with pytest.raises(FatalError, match="the artefact is damaged"):
        Engine(chosen, URL, {"list": Listed()}, lambda _: Broken()).run(Event())
    assert SqliteArchive(chosen.store_path).ledger() == []


def test_what_ends_the_sending_of_alerts_stops_the_engine_and_is_raised_there(tmp_path: Path, recording: Path) -> None:
    chosen = watching(tmp_path / "data", replay(recording))
    store = SqliteStore(chosen.store_path)
    with store.transaction():
        store.write([delivery(1)])
    store.close()
    with sqlite3.connect(chosen.store_path) as db:
        db.execute("UPDATE deliveries SET body = '{'")
    db.close()
    stop = Event()
    late = Timer(30, stop.set)  # an engine that notices nothing would run for ever
    late.start()
    try:
        with pytest.raises(FatalError, match="the store is damaged"):
            Engine(chosen, URL, {"list": Listed()}, words, sources=[]).run(stop)
    finally:
        late.cancel()
        late.join()


def test_a_scorer_that_cannot_be_built_starts_nothing(tmp_path: Path, recording: Path) -> None:
    def missing(_: Settings) -> Scorer:
        raise SettingsError("scorer.artefact: there is none")

    with pytest.raises(SettingsError, match="there is none"):
        Engine(watching(tmp_path / "data", replay(recording)), URL, {}, missing).run(Event())
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("runtime", "notifier")]


def test_a_channel_that_is_away_delays_its_alerts_and_nothing_else(tmp_path: Path, recording: Path) -> None:
    class Away(Listed):
        """Not there today."""

        def notify(self, message: Message) -> None:
            raise RetryableError(f"503; {message.alert_id} has to wait", after_s=3600)

    chosen = watching(tmp_path / "data", replay(recording))
    there = Listed("there")
    Engine(chosen, URL, {"there": there, "away": Away("away")}, words).run(Event(), until_exhausted=True)
    states = {(each.channel, each.state) for each in SqliteArchive(chosen.store_path).deliveries()}
    assert ("there", "sent") in states
    assert ("away", "pending") in states
    assert ("away", "sent") not in states


def test_standard_json_lines_of_anybody_are_read_by_the_names_they_use(tmp_path: Path) -> None:
    path = tmp_path / "theirs.jsonl"
    theirs = [{"id": n, "said": {"body": f"Lumora is awful {n}"}, "when": 1772400000 + n} for n in range(5)]
    path.write_bytes(b"\n".join(map(orjson.dumps, theirs)))
    renames = {"native_id": "id", "text": "said.body", "published_at": "when"}
    source = {"name": "theirs", "kind": "jsonl", "path": str(path), "fields": renames, "replay": {}}
    chosen = watching(tmp_path / "data", source)
    Engine(chosen, URL, {"list": Listed()}, words).run(Event(), until_exhausted=True)
    found = sorted(SqliteArchive(chosen.store_path).every_document(), key=lambda each: each.document.native_id)
    assert [each.document.native_id for each in found] == list("01234")
    assert {each.reading.sentiment.label for each in found} == {"negative"}
    assert found[0].document.published_at.timestamp() == 1772400000


def test_a_broken_record_is_no_reason_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    lines = [post(1, "Lumora one").body, b"{broken", b"\xff\xfe", post(2, "Lumora two").body]
    path.write_bytes(b"\n".join(lines))
    chosen = watching(tmp_path / "data", {"name": "mixed", "kind": "jsonl", "path": str(path)})
    Engine(chosen, URL, {"list": Listed()}, words).run(Event(), until_exhausted=True)
    archive = SqliteArchive(chosen.store_path)
    assert sorted(letter.reason for letter in archive.deadletters()) == ["bad_encoding", "malformed_json"]
    assert [row.indexed for row in archive.ledger()] == [2]


def test_a_dry_run_shows_what_it_would_send_sends_nothing_and_says_so(
    tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = Listed()
    given = watching(tmp_path / "data", replay(recording))
    Engine(given, URL, {"list": channel}, words, dry_run=True).run(Event(), until_exhausted=True)
    assert channel.messages == []
    archive = SqliteArchive(given.store_path)
    told = archive.deliveries()
    assert {(one.state, one.detail) for one in told} == {("suppressed", REASON)}
    assert capsys.readouterr().out.count("list: ") == len(told) > 0


def test_a_dry_run_leaves_alone_what_a_real_one_was_sending(tmp_path: Path) -> None:
    given = watching(tmp_path / "data")
    store = SqliteStore(given.store_path)
    with store.transaction():
        store.write([delivery(1, state="sending").model_copy(update={"channel": "list"})])
    store.close()
    channel, stop = Listed(), Event()
    stop.set()
    Engine(given, URL, {"list": channel}, words, sources=[], dry_run=True).run(stop)
    [left] = SqliteArchive(given.store_path).deliveries()
    assert channel.messages == []
    assert left.state == "pending" and left.uncertain, "the next real run sends it again and says so"
