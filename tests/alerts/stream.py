"""A small stream of mentions for the tests of the trend hop: two quiet weeks, and what a test plants into them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from opinionwatch.pipeline.contracts import Label, Mention, OpinionTerm, Reading, Sentiment, content_id

START = datetime(2024, 3, 4, tzinfo=UTC)
SOURCES = ("microblog", "forum", "news")
ASPECTS = ("battery", "price", "screen", "general")
GOOD = {"en": "I like how the {aspect} of my Lumora works number {n}", "zh": "流墨的{aspect}用着很舒服 第{n}次"}
BAD = {"en": "The {aspect} of my Lumora disappoints me number {n}", "zh": "流墨的{aspect}让人失望 第{n}次"}
HOT = {"en": "My Lumora overheats while charging number {n}", "zh": "流墨手机充电就发烫 第{n}次"}


@dataclass
class Stream:
    """Mentions with random but seeded times, cells and moods."""

    seed: int = 1
    mentions: list[Mention] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def say(
        self,
        at: datetime,
        *,
        label: Label,
        watchlist: str = "lumora",
        source: str = "microblog",
        aspect: str = "general",
        author: str | None = None,
        texts: dict[str, str] | None = None,
        fingerprint: str | None = None,
        late: timedelta = timedelta(0),
        scorer: str = "v1",
        unsure: bool = False,
    ) -> Mention:
        """Add one mention."""
        number = len(self.mentions)
        lang = self._random.choice(("en", "zh"))
        text = (texts or (BAD if label == "negative" else GOOD))[lang].format(aspect=aspect, n=number)
        term = next((term for term in ("overheats", "发烫", "disappoints", "失望") if term in text), None)
        opinions: tuple[OpinionTerm, ...] = ()
        if label == "negative" and term is not None:
            start = text.index(term)
            opinions = (
                OpinionTerm(
                    aspect=None,
                    opinion=term,
                    polarity="negative",
                    aspect_span=None,
                    opinion_span=(start, start + len(term)),
                    confidence=0.9,
                ),
            )
        high = {"negative": (0.9, 0.05, 0.05), "neutral": (0.05, 0.9, 0.05), "positive": (0.05, 0.05, 0.9)}[label]
        mention = Mention(
            watchlist=watchlist,
            document_id=content_id("stream", str(self.seed), str(number)),
            tenant="default",
            source=source,
            author=author if author is not None else f"author-{self._random.randrange(10**6)}",
            url=None,
            lang=lang,
            text=text,
            published_at=at,
            accepted_at=at + late + timedelta(seconds=self._random.randrange(20)),
            fingerprint=fingerprint or f"{self._random.getrandbits(64):016x}",
            aspect=aspect,
            aspects=(aspect,),
            reading=Reading(
                sentiment=Sentiment(label=label, negative=high[0], neutral=high[1], positive=high[2], unsure=unsure),
                opinions=opinions,
            ),
            scorer=scorer,
        )
        self.mentions.append(mention)
        return mention

    def talk(
        self,
        start: datetime,
        hours: float,
        per_hour: float,
        negative: float = 0.2,
        watchlist: str = "lumora",
        scorer: str = "v1",
    ) -> None:
        """Ordinary talk: so many mentions an hour, this share of them negative, over all cells."""
        for at in self.times(start, hours, per_hour):
            self.mood(
                at,
                negative,
                watchlist=watchlist,
                source=self._random.choice(SOURCES),
                aspect=self._random.choice(ASPECTS),
                scorer=scorer,
            )

    def mood(
        self, at: datetime, negative: float, *, source: str, aspect: str, watchlist: str = "lumora", scorer: str = "v1"
    ) -> None:
        """One mention, negative with this probability."""
        label: Label = "negative" if self._random.random() < negative else self._random.choice(("neutral", "positive"))
        self.say(at, label=label, watchlist=watchlist, source=source, aspect=aspect, scorer=scorer)

    def times(self, start: datetime, hours: float, per_hour: float) -> Iterator[datetime]:
        """Random moments of a stretch of time."""
        for _ in range(round(hours * per_hour)):
            yield start + timedelta(seconds=self._random.uniform(0, hours * 3600))

    def crisis(self, start: datetime, hours: float, per_hour: float, watchlist: str = "lumora") -> None:
        """Many people, in both languages: the battery overheats."""
        for at in self.times(start, hours, per_hour):
            self.say(
                at,
                label="negative",
                watchlist=watchlist,
                source=self._random.choice(("microblog", "forum")),
                aspect="battery",
                texts=HOT,
            )

    def storm(self, start: datetime, hours: float, per_hour: float, *, authors: int, watchlist: str = "lumora") -> None:
        """Anger by so many accounts; seven in ten posts are copies of one text when they are few."""
        for at in self.times(start, hours, per_hour):
            copied = authors < 10 and self._random.random() < 0.7
            self.say(
                at,
                label="negative",
                watchlist=watchlist,
                aspect="price",
                author=f"storm-{self._random.randrange(authors)}",
                fingerprint="deadbeefdeadbeef" if copied else None,
            )
