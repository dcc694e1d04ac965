"""The documents of the kill campaigns, and what must become of each: a function of its number, and of their number.

They arrive over days of simulated time. From the second day on, the mood about some of the brands falls every six hours
for a while, so that there are alerts that could be lost or told twice.
"""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

STARTED = datetime(2026, 3, 1, tzinfo=UTC)
BRANDS = ("Brava", "Corvo", "Delfi", "Eska")
CYCLE, CRISIS, LEARNING = timedelta(hours=6), timedelta(hours=1.5), timedelta(hours=30)
"""From one crisis to the next, how long one lasts, and how long the detector is left in peace to learn."""
WORDS = {
    "negative": ["{} is awful and slow", "the {} battery is terrible", "{} 太差了，客服很糟糕", "{}电池垃圾，非常失望"],
    "neutral": ["{} opens a shop on Monday", "where is the {} store", "{} 今天开会", "{}在哪里买"],
    "positive": ["love my {}, great battery", "{} is excellent value", "{} 很好用，电池漂亮", "{}客服非常棒"],
}
FILLER = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper", "kelp")
SOURCES = ("forum", "reviews")
TREND = {
    "reviews": [*SOURCES],
    "detector": {"false_alarms_per_week": 10, "min_authors": 3},
    "episodes": {"cooldown_h": 0, "resolve_h": 0.5, "escalate_h": 0.25},
}
"""Trend settings that make many alerts of few documents: every text is a voice, and episodes end soon."""


def watchlists() -> list[dict[str, object]]:
    """As they stand in a settings file."""
    return [{"id": name.lower(), "name": name, "names": [name]} for name in BRANDS]


@dataclass(frozen=True)
class Documents:
    """So many documents."""

    count: int

    @cached_property
    def gap(self) -> timedelta:
        """Simulated time between two arrivals: three days for a small run, up to six for a large one."""
        return timedelta(days=min(6.0, max(3.0, self.count / 33_000))) / self.count

    def expected(self, number: int) -> str:
        """What must become of document `number`."""
        return "dead" if number % 97 == 5 else "dropped" if number % 11 == 3 else "indexed"

    def line(self, number: int) -> bytes:
        """The record of document `number`."""
        if self.expected(number) == "dead":
            return b'{"native_id": "d%d", "text": ' % number
        dice = random.Random(-number)
        late = dice.uniform(0, 7200 if number % 10 == 0 else 60)
        record = {
            "native_id": f"d{number}",
            "text": self.text(number),
            "author": f"author{dice.randrange(5000)}",
            "published_at": (STARTED + number * self.gap - timedelta(seconds=late)).isoformat(),
            "source": dice.choice(SOURCES),
        }
        return json.dumps(record, ensure_ascii=False).encode()

    def text(self, number: int) -> str:
        """What document `number` says."""
        dice = random.Random(number)
        brand = dice.randrange(len(BRANDS))
        moods = ["negative"] * 8 + ["neutral"] if brand in self.in_crisis(number) else list(WORDS)
        name = "Nothing" if self.expected(number) == "dropped" else BRANDS[brand]
        return f"{dice.choice(WORDS[dice.choice(moods)]).format(name)} {' '.join(dice.sample(FILLER, 4))} {number}"

    def in_crisis(self, number: int) -> set[int]:
        """The brands that people are cross with when document `number` arrives."""
        since = number * self.gap - LEARNING
        if since < timedelta(0) or since % CYCLE >= CRISIS:
            return set()
        return {(since // CYCLE) % len(BRANDS), (since // CYCLE + 2) % len(BRANDS)}

    def write(self, path: Path) -> None:
        """Write all of them into a feed's file, one a line."""
        with path.open("wb") as file:
            file.writelines(self.line(number) + b"\n" for number in range(self.count))

    def source(self, folder: Path, **more: object) -> dict[str, object]:
        """A feed of them in `folder`, as it stands in a settings file."""
        return {
            "name": "feed",
            "kind": "counting_feed:CountingFeed",
            "path": str(folder / "feed.jsonl"),
            "log": str(folder / "delivered.log"),
            "started": STARTED.isoformat(),
            "gap_s": self.gap.total_seconds(),
            **more,
        }


def deliveries(log: Path) -> list[tuple[int, int]]:
    """Every page that a feed handed over: first line number and the one after its last."""
    if not log.exists():
        return []
    pairs = (entry.split() for entry in log.read_text().splitlines() if entry.count(" ") == 1)
    return [(int(first), int(end)) for first, end in pairs]
