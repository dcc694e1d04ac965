"""The command that brings history."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.backfill import Progress, Wish
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.connectors.conftest import serve  # noqa: F401 - a fixture
from tests.connectors.test_http import send
from tests.connectors.test_schedule import until
from tests.pipeline.command import Command
from tests.pipeline.rig import Words

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]
NOW = datetime.now(UTC)
PAGES, PER_PAGE = 6, 10


class Blog:
    """Ten angry entries a page, one a minute, six pages; it may hold up its third page."""

    def __init__(self) -> None:
        self.open = Event()
        self.open.set()
        self.asked: list[int] = []

    def __call__(self, to: BaseHTTPRequestHandler) -> None:
        number = int(to.path.rpartition("=")[2]) if "=" in to.path else 0
        self.asked.append(number)
        if number == 2:
            self.open.wait(20)
        entries = "".join(
            f"<entry><id>{age}</id><title>My Lumora overheats, the battery is awful {age} {age * 7919}</title>"
            f"<author><name>author {age}</name></author>"
            f"<updated>{(NOW - timedelta(minutes=age)).isoformat()}</updated></entry>"
            for age in range(number * PER_PAGE, (number + 1) * PER_PAGE)
        )
        older = f'<link rel="next" href="/feed?page={number + 1}"/>' if number + 1 < PAGES else ""
        send(to, f'<feed xmlns="http://www.w3.org/2005/Atom">{older}{entries}</feed>'.encode())


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=1000, burst=1000))


@pytest.fixture
def blog() -> Blog:
    return Blog()


@pytest.fixture
def config(command: Command, serve: Serve, blog: Blog) -> Path:  # noqa: F811 - the fixture above
    del command
    path = Path("opinionwatch.yaml")
    path.write_text(
        "data_dir: data\nscorer: {kind: lexicon}\nweb: {port: 0}\nwatchlists: [{id: lumora, names: [Lumora]}]\n"
        "sources:\n"
        f"  - {{name: blog, kind: rss, url: '{serve(blog)}/feed', allow_hosts: ['127.0.0.1'], interval_s: 3600}}\n"
        "  - {name: posts, kind: jsonl, path: posts.jsonl}\n",
        encoding="utf-8",
    )
    Path("posts.jsonl").write_text("", encoding="utf-8")
    return path


def archive() -> SqliteArchive:
    return SqliteArchive(Path("data/opinionwatch.db"))


def come() -> Progress:
    return Progress.read(archive().cursor("backfill:blog") or "")


YESTERDAY = f"{NOW - timedelta(days=1):%Y-%m-%d}"
SINCE = (NOW - timedelta(days=1)).replace(microsecond=0)


def test_history_is_brought_marked_and_raises_no_alert(command: Command, config: Path) -> None:
    ended = command("backfill", "blog", "--since", YESTERDAY, "-c", config)
    assert (ended.code, ended.out) == (0, f"60 documents of blog since {YESTERDAY}, marked as history\n")
    documents = archive().documents(DocumentQuery(limit=1000))
    assert len(documents) == PAGES * PER_PAGE
    assert all("history" in each.document.flags and each.document.source == "blog" for each in documents)
    assert (archive().episodes(), archive().deliveries()) == ([], [])
    assert command("audit", "-c", config).code == 0


def test_asked_again_it_does_nothing_new_and_from_earlier_it_starts_again(
    command: Command, config: Path, blog: Blog
) -> None:
    command("backfill", "blog", "--since", YESTERDAY, "-c", config)
    blog.asked.clear()
    assert command("backfill", "blog", "--since", "2020-01-01", "-c", config).code == 0
    assert blog.asked == list(range(PAGES))
    [row] = {(row.accepted > 0, row.gap) for row in archive().ledger()}
    assert row == (True, 0)
    assert sum(row.accepted for row in archive().ledger()) == PAGES * PER_PAGE


def test_interrupted_it_goes_on_where_it_was(command: Command, config: Path, blog: Blog) -> None:
    blog.open.clear()
    chosen = load(config)
    store = SqliteStore(chosen.store_path)
    with store.transaction():
        store.save_cursor("wish/backfill:blog", Wish(since=SINCE, asked_at=NOW).model_dump_json())
    store.close()
    stop = Event()
    life = Thread(target=Engine(chosen, "http://x.example", scorer=lambda _: Words()).run, args=(stop,))
    life.start()
    try:
        until(lambda: 2 in blog.asked and come().items == 20)
    finally:
        stop.set()
        life.join(30)
        blog.open.set()
    assert not come().done
    blog.asked.clear()
    assert command("backfill", "blog", "--since", f"{SINCE:%Y-%m-%dT%H:%M:%S}", "-c", config).code == 0
    assert (come().done, come().asked_at) == (True, NOW), "the same wish"
    assert min(blog.asked) == 2, "what was brought is not asked for again"


def test_a_running_daemon_brings_it_beside_its_live_cursor(command: Command, config: Path) -> None:
    stop = Event()
    engine = Engine(load(config), "http://x.example", scorer=lambda _: Words())
    daemon = Thread(target=engine.run, args=(stop,))
    daemon.start()
    try:
        until(lambda: (archive().cursor("blog") if Path("data/opinionwatch.db").exists() else None) is not None)
        ended = command("backfill", "blog", "--since", YESTERDAY, "-c", config)
        states = {name: health.state for name, health in engine.health().items()}
    finally:
        stop.set()
        daemon.join(30)
    assert ended.code == 0
    assert "the running daemon brings it" in ended.err
    assert come().items == PAGES * PER_PAGE
    assert states["backfill:blog"] in ("running", "exhausted") and "blog" in states
    flags = {each.document.native_id: each.document.flags for each in archive().documents(DocumentQuery(limit=100))}
    assert len(flags) == PAGES * PER_PAGE
    assert sum("history" in each for each in flags.values()) == (PAGES - 1) * PER_PAGE, "ten came by the live cursor"


def test_what_cannot_be_asked_is_told_with_its_cure(command: Command, config: Path) -> None:
    for arguments, cure in (
        (("blgo", "--since", YESTERDAY), "did you mean 'blog'?"),
        (("posts", "--since", YESTERDAY), "posts (jsonl) has no history to bring: The file is read from its first"),
        (("blog", "--since", "2999-01-01"), "--since lies in the future"),
        (("blog", "--since", "soon"), "soon"),
    ):
        ended = command("backfill", *arguments, "-c", config)
        assert ended.code == 2
        assert cure in ended.said
