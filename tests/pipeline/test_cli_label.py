"""`opinionwatch label`: from the queue to a table, and from the table to the corrections."""

import csv
import json
from pathlib import Path

import pytest

from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.command import Command, lines
from tests.pipeline.sample import document, mention, scored, toward

DATA = Path("opinionwatch-data")


@pytest.fixture
def stored(command: Command) -> list[str]:
    """Ids of documents in a store; the second text would be a formula."""
    del command
    Path("opinionwatch.yaml").write_text("watchlists: [{id: lumora, names: [Lumora]}]\nscorer: {kind: lexicon}\n")
    wholes = [scored(document(1, "Lumora is fine")), scored(document(2, "=cmd() Lumora 电池发烫"))]
    return fill(*wholes)


@pytest.fixture
def rivals(command: Command) -> str:
    """The id of a document that names two watchlists, read by a scorer that tells what it says of each."""
    del command
    Path("opinionwatch.yaml").write_text(
        "watchlists: [{id: lumora, names: [Lumora, 流墨]}, {id: -brava, name: Brava}, {id: corvo, name: Corvo}]\n"
        "scorer: {kind: lexicon}\n"
    )
    torn = scored(document(1, "Lumora beats Brava"), "positive", watchlists=("lumora", "-brava"))
    return fill(toward(torn, "positive", "positive"))[0]


def fill(*wholes: ScoredDocument) -> list[str]:
    """Leave a store with these; their ids."""
    store = SqliteStore(DATA / "opinionwatch.db")
    with store.transaction():
        store.admit([whole.document for whole in wholes])
        store.write([record for whole in wholes for record in (whole, mention(whole))])
    store.close()
    return [whole.id for whole in wholes]


def test_a_table_to_label_is_remembered_like_any_export_so_that_an_erasure_names_it(
    command: Command, stored: list[str]
) -> None:
    command("label", "queue", "--csv", "to-label.csv")
    ended = command("erase", "--document", stored[0])
    assert f"2 documents were exported to {Path('to-label.csv').absolute()}" in ended.said


def test_a_queue_is_filled_in_as_a_table_and_comes_back(command: Command, stored: list[str]) -> None:
    ended = command("label", "queue", "--csv", "to-label.csv", "--limit", "10")
    assert (ended.code, ended.err) == (0, "")
    with Path("to-label.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["document_id"] for row in rows} == {*stored}
    assert next(row["text"] for row in rows if row["document_id"] == stored[1]).startswith("'=")
    with Path("to-label.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows({**row, "label": "Positive" if row["document_id"] == stored[1] else ""} for row in rows)
    ended = command("label", "add", "--csv", "to-label.csv", "--by", "dana")
    assert (ended.code, ended.err) == (0, "")
    [correction] = Corrections(DATA).all()
    assert (correction.document_id, correction.text) == (stored[1], "=cmd() Lumora 电池发烫")
    assert (correction.label, correction.was, correction.by, correction.via) == ("positive", "negative", "dana", "csv")
    left = [json.loads(line)["document_id"] for line in lines(command("label", "queue", "--json").out)]
    assert left == [stored[0]]


def test_a_table_of_texts_alone_needs_no_store_and_names_its_bad_lines(command: Command) -> None:
    Path("mine.csv").write_text(
        "text,label\nthe best,positive\nso so,meh\n,negative\n太差了,negative\nempty,\n", "utf-8"
    )
    ended = command("label", "add", "--csv", "mine.csv", "--by", "dana")
    assert ended.code == 1
    assert "stored: 2 new of 2" in ended.said
    assert "line 3: label 'meh'" in ended.said
    assert "line 4: neither" in ended.said
    assert [(each.text, each.lang) for each in Corrections(DATA).all()] == [("the best", "en"), ("太差了", "zh")]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("text,label,comment\nfine,neutral,很好\n".encode("gbk"), "line 2: it is not UTF-8"),
        ("text,label\ncafé,neutral\n".encode("cp1252"), "line 2: it is not UTF-8"),
        ("text,label\nfine,neutral\n".encode("utf-16"), "line 1: the header must name `label`"),
        (b"text,label," + b"x" * (8 * 2**20 + 1) + b"\nfine,neutral,\n", "line 1: field larger than field limit"),
    ],
)
def test_a_table_as_a_spreadsheet_may_leave_it_is_refused_with_the_line_and_the_cure(
    command: Command, table: bytes, said: str
) -> None:
    Path("mine.csv").write_bytes(table)
    ended = command("label", "add", "--csv", "mine.csv")
    assert ended.code == 1
    assert said in ended.said
    assert Corrections(DATA).all() == []


def test_a_text_that_lost_a_letter_long_ago_is_corrected_all_the_same(command: Command) -> None:
    Path("mine.csv").write_text("text,label\ncaf\ufffd,neutral\n", encoding="utf-8-sig")
    assert command("label", "add", "--csv", "mine.csv").code == 0
    assert [each.text for each in Corrections(DATA).all()] == ["caf\ufffd"]


def test_one_document_is_corrected_and_the_list_says_who_and_when(command: Command, stored: list[str]) -> None:
    assert command("label", "add", stored[0], "neutral", "--by", "lee", "--comment", "irony").code == 0
    listed = [json.loads(line) for line in lines(command("label", "list", "--json").out)]
    assert [(each["document_id"], each["label"], each["by"], each["comment"]) for each in listed] == [
        (stored[0], "neutral", "lee", "irony")
    ]
    assert "lee" in command("label", "list").said


def test_slips_say_what_to_write_instead(command: Command, stored: list[str]) -> None:
    assert "negative" in command("label", "add", stored[0], "negativ").said
    assert command("label", "add").code == 2
    assert command("label", "add", "nothing-like-it", "neutral").code == 1
    Path("bad.csv").write_text("a,b\n1,2\n")
    assert "must name `label`" in command("label", "add", "--csv", "bad.csv").said
    assert command("label", "add", "--csv", "none.csv").code == 2


def test_an_erasure_reaches_the_corrections(command: Command, stored: list[str]) -> None:
    command("label", "add", stored[0], "neutral", "--by", "lee")
    command("label", "add", stored[1], "neutral", "--by", "lee")
    assert command("erase", "--document", stored[0]).code == 0
    assert [each.document_id for each in Corrections(DATA).all()] == [stored[1]]
    assert command("erase", "--author", "00112233445566aa").code == 0
    assert Corrections(DATA).all() == []


def test_a_table_asks_for_each_watchlist_that_the_model_tells_about_and_brings_the_answers_back(
    command: Command, rivals: str
) -> None:
    command("label", "queue", "--csv", "to-label.csv")
    with Path("to-label.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["document_id"], row["watchlist"], row["model_says"]) for row in rows] == [
        (rivals, "", "positive"), (rivals, "lumora", "positive"), (rivals, "'-brava", "positive"),
    ]  # fmt: skip
    right = {"'-brava": "negative", "": "neutral", "lumora": ""}
    with Path("to-label.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows({**row, "label": right[row["watchlist"]]} for row in rows)
    for new in (2, 0):
        ended = command("label", "add", "--csv", "to-label.csv", "--by", "dana")
        assert (ended.code, ended.err) == (0, "")
        assert f"stored: {new} new of 2" in ended.said
    found = Corrections(DATA).standing()
    assert [(each.watchlist, each.label, each.was, each.document_id) for each in found] == [
        (None, "neutral", "positive", rivals), ("-brava", "negative", "positive", rivals),
    ]  # fmt: skip
    assert command("label", "queue", "--json").out == ""


def test_a_document_is_corrected_towards_a_watchlist_and_the_list_says_which(command: Command, rivals: str) -> None:
    assert command("label", "add", rivals, "neutral", "--watchlist", "lumora", "--by", "lee").code == 0
    assert "towards" in command("label", "list").said
    [listed] = [json.loads(line) for line in lines(command("label", "list", "--json").out)]
    assert (listed["watchlist"], listed["label"]) == ("lumora", "neutral")


def test_a_watchlist_that_there_is_not_or_that_is_not_mentioned_is_refused_with_the_cure(
    command: Command, rivals: str
) -> None:
    ended = command("label", "add", rivals, "neutral", "--watchlist", "lumoro")
    assert (ended.code, "no watchlist 'lumoro'; did you mean 'lumora'?" in ended.said) == (1, True)
    ended = command("label", "add", rivals, "neutral", "--watchlist", "corvo")
    assert ended.code == 1
    assert "does not mention 'corvo'; name one of lumora, -brava, or leave it out" in ended.said
    Path("mine.csv").write_text(
        "text,label,watchlist\n流墨太差了,negative,lumora\n流墨太差了,negative,corvo\n", "utf-8"
    )
    ended = command("label", "add", "--csv", "mine.csv")
    assert (ended.code, "stored: 1 new of 1" in ended.said) == (1, True)
    assert "line 3: watchlist: the text does not mention 'corvo'; name one of lumora, or" in ended.said
    assert [(each.text, each.watchlist) for each in Corrections(DATA).all()] == [("流墨太差了", "lumora")]
    assert "`watchlist`" in command("label", "add", "--csv", "mine.csv", "--watchlist", "lumora").said
