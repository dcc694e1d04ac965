"""Bytes for the state of a stage: named numpy arrays and JSON beside them. No pickle; versioned; checked when read."""

import zipfile
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO, RawIOBase
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from opinionwatch.pipeline.errors import FatalError

Arrays = dict[str, NDArray[Any]]
Facts = dict[str, Any]
"""What orjson can write; read back only by the class that wrote it."""

_FACTS = "facts.json"


def pack(version: int, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> bytes:
    """One blob of everything. Floats survive bit for bit, in arrays and (shortest round-trip digits) in JSON."""
    body = orjson.dumps({"version": version, "facts": dict(facts)})
    deflated = _Deflated()
    np.savez(deflated, allow_pickle=False, **{_FACTS: np.frombuffer(body, np.uint8)}, **arrays)
    return deflated.whole()


class _Deflated(RawIOBase):
    """A file that can only be written to: it keeps what is written deflated, and never all of it as it came."""

    def __init__(self) -> None:
        super().__init__()
        self._deflate = zlib.compressobj(1)
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]  # all zipfile gives
        """Deflate a part."""
        self._parts.append(self._deflate.compress(data))
        return memoryview(data).nbytes

    def whole(self) -> bytes:
        """All of it."""
        return b"".join((*self._parts, self._deflate.flush()))


def unpack(version: int, blob: bytes, older: Collection[int] = ()) -> tuple[Arrays, Facts, int]:
    """The arrays and facts of `pack`, and their version.

    Raises FatalError when they are damaged or of a version that is neither this nor one of the `older` ones.
    """
    try:
        with np.load(BytesIO(zlib.decompress(blob)), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        head = orjson.loads(arrays.pop(_FACTS).tobytes())
        found, facts = head["version"], head["facts"]
    except (zlib.error, zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError, EOFError) as error:
        raise FatalError(f"the saved trend state is damaged: {error}") from error
    if found != version and found not in older:
        raise FatalError(f"the saved trend state is of version {found}, this program reads {version}")
    return arrays, facts, int(found)
