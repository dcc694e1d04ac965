"""Watchlists from a table, as spreadsheets export it: one row a watchlist, or one a name."""

import csv
import io
import re
from collections.abc import Mapping

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.watchlists import Watchlist, watchlists

COLUMNS = ("id", "name", "names", "context", "must", "any", "exclude", "lang")
"""`context` belongs to the names of its row. All but `id` and `name` hold one or several terms."""
MAX_BYTES = 20_000_000
_LISTS = COLUMNS[2:]
_DELIMITERS = "\t,;"
_NOT_AN_ID = re.compile(r"[^\w.-]+")


def read_table(body: bytes, encoding: str | None = None) -> tuple[Watchlist, ...]:
    """The watchlists of a CSV table with a header line; terms in a cell are parted by `|` or `；`, and by `;` where
    that does not part the columns. Rows of one id are one watchlist; without an id the name makes one.

    Raises SettingsError that names the row, the mistake and the cure.
    """
    text = _decoded(body, encoding)
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    parted = re.compile(r"[|；]" if delimiter == ";" else r"[|；;]")
    try:
        header = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
        _check(header)
        found: dict[str, dict[str, object]] = {}
        for row in rows:
            _add(found, {ours: row[theirs] or "" for ours, theirs in header.items() if ours}, parted, rows.line_num)
    except csv.Error as error:
        raise SettingsError(f"line {rows.line_num}: {error}; export the table as CSV again") from error
    if not found:
        raise SettingsError("the table holds no watchlist: one row each, under the header line")
    return watchlists(tuple(found.values()))


def _decoded(body: bytes, encoding: str | None) -> str:
    if len(body) > MAX_BYTES:
        raise SettingsError(f"{len(body):,} bytes are no list of watchlists; the limit is {MAX_BYTES:,}")
    utf16 = body.startswith((b"\xff\xfe", b"\xfe\xff"))
    for name in (encoding,) if encoding else ("utf-16" if utf16 else "utf-8-sig", "gb18030"):
        try:
            return body.decode(name)
        except (UnicodeError, LookupError):
            continue
    raise SettingsError("the table is in another encoding: name it with --encoding, for example gb18030 or cp1252")


def _check(header: Mapping[str, str]) -> None:
    unknown = [name for name in header if name and name not in COLUMNS]
    if unknown:
        raise SettingsError(f"line 1: no such column '{unknown[0]}'; {nearest(unknown[0], COLUMNS)}")
    if not {"id", "name"} & set(header):
        raise SettingsError(f"line 1: a column `id` or `name` is needed; there may be {', '.join(COLUMNS)}")


def _add(found: dict[str, dict[str, object]], row: Mapping[str, str], parted: re.Pattern[str], line: int) -> None:
    name = row.get("name", "").strip()
    key = row.get("id", "").strip() or _NOT_AN_ID.sub("-", name.lower()).strip("-")
    cells = {what: [term.strip() for term in parted.split(row.get(what, "")) if term.strip()] for what in _LISTS}
    if not key:
        if any(cells.values()):
            raise SettingsError(f"line {line}: neither `id` nor `name`: whose terms are these?")
        return
    entry = found.setdefault(key, {"id": key})
    if name and entry.setdefault("name", name) != name:
        raise SettingsError(f"line {line}: '{key}' was called '{entry['name']}' before and '{name}' here")
    context = cells.pop("context")
    named: list[object] = list(cells.pop("names"))
    if context:
        named = [{"term": term, "context": context} for term in named or [name or key]]
    for what, terms in (("names", named), *cells.items()):
        kept = entry.get(what, [])
        if terms and isinstance(kept, list):
            entry[what] = [*kept, *(term for term in terms if term not in kept)]
