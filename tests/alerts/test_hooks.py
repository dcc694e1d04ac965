"""What channels with a web hook have in common, and what each service is told."""

import json
import socket
from collections.abc import Iterator
from typing import cast

import pytest
from pydantic import SecretStr

from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.dingtalk import DingTalk
from opinionwatch.alerts.feishu import Feishu, card
from opinionwatch.alerts.markdown import markdown
from opinionwatch.alerts.message import render, sample
from opinionwatch.alerts.pagerduty import PagerDuty, event
from opinionwatch.alerts.teams import Teams, body
from opinionwatch.alerts.webhook import Webhook
from opinionwatch.alerts.wecom import WeCom
from opinionwatch.pipeline.contracts_trend import AlertEvent, Message
from opinionwatch.pipeline.errors import RejectedError, RetryableError, SettingsError
from tests.alerts.sample import OPENED, crisis, exemplar
from tests.alerts.slack_stub import Answer, SlackStub, slack_stub


def said(kind: AlertEvent = "opened", **changes: object) -> Message:
    message = render(crisis(kind), lang="en", public_url="https://watch.example", watchlist_name="Lumora")
    return message.model_copy(update=changes)


LONG = said(
    title="x" * 5000,
    summary="电" * 5000,
    facts=tuple((f"label {n}", "值" * 2000) for n in range(20)),
    reasons=tuple((f"reason {n}", "y" * 2000) for n in range(20)),
    examples=tuple(exemplar("电池" * 3000, author=f"a{n}") for n in range(5)),
)


@pytest.fixture
def stub() -> Iterator[SlackStub]:
    with slack_stub(usually=lambda _: Answer(200, '{"errcode": 0}')) as stub:
        yield stub


def wecom(url: str, **more: object) -> WeCom:
    return WeCom("robot", WeCom.Settings.model_validate({"url": url, "allow_private": True, "timeout_s": 1, **more}))


def test_retry_after_is_honoured_in_seconds_and_as_a_date(stub: SlackStub) -> None:
    stub.plan = [
        Answer(429, "", {"Retry-After": "17"}),
        Answer(503, "", {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}),
        Answer(429, ""),
    ]
    waits = []
    for _ in range(3):
        with pytest.raises(RetryableError) as caught:
            wecom(stub.url).notify(said())
        waits.append(caught.value.after_s)
    assert waits[0] == 17
    assert waits[1] is not None and waits[1] > 86_400
    assert waits[2] is None


def test_a_robots_own_rate_limit_waits_a_minute(stub: SlackStub) -> None:
    stub.plan = [Answer(200, '{"errcode": 45009, "errmsg": "freq"}')]
    with pytest.raises(RetryableError, match="45009 freq") as caught:
        wecom(stub.url).notify(said())
    assert caught.value.after_s == 60


@pytest.mark.parametrize(
    "answer", ['{"code": 11232, "msg": "frequency limited"}', '{"code": 99991400, "msg": "limit"}']
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_rate_limit_of_feishu_passes_under_whatever_status_it_comes(
    stub: SlackStub, status: int, answer: str
) -> None:
    stub.plan = [Answer(status, answer)]
    channel = Feishu("bot", Feishu.Settings.model_validate({"url": stub.url, "allow_private": True}))
    with pytest.raises(RetryableError, match="Feishu answered code") as caught:
        channel.notify(said())
    assert caught.value.after_s == 60


@pytest.mark.parametrize("answer", ["<html>log in</html>", "", "[]", "null"])
def test_an_answer_that_is_not_the_robots_is_not_believed(stub: SlackStub, answer: str) -> None:
    stub.plan = [Answer(200, answer)]
    with pytest.raises(RetryableError):
        wecom(stub.url).notify(said())


@pytest.mark.parametrize("answer", [Answer(hang=True), Answer(drop=True)])
def test_a_lost_answer_leaves_it_open_whether_it_got_through(stub: SlackStub, answer: Answer) -> None:
    stub.plan = [answer]
    with pytest.raises(UncertainError):
        wecom(stub.url).notify(said())


def test_a_closed_port_is_certain_not_to_have_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(RetryableError, match="cannot be reached") as caught:
            wecom(f"http://127.0.0.1:{free.getsockname()[1]}/s3cr3t").notify(said())
    assert not isinstance(caught.value, UncertainError)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("kind", [WeCom, DingTalk, Feishu, Teams, Webhook])
@pytest.mark.parametrize(
    ("url", "cure"),
    [
        (None, "missing"),
        ("ftp://example.org/x", "https://host/path"),
        ("http://example.org/x", "https://"),
        ("https://127.0.0.1/x", "allow_private"),
        ("https://10.0.0.1/x", "allow_private"),
        ("https://169.254.169.254/latest", "allow_private"),
        ("https://[::ffff:10.0.0.1]/x", "allow_private"),
        ("https://me:pw@example.org/x", "without user"),
    ],
)
def test_an_address_that_messages_may_not_go_to_refuses_to_start_and_says_what_to_write(
    kind: type[WeCom], url: str | None, cure: str
) -> None:
    settings = kind.Settings.model_validate({} if url is None else {"url": url})
    with pytest.raises(SettingsError, match=cure):
        kind("robot", settings)


def test_a_public_name_that_resolves_to_a_private_address_is_refused(
    stub: SlackStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 443))])
    channel = WeCom("robot", WeCom.Settings(url=SecretStr("https://hook.example/x")))
    with pytest.raises(RejectedError, match="private network; write `allow_private: true`"):
        channel.notify(said())
    assert stub.received == []


def test_sizes_stay_within_what_each_service_takes() -> None:
    assert len(markdown(LONG, 4096).encode()) <= 4096
    assert LONG.alert_id in markdown(LONG, 4096)
    assert LONG.link in markdown(LONG, 4096)
    assert len(body(LONG)) <= 28_000
    assert len(json.dumps(card(LONG), ensure_ascii=False).encode()) <= 20_000
    assert len(json.dumps(event(LONG)["payload"])) <= 512_000


def test_an_episode_is_one_incident_that_its_end_resolves() -> None:
    told = [event(said(kind)) for kind in ("opened", "escalated", "updated", "resolved")]
    assert {one["dedup_key"] for one in told} == {said().episode_id}
    assert [one["event_action"] for one in told] == ["trigger", "trigger", "trigger", "resolve"]
    assert event(sample(lang="en", public_url="https://watch.example", at=OPENED))["dedup_key"] != said().episode_id


def test_an_incident_has_every_note_of_its_message() -> None:
    notes = (("Note", "sent again"), ("Note", "another channel did not take it"))
    details = cast(dict[str, str], cast(dict[str, object], event(said(facts=notes))["payload"])["custom_details"])
    assert all(note in details["Note"] for _, note in notes)


def test_a_key_that_is_none_refuses_to_start() -> None:
    for key in (None, SecretStr("short")):
        with pytest.raises(SettingsError, match="32 characters"):
            PagerDuty("pd", PagerDuty.Settings(routing_key=key))


def test_a_web_hook_without_a_strong_secret_refuses_to_start() -> None:
    for secret, cure in ((None, "openssl rand"), (SecretStr("weak"), "16 bytes")):
        with pytest.raises(SettingsError, match=cure):
            Webhook("hook", Webhook.Settings(url=SecretStr("https://example.org/x"), secret=secret))


def test_a_signed_address_keeps_its_own_query(stub: SlackStub) -> None:
    settings = DingTalk.Settings.model_validate(
        {"url": f"{stub.url}?access_token=t", "allow_private": True, "secret": "SEC123"}
    )
    DingTalk("robot", settings, lambda: 1577262236.757).notify(said())
    assert stub.requests[0].path.endswith("?access_token=t&timestamp=1577262236757&sign=" + SIGNED)


SIGNED = "Z%2FIOagKYTkrnYtxAsTKneRe0bzmlPCH3ZDJPTD2h9QA%3D"
