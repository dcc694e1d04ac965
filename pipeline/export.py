"""Documents for other programs: JSON lines, or CSV that no spreadsheet will run."""

import csv
import re
import unicodedata
from collections.abc import Iterable
from typing import TextIO

import orjson

from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.mention import reading_of

COLUMNS = (
    "id", "source", "native_id", "published_at", "accepted_at", "lang", "watchlists", "label", "unsure",
    "negative", "neutral", "positive", "opinions", "author", "url", "text", "edited_at", "likes", "reposts", "replies",
    "watchlist_labels",
)  # fmt: skip


_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")


def row(scored: ScoredDocument) -> dict[str, object]:
    """One document, flat enough for a table; opinions as in `opinionwatch score`."""
    document, sentiment = scored.document, scored.reading.sentiment
    return {
        "id": document.id,
        "source": document.source,
        "native_id": document.native_id,
        "published_at": document.published_at.isoformat(),
        "accepted_at": document.accepted_at.isoformat(),
        "lang": scored.lang,
        "watchlists": [match.watchlist for match in scored.matches],
        "label": sentiment.label,
        "unsure": sentiment.unsure,
        "negative": sentiment.negative,
        "neutral": sentiment.neutral,
        "positive": sentiment.positive,
        "opinions": [opinion.model_dump(mode="json") for opinion in scored.reading.opinions],
        "author": document.author,
        "url": document.url,
        "text": document.text,
        "edited_at": document.edited_at and document.edited_at.isoformat(),
        **{name: getattr(document.engagement, name, None) for name in ("likes", "reposts", "replies")},
        # Of each of `watchlists`, as it is counted: what is said of it, where the scorer tells that from the text's.
        "watchlist_labels": [reading_of(scored, match.watchlist).sentiment.label for match in scored.matches],
    }


def write_jsonl(documents: Iterable[ScoredDocument], stream: TextIO) -> int:
    """One JSON object a line. Returns how many."""
    count = 0
    for scored in documents:
        stream.write(orjson.dumps(row(scored)).decode() + "\n")
        count += 1
    return count


def write_csv(documents: Iterable[ScoredDocument], stream: TextIO) -> int:
    """RFC 4180 with everything quoted; a cell that a spreadsheet could take for a formula gets a leading apostrophe
    (OWASP, CSV injection). Returns how many.
    """
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    count = 0
    for scored in documents:
        cells = row(scored)
        writer.writerow([harmless(_cell(cells[name])) for name in COLUMNS])
        count += 1
    return count


def _cell(value: object) -> str:
    if isinstance(value, list):
        return orjson.dumps(value).decode() if value and isinstance(value[0], dict) else " ".join(map(str, value))
    return "" if value is None else str(value)


def harmless(cell: str) -> str:
    """Quote what a spreadsheet would run: what begins, behind blanks and invisible signs, like a formula.

    >>> harmless("=1+1"), harmless(" +cmd"), harmless("fine"), harmless("-0.5")
    ("'=1+1", "' +cmd", 'fine', '-0.5')
    """
    first = next((sign for sign in cell if not sign.isspace() and unicodedata.category(sign) not in ("Cf", "Cc")), "-")
    if (cell[:1] in ("\t", "\r", "\n") or first in "=+-@＝＋－＠") and cell and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell
