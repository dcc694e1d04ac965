"""A source that writes posts at a pace, as many as it is told to at any time, and says how far it has come.

Named in a settings file as `paced_feed:PacedFeed`, with this folder on PYTHONPATH.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Event
from time import monotonic

from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.connectors.demo import Demo
from opinionwatch.pipeline.ports import Item, Page

PAGE_ITEMS = 250
LOOK_S = 0.1


class Pace(BaseModel):
    """How far to go, and how fast. Written into the control file at any time, whole (by renaming)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: int
    per_s: float


class PacedFeed:
    """Write posts, no two the same. What the pipeline cannot take in time is late, and not left out.

    Delivery: at least once, exactly the rest from every cursor.
    """

    kind = "paced_feed"
    interval_s: float | None = None
    replays = False

    class Settings(BaseModel):
        """Settings of the paced feed."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        control: Path = Field(description="File with the pace.")
        progress: Path = Field(description="Where it is written how many posts have been handed over.")

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.instance = name, "paced"
        self._settings = settings
        self._closed = Event()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Pages after `cursor`, which is a number of posts; waits where it is not to go on."""
        [first] = islice(Demo("demo", Demo.Settings(page_items=6000)).fetch(None), 1)
        texts = [json.loads(item.body)["text"] for item in first.items]
        number, pace, since, origin = int(cursor or 0), Pace(until=0, per_s=1), monotonic(), 0
        while not self._closed.is_set():
            told = Pace.model_validate_json(self._settings.control.read_bytes())
            if told != pace:
                pace, since, origin = told, monotonic(), number
            due = min(pace.until, origin + int((monotonic() - since) * pace.per_s))
            size = min(PAGE_ITEMS, due - number)
            if size <= 0 or (size < PAGE_ITEMS and due < pace.until):
                self._closed.wait(LOOK_S)
                continue
            yield Page([_item(n, texts) for n in range(number, number + size)], str(number + size))
            number += size
            _replace(self._settings.progress, str(number))

    def close(self) -> None:
        """End after the current page."""
        self._closed.set()


def _item(number: int, texts: list[str]) -> Item:
    said = {"native_id": f"p{number}", "text": f"{texts[number % len(texts)]} {number}", "author": f"a{number % 9973}"}
    return Item(json.dumps(said, ensure_ascii=False).encode())


def _replace(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)
