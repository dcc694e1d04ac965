"""A real headless Chromium, and the page about a sample store for it to show."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web import Serving, build, serve
from tests.browser.chromium import find, flags
from tests.pipeline.web_client import sample
from tests.pipeline.web_sample import WATCHLISTS

expect.set_options(timeout=20_000)

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a file, with a profile of its own that is thrown away.

    Not one for all: Playwright's event loop runs in this thread as long as it lives, and other tests bring their own.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(playwright), args=flags())
        yield browser
        browser.close()


def show(archive: Archive) -> Serving:
    """Serve the page about an archive on a free port."""
    web = Web(port=0)
    return serve(build(archive, watchlists=WATCHLISTS, settings=web, lang="en"), web, lambda _: None)


@pytest.fixture(scope="session")
def home() -> Iterator[str]:
    """Address of the page about the sample store, which no test changes."""
    with show(sample()) as page:
        yield page.url


class Tabs:
    """Opens tabs and remembers whatever a page of ours should never do."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def __call__(self, *, width: int = 1280, height: int = 800, lang: str = "en-GB", dark: bool = False) -> Page:
        """A tab of a new browser session."""
        return self._watched(
            self._browser.new_context(
                viewport={"width": width, "height": height},
                locale=lang,
                color_scheme="dark" if dark else "light",
            )
        )

    def without_scripts(self) -> Page:
        """A tab that runs no JavaScript."""
        return self._watched(self._browser.new_context(java_script_enabled=False, locale="en-GB"))

    def _watched(self, context: BrowserContext) -> Page:
        self._contexts.append(context)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        if not request.url.startswith("http://127.0.0.1:"):
            self.complaints.append(f"asked for {request.url}")

    def close(self) -> None:
        """Close every tab; what they complained of stays."""
        for context in self._contexts:
            for page in context.pages:
                if not page.is_closed() and page.url.startswith("http"):
                    self.complaints += [f"violates {one}" for one in _violations(page)]
            context.close()


def _violations(page: Page) -> list[str]:
    found = page.evaluate("window.violations || []")
    return [str(one) for one in found]


@pytest.fixture
def showing() -> Iterator[Callable[[Archive], str]]:
    """Serves pages about archives of the test's own until it ends."""
    pages: list[Serving] = []

    def begin(archive: Archive) -> str:
        pages.append(show(archive))
        return pages[-1].url

    yield begin
    for page in pages:
        page.stop()


@pytest.fixture
def tabs(chromium: Browser, showing: Callable[[Archive], str]) -> Iterator[Tabs]:
    """Tabs; a console error, a policy violation, a dialog or a request to elsewhere fails the test."""
    del showing  # only so that tabs are closed before their server is
    opened = Tabs(chromium)
    yield opened
    opened.close()
    assert opened.complaints == []
