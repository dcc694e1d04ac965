"""The writing side of the SQLite store: one transaction a batch, every write idempotent by a content-derived id."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import orjson

from opinionwatch.pipeline.contracts import DeadLetter, Drop, Gap, Mention, ScoredDocument
from opinionwatch.pipeline.contracts_changes import Deletion, Engaged
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Silence, Window
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.mention import mention_of
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.store_admission import Admission
from opinionwatch.pipeline.store_changes import Changes
from opinionwatch.pipeline.store_erasures import Erasures
from opinionwatch.pipeline.store_schema import CURE, connect, reading, stamp


class SqliteStore:
    """Log, index, state and outbox in one file. One writer; not for use from several threads at once."""

    def __init__(self, path: Path) -> None:
        """Open or make the store. Raises FatalError when the file is damaged."""
        self._db = connect(path)
        self.erasures = Erasures(self._db)
        self.admission = Admission(self._db, self.erasures)
        self.admit = self.admission.admit
        self._changes = Changes(self._db)

    def close(self) -> None:
        """Close the file; everything committed stays."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: durable when the block ends, as if never begun when it raises."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise RetryableError(f"the store is busy: {error}", after_s=1) from error
        try:
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._rollback()
            raise RetryableError(f"the store cannot be written now: {error}", after_s=5) from error
        except sqlite3.DatabaseError as error:
            self._rollback()
            raise FatalError(f"the store is damaged ({error}): {CURE}") from error
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def forget_letter(self, letter_id: str) -> None:
        """A dead letter that was tried again has a better end now: take it away."""
        self._db.execute("DELETE FROM deadletters WHERE id = ?", (letter_id,))

    def write(self, records: Iterable[Outcome]) -> None:
        """Write what a hop returned, each record where it belongs. What ends a later version takes the place of what
        the earlier ones were.
        """
        for record in records:
            if isinstance(record, Gap | Window | Episode | Delivery):
                self._write_told(record)
            else:
                self._write_ended(record)

    def _write_ended(self, record: ScoredDocument | Mention | Drop | DeadLetter | Deletion | Engaged) -> None:
        match record:
            case Mention():
                self._db.execute(
                    "INSERT INTO mentions (document_id, watchlist, aspect, aspects, label, published_at) "
                    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (document_id, watchlist) DO UPDATE SET "
                    "aspect = excluded.aspect, aspects = excluded.aspects, label = excluded.label",
                    (record.document_id, record.watchlist, record.aspect, orjson.dumps(record.aspects).decode(),
                     record.reading.sentiment.label, stamp(record.published_at)),
                )  # fmt: skip
            case ScoredDocument():
                document = record.document
                if document.revised_at is not None:
                    self._changes.make_room(record.id, keeps=[match.watchlist for match in record.matches])
                self._db.execute(
                    "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (record.id, document.source, record.lang, record.reading.sentiment.label,
                     stamp(document.published_at), stamp(document.accepted_at), _body(record)),
                )  # fmt: skip
                self._settle(record.id, "indexed", None)
            case Drop():
                if record.version:
                    self._changes.make_room(record.id)
                self._settle(record.id, "dropped", record.rule)
            case DeadLetter():
                if record.version:
                    self._changes.make_room(record.id)
                self._db.execute(
                    "INSERT OR REPLACE INTO deadletters (id, reason, accepted_at, body) VALUES (?, ?, ?, ?)",
                    (record.id, record.reason, stamp(record.accepted_at), _body(record)),
                )
                self._settle(record.id, "dead", record.reason)
            case Deletion():
                self._changes.delete(record.id)
                self._settle(record.id, "dropped", "deleted")
            case Engaged():
                self._changes.engage(record)

    def _write_told(self, record: Gap | Window | Episode | Delivery) -> None:
        match record:
            case Gap():
                self._db.execute(
                    "INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, ?)",
                    (record.id, record.source, stamp(record.found_at), _body(record)),
                )
            case Window():
                self._db.execute(
                    "INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (record.watchlist, stamp(record.start), record.source, record.aspect, record.posts,
                     record.voices, record.negative, record.positive, record.unsure, record.negative_voices,
                     record.sure_voices),
                )  # fmt: skip
            case Episode():
                self._db.execute(
                    "INSERT OR REPLACE INTO episodes VALUES (?, ?, ?, ?)",
                    (record.id, record.watchlist, stamp(record.opened_at), _body(record)),
                )
            case Delivery():
                self._db.execute(
                    "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)",
                    (record.id, record.alert.episode.id, record.state, stamp(record.due_at), _body(record)),
                )

    def _settle(self, record_id: str, state: str, rule: str | None) -> None:
        self._db.execute("UPDATE ledger SET state = ?, rule = ? WHERE id = ?", (state, rule, record_id))

    def save_cursor(self, source: str, cursor: str) -> None:
        """Advance a source, in the same transaction as its page."""
        self._db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (source, cursor))

    @reading()
    def progress(self) -> datetime | None:
        """The last progress mark that the trend hop was given."""
        row = self._db.execute("SELECT up_to FROM progress").fetchone()
        return None if row is None else datetime.fromisoformat(row[0])

    def save_progress(self, up_to: datetime) -> None:
        """Remember a progress mark, in the same transaction as the trend hop's outputs."""
        self._db.execute("INSERT OR REPLACE INTO progress VALUES (1, ?)", (stamp(up_to),))

    @reading()
    def last_accepted(self) -> datetime | None:
        """When the last document was accepted."""
        [(last,)] = self._db.execute("SELECT max(accepted_at) FROM documents").fetchall()
        return None if last is None else datetime.fromisoformat(last)

    @reading()
    def snapshot(self, name: str) -> tuple[int, bytes] | None:
        """A stage's last saved state and the log position it stands at."""
        row = self._db.execute("SELECT seq, state FROM snapshots WHERE name = ?", (name,)).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))

    def save_snapshot(self, name: str, state: bytes, progress: datetime) -> None:
        """Save a stage's state as of the end of the log."""
        self._db.execute(
            "INSERT OR REPLACE INTO snapshots VALUES (?, (SELECT coalesce(max(seq), 0) FROM mentions), ?, ?)",
            (name, stamp(progress), state),
        )

    def mentions(self, after: int, chunk: int = 2000) -> Iterator[list[Mention]]:
        """The mentions log after position `after`, in order, in chunks."""
        while True:
            with reading():
                rows = self._db.execute(
                    "SELECT seq, watchlist, aspect, aspects, body FROM mentions JOIN documents ON id = document_id "
                    "WHERE seq > ? ORDER BY seq LIMIT ?",
                    (after, chunk),
                ).fetchall()
                said = [
                    mention_of(ScoredDocument.model_validate_json(body), watchlist, aspect, tuple(orjson.loads(names)))
                    for _, watchlist, aspect, names, body in rows
                ]
            if not rows:
                return
            after = int(rows[-1][0])
            yield said

    @reading()
    def silences(self) -> list[Silence]:
        """All silences, also those that have ended."""
        return [Silence.model_validate_json(body) for (body,) in self._db.execute("SELECT body FROM silences")]

    @reading()
    def remembered(self, since: datetime, ended: Sequence[str] = ()) -> list[Delivery | Episode]:
        """What routing has to know of before: deliveries that were or will be due since then, all of the episodes that
        have `ended`, and open episodes.
        """
        told = self._db.execute(
            "SELECT body FROM deliveries WHERE due_at >= ? OR episode_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY due_at, id",
            (stamp(since), orjson.dumps(ended).decode()),
        )
        going_on = self._db.execute(
            "SELECT body FROM episodes WHERE json_extract(CAST(body AS TEXT), '$.state') != 'resolved' ORDER BY id"
        )
        return [
            *(Delivery.model_validate_json(body) for (body,) in told),
            *(Episode.model_validate_json(body) for (body,) in going_on),
        ]

    @reading()
    def dead_since(self, since: datetime) -> int:
        """How many dead letters were accepted since then."""
        row = self._db.execute("SELECT count(*) FROM deadletters WHERE accepted_at >= ?", (stamp(since),)).fetchone()
        return int(row[0])

    @reading()
    def redrives(self) -> bool:
        """Whether a person wants some dead letter tried again."""
        return self._db.execute("SELECT 1 FROM deadletters WHERE redrive = 1 LIMIT 1").fetchone() is not None

    @reading()
    def claim_redrives(self) -> list[DeadLetter]:
        """Take the dead letters a person wants tried again out of the ledger and the dead letters."""
        rows = self._db.execute("SELECT body FROM deadletters WHERE redrive = 1 ORDER BY id LIMIT 200").fetchall()
        letters = [DeadLetter.model_validate_json(body) for (body,) in rows]
        for letter in letters:
            self._db.execute("DELETE FROM deadletters WHERE id = ?", (letter.id,))
            self._db.execute("DELETE FROM ledger WHERE id = ?", (letter.id,))
        return letters

    def request_redrive(self, ids: Sequence[str]) -> int:
        """Mark dead letters to be tried again by the runtime. Returns how many there were."""
        with self.transaction():
            return sum(
                self._db.execute("UPDATE deadletters SET redrive = 1 WHERE id = ?", (letter,)).rowcount
                for letter in ids
            )

    def request_redrive_of(self, reason: str | None) -> int:
        """The same for all dead letters of a reason (None: of any)."""
        with self.transaction():
            return self._db.execute(
                "UPDATE deadletters SET redrive = 1 WHERE ?1 IS NULL OR reason = ?1", (reason,)
            ).rowcount


def _body(record: ScoredDocument | DeadLetter | Episode | Delivery | Gap) -> bytes:
    return record.model_dump_json(exclude_defaults=True).encode()
