"""Takes the pictures of the README from a page that is running: `python -m tests.browser.pictures URL FOLDER`.

Run `opinionwatch demo --no-browser` beside it, wait for its alert, and give it the address that it tells. Chinese posts
need a font that has them, such as the package fonts-noto-cjk.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.chromium import find, flags

PICTURES = (
    ("overview", "/", False, "en-GB"),
    ("overview-dark", "/", True, "zh-CN"),
    ("feed", "/feed", False, "en-GB"),
    ("episode", "banner", False, "en-GB"),
)


def take(url: str, folder: Path) -> None:
    """Write one PNG a picture, 1280 px wide, at twice the density."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(playwright), args=flags())
        for name, view, dark, locale in PICTURES:
            page = browser.new_page(
                viewport={"width": 1280, "height": 900},
                device_scale_factor=2,
                color_scheme="dark" if dark else "light",
                locale=locale,
                reduced_motion="reduce",
            )
            page.goto(url + ("/" if view == "banner" else view))
            if view == "banner":
                page.locator(".banner .button").click()
                page.locator("[data-drawn]").wait_for()
            page.locator("#pulse[data-state=live]").wait_for()
            page.screenshot(path=folder / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1].rstrip("/"), Path(sys.argv[2]))
