"""JSON lines from a file or standard input."""

from collections.abc import Iterator
from typing import Literal

import orjson
from pydantic import Field

from opinionwatch.connectors.files import FileSettings, FileSource, Record
from opinionwatch.connectors.found import loads
from opinionwatch.connectors.reading import Line
from opinionwatch.pipeline.contracts import content_id


class Jsonl(FileSource):
    """Read documents from a file of JSON lines, plain or gzip, or from standard input.

    Each line is one `Submission`, or foreign JSON with `fields`. Broken lines go on as they are, to be dead letters;
    blank lines are no records. A line above 8 MiB goes on cut, to be refused as too large.
    The cursor is device, inode, offset and fingerprints of the first bytes and the last before it: rotation (renamed or
    copied and truncated), a re-used inode, a file written anew and a restart in between are recognised. In a replay it
    also holds the simulated time.

    History: none to bring. The file is read from its first line anyway.

    Delivery: at least once from a file, and exactly the rest from every cursor. Standard input cannot be read again:
    what was not stored when the process died is lost, and the writer has to send it again. A rotated file that was
    deleted before it was read is lost, too.
    """

    kind = "jsonl"

    class Settings(FileSettings):
        """Settings of a `jsonl` source."""

        native_id: Literal["given", "content"] = Field(
            default="given", description="content: a line's own bytes are its id, so equal lines are one document."
        )

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings)
        self._by_content = settings.native_id == "content"

    def _records(self, lines: Iterator[Line | None]) -> Iterator[Record | None]:
        for line in lines:
            if line is None:
                yield None
            elif line.cut or line.data.strip():
                yield Record(_named(line.data) if self._by_content and not line.cut else line.data, line)

    def _renames(self) -> dict[str, str]:
        renames = super()._renames()
        return {**renames, "native_id": "native_id"} if self._by_content and renames else renames


def _named(body: bytes) -> bytes:
    """The same object with an id made of its bytes; what is no object stays as it is."""
    try:
        found = loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(found, dict):
        return body
    try:
        return orjson.dumps({**found, "native_id": content_id(body.decode())})
    except orjson.JSONEncodeError:
        return body  # more deeply nested than any document: it is to be refused as it is
