"""Corrections as a table, the way spreadsheets keep it: `label queue --csv` writes one, `label add --csv` reads it."""

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from typing import NamedTuple, get_args

from opinionwatch.pipeline.contracts import Label, ScoredDocument, Sentiment

COLUMNS = ("document_id", "text", "watchlist", "model_says", "negative", "neutral", "positive", "label", "comment")
READ = ("document_id", "text", "watchlist", "comment")
LABELS: tuple[Label, ...] = get_args(Label)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MAX_BYTES = 50_000_000


class Row(NamedTuple):
    """A line with a label in it."""

    line: int
    document_id: str
    text: str
    label: Label
    comment: str
    watchlist: str = ""
    """What the label is towards; empty: it is that of the text as a whole."""


class Slip(NamedTuple):
    """A line that cannot be taken, and why."""

    line: int
    reason: str


def to_csv(documents: Sequence[ScoredDocument]) -> str:
    """The table of documents to label, its column `label` empty; nothing in it is a formula. A document has a line for
    its text as a whole, and one for every watchlist towards which the model tells its sentiment.
    """
    made = io.StringIO(newline="")
    rows = csv.writer(made)
    rows.writerow(COLUMNS)
    for each in documents:
        text = _inert(each.document.text)
        for watchlist, mood in _moods(each):
            chances = mood.negative, mood.neutral, mood.positive
            rows.writerow([each.id, text, _inert(watchlist), mood.label, *chances, "", ""])
    return made.getvalue()


def read_csv(body: bytes) -> Iterator[Row | Slip]:
    """The labelled lines; those without a label are passed over. Only `label` and one of `document_id` and `text` are
    needed; a `watchlist` makes the label one towards it.
    """
    text = body.decode("utf-8-sig", "replace")
    # A text may hold the sign itself; only in a table that is not UTF-8 does it stand for what could not be read.
    lost = "\ufffd" if text.encode() != body.removeprefix(BOM_UTF8) else None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    except csv.Error as error:
        yield Slip(1, str(error))
        return
    if "label" not in names or not {"document_id", "text"} & set(names):
        yield Slip(1, "the header must name `label`, and `document_id` or `text`")
        return
    while True:
        try:
            given = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Slip(rows.line_num, str(error))
            return
        cells = {ours: (given[theirs] or "").strip() for ours, theirs in names.items()}
        said = cells["label"].lower()
        label = next((label for label in LABELS if label == said), None)
        if label is None:
            if said:
                yield Slip(rows.line_num, f"label '{said[:30]}'; write one of {', '.join(LABELS)}")
            continue
        if lost is not None and any(lost in cells.get(name, "") for name in READ):
            yield Slip(rows.line_num, "it is not UTF-8: export the table as UTF-8")
            continue
        document, text, watchlist, comment = (cells.get(name, "") for name in READ)
        # No id of a watchlist has an apostrophe in it: that is the one of `_inert`.
        row = Row(rows.line_num, document, text, label, comment, watchlist.removeprefix("'"))
        yield row if row.document_id or row.text else Slip(rows.line_num, "neither a document nor a text")


def _moods(scored: ScoredDocument) -> Iterator[tuple[str, Sentiment]]:
    """What the model says: of the text, and of the watchlists in it where it can tell."""
    yield "", scored.reading.sentiment
    for match in scored.matches:
        if match.sentiment is not None:
            yield match.watchlist, match.sentiment


def _inert(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
