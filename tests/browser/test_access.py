"""The page for those who do not use it as its makers do: contrast, labels, landmarks, the keyboard."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Tabs
from tests.pipeline.web_client import VIEWS, address

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
NAMELESS = Path(__file__).with_name("nameless.js").read_text(encoding="utf-8")
TWICE = "() => [...document.querySelectorAll('[id]')].map((n) => n.id).filter((id, i, all) => all.indexOf(id) !== i)"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_word_stands_out_from_its_ground(tabs: Tabs, home: str, dark: bool) -> None:
    page = tabs(dark=dark)
    page.emulate_media(reduced_motion="reduce")
    for view in VIEWS:
        page.goto(home + address(view))
        assert page.evaluate(CONTRAST) == [], view


def test_every_view_has_landmarks_one_title_and_names_for_everything(tabs: Tabs, home: str) -> None:
    page = tabs()
    for view in VIEWS:
        page.goto(home + address(view))
        for landmark in ("banner", "main", "contentinfo"):
            expect(page.get_by_role(landmark)).to_have_count(1)
        expect(page.get_by_role("navigation", name="Main")).to_have_count(1)
        expect(page.locator("h1")).to_have_count(1)
        assert page.evaluate(NAMELESS) == [], view
        assert page.evaluate(TWICE) == [], view


def test_the_keyboard_skips_to_the_content_and_reaches_the_alert(tabs: Tabs, home: str) -> None:
    page = tabs()
    page.goto(home)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.goto(home)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.get_by_role("link", name="See why").evaluate("(node) => node === document.activeElement"):
            return
    pytest.fail("the alert is out of the keyboard's reach")
