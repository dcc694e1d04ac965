"""An embedded runtime on a store of its own, driven page by page by a test: real stages, real store, no threads."""

import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import orjson

from opinionwatch.alerts.terminal import Terminal
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.contracts import Label, OpinionTerm, Reading, Sentiment
from opinionwatch.pipeline.embedded import Embedded
from opinionwatch.pipeline.intake import QueueIntake
from opinionwatch.pipeline.ports import Item, ManualClock, Page, Passage, Scorer
from opinionwatch.pipeline.settings import Settings, load
from opinionwatch.pipeline.store_sqlite import SqliteStore

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
TODAY = datetime(2026, 3, 20, tzinfo=UTC)
BAD = ("awful", "overheats", "发烫", "太差")
GOOD = ("great", "lovely", "好用")
CALM = ("The Lumora {} is great, number {n}", "流墨的{}很好用 第{n}次", "Lumora shows a {} at the fair, number {n}")
CROSS = ("My Lumora overheats, the {} is awful, number {n}", "流墨的{}发烫 太差 第{n}次")


class Words:
    """A scorer that knows seven words. Deterministic, and quick enough to be run thousands of times.

    Texts with `poison` in them it cannot read: it dies of them as a model does, whole batches at a time.
    """

    version = "seven-words"

    def __init__(self, _: object = None) -> None:
        self.calls = 0

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage."""
        self.calls += 1
        if any("poison" in passage.text for passage in passages):
            raise ZeroDivisionError("poison")
        return [self._read(passage.text) for passage in passages]

    def _read(self, text: str) -> Reading:
        lower = text.lower()
        bad = next((word for word in BAD if word in lower), None)
        label: Label = "negative" if bad else "positive" if any(word in lower for word in GOOD) else "neutral"
        share = {name: 0.9 if name == label else 0.05 for name in ("negative", "neutral", "positive")}
        opinions: tuple[OpinionTerm, ...] = ()
        if bad:
            start = lower.index(bad)
            opinions = (
                OpinionTerm(
                    aspect=None, opinion=text[start : start + len(bad)], polarity="negative", aspect_span=None,
                    opinion_span=(start, start + len(bad)), confidence=0.9,
                ),
            )  # fmt: skip
        return Reading(sentiment=Sentiment(label=label, unsure=False, **share), opinions=opinions)


class Torn(Words):
    """Seven words, and what they say of a name: that of the text, or its opposite where the text ends with 0 or 5."""

    version = "seven-torn-words"

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage, with one sentiment a target."""
        return [
            whole.model_copy(update={"targets": tuple(_torn(passage.text, whole.sentiment) for _ in passage.targets)})
            for whole, passage in zip(super().score(passages), passages, strict=True)
        ]


def _torn(text: str, own: Sentiment) -> Sentiment:
    if not text.endswith(("0", "5")):
        return own
    label: Label = {"negative": "positive", "positive": "negative"}.get(own.label, own.label)  # type: ignore[assignment]  # labels stay labels
    return own.model_copy(update={"label": label, "negative": own.positive, "positive": own.negative})


class Feed:
    """A source of items that a test holds in its hand.

    Delivery: whatever the test does.
    """

    kind = "test"
    interval_s: float | None = None

    def __init__(self, name: str = "feed", *, replays: bool = True) -> None:
        self.name, self.instance, self.replays = name, f"{name}-instance", replays

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Nothing by itself."""
        del cursor
        return iter(())

    def close(self) -> None:
        """Nothing to close."""


def post(number: int, text: str, at: datetime | None = None, **more: object) -> Item:
    """One post as a source delivers it; with a time it is replayed."""
    body = {"native_id": f"post-{number}", "text": text, "author": f"author-{number % 97}", **more}
    if at is not None:
        body.setdefault("published_at", at.isoformat())
    return Item(orjson.dumps(body), at)


def half_hour(at: datetime, start: datetime, posts: int) -> Page:
    """What a live source brings of one half-hour since `start`, published now, with ids that no other has."""
    first = round((at - start) / timedelta(minutes=30)) * 100
    found = [
        post(number, f"Lumora works, note {number}", published_at=at.isoformat(), source="forum", author=f"{number}")
        for number in range(first, first + posts)
    ]
    return Page(found, str(first))


def story(seed: int = 5, days: int = 2, an_hour: int = 6, crowd: int = 110) -> list[Item]:
    """Quiet days, then two hours in which a `crowd` says that the battery overheats; late, repeated and broken
    records among them. In order of arrival.
    """
    dice = random.Random(seed)
    turn = BEGIN + timedelta(days=days)
    calm = [BEGIN + timedelta(seconds=dice.uniform(0, days * 86400 + 7200)) for _ in range(days * 24 * an_hour)]
    storm = [turn + timedelta(seconds=dice.uniform(0, 7200)) for _ in range(crowd)]
    moments = sorted([(at, False) for at in calm] + [(at, True) for at in storm])
    items: list[Item] = []
    for number, (at, cross) in enumerate(moments):
        bad = cross or dice.random() < 0.15
        part = "battery" if cross else dice.choice(("battery", "screen"))
        text = dice.choice(CROSS if bad else CALM).format(part, n=number)
        late = timedelta(minutes=dice.choice((7, 90))) if dice.random() < 0.05 else timedelta(0)
        author = f"author-{dice.randrange(10**6)}"
        place = dice.choice(("microblog", "forum"))
        items.append(post(number, text, at, published_at=(at - late).isoformat(), author=author, source=place))
        if dice.random() < 0.03:
            items.append(Item(items[dice.randrange(len(items))].body, at))
        if dice.random() < 0.02:
            items.append(Item(b'{"native_id": "broken-%d", "text": ' % number, at))
        if dice.random() < 0.02:
            items.append(post(100_000 + number, "about nothing in particular", at))
    return items


def pages(items: Sequence[Item], sizes: Iterable[int]) -> list[Page]:
    """Cut items into pages of these sizes; the last page takes the rest."""
    found, start = [], 0
    for size in sizes:
        if start < len(items):
            found.append(Page(items[start : start + size], str(min(len(items), start + size))))
            start += size
    return [*found, Page(items[start:], str(len(items)))] if start < len(items) else found


def settings(folder: Path, **more: object) -> Settings:
    """Settings of a store in `folder` that watches one brand."""
    watchlists = [{"id": "lumora", "names": ["Lumora", "流墨"]}]
    return load(None, {"watchlists": watchlists, "scorer": {"kind": "lexicon"}, **more, "data_dir": folder})


class Rig:
    """One life of a runtime. Make another on the same folder for the next life."""

    def __init__(
        self,
        folder: Path,
        *,
        scorer: Scorer | None = None,
        live: bool = False,
        clock: ManualClock | None = None,
        **more: object,
    ) -> None:
        self.settings = settings(folder, **more)
        self.path = self.settings.store_path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pseudonym.key").write_bytes(b"the same authors in every folder")
        self.store = SqliteStore(self.path)
        self.clock = clock or ManualClock(TODAY)
        self.intake = QueueIntake(10_000)
        self.feed = Feed(replays=not live)
        self.replaying = [] if live else [self.feed.name]
        hops = wiring.hops(self.settings, scorer or Words(), {"terminal": Terminal("terminal", Terminal.Settings())})
        limits = self.settings.limits
        self.runtime = Embedded(
            self.store, hops, self.intake, self.clock, limits, replaying=lambda: self.replaying, live=live
        )

    def submit(self, page: Page) -> "Future[None]":
        """Hand in a page."""
        return self.intake.submit(self.feed, page)

    def play(self, given: Iterable[Page], stop: Event | None = None) -> "list[Future[None]]":
        """Take these pages, batch by batch, and save no snapshot. A `stop` that is set ends what has to be retried."""
        promises = [self.submit(page) for page in given]
        while taken := self.intake.take(self.settings.limits.batch_documents, wait_s=0):
            self.runtime._until_done(taken, stop or Event())
        self.runtime._until_done([], stop or Event())
        return promises

    def finish(self) -> None:
        """The replay is over: decide what is left, and close the store."""
        self.replaying = []
        self.runtime.drain()
        self.store.close()

    def die(self) -> None:
        """End this life without any goodbye: nothing in memory is saved."""
        self.store.close()


TABLES = {
    "ledger": "SELECT id, source, hour, state, rule FROM ledger ORDER BY id",
    "documents": "SELECT id, body FROM documents ORDER BY id",
    "mentions": "SELECT document_id, watchlist, aspect, aspects, label FROM mentions ORDER BY seq",
    "windows": "SELECT * FROM windows ORDER BY 1, 2, 3, 4",
    "episodes": "SELECT id, body FROM episodes ORDER BY id",
    "alerts": "SELECT id, state, json_extract(CAST(body AS TEXT), '$.alert') FROM deliveries ORDER BY id",
    "deadletters": "SELECT id, body FROM deadletters ORDER BY id",
    "progress": "SELECT up_to FROM progress",
    "cursors": "SELECT * FROM cursors",
}


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    """What another program reads in the store, now."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def world(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything that must not depend on batches, crashes or the wall clock."""
    return {table: rows(path, sql) for table, sql in TABLES.items()}
