"""What stands in the logs: records as lines of JSON, several in one log entry, each named by its kind.

    {"document":{…}}\n{"document":{…}}\n{"mark":{…}}

One entry for many records, since brokers and frameworks charge by the entry. Every line is validated on its own when
it is read, so a line that cannot be read costs itself and nothing beside it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from opinionwatch.pipeline.contracts import DeadLetter, Document, Gap, Mention, Record, Utc, content_id
from opinionwatch.pipeline.contracts_changes import Deletion, Withdrawal
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.versions import program

ENTRY_BYTES = 256 * 1024
"""About how large an entry becomes; a quarter of what a broker takes by default."""


class Mark(Record):
    """A mark of progress: every record of this lane that was accepted before `up_to` stands before it in the log.

    A lane is one ingest daemon's records in one partition of the documents log.
    """

    schema_version: Literal[1] = 1
    ingest: str
    partition: int
    up_to: Utc
    assumed: bool = False
    """Whether nobody vouches for the time since the lane's mark before: it was silent for too long, and this is written
    on its behalf, so that others need not wait; or its ingest daemon has only just begun, or was stuck until now.
    """

    @property
    def lane(self) -> tuple[str, int]:
        """Whose progress this is."""
        return self.ingest, self.partition


class Again(Record):
    """What was a dead letter and is tried again: a document, or the letter anew where ingest refuses it again.

    The ledger has its id already. Once it has another outcome, the old letter is history.
    """

    schema_version: Literal[1] = 1
    record: Document | DeadLetter
    attempts: int
    """So many attempts have failed before this one."""
    first_at: Utc
    """When it was first accepted: a letter that is written anew keeps its place."""


class Calibrated(Record):
    """A calibration that a person has made: it counts from the tick after all that stands decided before it."""

    schema_version: Literal[1] = 1
    curve: str
    """JSON of `alerts.calibration.Curve`, which lies above the logs."""


LogRecord = Document | Deletion | DeadLetter | Mention | Withdrawal | Alert | Mark | Again | Calibrated | Gap
KINDS: dict[str, type[LogRecord]] = {
    "document": Document,
    "deletion": Deletion,
    "deadletter": DeadLetter,
    "mention": Mention,
    "withdrawal": Withdrawal,
    "alert": Alert,
    "mark": Mark,
    "again": Again,
    "calibrated": Calibrated,
    "gap": Gap,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line of a log that is no record of ours."""

    line: bytes
    error: RejectedError

    def letter(self, place: str, now: Utc) -> DeadLetter:
        """Its dead letter; `place` says in which log it stood. The bytes are not shown: nobody has masked them."""
        return DeadLetter(
            id=content_id("unreadable", place, self.line.decode("utf-8", "backslashreplace")),
            tenant="",
            source=place,
            source_kind="log",
            instance=place,
            native_id=None,
            stage="log",
            reason=self.error.reason,
            detail=self.error.detail,
            raw=f"{len(self.line)} bytes",
            program=program(),
            accepted_at=now,
        )


def encode(record: LogRecord) -> bytes:
    """One line.

    >>> from datetime import UTC, datetime
    >>> encode(Mark(ingest="one", partition=2, up_to=datetime(2026, 3, 1, tzinfo=UTC)))[:26]
    b'{"mark":{"schema_version":'
    """
    return b'{"%s":%s}' % (_NAMES[type(record)].encode(), record.model_dump_json().encode())


def entries(lines: Iterable[bytes], limit: int = ENTRY_BYTES) -> Iterator[bytes]:
    """Put lines together into entries of about `limit` bytes, in their order.

    >>> list(entries([b"a" * 3, b"b" * 3, b"c" * 3], limit=8))
    [b'aaa\\nbbb', b'ccc']
    """
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        if waiting and size + len(line) > limit:
            yield b"\n".join(waiting)
            waiting, size = [], 0
        waiting.append(line)
        size += len(line) + 1
    if waiting:
        yield b"\n".join(waiting)


def decode(entry: bytes) -> list[LogRecord | Unreadable]:
    """The records of an entry, in order."""
    return [_decoded(line) for line in entry.split(b"\n") if line.strip()]


def _decoded(line: bytes) -> LogRecord | Unreadable:
    head, colon, rest = line.partition(b":")
    kind = KINDS.get(head[2:-1].decode("ascii", "replace")) if head.startswith(b'{"') and head.endswith(b'"') else None
    if not colon or kind is None or not rest.endswith(b"}"):
        return Unreadable(line, RejectedError("malformed_json", "no line of this log: it does not name a known kind"))
    try:
        return kind.model_validate_json(rest[:-1])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return Unreadable(line, RejectedError("invalid_field", f"{place}: {first['msg']}"[:300]))
