"""Lines of a file in bounded memory: plain or gzip, in any declared encoding, growing or whole.

Everything above this module sees UTF-8 lines and offsets into decoded bytes, whatever the file looks like on disk.
"""

import codecs
import io
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import NamedTuple

from opinionwatch.connectors.layers import DAMAGE, PIECE_BYTES, Gunzip, Stdin, UnreadableError, Utf8, open_regular
from opinionwatch.pipeline.errors import RetryableError

LINE_BYTES = 8 * 2**20
"""A longer line is cut to this and one byte, so that the accept stage sees that it is too large."""
HEAD_BYTES = 1024
"""So many first bytes make a file's fingerprint."""
TAIL_BYTES = 1024
"""So many last bytes before a place make the fingerprint of what was read."""
_RECENT_BYTES = 2**19
"""So much of what was read is kept for it: a place may lie before what has been read ahead."""
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Line(NamedTuple):
    """One line without its end, and where it stands."""

    data: bytes
    file: "Reader"
    end: int
    """Offset after it; after the cut, if it is cut."""
    cut: bool
    """It was longer than `LINE_BYTES`. The reader leaves out the rest, up to the next line end."""


def digest(some: bytes) -> str:
    """Fingerprint of some bytes of a file."""
    return blake2b(some, digest_size=8).hexdigest()


class Reader:
    """One open file, or standard input (`-`), as lines.

    Raises FatalError when it is no regular file or damaged, RetryableError when it cannot be read now.
    """

    def __init__(self, path: str, encoding: str | None = None, closing: Event | None = None) -> None:
        self.path = path
        self._stdin = Stdin(closing or Event()) if path == "-" else None
        self._raw = self._stdin or open_regular(path)
        status = None if self._stdin else os.fstat(self._raw.fileno())
        self.dev, self.ino = (status.st_dev, status.st_ino) if status else (0, 0)
        self.offset = 0
        self._head = b""
        self._recent: deque[bytes] = deque()
        self._recent_bytes = 0
        self._partial = b""
        self._skipping = False
        self.fresh = True
        """Whether it is read from its start."""
        disk: io.BufferedReader = io.BufferedReader(self._raw, PIECE_BYTES)
        with self._errors_named():
            self._gzip = Gunzip(disk) if disk.peek(2).startswith(b"\x1f\x8b") else None
            source: io.BufferedReader | Gunzip = self._gzip or disk
            start = source.peek(4)
        found = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")
        name = codecs.lookup(encoding or found).name
        other = name not in {"utf-8", "utf-8-sig", "ascii"}
        self._data: io.BufferedReader | Gunzip = io.BufferedReader(Utf8(source, name), PIECE_BYTES) if other else source
        self.plain = self._data is disk and self._stdin is None
        """Whether offsets are places in the file itself, so that it can be followed and positioned at once."""
        if self._stdin:
            self._stdin.patient = self._data is not disk
        if not other and start.startswith(codecs.BOM_UTF8):
            self._take(3)

    @property
    def ended(self) -> bool:
        """Whether standard input has come to its end. A regular file may always grow."""
        return self._stdin is not None and self._stdin.ended

    @property
    def stands(self) -> tuple[int, bool]:
        """Offset after the last line given out, and whether that line was cut."""
        return self.offset - len(self._partial), self._skipping

    def head(self, offset: int) -> tuple[int, str]:
        """Length and fingerprint of the first bytes, of those before `offset`."""
        size = min(HEAD_BYTES, offset)
        return size, digest(self._head[:size])

    def tail(self, offset: int, size: int = TAIL_BYTES) -> tuple[int, str]:
        """Length and fingerprint of the last bytes before `offset`: at most `size`, fewer where less is at hand."""
        last = self._last(offset, size)
        return len(last), digest(last)

    def _last(self, offset: int, size: int) -> bytes:
        ahead = self.offset - offset
        pieces: deque[bytes] = deque()
        wanted = ahead + size
        for piece in reversed(self._recent):
            if wanted <= 0:
                break
            pieces.appendleft(piece)
            wanted -= len(piece)
        data = b"".join(pieces)
        return data[: max(0, len(data) - ahead)][-size:]

    def starts_with(self, size: int, fingerprint: str) -> bool:
        """Whether the file's first `size` bytes have this fingerprint. To be asked of a fresh reader."""
        self.move(size)
        return len(self._head) == size and digest(self._head) == fingerprint

    def move(self, offset: int, skipping: bool = False) -> None:
        """Go forward to an offset; `skipping`: the line that is there was cut, leave out its rest."""
        self.fresh = self.fresh and not offset
        while len(self._head) < min(offset, HEAD_BYTES) and self._take(min(offset, HEAD_BYTES) - self.offset):
            pass
        if self.plain and self.offset < offset - TAIL_BYTES:
            self.offset = self._data.seek(offset - TAIL_BYTES)
            self._recent.clear()
            self._recent_bytes = 0
        while self.offset < offset and self._take(min(PIECE_BYTES, offset - self.offset)):
            pass
        self._skipping = skipping

    def line(self, final: bool) -> Line | None:
        """The next whole line; with `final` also a last one without an end. None: nothing more at the moment."""
        while self._skipping:
            piece = self._pull(PIECE_BYTES)
            if not piece:
                return None
            self._skipping = not piece.endswith(b"\n")
        piece = self._pull(LINE_BYTES + 1 - len(self._partial))
        data, self._partial = self._partial + piece, b""
        if data.endswith(b"\n"):
            return Line(data.rstrip(b"\r\n"), self, self.offset, cut=False)
        if len(data) > LINE_BYTES:
            self._skipping = True
            return Line(data, self, self.offset, cut=True)
        if final and data:
            return Line(data.rstrip(b"\r"), self, self.offset, cut=False)
        self._partial = data
        return None

    def replaced(self) -> bool:
        """Whether the open file was truncated, or written anew from its start."""
        file, last = self._raw.fileno(), self._last(self.offset, TAIL_BYTES)
        return (
            os.fstat(file).st_size < self.offset
            or os.pread(file, len(self._head), 0) != self._head
            or os.pread(file, len(last), self.offset - len(last)) != last
        )

    def moved(self) -> bool:
        """Whether the path has come to name another file."""
        try:
            status = Path(self.path).stat()
        except OSError:
            return False  # between two files; the old one may still grow
        return (status.st_dev, status.st_ino) != (self.dev, self.ino)

    def close(self) -> None:
        """Close the file."""
        self._data.close()
        self._raw.close()

    def _take(self, size: int) -> bytes:
        with self._errors_named():
            return self._count(self._data.read(size) or b"")

    def _pull(self, size: int) -> bytes:
        with self._errors_named():
            return self._count(self._data.readline(size) or b"")

    def _count(self, piece: bytes) -> bytes:
        if len(self._head) == self.offset < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - self.offset]
        self.offset += len(piece)
        if piece:
            self._recent.append(piece[-_RECENT_BYTES:])
            self._recent_bytes += len(self._recent[-1])
        while self._recent and self._recent_bytes - len(self._recent[0]) >= _RECENT_BYTES:
            self._recent_bytes -= len(self._recent.popleft())
        if self._gzip:
            self._gzip.check(self.offset)
        return piece

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            self._raw.close()
            words = f"{self.path}: the gzip data is damaged after {self.offset} bytes: {error}"
            raise UnreadableError(words) from error
        except OSError as error:
            self._raw.close()
            raise RetryableError(f"{self.path}: {error.strerror}") from error
