"""The same hostile posts through every channel with a web hook: each request as the service would read it."""

import json
import re
from collections.abc import Callable, Iterator, Sequence

import pytest

from opinionwatch.alerts.markdown import defused
from opinionwatch.alerts.registry import CHANNELS
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.ports import Channel
from tests.alerts.hostile import TEXTS
from tests.alerts.slack_stub import Request
from tests.alerts.test_hostile import GROUPS, LINK, MESSAGES, UNSEEN, texts_in
from tests.contract.channel_worlds import WORLDS
from tests.contract.test_channels import built


def nodes(value: object) -> Iterator[dict[str, object]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def is_ours(url: object) -> bool:
    return isinstance(url, str) and url.startswith(LINK)


def webhook(body: dict[str, object]) -> list[str]:
    """Clean text, and no address that is not plain http(s)."""
    urls = [node["url"] for node in nodes(body) if node.get("url") is not None]
    return [str(url) for url in urls if not re.fullmatch(r"https?://[!-;=?-z~]+", str(url))]


def teams(body: dict[str, object]) -> list[str]:
    """Text in nothing but runs, which know no markup; no entities, so no mentions; no link but ours."""
    escapes = []
    for node in nodes(body):
        kind = node.get("type")
        if "text" in node and kind != "TextRun":
            escapes.append(f"text in {kind}")
        if kind not in (None, "message", "AdaptiveCard", "RichTextBlock", "TextRun", "Action.OpenUrl"):
            escapes.append(str(kind))
        if "url" in node and not is_ours(node["url"]):
            escapes.append(str(node["url"]))
        if "entities" in node:
            escapes.append("an entity")
    return escapes


def feishu(body: dict[str, object]) -> list[str]:
    """Plain text in everything that is shown; no link but ours."""
    escapes = []
    for node in nodes(body):
        if "content" in node and node.get("tag") != "plain_text":
            escapes.append(f"text as {node.get('tag')}")
        if node.get("tag") not in (None, "plain_text", "div", "hr", "action", "button", "note"):
            escapes.append(str(node.get("tag")))
        if "url" in node and not is_ours(node["url"]):
            escapes.append(str(node["url"]))
    return escapes


def robot(body: dict[str, object]) -> list[str]:
    """Markdown in which, our own link taken away, nothing can begin markup, a mention or a link."""
    markdown = body["markdown"]
    assert isinstance(markdown, dict)
    text = str(markdown.get("text", markdown.get("content")))
    text = re.sub(r"\[[^\[\]]*\]\(https://watch\.example/episodes/[!-'*-~]*\)$", "", text, flags=re.MULTILINE)
    ours = re.sub(r"^(### |> |\*\*[^*\n]*\*\* ?)", "", text, flags=re.MULTILINE)
    return re.findall(r"[\[\]<>`*_~|\\@&$]|://", ours)


def dingtalk(body: dict[str, object]) -> list[str]:
    """As above, and nobody is called."""
    return [*robot(body), *(["at"] if body["at"] != {"isAtAll": False} else [])]


def pagerduty(body: dict[str, object]) -> list[str]:
    """It knows no markup; one link, ours; the event is what we say."""
    links = [node["href"] for node in nodes(body) if "href" in node]
    return [str(url) for url in links if not is_ours(url)] + ([] if body["event_action"] == "trigger" else ["event"])


def apprise(body: dict[str, object]) -> list[str]:
    """Text that no service of apprise reads as markup; whole lines are addresses of posts or ours."""
    text = f"{body['title']}\n{body['message']}"
    kept = [line for line in text.split("\n") if not re.fullmatch(r"\s*([^<\[]*: )?https?://[!-;=?-z~]+", line)]
    return re.findall(r"[\[\]<>`*_~|\\@&$]|://", "\n".join(kept))


def slack_bot(body: dict[str, object]) -> list[str]:
    """Slack's three characters are escaped wherever they are not ours."""
    escapes = []
    for text in texts_in([body["text"], body["blocks"]]):
        escapes += [part for part in re.findall(r"<[^>]*>?", text) if not part.startswith(f"<{LINK}") or "|" in part]
        escapes += re.findall(r"&(?!(?:amp|lt|gt);)", text)
    return escapes


ESCAPES: dict[str, Callable[[dict[str, object]], list[str]]] = {
    "webhook": webhook, "teams": teams, "feishu": feishu, "dingtalk": dingtalk, "wecom": robot, "pagerduty": pagerduty,
    "apprise": apprise, "slack_bot": slack_bot,
}  # fmt: skip


def requests(kind: str, messages: Sequence[Message]) -> Iterator[dict[str, object]]:
    """What the service received for every message."""
    with WORLDS[kind]() as world:
        channel: Channel = built(kind, world.settings)
        for message in messages:
            channel.notify(message)
        raw = world.requests()
    for request in raw:
        yield _body(request)


def _body(request: Request) -> dict[str, object]:
    body: dict[str, object] = json.loads(request.body)
    return body


def test_every_channel_is_tried_with_hostile_posts() -> None:
    assert set(ESCAPES) | {"slack", "email", "terminal"} == set(CHANNELS)


@pytest.mark.parametrize("kind", sorted(ESCAPES))
def test_nothing_that_strangers_wrote_is_more_than_text(kind: str) -> None:
    bodies = list(requests(kind, MESSAGES))
    assert len(bodies) == len(MESSAGES)
    for body in [*bodies, *requests(kind, GROUPS)]:
        assert ESCAPES[kind](body) == []
        for text in texts_in(body):
            assert not UNSEEN.search(text.replace("\n", " "))


@pytest.mark.parametrize("text", TEXTS)
def test_a_defused_text_begins_no_markup_and_stays_readable(text: str) -> None:
    calm = defused(text)
    assert not re.search(r"[\[\]<>`*_~|\\@&$\n\r]|://", calm)
    assert not calm.startswith(("#", "-", "+", ">"))
    assert sum(character.isalnum() for character in calm) >= min(
        1, sum(character.isalnum() for character in text.replace("\x1b", ""))
    )
