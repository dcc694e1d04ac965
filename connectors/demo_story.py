"""What happens in the demo: a normal week, then the day of the crisis, as a list of posts in order of arrival.

The last day holds one real crisis and four things that look like one: a launch (many posts, the usual mood), a repost
storm (many posts, few voices), late and repeated deliveries, and a source that falls silent. A rate is posts a day
times the day's curve; a surge multiplies it. The same seed tells the same story, post for post.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import cos, tau
from random import Random
from typing import Literal, get_args

from opinionwatch.connectors.demo_text import LANGS, Lang, Rendering, Scene, Writer, world
from opinionwatch.pipeline.contracts import Label

Place = Literal["microblog", "forum", "reviews", "news", "video"]
PLACES: tuple[Place, ...] = get_args(Place)
PLACE_WEIGHTS = (0.38, 0.22, 0.18, 0.08, 0.14)

LAST_DAY = datetime(2026, 3, 9, tzinfo=UTC)
BEGIN = LAST_DAY - timedelta(days=7)
END = LAST_DAY + timedelta(days=1)
CRISIS_BEGINS = LAST_DAY + timedelta(hours=12)
CRISIS_RAMP_MIN = 40
LAUNCH_BEGINS = LAST_DAY + timedelta(hours=9)
LAUNCH_ENDS = LAST_DAY + timedelta(hours=15)
STORM_BEGINS = LAST_DAY + timedelta(hours=10)
SILENT: Place = "news"
"""Delivers nothing on the last day."""

POSTS_A_DAY = 208
"""Of one brand on a usual day."""
SURGE = 6.0
"""Posts in a surge, as a multiple of the usual rate."""
STORM_REPOSTS = 344
STORM_PLACES: tuple[Place, ...] = ("microblog", "microblog", "microblog", "forum", "video")
LATE_SHARE = 0.03
REPEATED_SHARE = 0.01
AUTHORS_A_LANG = 2_500


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happens in the demo: the one negative alert that may be raised, and its reason."""

    watchlist: str
    aspect: str
    onset: datetime
    until: datetime
    places: tuple[Place, ...]
    terms: tuple[str, ...]
    """Words of which an honest explanation names at least one."""


CRISIS = Truth(
    watchlist="lumora",
    aspect="battery",
    onset=CRISIS_BEGINS,
    until=END,
    places=tuple(place for place in PLACES if place != SILENT),
    terms=(
        "battery",
        "overheat",
        "swell",
        "swollen",
        "recall",
        "burn",
        "drain",
        "电池",
        "发烫",
        "鼓包",
        "召回",
        "掉电",
    ),
)


@dataclass(frozen=True, slots=True)
class Post:
    """One delivery, with the truth about it that no pipeline gets to see."""

    native_id: str
    place: Place
    author: str
    text: str
    lang: Lang
    published_at: datetime
    arrived_at: datetime
    brand: str
    scene: Scene
    tone: Label
    aspect: str
    repeated: bool = False
    """Delivered before, under the same native id."""


def day_curve(minute: float) -> float:
    """Rate at a minute of the day, mean 1: lowest at 3 o'clock, highest at 15."""
    return 1 + 0.8 * cos(tau * (minute / 1440 - 15 / 24))


def crisis_curve(minute: float) -> float:
    """Rate of the crisis' own posts: grows from noon for forty minutes and stays."""
    ramp = (minute - _minute(CRISIS_BEGINS)) / CRISIS_RAMP_MIN
    return (SURGE - 1) * min(max(ramp, 0.0), 1.0) * day_curve(minute)


def launch_curve(minute: float) -> float:
    """Rate of the launch's own posts: there at once, gone after hours."""
    inside = _minute(LAUNCH_BEGINS) <= minute < _minute(LAUNCH_ENDS)
    return (SURGE - 1) * day_curve(minute) if inside else 0.0


@lru_cache(maxsize=2)
def story(seed: int) -> tuple[Post, ...]:
    """All deliveries in order of arrival."""
    return _Teller(seed).tell()


def _minute(moment: datetime) -> float:
    return (moment - LAST_DAY) / timedelta(minutes=1)


class _Teller:
    """Draws everything from one generator, in a fixed order."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._writer = Writer(self._rng)
        self._authors = {lang: [self._writer.handle(lang) for _ in range(AUTHORS_A_LANG)] for lang in LANGS}
        self._turns: Counter[Place] = Counter()
        self._posts: list[Post] = []

    def tell(self) -> tuple[Post, ...]:
        for day in range((END - BEGIN).days):
            for brand in world().brands:
                self._day(brand, "usual", BEGIN + timedelta(days=day), day_curve)
        self._day("Lumora", "crisis", LAST_DAY, crisis_curve)
        self._day("Skyfare", "launch", LAST_DAY, launch_curve)
        self._storm("Kumobean")
        first = self._named()
        return tuple(sorted([*first, *self._repeats(first)], key=lambda post: (post.arrived_at, post.native_id)))

    def _day(self, brand: str, scene: Scene, midnight: datetime, curve: Callable[[float], float]) -> None:
        weights = [curve(minute) for minute in range(1440)]
        count = round(POSTS_A_DAY * sum(weights) / 1440 * self._rng.uniform(0.94, 1.06))
        for minute in self._rng.choices(range(1440), weights, k=count):
            (place,) = self._rng.choices(PLACES, PLACE_WEIGHTS)
            lang = self._lang(place)
            moment = midnight + timedelta(minutes=minute, seconds=self._rng.randrange(60))
            author = self._rng.choice(self._authors[lang])
            self._publish(place, author, lang, moment, brand, scene, self._writer.write(brand, lang, scene))

    def _storm(self, brand: str) -> None:
        """Three posts a language, and hundreds of copies by the same six accounts."""
        authors = {lang: [self._writer.handle(lang) for _ in range(3)] for lang in LANGS}
        told = {
            lang: [(author, self._writer.write(brand, lang, "storm")) for author in authors[lang]] for lang in LANGS
        }
        for lang, originals in told.items():
            for author, said in originals:
                self._publish("microblog", author, lang, STORM_BEGINS, brand, "storm", said)
        for _ in range(STORM_REPOSTS):
            place = self._rng.choice(STORM_PLACES)
            lang = self._lang(place)
            author, said = self._rng.choice(told[lang])
            copy = replace(said, text=self._writer.repost(said.text, author, lang))
            moment = STORM_BEGINS + timedelta(minutes=min(1 + self._rng.expovariate(1 / 50), 300))
            self._publish(place, self._rng.choice(authors[lang]), lang, moment, brand, "storm", copy)

    def _lang(self, place: Place) -> Lang:
        """Languages take turns, so every place speaks both equally."""
        self._turns[place] += 1
        return LANGS[self._turns[place] % len(LANGS)]

    def _publish(
        self, place: Place, author: str, lang: Lang, moment: datetime, brand: str, scene: Scene, said: Rendering
    ) -> None:
        if place == SILENT and moment >= LAST_DAY:
            return
        late = self._rng.random() < LATE_SHARE
        delay = timedelta(hours=self._rng.uniform(1, 8)) if late else timedelta(seconds=self._rng.uniform(5, 120))
        arrived_at = min(moment + delay, _closing(place))
        self._posts.append(
            Post("", place, author, said.text, lang, moment, arrived_at, brand, scene, said.tone, said.aspect)
        )

    def _named(self) -> list[Post]:
        counts: Counter[Place] = Counter()
        named = []
        for post in sorted(self._posts, key=lambda post: post.published_at):
            counts[post.place] += 1
            named.append(replace(post, native_id=f"{post.place}-{counts[post.place]:05d}"))
        return named

    def _repeats(self, posts: list[Post]) -> list[Post]:
        chosen = self._rng.sample(posts, round(REPEATED_SHARE * len(posts)))
        return [
            replace(
                post,
                repeated=True,
                arrived_at=min(post.arrived_at + timedelta(minutes=self._rng.uniform(1, 180)), _closing(post.place)),
            )
            for post in chosen
        ]


def _closing(place: Place) -> datetime:
    """The last moment at which a place delivers anything."""
    return (LAST_DAY if place == SILENT else END) - timedelta(seconds=1)
