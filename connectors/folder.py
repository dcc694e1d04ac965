"""Watched folders: files of JSON lines, tables and Parquet, as others drop them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from time import time
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.connectors.csv_file import Csv
from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.files import FileSource
from opinionwatch.connectors.jsonl import Jsonl
from opinionwatch.connectors.layers import UnreadableError, UnusableError
from opinionwatch.connectors.named import Named
from opinionwatch.connectors.parquet import Parquet
from opinionwatch.connectors.renames import Renames
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.ports import Missed, Page

FILES = 10_000
"""More matching files in one folder are refused: move away what is done."""
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
_BUSY = ""
log = structlog.get_logger(__name__)


class Folder(Named):
    """Read every file that appears in a folder: JSON lines, CSV (both also as .gz) and Parquet.

    The name says the format. A file is read when it has rested for `settle_s`, from its first record on; when it grows
    later, only the rest; when it is written anew, all of it. Writers should write elsewhere and rename. The cursor
    holds, for the files that are there, how far each was read. Files that match no pattern or have another name are
    left alone, hidden ones too, and with a warning those whose name is not UTF-8; links are not followed out of the
    folder. Parquet needs the extra `opinionwatch[parquet]`.

    History: none to bring. Every file is read from its first record anyway.

    Delivery: at least once, and exactly the rest from every cursor while the files stay as they are. A file that is
    removed before it was read is lost; of one that is damaged the rest is recorded as a gap, and the others are read.
    So is one that cannot be opened or has not the columns, but it is tried again at every look. One that is renamed is
    read again, and the documents' ids tell.
    """

    kind = "folder"

    class Settings(BaseModel):
        """Settings of a `folder` source."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        path: Path = Field(description="The folder.")
        pattern: str = Field(default="*", min_length=1, max_length=200, description="Which names: posts-*.csv.")
        instance: str | None = Field(default=None, description="Identity in document ids; the path if not given.")
        fields: Renames = {}
        native_id: Literal["given", "content"] = Field(
            default="given", description="content: a record's own values are its id, so equal ones are one document."
        )
        encoding: str | None = Field(
            default=None, description="Text encoding, e.g. gb18030; UTF-8, or what a BOM says."
        )
        interval_s: float = Field(default=10.0, ge=1, le=86_400, description="Seconds between looks at the folder.")
        settle_s: float = Field(
            default=2.0, ge=0, le=3600, description="Seconds that a file must rest before it is read."
        )

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings.instance or str(settings.path.absolute()), settings.interval_s)
        self._given = settings
        self._open: FileSource | Parquet | None = None
        self._unreadable: set[str] = set()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One look: what is new in each file, in the order of their names."""
        before = _Places.read(cursor) or _Places()
        here = self._names()
        # Of what is no longer there, nothing is remembered.
        places = {name: place for name, place in before.files.items() if name in here}
        for name, stamp in here.items():
            known = places.get(name)
            if stamp == _BUSY or (known is not None and known.stamp == stamp):
                continue
            missed: list[Missed] = []
            told = ""
            try:
                for page in self._pages(name, known):
                    if self._closing.is_set():
                        return
                    places[name] = _At(at=page.cursor)
                    yield Page(page.items, _Places(files=places).model_dump_json())
            except UnusableError as error:
                if not (self._given.path / name).exists():  # moved away since it was listed
                    places.pop(name, None)
                    continue
                told = stamp
                if known is not None and known.told == told:
                    continue
                missed = [Missed(None, None, f"{name}: this file cannot be read as things are: {error}")]
            except UnreadableError as error:
                missed = [Missed(None, None, f"{name}: the rest of this file cannot be read: {error}")]
            if self._closing.is_set():
                return
            place = places.get(name, _At(at=""))
            places[name] = _At(at=place.at, stamp=place.stamp if told else stamp, told=told)
            yield Page([], _Places(files=places).model_dump_json(), missed)

    def check(self) -> str:
        """Whether the folder can be read, and how many files of it would be."""
        return f"{len(self._names())} files match in {self._given.path}"

    def close(self) -> None:
        """Stop soon."""
        super().close()
        if self._open is not None:
            self._open.close()

    def _pages(self, name: str, known: "_At | None") -> Iterator[Page]:
        path, given = self._given.path / name, self._given
        told = {"path": str(path), "fields": given.fields, "native_id": given.native_id}
        stem = path.with_suffix("") if path.suffix == ".gz" else path
        form = _SUFFIXES[stem.suffix.lower()]
        if form == "parquet":
            self._open = Parquet(path, given.fields, given.native_id == "content")
        elif form == "csv":
            self._open = Csv(name, Csv.Settings.model_validate({**told, "encoding": given.encoding}))
        else:
            self._open = Jsonl(name, Jsonl.Settings.model_validate({**told, "encoding": given.encoding}))
        # A Parquet file never grows: what looks different is another file.
        again = form == "parquet" and known is not None and bool(known.stamp)
        yield from self._open.fetch(known.at if known and known.at and not again else None)

    def _names(self) -> dict[str, str]:
        """The files to read, with a stamp that changes when they do; `_BUSY` while they do not rest."""
        found: dict[str, str] = {}
        try:
            with os.scandir(self._given.path) as entries:
                for entry in entries:
                    if not entry.is_file(follow_symlinks=False) or not self._wanted(entry.name):
                        continue
                    if not _is_text(entry.name):
                        if entry.name not in self._unreadable:
                            log.warning("folder.name_unreadable", source=self.name, name=ascii(entry.name))
                        self._unreadable.add(entry.name)
                        continue
                    with suppress(FileNotFoundError):  # moved away in this moment
                        status = entry.stat(follow_symlinks=False)
                        rests = time() - status.st_mtime >= self._given.settle_s
                        stamp = f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
                        found[entry.name] = stamp if rests else _BUSY
                    if len(found) > FILES:
                        raise FatalError(f"{self._given.path}: more than {FILES:,} files; move away what is done")
        except FileNotFoundError as error:
            raise RetryableError(f"{self._given.path}: {error.strerror}; make the folder") from error
        except OSError as error:
            raise RetryableError(f"{self._given.path}: {error.strerror}") from error
        return dict(sorted(found.items()))

    def _wanted(self, name: str) -> bool:
        stem = name.lower().removesuffix(".gz")
        suffix = Path(stem).suffix
        packed_table = name.lower().endswith(".gz") and suffix == ".parquet"
        return (
            not name.startswith(".") and fnmatch(name, self._given.pattern) and suffix in _SUFFIXES and not packed_table
        )


def _is_text(name: str) -> bool:
    """Whether a file's name is UTF-8, so that it can be kept in a cursor."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _At(BaseModel):
    """How far one file was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    """The cursor of the file's own reader; empty: it gave nothing."""
    stamp: str = ""
    """What the file looked like when it was read to its end; empty: it was not yet."""
    told: str = ""
    """What it looked like when it was told that it cannot be read as things are; each look tries it again."""


class _Places(Cursor):
    """The cursor."""

    whose = "a folder"
    files: dict[str, _At] = Field(default={})
