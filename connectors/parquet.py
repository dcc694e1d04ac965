"""Parquet files, row by row; pyarrow is loaded only when one is read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import Any

import orjson

from opinionwatch.connectors.layers import UnreadableError, UnusableError
from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ports import Item, Page

BATCH = 500
_NO_VALUE = (ValueError, ArithmeticError, LookupError, NotImplementedError)
"""What pyarrow raises for values, its own errors among them."""


class Parquet:
    """One Parquet file as pages of rows; the cursor is the number of rows that are done.

    Raises FatalError when pyarrow is not installed, or the file is damaged.
    """

    def __init__(self, path: Path, fields: Mapping[str, str], by_content: bool) -> None:
        self._path = path
        self._fields = tuple(fields.items())
        self._by_content = by_content
        self._closing = Event()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """What comes after so many rows."""
        arrow, tables = _pyarrow()
        done = int(cursor or 0)
        skip = done
        try:
            with tables.ParquetFile(self._path) as file:
                for batch in file.iter_batches(batch_size=BATCH):
                    if self._closing.is_set():
                        return
                    rows = _rows(batch)[skip:] if skip < len(batch) else []
                    skip = max(0, skip - len(batch))
                    if rows:
                        done += len(rows)
                        yield Page([self._item(row) for row in rows], str(done))
        except (FileNotFoundError, PermissionError) as error:
            raise UnusableError(f"cannot open {self._path}: {str(error)[:200]}") from error
        except (arrow.ArrowException, OSError) as error:
            raise UnreadableError(f"{self._path}: damaged after row {done:,}: {str(error)[:200]}") from error

    def close(self) -> None:
        """Stop soon."""
        self._closing.set()

    def _item(self, row: dict[str, object]) -> Item:
        body = _dumped(row)
        if self._by_content:
            body = _dumped({**row, "native_id": content_id(body.decode("utf-8", "surrogatepass"))})
            fields = {**dict(self._fields), "native_id": "native_id"} if self._fields else {}
            return Item(body, fields=tuple(fields.items()))
        return Item(body, fields=self._fields)


def _rows(batch: Any) -> list[dict[str, object]]:  # noqa: ANN401  # pyarrow ships no types
    """Rows of a batch. What Python has no value for (nanoseconds, the year 300,000, broken UTF-8) becomes text."""
    try:
        found: list[dict[str, object]] = batch.to_pylist()
    except _NO_VALUE:
        columns = [[_cell(scalar) for scalar in column] for column in batch.columns]
        found = [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]
    return found


def _cell(scalar: Any) -> object:  # noqa: ANN401  # pyarrow ships no types
    for kind in (None, "string", "binary"):
        try:
            found = (scalar if kind is None else scalar.cast(kind)).as_py()
        except _NO_VALUE:
            continue
        return found.decode("utf-8", "replace") if kind == "binary" else found
    return None


def _dumped(row: Mapping[str, object]) -> bytes:
    """JSON; values that JSON has no word for are written as text."""
    return orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise FatalError("Parquet files need pyarrow: pip install 'opinionwatch[parquet]'") from error
    return pyarrow, pyarrow.parquet
