"""What every channel of the registry promises, in a small real world of its own (`channel_worlds`)."""

import inspect
from typing import cast, get_args

import pytest
from pydantic import BaseModel, SecretStr

from opinionwatch.alerts.message import render, sample
from opinionwatch.alerts.registry import CHANNELS
from opinionwatch.alerts.words import Lang
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.errors import OpinionwatchError, RejectedError, RetryableError, SettingsError
from opinionwatch.pipeline.ports import Channel
from opinionwatch.pipeline.registry import options, resolve
from tests.alerts.sample import OPENED, crisis
from tests.contract.channel_worlds import WORLDS

LINK = "https://watch.example"


def said(lang: Lang = "en", *, repeat: bool = False) -> Message:
    return render(crisis(), lang=lang, public_url=LINK, watchlist_name="Lumora", repeat=repeat)


def built(kind: str, settings: object) -> Channel:
    found = resolve(CHANNELS, kind, "channels")
    chosen = options(found.Settings, cast(dict[str, object], settings), f"channels.{kind}")  # type: ignore[attr-defined]  # every registered class has one
    return cast(Channel, found("desk", chosen))


def model(kind: str) -> type[BaseModel]:
    return cast(type[BaseModel], resolve(CHANNELS, kind, "channels").Settings)  # type: ignore[attr-defined]  # every registered class has one


@pytest.fixture(params=sorted(CHANNELS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_channel_has_a_world_to_be_tried_in() -> None:
    assert WORLDS.keys() == CHANNELS.keys()


def test_its_docstring_says_what_a_crash_may_repeat(kind: str) -> None:
    assert "\nDelivery: " in (inspect.getdoc(resolve(CHANNELS, kind, "channels")) or "")


def test_its_settings_are_frozen_described_and_refuse_what_they_do_not_know(kind: str) -> None:
    settings = model(kind)
    assert settings.model_config["frozen"]
    assert settings.model_config["extra"] == "forbid"
    assert all(field.description for field in settings.model_fields.values())
    with pytest.raises(SettingsError, match="no_such_thing: unknown setting"):
        options(settings, {"no_such_thing": 1}, "channels.desk")


def test_every_secret_is_hidden_and_may_come_from_a_file(kind: str) -> None:
    fields = model(kind).model_fields
    for name, field in fields.items():
        if any(word in name for word in ("password", "token", "url", "key", "secret")) and not name.endswith("_file"):
            assert SecretStr in (field.annotation, *get_args(field.annotation)), name
            assert f"{name}_file" in fields


def test_it_is_a_channel_with_the_name_it_was_given(kind: str) -> None:
    with WORLDS[kind]() as world:
        channel = built(kind, world.settings)
        assert isinstance(channel, Channel)
        assert channel.name == "desk"


@pytest.mark.parametrize("lang", get_args(Lang))
def test_a_message_arrives_once_with_its_words_its_id_and_its_link(kind: str, lang: Lang) -> None:
    with WORLDS[kind]() as world:
        message = said(lang)
        built(kind, world.settings).notify(message)
        (received,) = world.received()
        for text in (message.title, message.summary, message.alert_id, message.link, *dict(message.facts)):
            assert text in " ".join(received.split())


def test_a_repetition_says_so_and_has_the_same_id_unless_it_can_be_seen_that_it_is_none(kind: str) -> None:
    with WORLDS[kind]() as world:
        channel = built(kind, world.settings)
        channel.notify(said())
        channel.notify(said(repeat=True))
        if world.reconciles:
            assert len(world.received()) == 1
            return
        first, again = world.received()
        assert "sent again" not in first
        assert "sent again" in " ".join(again.split())
        assert said().alert_id in first and said().alert_id in again


def test_the_sample_of_notify_test_arrives_labelled(kind: str) -> None:
    with WORLDS[kind]() as world:
        built(kind, world.settings).notify(sample(lang="en", public_url=LINK, at=OPENED))
        assert "Test:" in world.received()[0]


def test_a_fault_that_passes_is_retryable_and_the_message_gets_through_afterwards(kind: str) -> None:
    with WORLDS[kind]() as world:
        channel = built(kind, world.settings)
        for fault, strike in world.passing.items():
            strike()
            with pytest.raises(RetryableError):
                channel.notify(said())
            before = len(world.received())
            channel.notify(said())
            assert len(world.received()) == before + 1, fault


def test_a_refusal_for_good_is_rejected_with_its_reason(kind: str) -> None:
    with WORLDS[kind]() as world:
        channel = built(kind, world.settings)
        for fault, strike in world.final.items():
            strike()
            with pytest.raises(RejectedError) as caught:
                channel.notify(said())
            assert caught.value.reason == "channel_refused", fault
            assert caught.value.detail


def test_no_secret_is_ever_shown(kind: str) -> None:
    with WORLDS[kind]() as world:
        channel = built(kind, world.settings)
        shown = [repr(channel), str(vars(channel)), repr(options(model(kind), world.settings, "x"))]
        for strike in (*world.passing.values(), *world.final.values()):
            strike()
            with pytest.raises(OpinionwatchError) as caught:
                channel.notify(said())
            shown += [str(caught.value), repr(caught.value), str(caught.getrepr(style="native"))]
        for secret in world.secrets:
            assert secret not in "".join(shown)
