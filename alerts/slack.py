"""Alerts in Slack, by an incoming web hook."""

import logging
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock, MarkdownTextObject, PlainTextObject, SectionBlock
from slack_sdk.webhook import WebhookClient, WebhookResponse

from opinionwatch.alerts.channel import ChannelSettings, UncertainError, reveal, webhook_url
from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.stories import more, within
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message, Severity
from opinionwatch.pipeline.errors import RejectedError, RetryableError
from opinionwatch.pipeline.loopback import is_loopback

HEADER_CHARS, FIELD_CHARS, SECTION_CHARS = 150, 2000, 3000
"""Slack's limits on the text of a header, a field and a section, after escaping."""
STORY_CHARS = 800
_MARKS: dict[Severity, str] = {"info": "ℹ️", "warning": "⚠️", "critical": "🔴"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
SILENT = logging.Logger("opinionwatch.alerts.slack", level=logging.CRITICAL + 1)  # noqa: LOG001 - detached on purpose
"""The client logs the web hook's address, which is a secret; this logger goes nowhere."""


class Slack:
    """Post each alert to a Slack channel through an incoming web hook, in Block Kit.

    Everything strangers wrote is escaped, so it can neither mention anybody nor link under another name, and nothing is
    unfurled. A web hook cannot edit or thread: an update is a message of its own.

    Delivery: at least once. A web hook cannot be asked what it has: after a crash, or when the answer is lost, the
    message is posted again with the same alert id and says so. Rate limits (429) and outages are waited out; a web hook
    that Slack has revoked fails for good.
    """

    class Settings(ChannelSettings):
        """Settings of the Slack channel."""

        url: Annotated[SecretStr | None, Field(description="Address of the incoming web hook. It is a secret.")] = None
        url_file: Annotated[Path | None, Field(description="File whose first line is that address.")] = None
        allow_loopback: Annotated[
            bool, Field(description="Whether the web hook may be on this machine, also by plain http.")
        ] = False
        timeout_s: Annotated[int, Field(ge=1, le=120, description="Seconds to wait for an answer.")] = 15

    def __init__(self, name: str, settings: Settings) -> None:
        """A channel of that name. Raises SettingsError when the address is missing or not one to post secrets to."""
        self.name = name
        self.settings = settings
        what = f"channels.{name}.url"
        self._url = webhook_url(
            reveal(settings.url, settings.url_file, what), what, allow_loopback=settings.allow_loopback
        )

    def notify(self, message: Message) -> None:
        """Post it. Raises RetryableError for 429 (with Retry-After), 5xx and time-outs, RejectedError for other 4xx."""
        response = self._post(message)
        status, words = response.status_code, one_line(response.body or "", 100)
        if status == 429 or status >= 500:
            raise RetryableError(f"Slack answered {status} {words}".strip(), after_s=_retry_after_s(response))
        if not 200 <= status < 300:
            raise RejectedError("channel_refused", f"Slack answered {status} {words}".strip())
        if words.startswith("<"):  # a page of a proxy or a login, not Slack's answer
            raise RetryableError("the web hook answered with a web page")

    def _post(self, message: Message) -> WebhookResponse:
        url = self._url.get_secret_value()
        client = WebhookClient(url, timeout=self.settings.timeout_s, logger=SILENT, retry_handlers=[])
        if is_loopback(urlsplit(url).hostname or ""):
            client.proxy = None
        try:
            return client.send(
                text=escape(f"{message.title}. {message.summary}", SECTION_CHARS),
                blocks=list(blocks(message)),
                unfurl_links=False,
                unfurl_media=False,
            )
        except URLError as error:  # before Slack had all of it
            raise RetryableError(f"Slack cannot be reached ({type(error.reason).__name__})") from None
        except (OSError, HTTPException, ValueError, LookupError) as error:
            raise UncertainError(f"no answer from Slack ({type(error).__name__})") from None


def blocks(message: Message) -> Iterator[Block]:
    """The message in Block Kit: at most 31 blocks, each within Slack's limits."""
    labels, message = WORDS[message.lang].labels, within(message)
    yield HeaderBlock(text=_plain(f"{_MARKS[message.severity]} {message.title}", HEADER_CHARS))
    yield SectionBlock(text=_plain(message.summary, SECTION_CHARS))
    if message.facts:
        yield SectionBlock(fields=[_labelled(label, value, FIELD_CHARS) for label, value in message.facts[:10]])
    for label, value in message.reasons[:5]:
        yield SectionBlock(text=_labelled(label, value, SECTION_CHARS))
    for other in message.others:
        yield SectionBlock(text=_story(other))
    for label, left in more(message):
        yield SectionBlock(text=_labelled(label, left, SECTION_CHARS))
    for number, example in enumerate(message.examples[:3]):
        if number == 0:
            yield ContextBlock(elements=[_markdown(f"*{labels['examples']}*")])
        yield SectionBlock(text=_plain(WORDS[message.lang].quoted.format(text=quote(example)), SECTION_CHARS))
        origin = f"{one_line(example.source, 64)} · {example.published_at:%Y-%m-%d %H:%M} UTC"
        yield ContextBlock(elements=[_plain(origin, FIELD_CHARS), *_link(example.url)])
    for what, address in (("link", message.link), ("dashboard", message.dashboard)):
        if address:
            yield ContextBlock(elements=[_plain(labels[what], FIELD_CHARS), *_link(address)])
    yield ContextBlock(elements=[_plain(f"{labels['id']} {message.alert_id}", FIELD_CHARS)])


def escape(text: str, limit: int) -> str:
    """One line with Slack's three characters escaped, of at most `limit` characters after escaping.

    >>> escape("<!channel> & <@U1>", 100)
    '&lt;!channel&gt; &amp; &lt;@U1&gt;'
    >>> escape("a < b", 5)
    'a …'
    """
    escaped = ""
    pieces = [_ENTITIES.get(character, character) for character in one_line(text)]
    for index, piece in enumerate(pieces):
        rest = index + 1 < len(pieces)
        if len(escaped) + len(piece) + rest > limit:
            return escaped + "…"
        escaped += piece
    return escaped


def _plain(text: str, limit: int) -> PlainTextObject:
    return PlainTextObject(text=escape(text, limit) or "–", emoji=False)


def _labelled(label: str, value: str, limit: int) -> MarkdownTextObject:
    return _markdown(f"*{escape(label, 100)}*\n{escape(value, limit - 110)}")


def _story(other: Message) -> MarkdownTextObject:
    link = "".join(f"\n{one.text}" for one in _link(other.link))
    return _markdown(f"*{escape(other.title, HEADER_CHARS)}*\n{escape(other.summary, STORY_CHARS)}{link}")


def _markdown(text: str) -> MarkdownTextObject:
    return MarkdownTextObject(text=text, verbatim=True)


def _link(url: str | None) -> list[MarkdownTextObject]:
    safe = safe_url(url)
    return [] if safe is None else [_markdown(f"<{safe.replace('&', '&amp;')}>")]


def _retry_after_s(response: WebhookResponse) -> float | None:
    for name, value in response.headers.items():
        if name.lower() == "retry-after" and str(value).strip().isdecimal():
            return float(value)
    return None
