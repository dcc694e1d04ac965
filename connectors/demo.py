"""The demo: a bilingual brand crisis that the project wrote itself, replayed with its own clock.

Three fictional brands, a normal week and the day on which one of them fails. `demo_text` writes the posts, `demo_story`
decides what happens when; here it becomes a source like any other.
"""

from collections.abc import Iterator
from threading import Event

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from opinionwatch.connectors.demo_story import Post, story
from opinionwatch.connectors.demo_text import world
from opinionwatch.pipeline.contracts import Submission
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ports import Item, Page


def watchlists() -> tuple[dict[str, JsonValue], ...]:
    """The demo's watchlists, as they would stand in a settings file."""
    return tuple(
        {"id": name.lower(), "name": name, "names": [*dict.fromkeys(brand.names["en"] + brand.names["zh"])]}
        for name, brand in world().brands.items()
    )


class Demo:
    """Replay the demo's posts in order of their simulated arrival, five places through one feed.

    One feed and not five, since the posts of all places share one simulated clock. The same seed gives the same bytes.
    The cursor is the seed and the number of posts read.

    History: none to bring. It is a recording, and played from its beginning.

    Delivery: exactly the same items again from any cursor; about one post in a hundred comes twice, on purpose.
    """

    kind = "demo"
    interval_s: float | None = None
    replays = True

    class Settings(BaseModel):
        """Settings of a `demo` source."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        seed: int = Field(default=20260309, ge=0, description="Another seed tells the same story in other posts.")
        page_items: int = Field(default=250, gt=0, le=10_000, description="Posts in one page.")

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.instance = f"seed-{settings.seed}"
        self._settings = settings
        self._closed = Event()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Yield pages after `cursor`. Raises FatalError for a cursor that another seed or program wrote."""
        posts, size = story(self._settings.seed), self._settings.page_items
        for start in range(self._position(cursor, len(posts)), len(posts), size):
            if self._closed.is_set():
                return
            chunk = posts[start : start + size]
            yield Page([_item(post) for post in chunk], f"{self._settings.seed}:{start + len(chunk)}")

    def close(self) -> None:
        """End after the current page."""
        self._closed.set()

    def _position(self, cursor: str | None, count: int) -> int:
        if cursor is None:
            return 0
        seed, _, position = cursor.partition(":")
        if seed != str(self._settings.seed) or not position.isdecimal() or int(position) > count:
            raise FatalError(f"source {self.name}: the stored cursor is not of this demo; use a fresh data_dir")
        return int(position)


def _item(post: Post) -> Item:
    submission = Submission(
        native_id=post.native_id,
        text=post.text,
        author=post.author,
        url=f"https://{post.place}.example/{post.native_id}",
        published_at=post.published_at,
        lang=post.lang,
        source=post.place,
    )
    return Item(submission.model_dump_json(exclude_none=True, exclude_defaults=True).encode(), post.arrived_at)
