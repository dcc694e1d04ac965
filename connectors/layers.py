"""What lies between a path and its decoded bytes: safe opening, standard input, gzip, other encodings."""

import codecs
import gzip
import io
import os
import select
import stat
import sys
import zlib
from threading import Event
from typing import TYPE_CHECKING

from opinionwatch.pipeline.errors import FatalError, RetryableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE_BYTES = 2**16
DAMAGE = (gzip.BadGzipFile, zlib.error, EOFError)
_GZIP_RATIO = 200
_GZIP_FREE_BYTES = 64 * 2**20
_GZIP_BYTES = 64 * 2**30


class UnreadableError(FatalError):
    """This file will never be read to its end: damaged, or a bomb. Its neighbours may be fine."""


class UnusableError(UnreadableError):
    """This file cannot be read as things are: it cannot be opened, or lacks columns that the settings ask for. It may
    be read later, when its mode or the settings have changed.
    """


def open_regular(path: str) -> io.FileIO:
    """Open a regular file for reading; never wait for a pipe, never read a device.

    Raises FatalError for anything that is not a regular file and RetryableError when it cannot be opened now.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise RetryableError(f"cannot open {path}: {getattr(error, 'strerror', error)}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FatalError(f"{path} is not a regular file; pipes are read as '-'")
    return io.FileIO(fd)


class Stdin(io.RawIOBase):
    """Standard input that can be told to stop, which a plain blocking read cannot."""

    def __init__(self, closing: Event) -> None:
        self._closing = closing
        self.patient = True
        """Wait for bytes, instead of answering "none at the moment"."""
        self.ended = False
        self.taken = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        """Read what is there; None when nothing is and nobody wants to wait."""
        fd = sys.stdin.fileno()
        while not self._closing.is_set():
            if select.select([fd], [], [], 0.1)[0]:
                view = memoryview(buffer).cast("B")
                data = os.read(fd, len(view))
                view[: len(data)] = data
                self.taken += len(data)
                self.ended = not data
                return len(data)
            if not self.patient:
                return None
        return 0


class Gunzip(gzip.GzipFile):
    """A gzip file that gives up when it unpacks to absurdly more than it is: 64 GiB, or 200 times its size."""

    def __init__(self, disk: io.BufferedReader) -> None:
        super().__init__(fileobj=disk, mode="rb")
        self._disk = disk

    def check(self, unpacked: int) -> None:
        """Raise UnreadableError when `unpacked` bytes are too many for what has been read."""
        raw = self._disk.raw
        taken = raw.taken if isinstance(raw, Stdin) else raw.tell()
        if unpacked > _GZIP_BYTES or (unpacked > _GZIP_FREE_BYTES and unpacked > _GZIP_RATIO * max(taken, 1)):
            raise UnreadableError(
                f"unpacks to more than {unpacked:,} bytes from {taken:,}: refused as a decompression bomb"
            )


class Utf8(io.RawIOBase):
    """Bytes of another encoding as UTF-8. What cannot be decoded passes as the bytes it is, to be refused later."""

    def __init__(self, source: io.BufferedReader | gzip.GzipFile, encoding: str) -> None:
        self._source = source
        wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
        # Halves of a 16-bit unit cannot be smuggled through as surrogates: they become U+FFFD.
        self._decoder = codecs.getincrementaldecoder(encoding)("replace" if wide else "surrogateescape")
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read some UTF-8."""
        while not self._ready and not self._ended:
            piece = self._source.read(PIECE_BYTES)
            self._ended = not piece
            self._ready = self._decoder.decode(piece, final=self._ended).encode("utf-8", "surrogateescape")
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._ready))
        view[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size
