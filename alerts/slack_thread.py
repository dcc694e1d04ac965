"""What a Slack bot finds of its own: messages by the alert id in their metadata, and the opening of a thread marked."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, JsonValue, ValidationError

from opinionwatch.alerts.slack import FIELD_CHARS, escape
from opinionwatch.pipeline.contracts_trend import Message

EVENT = "opinionwatch_alert"
CLOSED = "opinionwatch_closed"
MOST_BLOCKS = 50


class _Metadata(BaseModel):
    event_type: str = ""
    event_payload: dict[str, JsonValue] = {}


class _Posted(BaseModel):
    ts: str = ""
    blocks: list[dict[str, JsonValue]] = []
    metadata: _Metadata = _Metadata()


class _Next(BaseModel):
    next_cursor: str = ""


class _Page(BaseModel):
    messages: list[_Posted] = []
    response_metadata: _Next = _Next()


@dataclass(frozen=True, slots=True)
class Found:
    """A message of ours in Slack."""

    ts: str
    """Its time stamp, which is its id in the channel."""
    blocks: list[dict[str, JsonValue]]


def metadata(alert_id: str) -> dict[str, JsonValue]:
    """What a message carries, unseen."""
    return {"event_type": EVENT, "event_payload": {"alert_id": alert_id}}


def find(alert_id: str, page: Callable[[str], object], pages: int) -> Found | None:
    """Look through at most so many pages, newest first, for an alert's message. `page` takes a cursor."""
    cursor = ""
    for _ in range(pages):
        try:
            answer = _Page.model_validate(page(cursor))
        except ValidationError:
            return None
        for posted in answer.messages:
            about = posted.metadata
            if about.event_type == EVENT and about.event_payload.get("alert_id") == alert_id:
                return Found(posted.ts, posted.blocks)
        cursor = answer.response_metadata.next_cursor
        if not cursor:
            return None
    return None


def closed(blocks: list[dict[str, JsonValue]], message: Message) -> list[dict[str, JsonValue]]:
    """The opening's blocks with its end above them and without buttons; marking twice is marking once."""
    mark: dict[str, JsonValue] = {
        "type": "context",
        "block_id": CLOSED,
        "elements": [{"type": "plain_text", "text": f"✅ {escape(message.title, FIELD_CHARS - 2)}", "emoji": False}],
    }
    kept = [block for block in blocks if block.get("type") != "actions" and block.get("block_id") != CLOSED]
    return [mark, *kept][:MOST_BLOCKS]
