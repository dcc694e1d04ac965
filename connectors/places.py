"""Where reading a file stands, and how to find the place again after rotation, truncation or a restart."""

import re
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
        size, head = reader.head(end)
        return cls(dev=reader.dev, ino=reader.ino, head_bytes=size, head=head, offset=end, cut=cut)

    def found_in(self, path: str, encoding: str | None, exactly: bool) -> Reader | None:
        """A reader standing at this place, if it is in that file. `exactly`: the inode has to be the same, too."""
        try:
            reader = Reader(path, encoding)
            same_file = (reader.dev, reader.ino) == (self.dev, self.ino)
            if (same_file if exactly else self.head_bytes) and reader.starts_with(self.head_bytes, self.head):
                reader.move(self.offset, self.cut)
                if reader.offset == self.offset and not (reader.plain and reader.replaced()):
                    return reader
        except (FatalError, RetryableError):
            return None  # it says so itself when it is read
        reader.close()
        return None


def rotated(path: str) -> list[str]:
    """Siblings that rotation made of this file, oldest first: `posts.jsonl.2.gz`, `posts.jsonl-20250301`, …"""
    here = Path(path)
    try:
        siblings = [p for p in here.parent.iterdir() if p.name.startswith(here.name)]
        named = [p for p in siblings if _ROTATED.fullmatch(p.name.removeprefix(here.name))]
        return [str(p) for p in sorted(named, key=lambda p: (p.stat().st_mtime_ns, p.name))]
    except OSError as error:
        raise RetryableError(f"{here.parent}: {error.strerror}") from error


def resume(place: Place, path: str, encoding: str | None) -> list[Reader | str]:
    """What is left to read after `place`, in order: a reader that stands there, then paths to read from the start.

    Without a trace of the old file the present one is read from its start: repeating is safe, losing is not.
    """
    older = rotated(path)
    candidates = [path, *reversed(older)]
    for exactly in (True, False):
        for candidate in candidates:
            if reader := place.found_in(candidate, encoding, exactly):
                newer = older[older.index(candidate) + 1 :] if candidate in older else older
                return [reader, *newer, path] if candidate != path else [reader]
    return [path]
