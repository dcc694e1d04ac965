"""Commands on a store, beside whatever writes to it: audit, export, dead letters, silences."""

import csv
import io
import json
import re
import sqlite3
from importlib.metadata import version
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Gap
from opinionwatch.pipeline.contracts_digest import NOTE, Told
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.command import Command, lines
from tests.pipeline.rig import BEGIN, Rig, pages, post, story
from tests.pipeline.sample import delivery, gap

CONFIG = "data_dir: data\nscorer: {kind: lexicon}\nwatchlists: [{id: lumora, names: [Lumora, 流墨]}]\n"


@pytest.fixture
def store(command: Command) -> SqliteArchive:
    """A store with some of everything in it, and its settings in the working folder."""
    del command
    Path("opinionwatch.yaml").write_text(CONFIG, encoding="utf-8")
    rig = Rig(Path("data"))
    items = [
        *story()[-150:],
        *(Item(b"{%d" % number, BEGIN) for number in range(3)),
        post(900, "Lumora poison", BEGIN),
        post(901, "=1+1 Lumora \x1b[31m", BEGIN),
    ]
    rig.play(pages(items, [200]))
    rig.finish()
    return SqliteArchive(rig.path)


def test_audit_tells_gaps_upstream_beside_the_sums_and_they_are_no_finding(
    command: Command, store: SqliteArchive
) -> None:
    writer = SqliteStore(Path("data/opinionwatch.db"))
    with writer.transaction():
        writer.write([gap(2), Gap(source="hn", since=None, until=None, detail="\x1b[31mred", found_at=BEGIN)])
    writer.close()
    ended = command("audit")
    assert (ended.code, ended.err) == (0, "")
    assert "gap upstream, feed: 2026-03-08 09:00 – 2026-03-08 10:00, 2 records: the window turned over" in ended.out
    assert "gap upstream, hn: ? – ?: \\x1b[31mred" in ended.out
    assert "gaps upstream: 2 (never accepted, so in none of the sums)" in ended.out
    assert "gaps upstream: 2" in command("audit", "--brief").out


def test_audit_says_what_became_of_the_alerts_and_why_not(command: Command, store: SqliteArchive) -> None:
    writer = SqliteStore(Path("data/opinionwatch.db"))
    with writer.transaction():
        for number, state, detail in (
            (1, "sent", ""),
            (2, "failed", "Slack answered 404"),
            (3, "suppressed", "[red]x"),
        ):
            row = delivery(number).model_copy(update={"state": state, "detail": detail, "channel": "team"})
            writer.write([row])
    writer.close()
    outbox = SqliteOutbox(Path("data/opinionwatch.db"))
    told = Told(told_until=BEGIN, tried_until=BEGIN, detail="550 no")
    outbox.keep(f"{NOTE}morning", told.model_dump_json())
    outbox.close()
    ended = command("audit")
    assert ended.code == 0
    assert "digest morning: told up to 2026-03-02 00:00 UTC, waiting: 550 no" in ended.out
    assert re.search(r"alerts to channels: .*1 failed.*1 sent", ended.out)
    assert "1 × failed, team: Slack answered 404" in ended.out
    assert "1 × suppressed, team: [red]x" in ended.out
    assert "×" not in command("audit", "--brief").out


def write(sql: str) -> None:
    """What a defect, or a careless person, would do to the file."""
    db = sqlite3.connect("data/opinionwatch.db")
    with db:
        db.execute(sql)
    db.close()


def test_audit_adds_up_and_exits_0(command: Command, store: SqliteArchive) -> None:
    ended = command("audit")
    assert (ended.code, ended.err) == (0, "")
    rows = store.ledger()
    total = sum(row.accepted for row in rows)
    assert re.search(rf"all +│ +│ +{total} │", ended.out)
    for row in rows:
        assert row.hour in ended.out
    assert f"dropped(no-watchlist): {store.dropped()['no-watchlist']}" in ended.out
    assert "no gap: every accepted record is accounted for" in ended.out
    assert len(lines(command("audit", "--brief").out)) < len(lines(ended.out))


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM documents WHERE id = (SELECT id FROM documents LIMIT 1)",
        "DELETE FROM deadletters WHERE id = (SELECT id FROM deadletters LIMIT 1)",
        "UPDATE ledger SET state = 'dropped' WHERE id = (SELECT id FROM documents LIMIT 1)",
        "UPDATE ledger SET state = 'dead' WHERE id = (SELECT id FROM documents LIMIT 1)",
        "INSERT INTO deadletters SELECT id, 'stage_failed', accepted_at, 0, x'7b7d' FROM documents LIMIT 1",
        "DELETE FROM ledger WHERE id = (SELECT id FROM documents LIMIT 1)",
        "DELETE FROM ledger WHERE id = (SELECT id FROM deadletters LIMIT 1)",
    ],
)
def test_audit_exits_1_on_a_record_that_ended_nowhere_or_in_two_places(
    command: Command, store: SqliteArchive, damage: str
) -> None:
    write(damage)
    ended = command("audit", "--brief")
    assert ended.code == 1
    assert "gap: 1 records ended nowhere or in two places" in ended.said
    assert store.misfiled() == 1


def test_what_waits_is_pending_and_no_gap(command: Command, store: SqliteArchive) -> None:
    write("INSERT INTO ledger (id, source, hour, state) VALUES ('x', 'forum', '2026-03-08T12Z', 'pending')")
    assert command("audit").code == 0
    assert sum(row.pending for row in store.ledger()) == 1


def test_a_damaged_store_is_said_and_not_thrown(command: Command, store: SqliteArchive) -> None:
    del store
    write("UPDATE documents SET body = x'7b'")
    ended = command("export")
    assert ended.code == 1
    assert "the store is damaged" in ended.said


def test_export_writes_all_documents_as_json_lines(command: Command, store: SqliteArchive) -> None:
    ended = command("export")
    assert (ended.code, ended.err) == (0, "")
    rows = [json.loads(line) for line in lines(ended.out)]
    assert {row["id"] for row in rows} == {each.id for each in store.every_document()}
    assert {"source", "native_id", "negative", "neutral", "positive", "label", "opinions", "text"} <= set(rows[0])


def test_export_writes_a_table_that_no_spreadsheet_runs(command: Command, store: SqliteArchive) -> None:
    ended = command("export", "--format", "csv", "-o", "mood.csv")
    assert (ended.code, ended.out) == (0, "")
    count = sum(1 for _ in store.every_document())
    assert f"{count} documents written to mood.csv" in ended.said
    rows = list(csv.DictReader(io.StringIO(Path("mood.csv").read_bytes().decode(), newline="")))
    assert len(rows) == count
    assert next(row["text"] for row in rows if row["native_id"] == "post-901").startswith("'=1+1 Lumora")
    assert command("export", "--format", "csv").out == Path("mood.csv").read_bytes().decode()


def test_export_to_a_place_that_is_not_there_is_a_mistake_with_a_name(command: Command, store: SqliteArchive) -> None:
    del store
    ended = command("export", "-o", "/nowhere/mood.csv")
    assert ended.code == 2
    assert "/nowhere/mood.csv" in ended.said


def test_dead_letters_are_listed_shown_and_driven_again(command: Command, store: SqliteArchive) -> None:
    listed = command("deadletters", "list")
    assert (listed.code, listed.err) == (0, "")
    letters = store.deadletters()
    assert all(letter.id in listed.out for letter in letters)
    poison = next(letter for letter in letters if letter.reason == "stage_failed")
    only = command("deadletters", "list", "--reason", "stage_failed").out
    assert poison.id in only
    assert "malformed_json" not in only

    shown = command("deadletters", "show", poison.id)
    assert shown.code == 0
    assert json.loads(shown.out)["reason"] == "stage_failed"
    assert json.loads(shown.out)["program"] == version("opinionwatch")
    assert json.loads(shown.out)["headers"] == []

    asked = command("deadletters", "redrive", poison.id)
    assert (asked.code, asked.err) == (0, "")
    assert asked.said.startswith("1 dead letters will be tried again")
    rig = Rig(Path("data"), live=True)
    rig.play([])
    assert [letter.attempts for letter in store.deadletters("stage_failed")] == [2]
    rig.die()


def test_all_dead_letters_or_all_of_a_reason_are_driven_again(command: Command, store: SqliteArchive) -> None:
    many = len(store.deadletters("malformed_json"))
    assert many > 1
    assert command("deadletters", "redrive", "--reason", "malformed_json").said.startswith(f"{many} dead letters")
    assert command("deadletters", "redrive", "--all").said.startswith(f"{len(store.deadletters())} dead letters")


def test_a_broker_in_the_settings_file_alone_does_not_send_letters_to_daemons_that_nobody_runs(
    command: Command, store: SqliteArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPINIONWATCH__KAFKA__SERVERS", '["127.0.0.1:1"]')
    assert "the running daemon" in command("deadletters", "redrive", "--all").said
    assert len(store.deadletters()) > 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("deadletters redrive", "name dead letters by id, --reason or --all"),
        ("deadletters show 0123", "no dead letter '0123'"),
        ("deadletters list --reason malformed", "did you mean 'malformed_json'?"),
        ("deadletters redrive --reason malformed", "did you mean 'malformed_json'?"),
        ("deadletters redrive 0123", "no dead letter '0123'"),
        ("silence add --watchlist lumra", "did you mean 'lumora'?"),
        ("silence expire 0123", "no silence '0123'"),
    ],
)
def test_a_name_that_is_not_there_exits_2_and_says_where_to_look(
    command: Command, store: SqliteArchive, typed: str, said: str
) -> None:
    del store
    ended = command(*typed.split())
    assert ended.code == 2
    assert said in ended.said


def test_a_silence_goes_from_add_to_list_to_expire(command: Command, store: SqliteArchive) -> None:
    typed = (
        "silence",
        "add",
        "--watchlist",
        "lumora",
        "--hours",
        "4",
        "--comment",
        "known \x1b[31m recall",
        "--by",
        "梅",
    )
    added = command(*typed)
    assert (added.code, added.err) == (0, "")
    [made] = store.silences()
    assert (made.watchlist, made.created_by, (made.ends_at - made.starts_at).total_seconds()) == (
        "lumora",
        "梅",
        4 * 3600,
    )
    assert added.out.startswith(f"{made.id}: lumora silent until ")
    listed = command("silence", "list")
    assert made.id in listed.out
    assert "梅" in listed.out
    assert "\x1b" not in listed.out
    assert command("silence", "expire", made.id).out == f"{made.id} has ended\n"
    [ended] = store.silences()
    assert made.starts_at <= ended.ends_at < made.ends_at
    assert command("silence", "add").out.partition(": ")[2].startswith("all watchlists silent until")


def test_what_strangers_wrote_cannot_colour_the_terminal(command: Command, store: SqliteArchive) -> None:
    write("UPDATE ledger SET source = 'a' || char(27) || '[31m' || char(8238)")
    del store
    ended = command("audit")
    assert "\x1b" not in ended.out
    assert "\u202e" not in ended.out
    assert "\\x1b[31m" in ended.out
