"""A client of the page, without a network, for tests."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from selectolax.lexbor import LexborHTMLParser, LexborNode
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from opinionwatch.pipeline.archive import Archive, DocumentQuery
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web import build
from opinionwatch.pipeline.web_health import Status
from opinionwatch.pipeline.web_tongue import Lang
from opinionwatch.pipeline.web_why import Explain
from tests.pipeline.web_sample import WATCHLISTS, fill

HOME = "http://127.0.0.1"
_folder = TemporaryDirectory(prefix="opinionwatch-web-")


@lru_cache
def sample() -> SqliteArchive:
    """The sample store; only to be read."""
    return fill(Path(_folder.name) / "sample.db")


def client(
    archive: Archive | None = None,
    web: Web | None = None,
    *,
    lang: Lang = "en",
    routes: Sequence[BaseRoute] = (),
    status: Status | None = None,
    budget: float | None = None,
    explain: Explain | None = None,
    at: str = HOME,
) -> TestClient:
    """A browser without JavaScript that shows the page about an archive."""
    app = build(
        archive or sample(),
        watchlists=WATCHLISTS,
        settings=web or Web(),
        lang=lang,
        extra_routes=routes,
        status=status,
        budget=budget,
        explain=explain,
    )
    return TestClient(app, base_url=at, follow_redirects=False, raise_server_exceptions=False)


def open_store(path: Path) -> SqliteArchive:
    """A sample store of one's own, to be written to."""
    return fill(path / "own.db")


VIEWS = (
    "/",
    "/feed",
    "/watchlists/lumora",
    "/watchlists/lumora?range=7d",
    "/watchlists/lumora?range=all",
    "/episodes",
    "/episodes/{episode}",
    "/documents/{document}",
    "/health",
    "/silences",
)


def address(view: str, archive: Archive | None = None) -> str:
    """The address of a view, with an episode and a document that there are."""
    archive = archive or sample()
    return view.format(episode=archive.episodes("lumora")[0].id, document=archive.documents(DocumentQuery())[0].id)


def words(node: LexborNode | None) -> str:
    """What there is to read in a part of a page."""
    return " ".join(node.text(separator=" ").split()) if node is not None else ""


def text(html: str) -> str:
    """What there is to read on a page."""
    return words(LexborHTMLParser(html).body)
