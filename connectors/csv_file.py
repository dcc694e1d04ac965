"""Tables as text: CSV and its relatives, from a file or standard input."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, Literal

import orjson
from pydantic import Field

from opinionwatch.connectors.files import FileSettings, FileSource, Record
from opinionwatch.connectors.layers import UnusableError
from opinionwatch.connectors.reading import LINE_BYTES, Line, Reader
from opinionwatch.pipeline.contracts import Submission, content_id
from opinionwatch.pipeline.registry import nearest


class _End(Enum):
    END = 0


RECORD_BYTES = 256 * 1024
"""A record of several lines may be so long; beyond, an opening quote is taken for a slip."""
_TRIES = 8
_DELIMITERS = ",;\t|"
_OPEN: list[str] = []
_END: Final = _End.END


class _Quotes:
    """Counts quotes, so that a record of many lines is not parsed again at each of them."""

    def __init__(self, quote: str) -> None:
        self._quote = quote.encode()
        self._count = self._bytes = self._tries = 0

    def may_close(self, line: Line) -> bool:
        """Whether the record may end with this line: its quotes are even, and this line holds one of them."""
        own = line.data.count(self._quote)
        self._count += own
        self._bytes += len(line.data) + 1  # an empty line is held like any other
        closes = self._tries == 0 or line.cut or (own > 0 and self._count % 2 == 0)
        self._tries += closes
        return closes

    def may_go_on(self) -> bool:
        """Whether the record is not yet absurdly long."""
        return self._bytes <= RECORD_BYTES and self._tries <= _TRIES


class Csv(FileSource):
    """Read documents from a file of comma-, semicolon- or tab-separated values, plain or gzip, or from standard input.

    The first line names the columns, or `columns` does. Columns named like a field of the input format are taken, or
    those that `fields` maps; others are left out. Quoted fields may hold line ends and doubled quotes (RFC 4180).
    Rows that are broken, or have too few or too many columns, go on as the bytes they are and become dead letters; an
    opening quote without its end costs one line and not the rest of the file. Cursor, rotation and replay are those
    of `jsonl`; the cursor also holds the names of the columns.

    History: none to bring. The file is read from its first record anyway.

    Delivery: at least once from a file, and exactly the rest from every cursor. Standard input cannot be read again.
    """

    kind = "csv"

    class Settings(FileSettings):
        """Settings of a `csv` source."""

        native_id: Literal["given", "content"] = Field(
            default="given", description="content: a row's own values are its id, so equal rows are one document."
        )
        delimiter: str | None = Field(
            default=None,
            min_length=1,
            max_length=1,
            description="What separates; found in the first line if not given.",
        )
        quote: str = Field(default='"', min_length=1, max_length=1, description="What encloses a field.")
        columns: tuple[str, ...] = Field(
            default=(), description="Names of the columns of a file that does not say them."
        )

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings)
        self._settings = settings
        self._places: dict[str, int] = {}
        csv.field_size_limit(max(csv.field_size_limit(), LINE_BYTES))

    def _renames(self) -> dict[str, str]:
        return {}  # done here, where a dot in a column's name is only a dot

    def _records(self, lines: Iterator[Line | None]) -> Iterator[Record | None]:
        file: Reader | None = None
        for found in self._rows(lines):
            if found is None:
                yield None
                continue
            parts, row = found
            if parts[0].file is not file:
                file = parts[0].file
                headed = file.fresh and not self._settings.columns
                if headed or not self._layout:
                    self._layout = (self._delimiter(parts[0]), *(self._settings.columns or row or ()))
                self._places = self._columns(file.path)
                if headed:
                    continue
            if row and len(row) == len(self._layout) - 1:
                yield Record(self._body(row), parts[-1])
            else:
                yield from (Record(part.data, part) for part in parts)

    def _rows(self, lines: Iterator[Line | None]) -> Iterator[tuple[list[Line], list[str] | None] | None]:
        """Lines with the row they make, None if they make none. None alone: nothing more at the moment."""
        again: deque[Line] = deque()
        taken: list[Line] = []
        quotes = _Quotes(self._settings.quote)
        while True:
            line = again.popleft() if again else next(lines, _END)
            if line is None:
                yield None
                continue
            if line is not _END:
                if not taken and not line.data.strip() and not line.cut:
                    continue
                taken.append(line)
                row = self._row(taken) if quotes.may_close(line) else _OPEN
                if row is _OPEN and quotes.may_go_on():
                    continue
                if row is not _OPEN and (row is not None or len(taken) == 1):
                    yield taken, row
                    taken = []
                    quotes = _Quotes(self._settings.quote)
                    continue
            elif not taken:
                return
            # One slip of a quote costs its own line; what was swallowed after it is read anew.
            yield taken[:1], None
            again.extendleft(reversed(taken[1:]))
            taken = []
            quotes = _Quotes(self._settings.quote)

    def _row(self, taken: Sequence[Line]) -> list[str] | None:
        """The row these lines make, None if they never will, `_OPEN` if a quote is still open."""
        last = taken[-1]
        if last.cut or (last.file.dev, last.file.ino) != (taken[0].file.dev, taken[0].file.ino):
            return None
        try:
            text = [line.data.decode() + "\n" for line in taken]
            row = next(csv.reader(text, delimiter=self._delimiter(last), quotechar=self._settings.quote, strict=True))
        except UnicodeDecodeError:
            return None
        except csv.Error as error:
            return _OPEN if "unexpected end" in str(error) else None
        return row if len(taken) == 1 or len(row) == len(self._layout) - 1 else None

    def _delimiter(self, line: Line) -> str:
        """The setting, else what was found at the start, else what this line holds most of outside of quotes."""
        if self._settings.delimiter or self._layout:
            return self._settings.delimiter or self._layout[0]
        parts = line.data.split(self._settings.quote.encode())[::2]
        counts = {mark: sum(part.count(mark.encode()) for part in parts) for mark in _DELIMITERS}
        fitting = [mark for mark, count in counts.items() if count == len(self._settings.columns) - 1]
        return fitting[0] if fitting else max(counts, key=lambda mark: counts[mark])

    def _columns(self, path: str) -> dict[str, int]:
        """Where the fields of the input format stand. Raises UnusableError when the file has no such columns."""
        columns = [column.strip() for column in self._layout[1:]]
        given = self._settings.fields or {field: field for field in Submission.model_fields if field in columns}
        for field, column in given.items():
            if column not in columns:
                raise UnusableError(f"{path}: no column '{column}' for {field}; {nearest(column, columns)}")
        by_content = self._settings.native_id == "content"
        for field in ("text",) if by_content else ("text", "native_id"):
            if field not in given:
                cure = ", or set native_id: content" if field == "native_id" else ""
                known = ", ".join(columns)[:300] or "unreadable (set encoding, e.g. gb18030)"
                raise UnusableError(
                    f"{path}: no column for {field}; write fields: {{{field}: COLUMN}}{cure}; columns: {known}"
                )
        return {field: columns.index(column) for field, column in given.items()}

    def _body(self, row: list[str]) -> bytes:
        values = {field: row[place] for field, place in self._places.items() if row[place] or field == "text"}
        if self._settings.native_id == "content":
            values["native_id"] = content_id(*row)
        return orjson.dumps(values)
