"""A source that writes down what it hands over before it does, so that an oracle outside the program sees replays.

Named in a settings file as `counting_feed:CountingFeed`, with this folder on PYTHONPATH.
"""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from opinionwatch.pipeline.ports import Item, Page

PAUSE_S = 0.05


class CountingFeed:
    """Read JSON lines by byte offset; every page's first and last line number goes to `log` before the page goes out.

    Delivery: at least once, exactly the rest from every cursor.
    """

    kind = "counting_feed"
    interval_s: float | None = None
    replays = True

    class Settings(BaseModel):
        """Settings of the counting feed."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        path: Path = Field(description="The lines to hand over.")
        log: Path = Field(description="Where deliveries are written down.")
        started: AwareDatetime = Field(description="Simulated arrival of the first line.")
        gap_s: float = Field(gt=0, description="Simulated seconds between two lines.")
        ends: bool = Field(default=False, description="Whether it is exhausted after its last line, or waits.")
        allowed: Path | None = Field(
            default=None, description="Holds the number of the first line that may not be handed over yet."
        )
        page_items: int = Field(default=64, gt=0, description="Lines in a page.")

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.instance = settings.path.name
        self._settings = settings
        self._closed = Event()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Pages after `cursor`, which is a line number and a byte offset; then wait for the end of the process."""
        number, _, offset = (cursor or "0:0").partition(":")
        line, log = int(number), os.open(self._settings.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with self._settings.path.open("rb") as file:
            file.seek(int(offset))
            while not self._closed.is_set():
                if not self._may(line):
                    self._closed.wait(PAUSE_S)
                    continue
                bodies = [body.rstrip(b"\n") for _, body in zip(range(self._settings.page_items), file, strict=False)]
                if not bodies:
                    break
                os.write(log, f"{line} {line + len(bodies)}\n".encode())
                page = [Item(body, self._arrival(line + index)) for index, body in enumerate(bodies)]
                line += len(bodies)
                yield Page(page, f"{line}:{file.tell()}")
        if not self._settings.ends:
            self._closed.wait()

    def _may(self, line: int) -> bool:
        allowed = self._settings.allowed
        return allowed is None or line < int(allowed.read_text() or 0)

    def _arrival(self, line: int) -> datetime:
        return self._settings.started + line * timedelta(seconds=self._settings.gap_s)

    def close(self) -> None:
        """End after the current page."""
        self._closed.set()
