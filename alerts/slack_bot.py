"""Alerts in Slack, by a bot token: one thread an episode, buttons, and nothing twice."""

from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.parse import urlsplit

import structlog
from pydantic import Field, JsonValue, SecretStr
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, PlainTextObject
from slack_sdk.web import SlackResponse, WebClient

from opinionwatch.alerts.channel import ChannelSettings, UncertainError, reveal, webhook_url
from opinionwatch.alerts.escape import one_line
from opinionwatch.alerts.post import Post
from opinionwatch.alerts.slack import SECTION_CHARS, SILENT, blocks, escape
from opinionwatch.alerts.slack_chart import share
from opinionwatch.alerts.slack_thread import Found, closed, find, metadata
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.errors import RejectedError, RetryableError, SettingsError
from opinionwatch.pipeline.loopback import is_loopback

log = structlog.get_logger(__name__)
_PASSING = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"})
PAGES = 5
"""Of 200 messages each, that are searched for an earlier attempt."""


class SlackBot:
    """Post each episode as one thread: the opening in the channel, everything later as replies, a worsening also to the
    channel; when it ends, the opening is marked, also when another story of its group tells so. Buttons answer it from
    Slack.

    Protocol: docs.slack.dev/reference/methods/chat.postMessage, /chat.update, /conversations.history and
    /messaging/message-metadata (read 2026-11). Scopes: chat:write, and channels:history (groups:history in a private
    channel) to find what was posted before. Strangers' text is escaped as in the `slack` channel.

    Delivery: at least once, and visible once: every message carries the alert's id as metadata, and a repetition looks
    for it first. Without the history scope a repetition is posted and says so. Rate limits (429) and outages are waited
    out; a revoked token or an unknown channel fails for good. A chart comes once or, when the upload fails or the
    process dies, not at all.
    """

    class Settings(ChannelSettings):
        """Settings of the Slack bot channel."""

        token: Annotated[SecretStr | None, Field(description="Bot token, xoxb-….")] = None
        token_file: Annotated[Path | None, Field(description="File whose first line is that token.")] = None
        channel: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,32}$", description="Id of the channel, such as C0123ABCD.")]
        buttons: Annotated[
            bool, Field(description="Whether messages have buttons; needs `web.slack_signing_secret_file`.")
        ] = False
        charts: Annotated[
            bool, Field(description="Whether the chart comes with the message, as a file; needs the scope files:write.")
        ] = False
        api: Annotated[str, Field(description="Base of the Web API.")] = "https://slack.com/api/"
        allow_loopback: Annotated[bool, Field(description="Whether `api` may be on this machine.")] = False
        timeout_s: Annotated[int, Field(ge=1, le=120, description="Seconds to wait for an answer.")] = 15

    def __init__(self, name: str, settings: Settings) -> None:
        """A channel of that name. Raises SettingsError when the token is missing or `api` not one to show it to."""
        self.name = name
        self.settings = settings
        token = reveal(settings.token, settings.token_file, f"channels.{name}.token")
        if token is None:
            raise SettingsError(f"channels.{name}.token: missing; write the bot token, or its file as token_file")
        webhook_url(SecretStr(settings.api), f"channels.{name}.api", allow_loopback=settings.allow_loopback)
        self._token = token
        self._threads: dict[str, str] = {}

    def notify(self, message: Message) -> None:
        """Post it where it belongs. Raises RetryableError for rate limits and outages, RejectedError for refusals."""
        opened_id = message.opened_id or message.alert_id
        is_opening = opened_id == message.alert_id
        thread = None if is_opening else self._thread(opened_id)
        if message.repeat and (found := self._find(message.alert_id, thread)) is not None:
            self._threads[message.alert_id] = found.ts
            return
        if message.event == "resolved" and thread is not None:
            self._close(opened_id, thread, message)
        for other in message.others:
            if other.event == "resolved" and (opening := self._thread(other.opened_id)) is not None:
                self._close(other.opened_id, opening, other)
        client = self._client()
        answer = _called(
            lambda: client.chat_postMessage(
                channel=self.settings.channel,
                text=escape(f"{message.title}. {message.summary}", SECTION_CHARS),
                blocks=[*blocks(message), *self._buttons(message)],
                thread_ts=thread,
                reply_broadcast=True if thread is not None and message.event == "escalated" else None,
                unfurl_links=False,
                unfurl_media=False,
                metadata=metadata(message.alert_id),
            )
        )
        ts = str(answer.get("ts", ""))
        if is_opening:
            self._threads[message.alert_id] = ts
        if self.settings.charts and message.chart_png:
            self._draw(client, thread or ts, message)

    def _draw(self, client: WebClient, thread: str, message: Message) -> None:
        """The chart, if it can be had: the alert is there, and must not be repeated for want of a picture."""
        post = Post("Slack", timeout_s=self.settings.timeout_s, allow_private=self.settings.allow_loopback)
        try:
            share(client, _called, post, self.settings.channel, thread, message)
        except (RetryableError, RejectedError) as error:
            log.warning("the chart could not be uploaded", channel=self.name, reason=str(error))

    def _thread(self, opened_id: str) -> str | None:
        """Where the episode's opening stands; None when it cannot be found."""
        if opened_id not in self._threads and (found := self._find(opened_id, None)) is not None:
            self._threads[opened_id] = found.ts
        return self._threads.get(opened_id)

    def _find(self, alert_id: str, thread: str | None) -> Found | None:
        """An alert's message in the channel, or in a thread of it."""
        client = self._client()

        def page(cursor: str) -> SlackResponse:
            if thread is None:
                return client.conversations_history(
                    channel=self.settings.channel, limit=200, cursor=cursor or None, include_all_metadata=True
                )
            return client.conversations_replies(
                channel=self.settings.channel, ts=thread, limit=200, cursor=cursor or None, include_all_metadata=True
            )

        try:
            return find(alert_id, lambda cursor: _called(lambda: page(cursor)).data, PAGES)
        except RejectedError:  # no such scope: the message is posted, and says that it may be a repetition
            return None

    def _close(self, opened_id: str, thread: str, message: Message) -> None:
        """Mark the opening as ended."""
        found = self._find(opened_id, None)
        if found is None:
            return
        client = self._client()
        marked = closed(found.blocks, message)
        try:
            _called(
                lambda: client.chat_update(
                    channel=self.settings.channel,
                    ts=thread,
                    text=escape(message.title, SECTION_CHARS),
                    blocks=marked,
                    metadata=metadata(opened_id),
                )
            )
        except RejectedError:  # somebody has deleted it
            return

    def _buttons(self, message: Message) -> Sequence[Block]:
        """Answers, worth the episode's id; only where there is still something to answer."""
        if not self.settings.buttons or message.event in ("resolved", "test"):
            return []
        labels = WORDS[message.lang].labels
        return [
            ActionsBlock(
                block_id="opinionwatch",
                elements=[
                    ButtonElement(
                        text=PlainTextObject(text=labels[verb], emoji=False), action_id=verb, value=message.episode_id
                    )
                    for verb in ("acknowledge", "not_crisis", "real", "silence")
                ],
            )
        ]

    def _client(self) -> WebClient:
        client = WebClient(
            token=self._token.get_secret_value(),
            base_url=self.settings.api,
            timeout=self.settings.timeout_s,
            logger=SILENT,
            retry_handlers=[],
        )
        if is_loopback(urlsplit(self.settings.api).hostname or ""):
            client.proxy = None
        return client


def _called(call: Callable[[], SlackResponse]) -> SlackResponse:
    """Call a method of the API; its refusals and failures as ours."""
    try:
        return call()
    except SlackApiError as error:
        raise _refusal(error.response) from None
    except URLError as error:  # before Slack had all of it
        raise RetryableError(f"Slack cannot be reached ({type(error.reason).__name__})") from None
    except (OSError, HTTPException, ValueError, LookupError) as error:
        raise UncertainError(f"no answer from Slack ({type(error).__name__})") from None


def _refusal(response: SlackResponse) -> RetryableError | RejectedError:
    data: JsonValue = response.data if isinstance(response.data, dict) else {}
    said = str(data.get("error", "")) if isinstance(data, dict) else ""
    words = f"Slack answered {response.status_code} {one_line(said, 100)}".rstrip()
    if response.status_code == 429 or response.status_code >= 500 or said in _PASSING:
        after = str(next((v for k, v in response.headers.items() if k.lower() == "retry-after"), "")).strip()
        return RetryableError(words, after_s=float(after) if after.isdecimal() else None)
    return RejectedError("channel_refused", words)
