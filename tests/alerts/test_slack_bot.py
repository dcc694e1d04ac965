"""One thread an episode, marked when it ends, and nothing twice."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.message import render
from opinionwatch.alerts.slack_bot import SlackBot
from opinionwatch.alerts.slack_thread import CLOSED
from opinionwatch.pipeline.contracts_trend import AlertEvent, Message
from opinionwatch.pipeline.errors import SettingsError
from tests.alerts.sample import OPENED, crisis
from tests.alerts.slack_api_stub import CHANNEL, TOKEN, SlackApi, slack_api


def said(event: AlertEvent = "opened", *, repeat: bool = False, later_min: int = 0) -> Message:
    alert = crisis(event, at=OPENED + timedelta(minutes=later_min))
    return render(alert, lang="en", public_url="https://watch.example", watchlist_name="Lumora", repeat=repeat)


def bot(api: SlackApi, /, **more: object) -> SlackBot:
    settings = SlackBot.Settings.model_validate(
        {"token": TOKEN, "channel": CHANNEL, "api": api.api, "allow_loopback": True, "timeout_s": 2, **more}
    )
    return SlackBot("bot", settings)


@pytest.fixture
def api() -> Iterator[SlackApi]:
    with slack_api() as api:
        yield api


def test_an_episode_is_one_thread_and_a_worsening_is_told_to_the_channel_too(api: SlackApi) -> None:
    channel = bot(api)
    channel.notify(said())
    channel.notify(said("updated", later_min=60))
    channel.notify(said("escalated", later_min=120))
    opening, update, worse = api.messages
    assert "thread_ts" not in opening
    assert update["thread_ts"] == worse["thread_ts"] == opening["ts"]
    assert "reply_broadcast" not in update
    assert worse["reply_broadcast"]


def test_a_new_process_finds_the_thread_again(api: SlackApi) -> None:
    bot(api).notify(said())
    bot(api).notify(said("updated", later_min=60))
    assert api.messages[1]["thread_ts"] == api.messages[0]["ts"]


def test_the_end_marks_the_opening_and_takes_its_buttons_away(api: SlackApi) -> None:
    channel = bot(api, buttons=True)
    channel.notify(said())
    assert any(block["type"] == "actions" for block in api.messages[0]["blocks"])
    channel.notify(said("resolved", later_min=300))
    blocks = api.messages[0]["blocks"]
    assert blocks[0]["block_id"] == CLOSED
    assert "the crisis is over" in json.dumps(blocks[0])
    assert not any(block["type"] == "actions" for block in blocks)
    assert not any(block["type"] == "actions" for block in api.messages[1]["blocks"])
    assert api.messages[1]["thread_ts"] == api.messages[0]["ts"]


def test_buttons_are_worth_the_episode_and_come_only_where_they_are_wanted(api: SlackApi) -> None:
    bot(api).notify(said())
    bot(api, buttons=True).notify(said("updated", later_min=60))
    quiet, loud = ([b for b in m["blocks"] if b["type"] == "actions"] for m in api.messages)
    assert quiet == []
    elements = loud[0]["elements"]
    assert [one["action_id"] for one in elements] == ["acknowledge", "not_crisis", "real", "silence"]
    assert {one["value"] for one in elements} == {said().episode_id}


def test_an_answer_that_was_lost_is_looked_for_and_nothing_is_posted_twice(api: SlackApi) -> None:
    api.lost = 1
    with pytest.raises(UncertainError):
        bot(api).notify(said())
    bot(api).notify(said(repeat=True))
    assert len(api.messages) == 1
    channel = bot(api)
    api.lost = 1
    with pytest.raises(UncertainError):
        channel.notify(said("updated", later_min=60))
    channel.notify(said("updated", repeat=True, later_min=60))
    assert len(api.messages) == 2


def test_without_the_scope_to_look_a_repetition_says_so(api: SlackApi) -> None:
    api.history = False
    channel = bot(api)
    channel.notify(said())
    channel.notify(said(repeat=True))
    assert "sent again" in json.dumps(api.messages[1]["blocks"])


@pytest.mark.parametrize(
    ("more", "cure"),
    [
        ({"token": None}, "bot token"),
        ({"api": "http://127.0.0.1/api/", "allow_loopback": False}, "allow_loopback"),
        ({"api": "http://slack.example/api/"}, "https"),
    ],
)
def test_a_bot_that_cannot_work_says_what_to_write(api: SlackApi, more: dict[str, object], cure: str) -> None:
    with pytest.raises(SettingsError, match=cure):
        bot(api, **more)


def test_its_token_is_hidden(api: SlackApi) -> None:
    assert TOKEN not in repr(bot(api).settings)
    assert SecretStr(TOKEN) == bot(api).settings.token


def drawn(event: AlertEvent = "opened", *, repeat: bool = False, later_min: int = 0) -> Message:
    return said(event, repeat=repeat, later_min=later_min).model_copy(update={"chart_png": b"\x89PNG chart"})


def test_the_chart_is_a_file_in_the_thread_of_the_message(api: SlackApi) -> None:
    channel = bot(api, charts=True)
    channel.notify(drawn())
    channel.notify(drawn("updated", later_min=60))
    assert api.uploads == [("image/png", b"\x89PNG chart")] * 2
    assert api.sizes == [10, 10]
    first, second = api.shared
    assert first["channel_id"] == CHANNEL
    assert first["thread_ts"] == second["thread_ts"] == api.messages[0]["ts"]
    [file] = json.loads(first["files"]) if isinstance(first["files"], str) else first["files"]
    assert file == {"id": "F1", "title": said().title}


def test_charts_come_only_where_they_are_asked_for_and_not_with_a_repetition_that_was_there(api: SlackApi) -> None:
    bot(api).notify(drawn())
    bot(api, charts=True).notify(drawn(repeat=True))
    bot(api, charts=True).notify(said("updated", later_min=60))
    assert (len(api.messages), api.uploads) == (2, [])


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal"])
def test_an_alert_is_not_repeated_for_want_of_a_picture(api: SlackApi, method: str) -> None:
    api.refuse = method
    bot(api, charts=True).notify(drawn())
    assert (len(api.messages), api.shared) == (1, [])
