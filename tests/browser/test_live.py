"""The page while the pipeline runs: it changes by itself."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import expect

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.browser.conftest import Tabs, show
from tests.pipeline.web_sample import NOW, POSTS, Post, crisis, documents, fill, scored, write


def test_an_alert_appears_as_a_banner_on_an_open_page(
    tabs: Tabs, showing: Callable[[Archive], str], tmp_path: Path
) -> None:
    url = showing(fill(tmp_path / "calm.db", with_crisis=False))
    overview, feed = tabs(), tabs(lang="zh-CN")
    overview.goto(url)
    feed.goto(f"{url}/feed")
    for page in (overview, feed):
        expect(page.locator("#pulse")).to_have_attribute("data-state", "live")
        expect(page.locator(".banner")).to_have_count(0)
        page.evaluate("window.unbroken = true")
    store = SqliteStore(tmp_path / "calm.db")
    with store.transaction():
        store.write([crisis(documents(3))])
    store.close()
    expect(overview.locator(".banner")).to_contain_text("public mood has turned negative")
    expect(overview.locator(".card.alarm")).to_have_count(1)
    expect(overview).to_have_title("▼ 1 · Overview · opinionwatch")
    expect(feed.locator(".banner")).to_contain_text("舆论转为负面")
    for page in (overview, feed):
        assert page.evaluate("window.unbroken"), "the page was loaded anew"


def test_new_posts_and_the_clock_come_in_by_themselves_unless_paused(
    tabs: Tabs, showing: Callable[[Archive], str], tmp_path: Path
) -> None:
    url = showing(fill(tmp_path / "own.db"))
    page = tabs()
    page.goto(f"{url}/feed")
    expect(page.locator("#pulse")).to_have_text("live")
    _say(tmp_path, "Breaking: the first new post", 5)
    expect(page.locator(".post").first).to_contain_text("the first new post")
    expect(page.locator("#clock")).to_contain_text("16:35")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#pulse")).to_have_text("paused")
    with page.expect_event("request", predicate=lambda request: "/feed" in request.url):
        _say(tmp_path, "Breaking: the second new post", 10)
        page.get_by_role("button", name="Resume").click()
    expect(page.locator(".post").first).to_contain_text("the second new post")


def test_the_chart_moves_with_the_pipeline(tabs: Tabs, showing: Callable[[Archive], str], tmp_path: Path) -> None:
    url = showing(fill(tmp_path / "own.db"))
    page = tabs()
    page.goto(f"{url}/watchlists/lumora")
    expect(page.locator(".readout")).to_contain_text("8 Mar 16:00")
    _say(tmp_path, "Another one", 120)
    expect(page.locator(".readout")).not_to_contain_text("8 Mar 16:00")


def test_a_page_says_when_it_has_lost_its_server(tabs: Tabs, tmp_path: Path) -> None:
    serving = show(fill(tmp_path / "own.db"))
    page = tabs()
    page.goto(serving.url)
    expect(page.locator("#pulse")).to_have_text("live")
    serving.stop()
    expect(page.locator("#pulse")).to_have_text("connection lost")
    tabs.complaints.clear()


def test_news_takes_neither_the_readers_place_nor_their_selection(
    tabs: Tabs, showing: Callable[[Archive], str], tmp_path: Path
) -> None:
    url = showing(fill(tmp_path / "own.db"))
    page = tabs()
    page.goto(url)
    expect(page.locator("#pulse")).to_have_text("live")
    link = page.get_by_role("link", name="Skyfare", exact=True).first
    link.focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#latest .text'))")
    marked = page.evaluate("String(getSelection())")
    _say(tmp_path, "Breaking: something new", 35)
    expect(page.locator("#clock")).to_contain_text("17:05")
    expect(link).to_be_focused()
    assert page.evaluate("String(getSelection())") == marked
    page.evaluate("getSelection().removeAllRanges()")
    _say(tmp_path, "Breaking: something newer", 40)
    expect(page.locator("#latest .post").first).to_contain_text("something newer")


def _say(folder: Path, text: str, minutes: int) -> None:
    now = NOW + timedelta(minutes=minutes)
    store = SqliteStore(folder / "own.db")
    write(store, [scored(Post("lumora", "en", "neutral", text), 5000 + minutes + len(POSTS), now)])
    with store.transaction():
        store.save_progress(now)
    store.close()
