"""What only the SQLite archive has: a file, cursors, an audit of places, and its manners when something is wrong."""

from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import DeadLetter, ScoredDocument
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.sample import dead, document, scored, silence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    SqliteStore(tmp_path / "opinionwatch.db").close()
    return tmp_path / "opinionwatch.db"


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"there is no store at .*`opinionwatch demo`"):
        SqliteArchive(tmp_path / "opinionwatch.db")
    assert list(tmp_path.iterdir()) == []


def test_reading_never_writes(path: Path) -> None:
    archive = SqliteArchive(path)
    before = path.read_bytes()
    assert archive.ledger() == []
    with pytest.raises(FatalError, match="no store"):
        SqliteArchive(path.with_name("other.db"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("written", "misfiled"),
    [
        (["document"], 0),
        (["letter"], 0),
        ([], 0),
        (["document", "letter of the document"], 1),
        (["document without entry"], 1),
        (["letter without entry"], 1),
    ],
)
def test_a_record_is_in_the_place_that_the_ledger_says_or_it_is_misfiled(
    path: Path, written: list[str], misfiled: int
) -> None:
    store = SqliteStore(path)
    records: dict[str, ScoredDocument | DeadLetter] = {
        "document": scored(document(1)),
        "letter": dead(2),
        "letter of the document": dead(1).model_copy(update={"id": document(1).id}),
        "document without entry": scored(document(8)),
        "letter without entry": dead(9),
    }
    with store.transaction():
        store.admit([document(1), dead(2)])
        store.write([records[name] for name in written])
    assert SqliteArchive(path).misfiled() == misfiled
    store.close()


def test_a_reader_sees_only_what_is_committed_and_all_of_it(path: Path) -> None:
    archive, store = SqliteArchive(path), SqliteStore(path)
    with store.transaction():
        store.admit([document(1)])
        store.write([scored(document(1))])
        assert archive.document(document(1).id) is None
        assert archive.ledger() == []
    assert archive.document(document(1).id) == scored(document(1))
    assert [row.indexed for row in archive.ledger()] == [1]
    store.close()


def test_a_silence_may_be_added_while_the_runtime_is_between_batches(path: Path) -> None:
    store, archive = SqliteStore(path), SqliteArchive(path)
    archive.add_silence(silence(1))
    with store.transaction():
        store.admit([document(1)])
        assert store.silences() == [silence(1)]
    store.close()
