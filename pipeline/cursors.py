"""Where the ingest daemon stands, in the compacted cursors topic: each source's cursor, and how far time has come.

Written under the daemon's own name as its owner: whoever starts under the same name shuts the one before it out, so
two ingest daemons of one name can neither move a cursor back nor promise progress that the other has not made.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from opinionwatch.pipeline.contracts import Record, Utc
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.log import Entry, OwnedAppender, Reader


class Position(Record):
    """A source's cursor, and the latest simulated arrival that it has brought, if it is a replay."""

    schema_version: Literal[1] = 1
    cursor: str
    reached: Utc | None = None


class Reached(Record):
    """The last mark of progress that was promised."""

    schema_version: Literal[1] = 1
    up_to: Utc


def position_key(name: str) -> bytes:
    """Under which key the cursor of that name is kept."""
    return b"source/" + name.encode()


class Cursors:
    """Read once at the start, written as pages become durable. Safe to use from many threads."""

    def __init__(self, name: str, log: OwnedAppender, reader: Reader) -> None:
        """Take over from whoever ran under this `name`, then read where it stood. Raises RetryableError when the
        broker is away, FatalError when what is there cannot be read.
        """
        self._name, self._log = name, log
        log.open()
        saved = reader.latest("cursors")
        try:
            self.positions: dict[str, Position] = {
                key.decode().removeprefix("source/"): Position.model_validate_json(value)
                for key, value in saved.items()
                if key.startswith(b"source/")
            }
            mark = saved.get(self._progress_key)
            self.up_to = None if mark is None else Reached.model_validate_json(mark).up_to
        except (ValidationError, UnicodeDecodeError) as error:
            raise FatalError(f"the cursors topic holds what this program cannot read: {error}") from error

    @property
    def _progress_key(self) -> bytes:
        return b"progress/" + self._name.encode()

    def reached(self) -> Mapping[str, datetime]:
        """How far each replay had come."""
        return {name: position.reached for name, position in self.positions.items() if position.reached is not None}

    def save(self, source: str, position: Position) -> None:
        """Advance a source; durable when it returns. Raises FencedError when another daemon has taken over."""
        self._log.append([Entry("cursors", 0, position.model_dump_json().encode(), position_key(source))])
        self.positions[source] = position

    def promise(self, up_to: datetime) -> None:
        """Remember a mark of progress before anybody sees it. Raises FencedError as above."""
        self._log.append([Entry("cursors", 0, Reached(up_to=up_to).model_dump_json().encode(), self._progress_key)])
        self.up_to = up_to

    def close(self) -> None:
        """Close; what was saved stays."""
        self._log.close()
