"""Alerts in Microsoft Teams, by the Workflows app."""

from collections.abc import Iterator

import orjson
from pydantic import JsonValue

from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.hook import HookSettings
from opinionwatch.alerts.plain import origin
from opinionwatch.alerts.stories import fitted, more
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message, Severity

MOST_BYTES = 27_000
"""Teams takes 28 KB a message."""
_COLOURS: dict[Severity, str] = {"info": "accent", "warning": "warning", "critical": "attention"}


class Teams:
    """Post each alert to a Teams channel or chat as an Adaptive Card, through a workflow "When a Teams webhook request
    is received".

    All text stands in `TextRun`s, which unlike `TextBlock`s know no Markdown; mentions would need entities, of which
    there are none. Protocol:
    learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using and
    adaptivecards.io/explorer/TextRun.html (read 2026-11); the workflow answers 202.

    Delivery: at least once. The workflow cannot be asked what it has: a repetition carries the same alert id and says
    so. Rate limits (429) and outages are waited out, other 4xx fail for good.
    """

    class Settings(HookSettings):
        """Settings of the Teams channel."""

    def __init__(self, name: str, settings: Settings) -> None:
        """A channel of that name. Raises SettingsError when the address is missing or not one to post secrets to."""
        self.name = name
        self.settings = settings
        self._url = settings.address(name)
        self._post = settings.post("Teams")

    def notify(self, message: Message) -> None:
        """Post it. Raises RetryableError for 429 (with Retry-After), 5xx and time-outs, RejectedError for other 4xx."""
        self._post(self._url.get_secret_value(), body(message))


def body(message: Message) -> bytes:
    """The request: examples, then other stories, are left out from the last when it would be too long."""
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None}
    return fitted(
        message,
        lambda shown: orjson.dumps({"type": "message", "attachments": [{**attachment, "content": card(shown)}]}),
        MOST_BYTES,
    )


def card(message: Message) -> dict[str, JsonValue]:
    """The Adaptive Card, version 1.4, which every Teams client draws."""
    link = safe_url(message.link)
    actions: list[JsonValue] = []
    if link is not None:
        actions.append({"type": "Action.OpenUrl", "title": WORDS[message.lang].labels["link"], "url": link})
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": one_line(message.title, 200),
        "body": list(_lines(message)),
        "actions": actions,
    }


def _lines(message: Message) -> Iterator[JsonValue]:
    words = WORDS[message.lang]
    title = one_line(message.title, 200)
    yield _rich(_run(title, size="large", weight="bolder", color=_COLOURS[message.severity]))
    yield _rich(_run(one_line(message.summary, 800)))
    for label, value in (*message.facts, *message.reasons)[:16]:
        yield _rich(_run(f"{one_line(label, 60)}  ", weight="bolder"), _run(one_line(value, 250)))
    for other in message.others:
        link = safe_url(other.link)
        opens: dict[str, JsonValue] = {"selectAction": {"type": "Action.OpenUrl", "url": link}} if link else {}
        named = _run(one_line(other.title, 120), weight="bolder", **opens)
        yield _rich(named, _run(f"  {one_line(other.summary, 250)}"))
    for label, number in more(message):
        yield _rich(_run(f"{one_line(label, 60)}  ", weight="bolder"), _run(number))
    if message.examples:
        yield _rich(_run(words.labels["examples"], weight="bolder"))
    for example in message.examples[:3]:
        said = _run(words.quoted.format(text=quote(example)))
        yield _rich(said, _run(f"  {origin(example)}", isSubtle=True, size="small"))
    yield _rich(_run(f"{words.labels['id']} {one_line(message.alert_id, 64)}", isSubtle=True, size="small"))


def _rich(*runs: JsonValue) -> JsonValue:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: JsonValue) -> JsonValue:
    return {"type": "TextRun", "text": text, **style}
