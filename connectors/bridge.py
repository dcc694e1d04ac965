"""Bridges: what a platform does not offer as a feed, from a bridge that you run (RSSHub and its like)."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote

from pydantic import Field, model_validator

from opinionwatch.connectors.api import secret
from opinionwatch.connectors.bridge_recipes import recipes
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.feeds import plain
from opinionwatch.connectors.named import Named
from opinionwatch.connectors.polling import PollingSettings
from opinionwatch.connectors.rss import Rss
from opinionwatch.pipeline.ports import Page
from opinionwatch.pipeline.registry import nearest


class Bridge(Named):
    """Read a platform through a bridge of yours that makes feeds of it: Weibo, Zhihu, Bilibili, Xueqiu, Tieba, news.

    We speak RSS to the bridge and nothing to the platform. A recipe knows the path and the language; `path` and
    `platform` do for any other bridge. The language is the recipe's, because RSSHub says `en` where it knows none;
    the author is taken as far as the feed gives it. A recipe is asked for as Atom, for only there RSSHub tells how many
    like an entry and answer it (`rsshub:upvotes`, `rsshub:comments`; its lib/views/atom.tsx, read 2026-11-26), if the
    route knows: the counts of when it was first seen. The access key of RSSHub is sent as its `code`
    (its lib/middleware/access-control.ts, read 2026-11-26), never as itself.
    Terms: whether you may run the bridge, and keep what it reads, is between you, the platform and the law of your
    country (in China the PIPL); several platforms forbid it. RSSHub's licence is AGPL.

    Delivery: at least once. An entry that leaves the feed before it was polled is lost, and so is all that the bridge
    cannot get. An edit is seen where the bridge tells its time (`updated`), a deletion never.
    """

    kind = "bridge"

    class Settings(PollingSettings):
        """Settings of a `bridge` source."""

        url: str = Field(min_length=8, max_length=1000, description="Address of your bridge: https://rsshub.internal.")
        recipe: str | None = Field(default=None, description="Name of a recipe: weibo_keyword, zhihu_question, ….")
        params: dict[str, str] = Field(default={}, description="What the recipe's path asks for: {keyword: 艾克美}.")
        path: str | None = Field(default=None, max_length=1000, description="Path on the bridge, instead of a recipe.")
        platform: str | None = Field(default=None, max_length=64, description="Platform behind that path.")
        lang: str | None = Field(default=None, max_length=35, description="Language; what the feed says if not given.")
        access_key_file: Path | None = Field(default=None, description="File whose first line is RSSHub's ACCESS_KEY.")

        @model_validator(mode="after")
        def _fits(self) -> Self:
            if (self.recipe is None) == (self.path is None):
                raise ValueError("give either a recipe or a path")
            if self.recipe is not None:
                recipe = recipes().get(self.recipe)
                if recipe is None:
                    raise ValueError(f"no recipe '{self.recipe}'; {nearest(self.recipe, recipes())}")
                if set(self.params) != recipe.parameters:
                    wanted = ", ".join(sorted(recipe.parameters)) or "none"
                    raise ValueError(f"params: the recipe {self.recipe} asks for: {wanted}")
            elif not self.platform:
                raise ValueError("platform: say what is behind the path")
            return self

    def __init__(self, name: str, settings: Settings) -> None:
        recipe = recipes()[settings.recipe] if settings.recipe else None
        super().__init__(name, settings.platform or (recipe.platform if recipe else ""), settings.interval_s)
        self._lang = settings.lang or (recipe.lang if recipe else None)
        values = {key: quote(value, safe="") for key, value in settings.params.items()}
        path = recipe.path.format(**values) if recipe else f"/{(settings.path or '').lstrip('/')}"
        key = secret(name, settings.access_key_file, "access_key_file")
        url = settings.url.rstrip("/") + path + ("?format=atom" if recipe else "")
        if key:
            code = hashlib.md5(f"{path}{key}".encode(), usedforsecurity=False).hexdigest()
            url += f"{'&' if '?' in url else '?'}code={code}"
        polled = settings.model_dump(include={"interval_s", "contact", "allow_hosts", "timeout_s"})
        self._feed = Rss(name, Rss.Settings(url=url, **polled), self._shaped)

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: pages of what is new, oldest first."""
        return self._feed.fetch(cursor)

    def check(self) -> str:
        """Whether the bridge gives us this feed."""
        return self._feed.check()

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """Older pages of the feed, where the bridge names them; most have none."""
        return self._feed.backfill(since, cursor)

    def close(self) -> None:
        """Stop soon."""
        self._feed.close()

    def _shaped(self, entry: Entry) -> Entry:
        """With the language, and without a title that only repeats the beginning of the text, as bridges make them."""
        title = entry.title
        if title:
            head = _bare(plain(title) if entry.html else title).rstrip("….")
            title = None if _bare(plain(entry.text) if entry.html else entry.text).startswith(head) else title
        return entry._replace(lang=self._lang or entry.lang, source=self.instance, title=title)


def _bare(text: str) -> str:
    return "".join(text.split())
