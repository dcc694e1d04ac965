"""What later versions, deletions and figures of engagement change in the tables of the SQLite store."""

import sqlite3
from collections.abc import Collection

from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.contracts_changes import Engaged
from opinionwatch.pipeline.store_erasures import scrub
from opinionwatch.pipeline.versions import DELETED


class Changes:
    """Shares the connection of the store's writer, and its transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def make_room(self, document_id: str, keeps: Collection[str] = ()) -> None:
        """Take away what earlier versions were: the document, its dead letter, its mentions but those in `keeps`."""
        self._db.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        self._db.execute("DELETE FROM deadletters WHERE id = ?", (document_id,))
        marks = ", ".join("?" * len(keeps))
        self._db.execute(
            f"DELETE FROM mentions WHERE document_id = ? AND watchlist NOT IN ({marks})",  # noqa: S608 - marks only
            (document_id, *keeps),
        )

    def delete(self, document_id: str) -> None:
        """Take away a document, whatever it was, and where episodes and deliveries quote it."""
        found = self._db.execute("SELECT body FROM documents WHERE id = ?", (document_id,)).fetchone()
        mentioned = self._db.execute("SELECT 1 FROM mentions WHERE document_id = ? LIMIT 1", (document_id,)).fetchone()
        revised = self._db.execute(
            "SELECT 1 FROM revisions WHERE id = ? AND version < ? LIMIT 1", (document_id, DELETED)
        ).fetchone()
        if mentioned or revised:  # what was never in a watchlist is quoted nowhere
            text = "" if found is None else ScoredDocument.model_validate_json(found[0]).document.text
            scrub(self._db, {document_id: text}, quoted=document_id)
        self.make_room(document_id)

    def engage(self, engaged: Engaged) -> None:
        """Keep figures that were seen later than those that are there. Nothing where there is no document."""
        found = self._db.execute("SELECT body FROM documents WHERE id = ?", (engaged.id,)).fetchone()
        if found is None:
            return
        scored = ScoredDocument.model_validate_json(found[0])
        before = scored.document.engagement
        if before is None or before.seen_at < engaged.engagement.seen_at:
            document = scored.document.model_copy(update={"engagement": engaged.engagement})
            body = scored.model_copy(update={"document": document}).model_dump_json(exclude_defaults=True).encode()
            self._db.execute("UPDATE documents SET body = ? WHERE id = ?", (body, engaged.id))
