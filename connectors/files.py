"""What all file sources share: following, rotation, replay, pages and cursors. A format only says what a record is."""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import ClassVar, NamedTuple, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from opinionwatch.connectors.charset import known_encoding
from opinionwatch.connectors.layers import UnusableError
from opinionwatch.connectors.places import Place, resume
from opinionwatch.connectors.reading import Line, Reader
from opinionwatch.connectors.renames import Renames
from opinionwatch.connectors.replay import Replay, ReplayClock
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.ports import Item, Missed, Page

PAGE_ITEMS = 500
PAGE_BYTES = 4 * 2**20
EARLY_S = 0.1
"""A replay does not wait for less."""
_log = structlog.get_logger(__name__)


class Record(NamedTuple):
    """One record of a file and the last line it is made of."""

    body: bytes
    last: Line
    arrived: datetime | None = None
    """Simulated arrival in a replay."""


class FileSettings(BaseModel):
    """Settings of every file source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1, description="The file, plain or .gz; '-' is standard input.")
    instance: str | None = Field(
        default=None, description="Identity of the file in document ids; its path if not given."
    )
    fields: Renames = {}
    encoding: str | None = Field(default=None, description="Text encoding, e.g. gb18030; UTF-8, or what a BOM says.")
    follow: bool = Field(default=False, description="Wait for more at the end, through rotation and truncation.")
    poll_s: float = Field(default=1.0, gt=0, le=3600, description="Following: seconds between looks at the file.")
    linger_s: float = Field(default=5.0, ge=0, description="Following: seconds a rotated file must rest.")
    replay: Replay | None = Field(default=None, description="Replay by event time, e.g. {speed: 60}.")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None and known_encoding(encoding) is None:
            raise ValueError(f"'{encoding}' is no text encoding; write e.g. utf-8, gb18030, big5 or cp1252")
        return encoding

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.follow and (self.path == "-" or self.path.endswith(".gz")):
            raise ValueError("follow: only a plain file can be followed; '-' never needs it")
        if self.follow and self.replay:
            raise ValueError("follow and replay exclude each other: one waits for the future, one repeats the past")
        if self.follow and self.encoding and known_encoding(self.encoding) not in {"utf-8", "utf-8-sig", "ascii"}:
            raise ValueError("follow: only UTF-8 files can be followed")
        return self


class FileSource:
    """Base of the file sources: a format adds `kind` and `_records`."""

    kind: ClassVar[str]

    def __init__(self, name: str, settings: FileSettings) -> None:
        self.name = name
        self.interval_s: float | None = None
        self.replays = settings.replay is not None
        """Whether its items bring their own, simulated time of arrival."""
        path = settings.path
        self.instance = settings.instance or (path if path == "-" else str(Path(path).absolute()))
        self._given = settings
        self._layout: tuple[str, ...] = ()
        """What a format has to remember from the start of the file; part of the cursor."""
        self._missed: tuple[Missed, ...] = ()
        self._closing = Event()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Pages of at most 500 records and about 4 MiB; only a single record may be larger."""
        place = None if self._given.path == "-" else Place.read(cursor)
        self._layout = place.layout if place else ()
        held: list[Record] = []
        size = 0
        for record in self._timed(self._records(self._lines(place)), place):
            if record:
                held.append(record)
                size += len(record.body)
            if held and (record is None or len(held) >= PAGE_ITEMS or size >= PAGE_BYTES):
                yield self._page(held)
                held, size = [], 0
            if self._closing.is_set():
                return
        if held:
            yield self._page(held)

    def close(self) -> None:
        """Stop soon."""
        self._closing.set()

    def _records(self, lines: Iterator[Line | None]) -> Iterator[Record | None]:
        """Make records of lines. None means "nothing more at the moment" and goes through."""
        raise NotImplementedError

    def _renames(self) -> dict[str, str]:
        """What is left for the accept stage to rename."""
        return self._given.fields

    def _page(self, held: list[Record]) -> Page:
        # What stands before the first event time arrives with it.
        first = next((record.arrived for record in held if record.arrived), None)
        renames = tuple(self._renames().items())
        last = held[-1].last
        place = Place.of(last.file, last.end, last.cut)
        cursor = place.model_copy(update={"clock": held[-1].arrived, "layout": self._layout}).model_dump_json()
        missed, self._missed = self._missed, ()
        return Page([Item(r.body, r.arrived or first, renames) for r in held], cursor, missed)

    def _timed(self, records: Iterator[Record | None], place: Place | None) -> Iterator[Record | None]:
        if self._given.replay is None:
            yield from records
            return
        clock = ReplayClock(
            self._given.replay, self._renames().get("published_at", "published_at"), place.clock if place else None
        )
        for record in records:
            if record:
                clock.see(record.body)
                if clock.due_in_s() > EARLY_S:
                    yield None
                    if not clock.wait(self._closing):
                        return
            yield record._replace(arrived=clock.now) if record else None

    def _lines(self, place: Place | None) -> Iterator[Line | None]:
        path, encoding = self._given.path, self._given.encoding
        if path == "-":
            yield from self._piped()
            return
        parts: list[Reader | str] = resume(place, path, encoding) if place else [path]
        if place and parts[0] == path:
            _log.warning("file.place_lost", source=self.name, path=path, offset=place.offset)
            if self._given.follow:
                self._missed = (Missed(None, None, f"the file that was read up to byte {place.offset:,} is gone"),)
        while parts:
            with ExitStack() as opened:
                for part in parts:
                    if isinstance(part, Reader):
                        opened.enter_context(closing(part))
                parts = yield from self._through(parts, opened)

    def _through(
        self, parts: list[Reader | str], opened: ExitStack
    ) -> Generator[Line | None, None, list[Reader | str]]:
        """Read these in turn. Returns what comes after them when the file is followed."""
        path, encoding, follow = self._given.path, self._given.encoding, self._given.follow
        place: Place | None = None
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            if place and isinstance(part, str) and last and follow:
                yield None  # between two files: the old one was moved away, the new one is not there yet
                if self._closing.wait(self._given.poll_s):
                    return []
                if Path(path).exists():
                    self._open(path).close()  # raises when it never can be read
                return resume(place, path, encoding)
            reader = part if isinstance(part, Reader) else opened.enter_context(closing(self._open(part)))
            yield from self._growing(reader) if last and follow else self._whole(reader)
            if self._closing.is_set():
                return []
            place = Place.of(reader, *reader.stands)
        return resume(place, path, encoding) if place and follow else []

    def _open(self, path: str) -> Reader:
        try:
            return Reader(path, self._given.encoding)
        except RetryableError as error:
            if self._given.follow:
                raise
            raise UnusableError(str(error)) from error

    def _piped(self) -> Iterator[Line | None]:
        try:
            reader = Reader("-", self._given.encoding, self._closing)
            while not self._closing.is_set():
                ended = reader.ended
                line = reader.line(final=ended)
                if line is None and ended:
                    return
                yield line
        except FatalError:
            if not self._closing.is_set():  # what we cut off ourselves is no damage
                yield None
                raise

    def _whole(self, reader: Reader) -> Iterator[Line | None]:
        while not self._closing.is_set():
            try:
                line = reader.line(final=True)
            except (FatalError, RetryableError):
                yield None  # what stands before the damage is delivered first
                raise
            if line is None:
                return
            yield line

    def _growing(self, reader: Reader) -> Iterator[Line | None]:
        """Lines as they come, until the path names another file and this one rests, or until this one is emptied."""
        moved_at: float | None = None
        while not self._closing.is_set():
            while line := reader.line(final=False):
                yield line
                moved_at = None
            yield None
            if self._closing.wait(self._given.poll_s) or reader.replaced():
                return
            if not reader.moved():
                moved_at = None
            elif moved_at is None:
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at >= self._given.linger_s:
                return
