"""The export: everything that was found, in a form no spreadsheet will run."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opinionwatch.pipeline.export import COLUMNS, harmless, write_csv, write_jsonl
from tests.pipeline.sample import NOON, document, scored, toward

HOSTILE = (
    "=1+1",
    "+1 800",
    "-2+3",
    "@SUM(A1)",
    " =cmd|' /C calc'!A0",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "\u3000=1",
    "\xa0=1",
    "\ufeff=1",
    "\u200b=1",
    '=HYPERLINK("https://x.example","Lumora")',
    '"=1"',
    "-",
    "=",
)


def cells(*texts: str) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    write_csv([scored(document(number, text)) for number, text in enumerate(texts)], stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def runs(cell: str) -> bool:
    """Whether a spreadsheet may take the cell for a formula: by its first sign that is not blank or invisible."""
    if re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", cell):
        return False
    visible = cell.lstrip(" \t\r\n\v\f\xa0\u3000\ufeff\u200b\u2060")
    return cell[:1] in ("\t", "\r", "\n") or visible[:1] in tuple("=+-@＝＋－＠")


def test_each_watchlist_has_the_label_that_is_counted_for_it() -> None:
    plain = scored(document(1), watchlists=("lumora", "skyfare"))
    stream = io.StringIO()
    write_jsonl([plain, toward(plain, "positive", None)], stream)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [row["watchlists"] for row in rows] == [["lumora", "skyfare"]] * 2
    assert [row["watchlist_labels"] for row in rows] == [["negative", "negative"], ["positive", "negative"]]
    assert {row["label"] for row in rows} == {"negative"}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula_and_no_sign_is_lost(text: str) -> None:
    [row] = cells(text)
    assert not runs(row["text"])
    assert row["text"].removeprefix("'") == text


@given(st.text() | st.text("=+-@＝ \t\ufeff1e.inf"))
@example("-INFINITY")
@example("-1_000")
@example("+１２")
def test_no_text_at_all_becomes_a_formula(text: str) -> None:
    assert not runs(harmless(text))
    assert harmless(text).removeprefix("'") == text.removeprefix("'")


def test_numbers_stay_numbers() -> None:
    assert [harmless(number) for number in ("-0.5", "+3", "1e-05", "0.25")] == ["-0.5", "+3", "1e-05", "0.25"]


def test_every_column_is_there_and_every_cell_is_quoted() -> None:
    stream = io.StringIO(newline="")
    assert write_csv([scored(document(1, 'two\nlines, "quoted"'))], stream) == 1
    head, body = stream.getvalue().split("\r\n", 1)
    assert head == ",".join(f'"{name}"' for name in COLUMNS)
    assert (body[0], body[-3:]) == ('"', '"\r\n')
    [row] = csv.DictReader(io.StringIO(stream.getvalue(), newline=""))
    assert row["text"] == 'two\nlines, "quoted"'
    assert (row["source"], row["native_id"], row["label"]) == ("microblog", "post-1", "negative")
    assert json.loads(row["opinions"])[0]["aspect"] == "battery"
    assert row["watchlists"] == "lumora"


def test_json_lines_are_one_object_a_document_in_any_language() -> None:
    stream = io.StringIO()
    texts = ["流墨的电池\n太差 \U0001f525", "line\u2028separator"]
    made = [scored(document(number, text)) for number, text in enumerate(texts)]
    assert write_jsonl(made, stream) == 2
    rows = [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    assert [row["text"] for row in rows] == texts
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["published_at"] == NOON.isoformat()
    assert rows[0]["accepted_at"] == (NOON + timedelta(seconds=30)).isoformat()
    assert rows[0]["opinions"][0]["aspect_span"] == [11, 18]
    assert rows[0]["negative"] == 0.9


def test_a_store_without_documents_is_a_table_without_rows() -> None:
    assert cells() == []
    stream = io.StringIO()
    assert write_jsonl([], stream) == 0
    assert stream.getvalue() == ""
