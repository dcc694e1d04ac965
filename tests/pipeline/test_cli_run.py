"""Commands that run the plan: replay, demo and run, from the newcomer's side of the terminal."""

import os
import re
import select
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.store_lock import held
from opinionwatch.pipeline.watchdog import WEDGED
from tests.pipeline.command import Command
from tests.pipeline.rig import post, story

PROGRAM = Path(sys.executable).parent / "opinionwatch"
CONFIG = "scorer: {kind: lexicon}\nweb: {port: 0}\nwatchlists: [{id: lumora, names: [Lumora, 流墨]}]\n"


@pytest.fixture(autouse=True)
def _here(command: Command) -> None:
    Path("opinionwatch.yaml").write_text(CONFIG, encoding="utf-8")


def test_a_replay_shows_the_alerts_and_episodes_and_adds_up(command: Command) -> None:
    Path("posts.jsonl").write_bytes(b"\n".join(item.body for item in story()))
    ended = command("replay", "posts.jsonl")
    assert ended.code == 0
    assert "episodes" in ended.out
    assert "crisis" in ended.out
    assert "lumora" in ended.said.lower()
    archive = SqliteArchive(Path("opinionwatch-data/replay/opinionwatch.db"))
    assert str(sum(row.accepted for row in archive.ledger())) in ended.said
    assert [episode.kind for episode in archive.episodes()].count("crisis") == 1


def test_a_replay_reads_standard_input_csv_and_the_names_of_others(command: Command) -> None:
    theirs = [{"id": n, "body": {"said": f"Lumora is awful {n}"}, "at": f"2026-03-02T10:0{n}:00"} for n in range(4)]
    renames = ("--field", "native_id=id", "--field", "text=body.said", "--field", "published_at=at")
    Path("theirs.jsonl").write_bytes(b"\n".join(map(orjson.dumps, theirs)))
    assert command("replay", "theirs.jsonl", *renames).code == 0
    Path("table.csv").write_text("id,said,at\n" + "".join(f"{n},Lumora {n},2026-03-02 10:0{n}\n" for n in range(4)))
    renames = ("--field", "native_id=id", "--field", "text=said", "--field", "published_at=at")
    assert command("replay", "table.csv", *renames, "--data-dir", "table").code == 0
    for folder in ("opinionwatch-data/replay", "table"):
        archive = SqliteArchive(Path(folder) / "opinionwatch.db")
        assert [row.indexed for row in archive.ledger()] == [4], folder
        assert {each.document.published_at.hour for each in archive.every_document()} == {10}


def test_a_replay_tells_nobody_but_the_terminal(command: Command) -> None:
    canary = "https://hooks.example.com/services/canary"
    Path("told.yaml").write_text(
        CONFIG + f"channels: [{{name: team, kind: slack, url: '{canary}'}}]\n", encoding="utf-8"
    )
    Path("posts.jsonl").write_bytes(b"\n".join(item.body for item in story()))
    assert command("replay", "posts.jsonl", "-c", "told.yaml").code == 0
    archive = SqliteArchive(Path("opinionwatch-data/replay/opinionwatch.db"))
    assert {delivery.channel for delivery in archive.deliveries()} == {"terminal"}


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("replay missing.jsonl", 1, "missing.jsonl"),
        ("replay posts.jsonl --field text", 2, "--field text: write ours=theirs"),
        ("replay posts.jsonl --field txet=a", 2, "did you mean 'text'?"),
        ("replay posts.jsonl -c bare.yaml", 2, "nothing to watch"),
        ("replay posts.jsonl --data-dir .", 2, "holds other files"),
        ("replay posts.jsonl --speed -1", 2, "speed"),
        ("run", 2, "no sources in the settings"),
        ("demo --once --scorer lexikon", 2, "did you mean 'lexicon'?"),
        ("demo --once --lang fr", 2, "language"),
        ("demo --once --data-dir .", 2, "holds other files"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_cure(command: Command, typed: str, code: int, said: str) -> None:
    Path("posts.jsonl").write_bytes(post(1, "Lumora").body)
    Path("bare.yaml").write_text("scorer: {kind: lexicon}\n")
    ended = command(*typed.split())
    assert said in ended.said
    assert ended.code == code
    assert Path("posts.jsonl").exists()


def test_a_folder_that_a_runtime_works_on_is_not_emptied(command: Command) -> None:
    Path("posts.jsonl").write_bytes(post(1, "Lumora").body)
    assert command("replay", "posts.jsonl", "--data-dir", "data").code == 0
    with held(Path("data")):
        ended = command("replay", "posts.jsonl", "--data-dir", "data")
    assert ended.code == 1
    assert "already runs on data" in ended.said
    assert SqliteArchive(Path("data/opinionwatch.db")).ledger()


def test_a_page_that_strangers_could_reach_needs_a_token(command: Command) -> None:
    Path("open.yaml").write_text(
        CONFIG.replace("{port: 0}", "{port: 0, host: 0.0.0.0}") + "sources: [{name: a, kind: demo}]\n"
    )
    ended = command("run", "-c", "open.yaml")
    assert ended.code == 2
    assert "token_file" in ended.said


def test_the_daemon_serves_its_page_takes_what_comes_and_ends_well_on_sigterm() -> None:
    Path("posts.jsonl").write_bytes(b"".join(post(n, f"Lumora is awful {n}").body + b"\n" for n in range(20)))
    Path("run.yaml").write_text(
        CONFIG
        + "data_dir: data\nsources: [{name: posts, kind: jsonl, path: posts.jsonl, follow: true, poll_s: 0.05}]\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        [PROGRAM, "run", "-c", "run.yaml"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout
        assert daemon.stderr
        try:
            assert select.select([daemon.stdout], [], [], 60)[0], "no word within a minute"
            found = re.search(r"http://127\.0\.0\.1:\d+", daemon.stdout.readline())
            assert found
            with urllib.request.urlopen(found[0], timeout=30) as page:  # noqa: S310 - our own page
                assert page.status == 200
            archive = SqliteArchive(Path("data/opinionwatch.db"))
            while sum(row.indexed for row in archive.ledger()) < 20:
                assert daemon.poll() is None
            with urllib.request.urlopen(f"{found[0]}/metrics", timeout=30) as told:  # noqa: S310 - our own page
                numbers = told.read().decode()
            assert 'opinionwatch_source_documents_total{source="posts"} 20.0' in numbers
            assert "opinionwatch_false_alarm_budget 0.1" in numbers
            assert "opinionwatch_conservation_gap 0.0" in numbers
        finally:
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(60)
        errors = daemon.stderr.read()
    assert (code, errors) == (0, "")


def test_a_daemon_that_hangs_says_where_and_ends_for_its_supervisor_and_the_next_life_loses_nothing() -> None:
    Path("posts.jsonl").write_bytes(b"".join(post(n, f"Lumora is awful {n}").body + b"\n" for n in range(20)))
    Path("run.yaml").write_text(
        CONFIG + "data_dir: data\nmonitor: {patience_s: 2}\nsources: [{name: posts, kind: jsonl, path: posts.jsonl}]\n"
    )
    hangs = {**os.environ, "OPINIONWATCH_FAILPOINT": "batch.scored=hang:1"}
    typed = [str(PROGRAM), "run", "-c", "run.yaml"]
    ended = subprocess.run(typed, env=hangs, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == WEDGED
    assert "in failpoint" in ended.stderr
    assert [row.indexed for row in SqliteArchive(Path("data/opinionwatch.db")).ledger()] == []
    with subprocess.Popen(typed, stdout=subprocess.DEVNULL) as daemon:
        while sum(row.indexed for row in SqliteArchive(Path("data/opinionwatch.db")).ledger()) < 20:
            assert daemon.poll() is None
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0


def test_alerts_are_told_in_the_language_of_the_settings(command: Command) -> None:
    Path("zh.yaml").write_text(CONFIG + "language: zh\n", encoding="utf-8")
    Path("posts.jsonl").write_bytes(b"\n".join(item.body for item in story()))
    ended = command("replay", "posts.jsonl", "-c", "zh.yaml", "--data-dir", "zh")
    assert ended.code == 0
    assert re.search("[\u4e00-\u9fff]{4}", ended.out)
