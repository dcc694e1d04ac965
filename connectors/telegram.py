"""Telegram: the posts of channels in which your bot is an administrator."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
from pydantic import Field

from opinionwatch.connectors.api import Api, Param, secret
from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.http import Client, RefusedError
from opinionwatch.connectors.polling import Polling, PollingSettings, forgotten
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.ports import Item, Page

LIMIT = 100
WAIT_S = 4
"""So long an answer waits for something new."""
KEPT_S = 86_400
"""So long Telegram keeps updates that nobody asked for."""
SAVE_S = 600
_KINDS = ("channel_post", "edited_channel_post")
_ASKED: Mapping[str, Param] = {"limit": LIMIT, "timeout": WAIT_S, "allowed_updates": orjson.dumps(_KINDS).decode()}


class Telegram(Polling):
    """Read the posts of Telegram channels, new and edited, through a bot that their owners have made an administrator.

    Asks `getUpdates` of the Bot API over plain HTTP, with `allowed_updates` of `channel_post` and `edited_channel_post`
    (https://core.telegram.org/bots/api#getupdates, read in the copy of docs.rs/telers, and Retry-After in the server's
    source, 2026-11-26; fields of `Message` in that of hexdocs.pm/ex_gram, 0.64.0). Asking for an `offset` makes
    Telegram forget what is below it, so it is asked for only when the page before is durable. Channels that are not
    yours need a user's account and its phone number, which Telegram may ban for reading much: that is left out on
    purpose. A bot has one reader: no webhook, no second program. Terms: the Bot API's; tell the channel's readers.

    History: none to bring. A bot sees what is posted while it is in the channel, and nothing from before.

    Delivery: at least once, within the 24 hours that Telegram keeps updates; a longer pause is recorded as a gap. What
    was posted before the bot came is not seen, and deletions are not told to bots.
    """

    kind = "telegram"

    class Settings(PollingSettings):
        """Settings of a `telegram` source."""

        token_file: Path = Field(description="File whose first line is the bot's token: 123456:AA….")
        channels: tuple[str, ...] = Field(
            default=(), max_length=200, description="Only these, by @name or number. Empty: all the bot is in."
        )
        interval_s: float = Field(default=5.0, ge=1, le=3600, description="Seconds between polls.")
        url: str = Field(default="https://api.telegram.org", description="Address of the service.")

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, "telegram", settings)
        self._channels = {channel.removeprefix("@").casefold() for channel in settings.channels}
        token = secret(name, settings.token_file, "token_file") or ""
        self._client = Client(Guard(settings.allow_hosts), settings.contact, settings.timeout_s, hidden=token)
        self._api = Api(self._client, f"{settings.url.rstrip('/')}/bot{token}", always=_ASKED)

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: updates until there is nothing new."""
        here = _Here.read(cursor) or _Here(at=0)
        missed = forgotten(here.at, KEPT_S, "Telegram keeps for 24 hours what nobody asked for")
        while not self._closing.is_set():
            told = self._api.get("getUpdates", offset=here.offset).list("result")
            now = int(time.time())
            last = max((int(update.number("update_id") or 0) for update in told), default=None)
            items = [Item(entry.body()) for update in told if (entry := self._entry(update))]
            if last is not None or now - here.at >= SAVE_S:
                here = _Here(offset=here.offset if last is None else last + 1, at=now)
                yield Page(items, here.model_dump_json(), missed)
                missed = []
            if len(told) < LIMIT:
                return

    def check(self) -> str:
        """Whether the token works, and whether nobody else reads this bot."""
        name = self._api.get("getMe").demand("result").text("username")
        hook = self._api.get("getWebhookInfo").demand("result").text("url")
        if hook:
            raise RefusedError(f"@{name} has a webhook, so it tells us nothing: call deleteWebhook", 409, None)
        return f"@{name} is let in"

    def _entry(self, update: Found) -> Entry | None:
        kind = next((kind for kind in _KINDS if update.there(kind)), "")
        post = update.at(kind)
        chat, key, text = post.at("chat"), post.text("message_id"), post.text("text") or post.text("caption")
        number, name = chat.text("id"), chat.text("username") or ""
        if not kind or not key or not text or not number:
            return None
        if self._channels and not self._channels & {number, name.casefold()}:
            return None
        return Entry(
            f"{number}/{key}",
            text,
            author=post.text("author_signature") or (f"@{name}" if name else number),
            url=f"https://t.me/{name}/{key}" if name else None,
            published_at=post.text("date"),
            edited_at=post.text("edit_date"),
            source=(chat.text("title") or name or number)[:64],
        )


class _Here(Cursor):
    """Where it stands, and since when."""

    whose = "Telegram"
    offset: int | None = None
    """The first update that is not had yet; None: there was none so far."""
    at: int = Field(ge=0)
    """When Telegram was last asked, in seconds since 1970."""
