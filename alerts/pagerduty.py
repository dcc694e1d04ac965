"""Alerts as PagerDuty incidents, by the Events API v2."""

from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import Field, JsonValue, SecretStr

from opinionwatch.alerts.channel import reveal
from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.hook import HookSettings
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.errors import SettingsError

ENQUEUE = {"us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"}


class PagerDuty:
    """Trigger an incident when an episode opens, keep it up to date, and resolve it when the episode ends.

    The episode's id is the `dedup_key`, so one episode is one incident however often it is told, and every story of a
    group has its own, that its own end resolves. Protocol:
    developer.pagerduty.com/docs/events-api-v2/trigger-events (read 2026-11): 202 is success, 400 an event that never
    will be, 429 and 5xx pass. A summary has 1,024 characters, an event 512 KB.

    Delivery: at least once, and visible once: PagerDuty joins events of one `dedup_key`.
    """

    class Settings(HookSettings):
        """Settings of the PagerDuty channel. `url` is only for a proxy of your own."""

        routing_key: Annotated[SecretStr | None, Field(description="Integration key of an Events API v2 service.")] = (
            None
        )
        routing_key_file: Annotated[Path | None, Field(description="File whose first line is that key.")] = None
        region: Annotated[Literal["us", "eu"], Field(description="Service region of your account.")] = "us"

    def __init__(self, name: str, settings: Settings) -> None:
        """A channel of that name. Raises SettingsError when the key is missing or is none."""
        self.name = name
        self.settings = settings
        self._url = settings.address(name, ENQUEUE[settings.region])
        what = f"channels.{name}.routing_key"
        key = reveal(settings.routing_key, settings.routing_key_file, what)
        if key is None or len(key.get_secret_value()) != 32:
            raise SettingsError(f"{what}: write the integration key, 32 characters, or its file as {what}_file")
        self._key = key
        self._post = settings.post("PagerDuty")

    def notify(self, message: Message) -> None:
        """Send the events. Raises RetryableError for 429, 5xx and time-outs, RejectedError for other 4xx."""
        for told in (message, *message.others):
            body = {"routing_key": self._key.get_secret_value(), **event(told)}
            self._post(self._url.get_secret_value(), orjson.dumps(body))


def event(message: Message) -> dict[str, JsonValue]:
    """The event without its key. It is plain text throughout: nothing in it is markup to PagerDuty."""
    words = WORDS[message.lang]
    said: dict[str, str] = {}
    for label, value in (*message.facts, *message.reasons):  # there may be two notes
        name = one_line(label, 60)
        said[name] = "; ".join(filter(None, (said.get(name), one_line(value, 500))))
    details: dict[str, JsonValue] = {**said}
    details["summary"] = one_line(message.summary, 800)
    if message.examples:
        details[words.labels["examples"]] = [
            f"{words.quoted.format(text=quote(one))} ({one_line(one.source, 64)})" for one in message.examples
        ]
    details[words.labels["id"]] = one_line(message.alert_id, 64)
    link = safe_url(message.link)
    return {
        "event_action": "resolve" if message.event == "resolved" else "trigger",
        "dedup_key": one_line(message.episode_id if message.event != "test" else message.alert_id, 255),
        "client": "opinionwatch",
        **({"client_url": link, "links": [{"href": link, "text": words.labels["link"]}]} if link else {}),
        "payload": {
            "summary": one_line(message.title, 1024),
            "source": "opinionwatch",
            "severity": message.severity,
            "timestamp": message.at.isoformat(),
            "custom_details": details,
        },
    }
