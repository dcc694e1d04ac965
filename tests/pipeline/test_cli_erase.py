"""The command that erases."""

from pathlib import Path
from threading import Event, Thread

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.store_lock import held
from tests.pipeline.command import Command
from tests.pipeline.rig import Rig, pages, post, rows, story

CONFIG = """
data_dir: data
scorer: {kind: lexicon}
watchlists: [{id: lumora, names: [Lumora, 流墨]}]
"""


@pytest.fixture
def config(command: Command) -> Path:
    """A finished replay with three posts of one person in it."""
    del command
    rig = Rig(Path("data"))
    items = story(days=1, an_hour=2)
    last = items[-1].arrived_at
    assert last is not None
    anna = [post(9000 + n, f"Lumora is awful, says annaquux {n}", last, author="@Anna") for n in range(3)]
    rig.play(pages([*items, *anna], [100]))
    rig.finish()
    path = Path("opinionwatch.yaml")
    path.write_text(CONFIG, encoding="utf-8")
    return path


def bytes_on_disk() -> bytes:
    return b"".join(path.read_bytes() for path in Path("data").rglob("*") if path.is_file())


def test_an_author_is_erased_by_name_and_the_exports_that_hold_him_are_named(command: Command, config: Path) -> None:
    command("export", "-o", "all.jsonl", "-c", config)
    count = len(Path("all.jsonl").read_text(encoding="utf-8").splitlines())
    assert b"annaquux" in bytes_on_disk()
    ended = command("erase", "--author", "@anna", "-c", config)
    assert (ended.code, ended.out) == (0, "erased: 3 documents and dead letters\n")
    assert f"{count} documents were exported to {Path('all.jsonl').absolute()}" in ended.said
    assert b"annaquux" not in bytes_on_disk()
    again = command("audit", "-c", config)
    assert again.code == 0
    assert "dropped(erased): 3" in again.out


def test_a_document_is_erased_by_either_id(command: Command, config: Path) -> None:
    [(first,)] = rows(Path("data/opinionwatch.db"), "SELECT id FROM documents WHERE instr(body, '\"post-9000\"')")
    assert command("erase", "--document", first, "--document", "post-9001", "-c", config).code == 0
    left = rows(Path("data/opinionwatch.db"), "SELECT body FROM documents WHERE instr(body, 'annaquux')")
    assert [b"annaquux 2" in bytes(body) for (body,) in left] == [True]  # type: ignore[call-overload]  # a BLOB


def test_a_daemon_erases_it_itself(command: Command, config: Path) -> None:
    rig = Rig(Path("data"))
    over = Event()

    def work() -> None:
        with held(Path("data")):
            ready.set()
            while not over.wait(0.01):
                rig.play([])

    ready = Event()
    daemon = Thread(target=work)
    daemon.start()
    assert ready.wait(10)
    try:
        ended = command("erase", "--author", "@Anna", "-c", config)
    finally:
        over.set()
        daemon.join(10)
        rig.store.close()
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "erased: 3 documents and dead letters")
    assert b"annaquux" not in bytes_on_disk()


def test_a_daemon_that_is_too_busy_is_not_waited_for_and_does_it_later(command: Command, config: Path) -> None:
    with held(Path("data")):
        ended = command("erase", "--author", "@Anna", "--seconds", 1, "-c", config)
    assert ended.code == 1
    assert "the daemon has not erased it within 1 s" in ended.said
    rig = Rig(Path("data"))
    rig.play([])
    rig.finish()
    assert b"annaquux" not in bytes_on_disk()
    assert SqliteArchive(rig.path).dropped()["erased"] == 3


def test_whom_or_what_has_to_be_said(command: Command, config: Path) -> None:
    nothing = command("erase", "-c", config)
    assert (nothing.code, "--author NAME or --document ID" in nothing.said) == (2, True)
    unknown = command("erase", "--document", "nothere", "-c", config)
    assert (unknown.code, "no document 'nothere'" in unknown.said) == (2, True)
    nobody = command("erase", "--author", "nobody", "-c", config)
    assert (nobody.code, nobody.out) == (0, "erased: 0 documents and dead letters\n")


def test_a_name_that_only_another_machines_key_knows_is_refused_in_the_cluster(command: Command) -> None:
    path = Path("cluster.yaml")
    path.write_text(CONFIG + "store: elasticsearch\n", encoding="utf-8")
    ended = command("erase", "--author", "@anna", "-c", path)
    assert ended.code == 2
    assert "erase where `ingest` runs" in " ".join(ended.said.split())
    assert not Path("data/pseudonym.key").exists(), "a new key would know nobody"
