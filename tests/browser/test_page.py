"""The page in a real browser: what an analyst sees and does."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from opinionwatch.pipeline.archive import Archive
from tests.browser.conftest import Tabs
from tests.pipeline.web_client import VIEWS, address, open_store


def test_the_overview_shows_cards_banner_and_that_it_is_live(tabs: Tabs, home: str) -> None:
    page = tabs()
    page.goto(home)
    expect(page.locator(".card")).to_have_count(3)
    expect(page.locator(".card.alarm .state")).to_contain_text("crisis since 8 Mar 12:05")
    expect(page.locator(".banner")).to_be_visible()
    expect(page.locator("#pulse")).to_have_text("live")
    expect(page).to_have_title("▼ 1 · Overview · opinionwatch")
    spark = page.locator(".card.alarm .spark .line").bounding_box()
    assert spark is not None and spark["width"] > 200


def test_the_banner_leads_to_the_episode_and_its_chart_is_drawn(tabs: Tabs, home: str) -> None:
    page = tabs()
    page.goto(home)
    page.get_by_role("link", name="See why").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("public mood has turned negative mostly about battery")
    expect(page.locator("[data-chart][data-drawn] canvas")).to_have_count(2)
    expect(page.locator(".readout")).to_contain_text(re.compile(r"negative voices \d+ % \(\d+–\d+ %\)"))
    expect(page.locator(".terms")).to_contain_text("掉电")


def test_the_chart_tells_the_point_under_the_pointer(tabs: Tabs, home: str) -> None:
    page = tabs()
    page.goto(f"{home}/watchlists/lumora")
    expect(page.locator("[data-drawn]")).to_be_visible()
    latest = page.locator(".readout").inner_text()
    page.locator(".u-over").first.hover(position={"x": 60, "y": 60})
    expect(page.locator(".readout")).not_to_have_text(latest)
    expect(page.locator(".readout")).to_contain_text("7 Mar")
    page.get_by_role("link", name="7 days").click()
    expect(page.locator("[data-drawn]")).to_be_visible()
    assert page.url.endswith("range=7d")


def test_the_feed_marks_opinions_by_more_than_colour(tabs: Tabs, home: str) -> None:
    page = tabs()
    page.goto(f"{home}/feed?language=zh&watchlist=lumora")
    negative = page.locator(".post mark.opinion.negative").first
    expect(negative).to_be_visible()
    style = negative.evaluate("(node) => getComputedStyle(node).textDecorationStyle")
    assert style == "wavy"
    assert (
        page.locator("mark.opinion.positive").first.evaluate("n => getComputedStyle(n).textDecorationStyle") == "solid"
    )
    assert negative.get_attribute("title") == "negative opinion: 电池"


def test_the_feed_is_filtered_by_its_form(tabs: Tabs, home: str) -> None:
    page = tabs()
    page.goto(f"{home}/feed")
    page.get_by_label("Watchlist").select_option(label="Skyfare")
    page.get_by_label("Sentiment").select_option("positive")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".post")).to_have_count(4)
    expect(page.locator(".post .chip").first).to_contain_text("▲ positive")
    expect(page.get_by_label("Watchlist")).to_have_value("skyfare")


def test_the_language_is_switched_and_stays_switched(tabs: Tabs, home: str) -> None:
    page = tabs()
    page.goto(home)
    page.get_by_role("link", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator(".banner")).to_contain_text("舆论转为负面")
    page.goto(f"{home}/episodes")
    expect(page.get_by_role("heading", level=1)).to_have_text("事件")
    page.get_by_role("link", name="EN", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Episodes")


def test_a_chinese_browser_is_spoken_to_in_chinese(tabs: Tabs, home: str) -> None:
    page = tabs(lang="zh-CN")
    page.goto(f"{home}/watchlists/lumora")
    expect(page.locator(".readout")).to_contain_text("负面发声者占比")
    expect(page.locator("#groups")).to_contain_text("电池")


def test_alerts_are_silenced_and_the_silence_is_ended(
    tabs: Tabs, showing: Callable[[Archive], str], tmp_path: Path
) -> None:
    archive = open_store(tmp_path)
    url = showing(archive)
    page = tabs()
    page.goto(f"{url}/watchlists/lumora")
    page.get_by_label("For").select_option(label="12 h")
    page.get_by_label("Why").fill("known recall, team is on it")
    page.get_by_label("Your name").fill("mei")
    page.get_by_role("button", name="Silence").click()
    expect(page.get_by_role("status").filter(has_text="Silence stored.")).to_be_visible()
    expect(page.locator("#silences")).to_contain_text("Lumora 流墨 — known recall, team is on it")
    expect(page.locator("#silences")).to_contain_text("8 Mar 16:30 – 9 Mar 04:30 UTC · mei")
    page.goto(url)
    expect(page.locator(".card").first).to_contain_text("silenced until 9 Mar 04:30 UTC")
    page.goto(f"{url}/silences")
    page.get_by_role("button", name="End now").click()
    expect(page.locator("#silences .expired")).to_have_count(1)
    assert [silence.ends_at for silence in archive.silences()] == [archive.now()]


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("lang", ["en-GB", "zh-CN"])
def test_a_phone_never_scrolls_sideways(tabs: Tabs, home: str, width: int, lang: str) -> None:
    page = tabs(width=width, height=740, lang=lang)
    for view in VIEWS:
        page.goto(home + address(view))
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond == 0, view


def test_everything_but_charts_and_liveness_works_without_scripts(tabs: Tabs, home: str) -> None:
    page = tabs.without_scripts()
    page.goto(home)
    expect(page.locator(".card")).to_have_count(3)
    page.get_by_role("link", name="See why").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("public mood has turned negative")
    page.get_by_role("link", name="Lumora 流墨 →").click()
    assert page.locator("noscript p").bounding_box() is not None
    page.get_by_text("The same as a table").click()
    expect(page.locator("#trend-table tbody tr").first).to_be_visible()


def test_dark_is_dark(tabs: Tabs, home: str) -> None:
    page = tabs(dark=True)
    page.goto(home)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 19, 25)"
