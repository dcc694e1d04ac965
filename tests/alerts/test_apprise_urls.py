"""Long alerts through apprise: nothing is lost where the service takes less than an alert has."""

import json
from collections.abc import Iterator

import pytest
from apprise.plugins.discord import NotifyDiscord

from opinionwatch.alerts.apprise_urls import Apprise
from opinionwatch.alerts.message import render
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.errors import RetryableError
from tests.alerts.sample import crisis, exemplar
from tests.alerts.slack_stub import Answer, Request, SlackStub, slack_stub

MOST = 2000
"""Characters that Discord takes (discord.com/developers/docs/resources/webhook, read 2026-11)."""


def discord_answers(request: Request) -> Answer:
    return Answer(204, "") if len(json.loads(request.body)["content"]) <= MOST else Answer(400, '{"code": 50035}')


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackStub]:
    """Discord's limit on this machine, behind apprise's own plugin for it."""
    with slack_stub("/api/webhooks", discord_answers) as stub:
        monkeypatch.setattr(NotifyDiscord, "notify_url", stub.url)
        yield stub


def channel(more: str = "") -> Apprise:
    return Apprise("desk", Apprise.Settings.model_validate({"url": f"discord://1234567890/s3cr3t-token/{more}"}))


def long() -> Message:
    """An ordinary opening: three posts of 150 characters, and addresses that answer it."""
    posts = [exemplar("The battery is dead by noon. " * 5 + str(n), author=f"a{n}") for n in range(3)]
    message = render(crisis(exemplars=posts), lang="en", public_url="https://watch.example", watchlist_name="Lumora")
    answers = tuple(
        (verb, f"https://watch.example/answer/{message.episode_id}?do={verb}&signature={'0123456789abcdef' * 4}")
        for verb in ("acknowledge", "not_crisis", "real")
    )  # fmt: skip
    return message.model_copy(update={"answers": answers})


def test_an_alert_longer_than_the_service_takes_comes_in_parts_and_whole(discord: SlackStub) -> None:
    message = long()
    channel().notify(message)
    contents = [json.loads(body)["content"] for body in discord.received]
    assert len(contents) > 1
    assert all(len(content) <= MOST for content in contents)
    whole = "\n".join(contents)
    for text in (message.summary, *dict(message.facts), *(url for _, url in message.answers), message.alert_id):
        assert text in whole


def test_what_the_address_says_about_length_goes_before_that(discord: SlackStub) -> None:
    channel("?overflow=truncate").notify(long())
    assert len(discord.received) == 1
    with pytest.raises(RetryableError):
        channel("?overflow=upstream").notify(long())
