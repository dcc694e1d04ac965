"""Several stories of one group in one message, through every channel: none is lost, and every link works."""

import json
import re

import pytest

from opinionwatch.alerts.feishu import body as card_request
from opinionwatch.alerts.joined import joined
from opinionwatch.alerts.markdown import markdown
from opinionwatch.alerts.message import render
from opinionwatch.alerts.registry import CHANNELS
from opinionwatch.alerts.slack import blocks
from opinionwatch.alerts.slack_thread import CLOSED
from opinionwatch.alerts.stories import MOST
from opinionwatch.alerts.teams import body
from opinionwatch.alerts.words import WORDS, Lang
from opinionwatch.pipeline.contracts_trend import AlertEvent, Message
from tests.alerts.sample import crisis
from tests.alerts.slack_api_stub import slack_api
from tests.alerts.test_hooks import LONG
from tests.alerts.test_slack_bot import bot
from tests.contract.channel_worlds import WORLDS
from tests.contract.test_channels import LINK, built

EVERY = {"pagerduty", "webhook"}
"""Channels for programs: they have no limit that people set."""


def story(number: int, lang: Lang = "en", event: AlertEvent = "opened") -> Message:
    alert = crisis(event, watchlist=f"w{number}")
    alert = alert.model_copy(update={"episode": alert.episode.model_copy(update={"id": f"ep{number:030}"})})
    return render(alert, lang=lang, public_url=LINK, watchlist_name=f"Lumora {number} …")


def group(others: int, lang: Lang = "en") -> tuple[Message, list[Message]]:
    """A message and the other stories in it; the first has its usual four reasons."""
    first, *rest = (story(number, lang) for number in range(others + 1))
    assert len(first.reasons) == 4
    return joined(first, rest), rest


def received(kind: str, message: Message) -> str:
    """Everything that a service got for the message, as one text."""
    with WORLDS[kind]() as world:
        built(kind, world.settings).notify(message)
        return " ".join(" ".join(world.received()).split())


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("kind", sorted(CHANNELS))
def test_every_story_of_a_group_arrives_with_its_link(kind: str, lang: Lang) -> None:
    message, others = group(5, lang)
    shown = received(kind, message)
    assert message.link in shown
    for other in others:
        assert other.title in shown
        assert other.link in shown
    assert WORDS[lang].labels["more"] not in shown


@pytest.mark.parametrize("kind", sorted(CHANNELS))
def test_stories_that_a_channel_has_no_room_for_are_counted(kind: str) -> None:
    message, others = group(40)
    shown = received(kind, message)
    told = sum(other.link in shown for other in others)
    counted = re.findall(WORDS["en"].labels["more"] + r"\D{1,20}(\d+)", shown)
    if kind in EVERY:
        assert (told, counted) == (40, [])
    else:
        assert 4 <= told <= MOST
        assert {int(number) for number in counted} == {len(others) - told}


def test_a_group_stays_within_what_each_service_takes() -> None:
    long = LONG.model_copy(update={"reasons": LONG.reasons[:4]})
    message = joined(long, [long.model_copy(update={"title": "标" * 500})] * 40)
    assert len(markdown(message, 4096).encode()) <= 4096
    assert len(body(message)) <= 28_000
    assert len(card_request(message, {"timestamp": "1599360473", "sign": "l1N0gAcBjdwBvGm1xMjOF0XS"})) <= 20_480
    assert len(list(blocks(message))) <= 49


def test_every_story_of_a_group_is_an_incident_of_its_own_that_its_own_end_resolves() -> None:
    message = joined(story(1), [story(2), story(3, event="resolved")])
    with WORLDS["pagerduty"]() as world:
        built("pagerduty", world.settings).notify(message)
        told = [json.loads(request.body) for request in world.requests()]
    assert [(one["dedup_key"][-1], one["event_action"]) for one in told] == [
        ("1", "trigger"), ("2", "trigger"), ("3", "resolve"),
    ]  # fmt: skip


def test_the_end_of_a_story_in_a_group_marks_its_opening_in_slack_too() -> None:
    with slack_api() as api:
        channel = bot(api)
        channel.notify(story(2))
        channel.notify(joined(story(1), [story(2, event="resolved")]))
        opening, _ = api.messages
    assert opening["blocks"][0]["block_id"] == CLOSED
    assert "Lumora 2" in json.dumps(opening["blocks"][0])


def test_a_web_hook_is_told_the_ids_of_every_story() -> None:
    message, others = group(2)
    with WORLDS["webhook"]() as world:
        built("webhook", world.settings).notify(message)
        (request,) = world.requests()
    told = json.loads(request.body)["data"]["others"]
    assert [(one["alert_id"], one["episode_id"], one["type"]) for one in told] == [
        (other.alert_id, other.episode_id, "alert.opened") for other in others
    ]
