"""A backfill through the daemons on real services: beside the live cursor and through a kill."""

import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.archives import archive_of
from tests.connectors.conftest import serve  # noqa: F401 - a fixture
from tests.pipeline.daemons import COMMAND, Daemons
from tests.pipeline.test_cli_backfill import PAGES, PER_PAGE, YESTERDAY, Blog

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]


@pytest.fixture
def blog() -> Blog:
    return Blog()


@pytest.fixture(params=["sqlite"])
def daemons(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    services: Mapping[str, str],
    serve: Serve,  # noqa: F811
    blog: Blog,
) -> Iterator[Daemons]:
    """A cluster that reads the blog into a store; whatever is started in it is ended with the test."""
    found = Daemons(
        tmp_path / "cluster",
        services,
        store=request.param,
        watchlists=[{"id": "lumora", "names": ["Lumora"]}],
        sources=[
            {"name": "blog", "kind": "rss", "url": f"{serve(blog)}/feed", "allow_hosts": ["127.0.0.1"],
             "interval_s": 3600}
        ],
    )  # fmt: skip
    if request.param == "elasticsearch":
        found.prepared()
    else:
        done = found.command("topics", "create")
        assert done.returncode == 0, done.stderr
    try:
        yield found
    finally:
        found.kill()
        blog.open.set()


def test_history_goes_through_the_log_beside_the_live_cursor_and_survives_a_kill(daemons: Daemons, blog: Blog) -> None:
    blog.open.clear()
    life = daemons.start("ingest")
    daemons.until(lambda: blog.asked == [0])
    asked = subprocess.Popen(
        [str(COMMAND), "backfill", "blog", "--since", YESTERDAY, "--daemons", "-c", str(daemons.config)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        daemons.until(lambda: 2 in blog.asked)
        life.send_signal(signal.SIGKILL)
        life.wait(30)
        blog.asked.clear()
        blog.open.set()
        for role in ("ingest", "score"):
            daemons.start(role)
        out, err = asked.communicate(timeout=90)
    finally:
        asked.kill()
    assert (asked.returncode, out) == (0, f"60 documents of blog since {YESTERDAY}, marked as history\n"), err
    assert "the ingest daemon brings it" in err
    assert Counter(blog.asked)[1] == 0, "what was stored before the kill is not asked for again"
    daemons.until(daemons.settings.store_path.exists)
    archive = archive_of(daemons.settings)
    daemons.until(lambda: sum(row.indexed for row in archive.ledger()) == PAGES * PER_PAGE)
    documents = archive.documents(DocumentQuery(limit=1000))
    assert len({each.document.native_id for each in documents}) == PAGES * PER_PAGE
    marked = sum("history" in each.document.flags for each in documents)
    assert marked == (PAGES - 1) * PER_PAGE, "ten came by the live cursor, and each is one document"
    assert [(row.gap, row.pending) for row in archive.ledger()] == [(0, 0)] * len(archive.ledger())
    assert max(daemons.end().values()) <= 30


@pytest.mark.parametrize("daemons", ["elasticsearch"], indirect=True)
def test_history_comes_to_elasticsearch_by_the_daemon_that_reads_the_source(daemons: Daemons, blog: Blog) -> None:
    blog.open.set()
    for role in ("ingest", "score"):
        daemons.start(role)
    daemons.until(lambda: 0 in blog.asked)
    asked = daemons.command("backfill", "blog", "--since", YESTERDAY)
    assert (asked.returncode, asked.stdout) == (
        0,
        f"60 documents of blog since {YESTERDAY}, marked as history\n",
    ), asked.stderr
    assert "the ingest daemon brings it" in asked.stderr
    archive = archive_of(daemons.settings)
    daemons.until(lambda: sum(row.indexed for row in archive.ledger()) == PAGES * PER_PAGE)
    documents = archive.documents(DocumentQuery(limit=1000))
    assert len({each.document.native_id for each in documents}) == PAGES * PER_PAGE
    assert sum("history" in each.document.flags for each in documents) == (PAGES - 1) * PER_PAGE
    assert max(daemons.end().values()) <= 30
    # Indices become visible one after the other, so that documents may be seen before the ledger knows them.
    daemons.until(lambda: all((row.gap, row.pending) == (0, 0) for row in archive.ledger()))
