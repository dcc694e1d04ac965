"""The reading side of the SQLite store: what the page, the API, the export and the audit see."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from opinionwatch.pipeline.archive import DocumentQuery, LedgerRow, SourceHealth
from opinionwatch.pipeline.contracts import DeadLetter, Gap, ScoredDocument
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Feedback, Silence, Window
from opinionwatch.pipeline.sqlite_rows import Rows
from opinionwatch.pipeline.store_schema import reading, stamp
from opinionwatch.pipeline.store_tables import NOTES

MOST = 1000
ENGAGED = (
    " + ".join(
        f"coalesce(json_extract(CAST(d.body AS TEXT), '$.document.engagement.{each}'), 0)"
        for each in ("likes", "reposts", "replies")
    )
    + " DESC,"
)


class SqliteArchive(Rows):
    """Read access to a store's file, beside its writer (WAL); one connection a thread. Implements `Archive`."""

    @reading()
    def cursor(self, source: str) -> str | None:
        """Where a source stands: what was stored with its last durable page."""
        rows = self._rows("SELECT cursor FROM cursors WHERE source = ?", source)
        return str(rows[0][0]) if rows else None

    @reading()
    def cursors(self, prefix: str) -> dict[str, str]:
        """The cursors whose names begin so."""
        sql = "SELECT source, cursor FROM cursors WHERE substr(source, 1, ?1) = ?2"
        return {str(name): str(cursor) for name, cursor in self._rows(sql, len(prefix), prefix)}

    @reading()
    def documents(self, query: DocumentQuery) -> list[ScoredDocument]:
        """Documents, newest event time first; at most `query.limit` (≤ 1,000)."""
        conditions: list[tuple[str, object]] = []
        table = "documents d"
        if query.watchlist is not None or query.aspect is not None:
            table = "mentions m JOIN documents d ON d.id = m.document_id"
        if query.watchlist is not None:
            conditions.append(("m.watchlist = ?", query.watchlist))
        if query.aspect is not None:
            conditions.append(("EXISTS (SELECT 1 FROM json_each(m.aspects) WHERE value = ?)", query.aspect))
        # A mention's label is what is said of its watchlist; a document's that of the whole text.
        label = "d.label" if query.watchlist is None else "m.label"
        for column, value in (("d.source", query.source), ("d.lang", query.lang), (label, query.label)):
            if value is not None:
                conditions.append((f"{column} = ?", value))
        if query.since is not None:
            conditions.append(("d.published_at >= ?", stamp(query.since)))
        if query.until is not None:
            conditions.append(("d.published_at < ?", stamp(query.until)))
        if query.text:
            conditions.append(
                ("instr(lowered(json_extract(CAST(d.body AS TEXT), '$.document.text')), ?)", query.text.lower())
            )
        where = " AND ".join(text for text, _ in conditions) or "1"
        rows = self._rows(
            f"SELECT DISTINCT d.id, d.published_at, d.body FROM {table} WHERE {where} "  # noqa: S608 - fixed texts only
            f"ORDER BY {ENGAGED if query.engaged else ''} d.published_at DESC, d.id LIMIT ?",
            *(value for _, value in conditions),
            max(0, min(query.limit, MOST)),
        )
        return [ScoredDocument.model_validate_json(_bytes(row[2])) for row in rows]

    def every_document(self) -> Iterator[ScoredDocument]:
        """All documents in the order of their ids, in bounded memory."""
        last = ""
        while True:
            with reading():
                rows = self._rows("SELECT id, body FROM documents WHERE id > ? ORDER BY id LIMIT ?", last, MOST)
                found = [ScoredDocument.model_validate_json(_bytes(row[1])) for row in rows]
            if not rows:
                return
            yield from found
            last = str(rows[-1][0])

    @reading()
    def document(self, document_id: str) -> ScoredDocument | None:
        """One document."""
        rows = self._rows("SELECT body FROM documents WHERE id = ?", document_id)
        return ScoredDocument.model_validate_json(_bytes(rows[0][0])) if rows else None

    @reading()
    def documents_of(self, document_ids: Sequence[str]) -> list[ScoredDocument]:
        """These documents (at most 1,000) in the order of the ids; those that are not there are left out."""
        marks = ", ".join("?" * len(document_ids))
        rows = self._rows(f"SELECT body FROM documents WHERE id IN ({marks})", *document_ids)  # noqa: S608 - only marks
        found = {one.id: one for one in (ScoredDocument.model_validate_json(_bytes(row[0])) for row in rows)}
        return [found[name] for name in document_ids if name in found]

    @reading()
    def windows(self, watchlist: str, since: datetime, until: datetime) -> list[Window]:
        """All windows of a watchlist whose start is in `[since, until)`, by start, source, aspect."""
        cursor = self._execute(
            "SELECT watchlist, start, source, aspect, posts, voices, negative, positive, unsure, negative_voices, "
            "sure_voices FROM windows WHERE watchlist = ? AND start >= ? AND start < ? ORDER BY start, source, aspect",
            watchlist,
            stamp(since),
            stamp(until),
        )
        names = [column[0] for column in cursor.description]
        return [Window.model_validate(dict(zip(names, row, strict=True))) for row in cursor]

    @reading()
    def span(self, watchlist: str | None = None) -> tuple[datetime, datetime] | None:
        """First and last window start there is; None when there is none."""
        [(first, last)] = self._rows(
            "SELECT min(start), max(start) FROM windows WHERE ?1 IS NULL OR watchlist = ?1", watchlist
        )
        return None if first is None else (datetime.fromisoformat(str(first)), datetime.fromisoformat(str(last)))

    @reading()
    def episodes(self, watchlist: str | None = None, limit: int = 100) -> list[Episode]:
        """Newest first by opening time."""
        rows = self._rows(
            "SELECT body FROM episodes WHERE ?1 IS NULL OR watchlist = ?1 ORDER BY opened_at DESC, id LIMIT ?2",
            watchlist,
            min(limit, MOST),
        )
        return [Episode.model_validate_json(_bytes(row[0])) for row in rows]

    @reading()
    def episode(self, episode_id: str) -> Episode | None:
        """One episode as it stands now."""
        rows = self._rows("SELECT body FROM episodes WHERE id = ?", episode_id)
        return Episode.model_validate_json(_bytes(rows[0][0])) if rows else None

    @reading()
    def deliveries(self, episode_id: str | None = None, limit: int = 200) -> list[Delivery]:
        """What was or will be sent, newest first."""
        rows = self._rows(
            "SELECT body FROM deliveries WHERE ?1 IS NULL OR episode_id = ?1 ORDER BY due_at DESC, id LIMIT ?2",
            episode_id,
            min(limit, MOST),
        )
        return [Delivery.model_validate_json(_bytes(row[0])) for row in rows]

    @reading()
    def deadletters(self, reason: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Newest first."""
        rows = self._rows(
            "SELECT body FROM deadletters WHERE ?1 IS NULL OR reason = ?1 ORDER BY accepted_at DESC, id LIMIT ?2",
            reason,
            min(limit, MOST),
        )
        return [DeadLetter.model_validate_json(_bytes(row[0])) for row in rows]

    @reading()
    def deadletter(self, deadletter_id: str) -> DeadLetter | None:
        """One dead letter."""
        rows = self._rows("SELECT body FROM deadletters WHERE id = ?", deadletter_id)
        return DeadLetter.model_validate_json(_bytes(rows[0][0])) if rows else None

    @reading()
    def ledger(self) -> list[LedgerRow]:
        """By source and hour."""
        rows = self._rows(
            "SELECT source, hour, count(*), sum(state = 'indexed'), sum(state = 'dead'), sum(state = 'dropped'), "
            "sum(state = 'pending'), sum(duplicates) FROM ledger GROUP BY source, hour ORDER BY source, hour"
        )
        return [LedgerRow(str(row[0]), str(row[1]), *(int(str(value)) for value in row[2:])) for row in rows]

    @reading()
    def misfiled(self) -> int:
        """Ids whose ledger state and place disagree: indexed without document, dead without letter, both, or in a place
        without an entry in the ledger.
        """
        [(count,)] = self._rows(
            "SELECT (SELECT count(*) FROM ledger l LEFT JOIN documents d USING (id) LEFT JOIN deadletters x USING (id)"
            " WHERE (l.state = 'indexed') != (d.id IS NOT NULL) OR (l.state = 'dead') != (x.id IS NOT NULL))"
            " + (SELECT count(*) FROM documents WHERE id NOT IN (SELECT id FROM ledger))"
            " + (SELECT count(*) FROM deadletters WHERE id NOT IN (SELECT id FROM ledger))"
        )
        return int(str(count))

    @reading()
    def dead(self) -> dict[str, int]:
        """Dead letters by reason."""
        rows = self._rows("SELECT reason, count(*) FROM deadletters GROUP BY reason ORDER BY reason")
        return {str(reason): int(str(count)) for reason, count in rows}

    @reading()
    def dropped(self) -> dict[str, int]:
        """Documents left out, by rule."""
        rows = self._rows("SELECT rule, count(*) FROM ledger WHERE state = 'dropped' GROUP BY rule ORDER BY rule")
        return {str(rule): int(str(count)) for rule, count in rows}

    @reading()
    def gaps(self, limit: int = 100) -> list[Gap]:
        """What sources could not have any more, newest first by when it was found."""
        sql = "SELECT body FROM gaps ORDER BY found_at DESC, id LIMIT ?"
        return [Gap.model_validate_json(_bytes(row[0])) for row in self._rows(sql, min(limit, MOST))]

    @reading()
    def health(self) -> list[SourceHealth]:
        """By source."""
        rows = self._rows(
            "SELECT l.source, l.n, d.accepted, d.published FROM "
            "(SELECT source, count(*) n FROM ledger GROUP BY source) l LEFT JOIN "
            "(SELECT source, max(accepted_at) accepted, max(published_at) published FROM documents GROUP BY source) d "
            "USING (source) ORDER BY l.source"
        )
        return [SourceHealth(str(row[0]), int(str(row[1])), _time(row[2]), _time(row[3])) for row in rows]

    @reading()
    def silences(self) -> list[Silence]:
        """All that have not been removed, newest first; expired ones too."""
        rows = self._rows("SELECT body FROM silences ORDER BY starts_at DESC, id")
        return [Silence.model_validate_json(_bytes(row[0])) for row in rows]

    def add_silence(self, silence: Silence) -> None:
        """Store (or replace) a silence; durable when it returns."""
        body = silence.model_dump_json().encode()
        self._write("INSERT OR REPLACE INTO silences VALUES (?, ?, ?)", silence.id, stamp(silence.starts_at), body)

    @reading()
    def feedback(self, episode_id: str | None = None, limit: int = 200) -> list[Feedback]:
        """What people answered to an episode (None: to any), newest first."""
        rows = self._rows(
            "SELECT body FROM feedback WHERE ?1 IS NULL OR episode_id = ?1 ORDER BY at DESC, id LIMIT ?2",
            episode_id,
            min(limit, MOST),
        )
        return [Feedback.model_validate_json(_bytes(row[0])) for row in rows]

    def add_feedback(self, feedback: Feedback) -> bool:
        """Store an answer; durable when it returns. False: one of that id is there, and stays as it is."""
        row = (feedback.id, feedback.episode_id, stamp(feedback.at), feedback.model_dump_json().encode())
        return self._write("INSERT OR IGNORE INTO feedback VALUES (?, ?, ?, ?)", *row) > 0

    def notes(self, prefix: str) -> dict[str, str]:
        """What the owner of the outbox has noted, by the rest of the name after `prefix`."""
        begin = f"{NOTES}{prefix}"
        return {name.removeprefix(begin): text for name, text in sorted(self.cursors(begin).items())}

    def note_export(self, path: Path, documents: int, at: datetime) -> None:
        """Remember a file that documents were written to: an erasure names it."""
        self._write("INSERT OR REPLACE INTO exports VALUES (?, ?, ?)", str(path.absolute()), stamp(at), documents)

    @reading()
    def exports(self) -> list[tuple[Path, datetime, int]]:
        """Files that documents were written to, when, and how many."""
        found = self._rows("SELECT path, written_at, documents FROM exports ORDER BY path")
        return [(Path(str(one[0])), datetime.fromisoformat(str(one[1])), int(str(one[2]))) for one in found]

    @reading()
    def kinds(self) -> set[str]:
        """Kinds of sources that documents came from."""
        sql = "SELECT DISTINCT json_extract(CAST(body AS TEXT), '$.document.source_kind') FROM documents"
        return {str(row[0]) for row in self._rows(sql)}

    @reading()
    def named(self, native_id: str) -> list[str]:
        """Ids of documents and dead letters that their sources call so."""
        sql = (
            "SELECT id FROM documents WHERE json_extract(CAST(body AS TEXT), '$.document.native_id') = ?1 UNION "
            "SELECT id FROM deadletters WHERE json_extract(CAST(body AS TEXT), '$.native_id') = ?1"
        )
        return [str(row[0]) for row in self._rows(sql, native_id)]

    @reading()
    def revision(self) -> int:
        """SQLite's own counter of commits by other connections, as this thread's connection sees it."""
        return int(str(self._rows("PRAGMA data_version")[0][0]))

    @reading()
    def now(self) -> datetime | None:
        """The trend hop's last progress mark."""
        rows = self._rows("SELECT up_to FROM progress")
        return _time(rows[0][0]) if rows else None


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _time(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value))
