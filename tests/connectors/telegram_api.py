"""Telegram's Bot API, imitated: updates from an offset on, which are forgotten once a later offset was asked for."""

import json
from dataclasses import dataclass, field

from tests.connectors.imitation import Asked, Told
from tests.connectors.services import when

FIRST = 733_000_000


@dataclass
class TelegramApi:
    """A bot in channels, with so many posts as updates."""

    count: int
    token: str = "123456:AAs3cret"
    forgets: bool = True
    """As documented. Without it the same question may be asked twice, which the general contract does."""
    hook: str = ""
    changed: list[dict[str, object]] = field(default_factory=list)
    """Messages that come after the posts: edits, posts of other channels."""
    below: int = 0
    """Updates below this are forgotten."""

    def __call__(self, asked: Asked) -> Told:
        """Answer a request."""
        if not asked.path.startswith(f"/bot{self.token}/"):
            return Told({"ok": False, "error_code": 401, "description": "Unauthorized"}, 401)
        method = asked.path.rpartition("/")[2]
        if method == "getMe":
            return Told({"ok": True, "result": {"id": 123456, "is_bot": True, "username": "lumora_bot"}})
        if method == "getWebhookInfo":
            return Told({"ok": True, "result": {"url": self.hook, "pending_update_count": 0}})
        if method != "getUpdates" or set(json.loads(asked.query["allowed_updates"])) != _WANTED:
            return Told({"ok": False, "error_code": 404, "description": "Not Found"}, 404)
        if self.hook:
            words = "Conflict: can't use getUpdates method while webhook is active"
            return Told({"ok": False, "error_code": 409, "description": words}, 409)
        offset = max(asked.number("offset", 0) - FIRST, self.below, 0)
        if self.forgets:
            self.below = offset
        updates = [self.update(number) for number in range(offset, self.count + len(self.changed))]
        return Told({"ok": True, "result": updates[: min(100, asked.number("limit", 100))]})

    def update(self, number: int) -> dict[str, object]:
        """An update; numbers begin with 0."""
        told: dict[str, object] = {"update_id": FIRST + number}
        if number < self.count:
            return {**told, "channel_post": message(number + 1)}
        change = self.changed[number - self.count]
        return {**told, "edited_channel_post" if "edit_date" in change else "channel_post": change}


_WANTED = {"channel_post", "edited_channel_post"}


def message(number: int, **changed: object) -> dict[str, object]:
    """A `Message` in a channel."""
    chat = {"id": -1001234, "title": "Lumora 新闻", "username": "Lumora", "type": "channel"}
    return {"message_id": number, "date": when(number), "chat": chat, "text": f"post {number} 电池", **changed}
