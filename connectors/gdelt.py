"""GDELT: news of the world, a file of them every fifteen minutes."""

import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import httpx2
from pydantic import Field

from opinionwatch.connectors.backfill import passed
from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.http import Client, RefusedError
from opinionwatch.connectors.polling import Polling, PollingSettings
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.ports import Item, Missed, Page

PAGE_ITEMS = 500
FILE_BYTES = 64_000_000
UNPACKED_BYTES = 400_000_000
LINE_CHARS = 2_000_000
STEP = timedelta(minutes=15)
BEGAN = datetime(2015, 2, 18, 22, 30, tzinfo=UTC)
"""The first file there is."""
LATE = timedelta(hours=1)
"""A file that is missing for so long, while later ones are there, will not come."""
_STAMP = "%Y%m%d%H%M%S"
_LATEST = re.compile(r"/(\d{14})(?:\.translation)?\.gkg\.csv\.zip\s*$", re.MULTILINE)
_EXTRA = r"<PAGE_{0}>(.*?)</PAGE_{0}>"
_TITLE, _PUBLISHED, _AUTHORS = (
    re.compile(_EXTRA.format(name), re.DOTALL) for name in ("TITLE", "PRECISEPUBTIMESTAMP", "AUTHORS")
)
_LANG = re.compile(r"srclc:([a-z]{3})")
_ID, _DATE, _PLACE, _ADDRESS, _TRANSLATION, _EXTRAS, _COLUMNS = 0, 1, 3, 4, 25, 26, 27


class Gdelt(Polling):
    """Read headlines of the world's news from GDELT's Global Knowledge Graph.

    Follows `lastupdate.txt` (or `lastupdate-translation.txt`) and reads each 15-minute file `….gkg.csv.zip` in turn;
    27 columns, of which the page's title, address, time, author and language are taken (GKG Codebook 2.1,
    http://data.gdeltproject.org/documentation/GDELT-Global_Knowledge_Graph_Codebook-V2.1.pdf, and "New GKG 2.0 Article
    Metadata Fields"; read in secondary copies 2026-11-26). GDELT gives no article texts: a document is a headline. A
    file that never appears, or stays damaged, is recorded as a gap. Open, no key. Terms: free for any use, with a
    citation of and link to https://www.gdeltproject.org/.

    Delivery: at least once. The cursor is the file and the row in it, so a kill in the middle of a file repeats nothing
    and skips nothing. Rows without a title are left out.
    """

    kind = "gdelt"

    class Settings(PollingSettings):
        """Settings of a `gdelt` source."""

        translated: bool = Field(default=False, description="News in other languages than English, instead.")
        words: tuple[str, ...] = Field(default=(), max_length=500, description="Only titles with one of these words.")
        history_h: float = Field(default=0.25, ge=0, le=24 * 366, description="Hours that the first poll looks back.")
        url: str = Field(default="http://data.gdeltproject.org/gdeltv2", description="Address of the files.")

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, "gdelt", settings)
        self._client = Client(Guard(settings.allow_hosts), settings.contact, settings.timeout_s, body_bytes=FILE_BYTES)
        self._given = settings
        self._words = [word.casefold() for word in settings.words]
        self._infix = ".translation" if settings.translated else ""
        self._damaged: datetime | None = None
        """The file that could not be read last."""

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: what is left of the file at hand, then every later one up to the latest."""
        latest = self._latest()
        place = _Place.read(cursor) or _Place(stamp=latest - STEP * int(self._given.history_h * 4))
        stamp, done = (place.stamp + STEP, 0) if place.whole else (place.stamp, place.rows)
        while stamp <= latest and not self._closing.is_set():
            yield from self._file(stamp, done, latest)
            stamp, done = stamp + STEP, 0

    def check(self) -> str:
        """Whether the list of files is there, and how old the latest is."""
        latest = self._latest()
        return f"the latest file is of {latest:%Y-%m-%d %H:%M} UTC"

    def _latest(self) -> datetime:
        listed = self._client.get(f"{self._given.url}/lastupdate{self._infix.replace('.', '-')}.txt").body
        found = _LATEST.search(listed[:10_000].decode("ascii", "replace"))
        if found is None:
            raise RetryableError("GDELT: lastupdate names no file of the knowledge graph")
        latest = _moment(found[1])
        if latest > datetime.now(UTC) + LATE:
            raise RetryableError("GDELT: the latest file is one of the future")
        return latest

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """Every file from `since` on, oldest first; the cursor is that of a poll."""
        first = max(
            BEGAN, datetime.fromtimestamp(since.timestamp() // STEP.total_seconds() * STEP.total_seconds(), UTC)
        )
        now_s = datetime.now(UTC).timestamp()
        for page in self.fetch(cursor or _Place(stamp=first).model_dump_json()):
            place = _Place.read(page.cursor)
            at = place.stamp if place else first
            yield replace(page, share=passed(first.timestamp(), now_s, at.timestamp()))

    def _file(self, stamp: datetime, done: int, latest: datetime) -> Iterator[Page]:
        """What is left of a file; a gap where it cannot be had although it is due."""
        place = _Place(stamp=stamp, rows=done)
        lost: list[Missed] = []
        try:
            for upto, entries in self._parts(stamp, done):
                if self._closing.is_set():
                    return
                place = _Place(stamp=stamp, rows=upto)
                if entries:
                    yield Page([Item(entry.body()) for entry in entries], place.model_dump_json())
        except RetryableError as error:
            why = self._lost_for_ever(stamp, error) if latest - stamp >= LATE else None
            if why is None:
                raise
            lost = [Missed(stamp, stamp + STEP, why)]
        if not self._closing.is_set():
            yield Page([], place.model_copy(update={"whole": True}).model_dump_json(), lost)

    def _parts(self, stamp: datetime, done: int) -> Iterator[tuple[int, list[Entry]]]:
        """The rows of a file that are not done, some at a time, each time with how many are done then."""
        rows = _rows(self._client.get(f"{self._given.url}/{stamp:{_STAMP}}{self._infix}.gkg.csv.zip").body)
        for _ in islice(rows, done):
            pass
        while part := list(islice(rows, PAGE_ITEMS)):
            done += len(part)
            yield done, [entry for row in part if (entry := self._entry(row))]

    def _lost_for_ever(self, stamp: datetime, error: RetryableError) -> str | None:
        """Why a file that is due will never be had, in words; None when it may be had yet."""
        if isinstance(error, RefusedError):
            return "GDELT has later files, but never wrote this one" if error.status == 404 else None
        if not isinstance(error, _DamagedError) and not isinstance(error.__cause__, httpx2.DecodingError):
            return None
        # Asked twice, because it may be the answer that was damaged.
        again, self._damaged = self._damaged == stamp, stamp
        return f"the file, or the rest of it, cannot be read: {error}" if again else None

    def _entry(self, row: list[str]) -> Entry | None:
        if len(row) < _COLUMNS:
            return None
        title = _TITLE.search(row[_EXTRAS])
        if title is None or not row[_ID]:
            return None
        text = html.unescape(title[1])
        if self._words and not any(word in text.casefold() for word in self._words):
            return None
        published, authors, lang = (
            pattern.search(row[column])
            for pattern, column in ((_PUBLISHED, _EXTRAS), (_AUTHORS, _EXTRAS), (_LANG, _TRANSLATION))
        )
        return Entry(
            row[_ID],
            text,
            author=html.unescape(authors[1])[:1024] if authors else None,
            url=row[_ADDRESS][:4096] or None,
            published_at=_iso(published[1] if published else "") or _iso(row[_DATE]),
            lang=(lang[1] if lang else None) if self._infix else "en",
            source=row[_PLACE][:64] or None,
        )


class _Place(Cursor):
    """Which file, and how many of its rows are done."""

    whose = "GDELT"
    stamp: datetime
    rows: int = Field(default=0, ge=0)
    whole: bool = False


class _DamagedError(RetryableError):
    """A file that is there and cannot be read."""


def _rows(packed: bytes) -> Iterator[list[str]]:
    """The rows of a zipped table, unpacked as they are read. Raises _DamagedError when it is damaged or a bomb."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = archive.infolist()
            if len(members) != 1 or members[0].file_size > UNPACKED_BYTES:
                raise _DamagedError("GDELT: the archive is not one table, or too large")
            with archive.open(members[0]) as raw:
                lines = io.TextIOWrapper(raw, "utf-8", "replace", newline="\n")
                while line := lines.readline(LINE_CHARS):
                    if len(line) >= LINE_CHARS:
                        raise _DamagedError("GDELT: a row is too long")
                    yield line.rstrip("\n").split("\t")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise _DamagedError(f"GDELT: the archive cannot be read: {error}") from error


def _moment(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise RetryableError(f"GDELT: '{stamp}' is no time of a file") from error


def _iso(stamp: str) -> str | None:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).isoformat()
    except ValueError:
        return None
