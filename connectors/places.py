"""Where reading a file stands, and how to find the place again after rotation, truncation or a restart."""

import re
from contextlib import suppress
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from opinionwatch.connectors.reading import Reader
from opinionwatch.pipeline.errors import FatalError, RetryableError

_ROTATED = re.compile(r"[.-]\d[\d._T:-]*(\.gz)?")


class Place(BaseModel):
    """The cursor of a file: which file, how far, and in a replay the simulated time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dev: int = 0
    ino: int = 0
    head_bytes: int = Field(default=0, ge=0)
    head: str = ""
    tail_bytes: int = Field(default=0, ge=0)
    tail: str = ""
    """Of the last bytes before `offset`. Files written anew often begin alike. Cursors of before have none."""
    offset: int = Field(default=0, ge=0)
    cut: bool = False
    clock: AwareDatetime | None = None
    layout: tuple[str, ...] = ()
    """What a format has to remember from the start of the file."""

    @classmethod
    def read(cls, cursor: str | None) -> "Place | None":
        """The place a cursor names. Raises FatalError when it is no cursor of a file."""
        if cursor is None:
            return None
        try:
            return cls.model_validate_json(cursor)
        except ValidationError as error:
            raise FatalError(
                "the stored cursor is not one of a file; give the source a new name to start anew"
            ) from error

    @classmethod
    def of(cls, reader: Reader, end: int, cut: bool) -> "Place":
        """The place at an offset of an open file."""
        (head_bytes, head), (tail_bytes, tail) = reader.head(end), reader.tail(end)
        return cls(
            dev=reader.dev,
            ino=reader.ino,
            head_bytes=head_bytes,
            head=head,
            tail_bytes=tail_bytes,
            tail=tail,
            offset=end,
            cut=cut,
        )

    def found_in(self, path: str, encoding: str | None, exactly: bool) -> Reader | None:
        """A reader standing at this place, if it is in that file. `exactly`: the inode has to be the same, too."""
        try:
            reader = Reader(path, encoding)
            same_file = (reader.dev, reader.ino) == (self.dev, self.ino)
            if (same_file if exactly else self.head_bytes) and reader.starts_with(self.head_bytes, self.head):
                reader.move(self.offset, self.cut)
                if self._ends_alike(reader) and not (reader.plain and reader.replaced()):
                    return reader
        except (FatalError, RetryableError):
            return None  # it says so itself when it is read
        reader.close()
        return None

    def _ends_alike(self, reader: Reader) -> bool:
        there = reader.tail(self.offset, self.tail_bytes) if self.tail_bytes else (0, self.tail)
        return reader.offset == self.offset and there == (self.tail_bytes, self.tail)


def resume(place: Place, path: str, encoding: str | None) -> list[Reader | str]:
    """What is left to read after `place`, in order: a reader that stands there, then what was written after it.

    All of it is opened at once, and only believed when nothing was rotated meanwhile: a name that is opened later may
    stand for a later file by then, and the one between would be lost. What cannot be opened is left as its path.
    Without a trace of the old file the present one is read from its start: repeating is safe, losing is not.
    """
    while True:
        before = _standing(path)
        parts = _after(place, [name for name, _ in before], path, encoding)
        if _standing(path) == before:
            return parts
        for part in parts:
            if isinstance(part, Reader):
                part.close()


def _standing(path: str) -> list[tuple[str, int]]:
    """This file and what rotation made of it (`posts.jsonl.2.gz`, `posts.jsonl-20250301`, …) with their inodes, oldest
    first and the present one last.
    """
    here = Path(path)
    older, present = [], []
    try:
        for sibling in here.parent.iterdir():
            named_so = sibling.name.startswith(here.name) and _ROTATED.fullmatch(sibling.name.removeprefix(here.name))
            if not named_so and sibling.name != here.name:
                continue
            with suppress(FileNotFoundError):  # renamed meanwhile: the next look sees it
                status = sibling.stat()
                if named_so:
                    older.append((status.st_mtime_ns, sibling.name, str(sibling), status.st_ino))
                else:
                    present = [(path, status.st_ino)]
    except OSError as error:
        raise RetryableError(f"{here.parent}: {error.strerror}") from error
    return [(name, ino) for _, _, name, ino in sorted(older)] + present


def _after(place: Place, names: list[str], path: str, encoding: str | None) -> list[Reader | str]:
    older = [name for name in names if name != path]
    for exactly in (True, False):
        for candidate in (path, *reversed(older)):
            if reader := place.found_in(candidate, encoding, exactly):
                if candidate == path:
                    return [reader]
                newer = older[older.index(candidate) + 1 :]
                return [reader, *(_opened(name, encoding) for name in (*newer, path))]
    return [path]


def _opened(path: str, encoding: str | None) -> Reader | str:
    try:
        return Reader(path, encoding)
    except (FatalError, RetryableError):
        return path  # it says so itself when it is read
