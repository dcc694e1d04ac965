"""The whole Kafka runtime as a newcomer would run it, on a real Kafka and a real Elasticsearch."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import httpx2
import pytest

from opinionwatch.connectors.demo import watchlists
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.backtest import Candidate, backtest
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.demo_run import negative
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.ticks import TICK
from opinionwatch.pipeline.web_trend import tally
from tests.alerts.slack_stub import SlackStub, slack_stub
from tests.alerts.smtp_stub import SmtpStub, smtp_stub
from tests.models.tiny import RIVALS, partisan_artefact
from tests.pipeline.daemons import Daemons
from tests.pipeline.rig import post
from tests.pipeline.sample import NOON
from tests.pipeline.test_targets import POSTS, WATCHED

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
DEMO = {"watchlists": list(watchlists()), "sources": [{"name": "demo", "kind": "demo"}]}


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    """The same authors in every store."""
    return b"the same authors in every folder"


def embedded(daemons: Daemons, folder: Path, key: bytes) -> SqliteArchive:
    """The same settings, run in one process on one SQLite file."""
    folder.mkdir()
    (folder / "pseudonym.key").write_bytes(key)
    chosen = daemons.settings.model_copy(update={"store": "sqlite", "data_dir": folder, "channels": ()})
    Engine(chosen, "http://127.0.0.1").run(Event(), until_exhausted=True)
    return SqliteArchive(chosen.store_path)


def ledger(archive: Archive, *watched: str) -> Mapping[str, list[str]]:
    """Everything that must be the same in every runtime; of the demo's watchlists if of no others."""
    names = watched or [str(each["id"]) for each in watchlists()]
    return {
        "documents": [each.model_dump_json() for each in archive.every_document()],
        "windows": [each.model_dump_json() for name in names for each in archive.windows(name, *EVER)],
        "episodes": sorted(each.model_dump_json() for each in archive.episodes(limit=1000)),
        "ledger": sorted(f"{row.source} {row.hour} {row.indexed} {row.dead} {row.dropped} {row.gap}"
                         for row in archive.ledger()),
    }  # fmt: skip


def again(archive: Archive, settings: Settings, end: datetime) -> tuple[Alert, ...]:
    """What a back-test finds in this history."""
    candidate = Candidate("as it was", wiring.watchlists(settings), wiring.trend_settings(settings))
    return backtest(archive, [candidate], EVER[0], end, settings.tenant)[0]


@dataclass(frozen=True)
class People:
    """Those who are told."""

    slack: SlackStub
    mail: SmtpStub


@pytest.fixture
def people() -> Iterator[People]:
    """A Slack and a mail server on this machine."""
    with slack_stub() as slack, smtp_stub() as mail:
        yield People(slack, mail)


@pytest.fixture
def daemons(tmp_path: Path, services: Mapping[str, str], key: bytes, people: People) -> Iterator[Daemons]:
    """A cluster on the demo's posts; whatever is started in it is ended with the test."""
    found = Daemons(
        tmp_path / "cluster",
        services,
        **DEMO,
        channels=[
            {"name": "team", "kind": "slack", "url": people.slack.url, "allow_loopback": True},
            {"name": "desk", "kind": "email", "host": "127.0.0.1", "port": people.mail.port, "security": "none",
             "sender": "ow@example.com", "recipients": ["desk@example.com"]},
        ],
    )  # fmt: skip
    (found.folder / "data").mkdir()
    (found.folder / "data" / "pseudonym.key").write_bytes(key)
    found.prepared()
    try:
        yield found
    finally:
        found.kill()


def test_the_demo_comes_to_the_same_ledger_through_kafka_and_people_are_told(
    daemons: Daemons, people: People, tmp_path: Path, key: bytes
) -> None:
    for role in ("score", "trend", "trend", "notify", "notify"):
        daemons.start(role)
    read = daemons.command("ingest", "--once")
    assert read.returncode == 0, read.stderr
    same = embedded(daemons, tmp_path / "embedded", key)
    archive = archive_of(daemons.settings)
    end = same.now()
    assert end is not None
    daemons.until(lambda: (archive.now() or EVER[0]) >= end, 180)
    due = {(each.id, event) for each in negative(same.episodes()) for event in {"opened", each.state} - {"open"}}
    daemons.until(lambda: {(each.alert.episode.id, each.alert.event) for each in archive.deliveries()} >= due, 60)
    daemons.until(lambda: {each.state for each in archive.deliveries()} <= {"sent", "suppressed"}, 60)
    want = {delivery.alert.id: delivery.alert for delivery in archive.deliveries()}
    assert max(daemons.end().values()) <= 30
    assert ledger(archive) == ledger(same)
    assert due, "the crisis was told"
    found = again(archive, daemons.settings, end)
    assert found == again(same, daemons.settings, end)
    tried = daemons.command("backtest", "--from", "2000-01-01", "--json")
    opened = [alert for alert in found if alert.event == "opened" and alert.episode.severity != "info"]
    assert json.loads(tried.stdout)[0]["sent"]["opened"] == len(opened) > 0, tried.stderr
    bad = [alert for alert in want.values() if alert.episode.severity != "info"]
    assert len(people.slack.received) == len(people.mail.received) == len(bad), "each was told once"
    assert "Lumora" in json.loads(people.slack.received[0])["text"] + people.slack.received[0].decode()


def test_what_a_post_says_of_each_watchlist_is_counted_alike_by_daemons_and_by_one_process(
    tmp_path: Path, services: Mapping[str, str], key: bytes
) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_bytes(b"\n".join(post(at, POSTS[at % len(POSTS)], NOON + at * TICK).body for at in range(60)))
    artefact = partisan_artefact(tmp_path / "partisan", "neutral", RIVALS)
    daemons = Daemons(
        tmp_path / "cluster",
        services,
        watchlists=WATCHED,
        sources=[{"name": "feed", "kind": "jsonl", "path": str(feed), "replay": {"speed": 0}}],
        scorer={"kind": "neural", "artefact": str(artefact), "device": "cpu", "precision": "fp32"},
    )
    (daemons.folder / "data").mkdir()
    (daemons.folder / "data" / "pseudonym.key").write_bytes(key)
    daemons.prepared()
    try:
        for role in ("score", "trend"):
            daemons.start(role)
        read = daemons.command("ingest", "--once")
        assert read.returncode == 0, read.stderr
        same, archive = embedded(daemons, tmp_path / "embedded", key), archive_of(daemons.settings)
        end = same.now()
        assert end is not None
        daemons.until(lambda: (archive.now() or EVER[0]) >= end, 180)
        daemons.end()
        assert ledger(archive, "corvo", "brava") == ledger(same, "corvo", "brava")
        corvo, brava = (tally(archive.windows(name, *EVER)) for name in ("corvo", "brava"))
        assert (corvo.positive, corvo.negative, brava.positive, brava.negative) == (48, 12, 12, 48)
    finally:
        daemons.kill()


def test_a_dead_letter_goes_round_through_the_log_and_is_counted_once(
    tmp_path: Path, services: Mapping[str, str]
) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text('{"native_id": "1", "text": "Lumora is slow"}\n{"native_id": "2", "text": \n')
    daemons = Daemons(
        tmp_path / "cluster", services, **{**DEMO, "sources": [{"name": "feed", "kind": "jsonl", "path": str(feed)}]}
    )
    daemons.prepared()
    try:
        for role in ("ingest", "score"):
            daemons.start(role)
        archive = archive_of(daemons.settings)
        daemons.until(lambda: [each.attempts for each in archive.deadletters()] == [1])
        asked = daemons.command("deadletters", "redrive", "--all")
        assert "1 dead letters will be tried again by the ingest daemon" in asked.stdout, asked.stderr
        daemons.until(lambda: [each.attempts for each in archive.deadletters()] == [2])
        daemons.until(lambda: [row.indexed for row in archive.ledger()] == [1])
        assert max(daemons.end().values()) <= 30
        [row] = archive.ledger()
        assert (row.accepted, row.indexed, row.dead, row.gap, row.duplicates) == (2, 1, 1, 0, 0)
    finally:
        daemons.kill()


def test_every_daemon_says_how_it_is(daemons: Daemons) -> None:
    for role, port in (("ingest", 19461), ("score", 19462), ("trend", 19463), ("notify", 19464)):
        daemons.start(role, "--monitor-port", str(port))
    for port in range(19461, 19465):
        daemons.until(lambda port=port: _answers(port, "readyz"))  # type: ignore[misc]  # bound now
        assert _answers(port, "healthz")
        assert b"opinionwatch_records_total" in httpx2.get(f"http://127.0.0.1:{port}/metrics").content


def _answers(port: int, path: str) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/{path}").status_code == 200
    except httpx2.TransportError:
        return False
