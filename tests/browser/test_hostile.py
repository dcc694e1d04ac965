"""Posts that attack their reader, in a real browser."""

from collections.abc import Callable
from pathlib import Path

from opinionwatch.pipeline.archive import Archive, DocumentQuery
from tests.browser.conftest import Tabs
from tests.pipeline.test_web_views import hostile
from tests.pipeline.web_client import VIEWS, address
from tests.pipeline.web_hostile import POSTS

ALIEN = """() => [...document.querySelectorAll("*")].filter((node) =>
    [...node.attributes].some((one) => one.name.startsWith("on") || one.name === "style" && !node.closest(".plots"))
    || ["IFRAME", "OBJECT", "EMBED", "BASE", "STYLE", "MATH", "MARQUEE"].includes(node.tagName)
    || node.tagName === "SCRIPT" && (node.textContent || !node.src.startsWith(location.origin + "/static/"))
    || node.tagName === "A" && !["http:", "https:"].includes(node.protocol)
).map((node) => node.outerHTML.slice(0, 200))"""


def test_more_than_a_hundred_hostile_posts_do_nothing_in_any_view(
    tabs: Tabs, showing: Callable[[Archive], str], tmp_path: Path
) -> None:
    archive = hostile(tmp_path)
    url = showing(archive)
    page = tabs()
    newest = archive.documents(DocumentQuery(limit=len(POSTS) + 40))
    # Every post stands in some page of the feed.
    slices = [newest[i].document.published_at.isoformat().replace("+00:00", "Z") for i in range(0, len(newest), 55)]
    views = [*(address(view, archive) for view in VIEWS), *(f"/feed?until={moment}" for moment in slices)]
    shown = set()
    for view in views:
        page.goto(url + view, wait_until="networkidle" if view == "/" else "load")
        assert page.evaluate(ALIEN) == [], view
        shown |= set(page.evaluate("[...document.querySelectorAll('[data-key]')].map((node) => node.dataset.key)"))
    assert {one.id for one in newest[1:]} <= shown
