"""Finds a Chromium to look at the page with: the machine's, else Playwright's own, else the distribution's package."""

import os
import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PACKAGES = ("chromium", "fonts-liberation")
WORDS = (
    "The browser tests need a Chromium and found none: install one (Debian, Ubuntu: `apt-get install chromium`; "
    "anywhere: `.venv/bin/playwright install chromium`) and run them again."
)


def flags() -> list[str]:
    """How it is started; root has no sandbox to start it in."""
    return [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def find(playwright: Playwright) -> str:
    """Path of a Chromium, installed if it has to be and may be. Raises RuntimeError that says what to install."""
    own = playwright.chromium.executable_path
    found = _on_path() or (own if Path(own).exists() else None) or _installed()
    if found is None:
        raise RuntimeError(WORDS)
    return found


def _on_path() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


def _installed() -> str | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        if subprocess.run(["apt-get", *arguments], **quiet, timeout=600, check=False).returncode:  # type: ignore[call-overload]  # the same keywords twice
            return None
    return _on_path()
