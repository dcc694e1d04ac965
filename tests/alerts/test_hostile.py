"""Hostile posts through every channel: quoted, never obeyed."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from pydantic import SecretStr

from opinionwatch.alerts.email_smtp import Email
from opinionwatch.alerts.joined import joined
from opinionwatch.alerts.message import render
from opinionwatch.alerts.slack import Slack
from opinionwatch.alerts.terminal import Terminal
from opinionwatch.alerts.words import Lang
from opinionwatch.pipeline.contracts_trend import Message
from tests.alerts.hostile import TEXTS, URLS
from tests.alerts.sample import crisis, exemplar
from tests.alerts.slack_stub import SlackStub, slack_stub
from tests.alerts.smtp_stub import SmtpStub, smtp_stub

LINK = "https://watch.example/episodes/"
UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
HEADERS = {
    "subject", "from", "to", "date", "message-id", "list-id", "auto-submitted", "x-auto-response-suppress",
    "mime-version", "content-type",
}  # fmt: skip


def messages() -> Iterator[Message]:
    """Three texts a message, each as post, source, aspect, term and part of the name; every address as a post's."""
    for number in range(0, len(TEXTS), 3):
        texts = TEXTS[number : number + 3]
        lang: Lang = "zh" if number % 2 else "en"
        posts = [exemplar(t, source=t[:64], author=t, url=URLS[(number + n) % len(URLS)]) for n, t in enumerate(texts)]
        alert = crisis(exemplars=posts, terms=texts, aspects=texts, sources=texts, weights=(0.4, 0.35, 0.3))
        name = " ".join(text[:26] for text in texts)
        yield render(alert, lang=lang, public_url="https://watch.example", watchlist_name=name)


MESSAGES = list(messages())
GROUPS = [joined(MESSAGES[place], MESSAGES[place + 1 : place + 13]) for place in range(0, len(MESSAGES), 13)]


@pytest.fixture(scope="module")
def hook() -> Iterator[SlackStub]:
    with slack_stub() as stub:
        yield stub


@pytest.fixture(scope="module")
def mailbox() -> Iterator[SmtpStub]:
    with smtp_stub() as stub:
        yield stub


def texts_in(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from texts_in(inner)
        case list():
            for inner in value:
                yield from texts_in(inner)


def test_there_are_enough_of_them() -> None:
    assert len(set(TEXTS)) == len(TEXTS) >= 200


def test_slack_shows_no_mention_no_link_and_nothing_unseen(hook: SlackStub) -> None:
    channel = Slack("slack", Slack.Settings(url=SecretStr(hook.url), allow_loopback=True))
    for message in (*MESSAGES, *GROUPS):
        channel.notify(message)
        for text in texts_in(json.loads(hook.received[-1])):
            inside = re.findall(r"<[^>]*>?", text)
            assert all(part.startswith(f"<{LINK}") and "|" not in part for part in inside), text
            assert not re.search(r"&(?!(amp|lt|gt);)", text)
            assert not UNSEEN.search(text)


class Tags(HTMLParser):
    """Collects what a mail program would make of the HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.found


def test_a_mail_has_only_our_headers_our_tags_and_our_links(mailbox: SmtpStub) -> None:
    settings = Email.Settings(
        host="127.0.0.1", port=mailbox.port, security="none", sender="a@watch.example", recipients=("b@desk.example",)
    )
    channel = Email("email", settings)
    ours = {"html", "head", "meta", "title", "body", "div", "h1", "h2", "p", "table", "tr", "th", "td", "blockquote",
            "br", "small", "a", "strong"}  # fmt: skip
    for message in (*MESSAGES, *GROUPS):
        channel.notify(message)
        mail = mailbox.mails[-1]
        assert {name.lower() for name in mail} == HEADERS
        assert mailbox.recipients[-1] == ["b@desk.example"]
        plain, rich = mail.iter_parts()
        assert not UNSEEN.search(plain.get_content().replace("\r\n", "\n"))
        assert not UNSEEN.search(rich.get_content().replace("\r\n", "\n"))
        for tag, attributes in tags(rich.get_content()):
            assert tag in ours
            assert not any(name.startswith("on") for name in attributes)
            assert (attributes.get("href") or LINK).startswith(LINK)
            assert tag != "meta" or attributes.keys() <= {"charset", "name", "content"}


def test_the_terminal_gets_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    channel = Terminal("terminal", Terminal.Settings(stream="stdout"))
    for message in (*MESSAGES, *GROUPS):
        channel.notify(message)
        assert not UNSEEN.search(capsys.readouterr().out)


def test_only_plain_web_addresses_become_links(hook: SlackStub) -> None:
    good = "https://forum.example/t/1?a=1&b=2"
    alert = crisis(exemplars=[exemplar("x", url=good)])
    message = render(alert, lang="en", public_url="https://watch.example", watchlist_name="Lumora")
    Slack("slack", Slack.Settings(url=SecretStr(hook.url), allow_loopback=True)).notify(message)
    assert "<https://forum.example/t/1?a=1&amp;b=2>" in hook.received[-1].decode()
