import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.message import render, sample
from opinionwatch.alerts.slack import Slack, escape
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.errors import RejectedError, RetryableError, SettingsError
from tests.alerts.sample import OPENED, crisis
from tests.alerts.slack_stub import PATH, Answer, SlackStub, slack_stub

MESSAGE = render(crisis(), lang="en", public_url="http://127.0.0.1:8765", watchlist_name="Lumora")


@pytest.fixture
def stub() -> Iterator[SlackStub]:
    with slack_stub() as stub:
        yield stub


def slack(url: str) -> Slack:
    return Slack("slack", Slack.Settings(url=SecretStr(url), allow_loopback=True, timeout_s=1))


def sent(message: Message, stub: SlackStub) -> str:
    slack(stub.url).notify(message)
    return stub.received[-1].decode()


def test_the_message_answers_everything_in_block_kit(stub: SlackStub) -> None:
    body = json.loads(sent(MESSAGE, stub))
    assert body["unfurl_links"] is body["unfurl_media"] is False
    assert body["text"].startswith("Lumora: public mood has turned negative. Mood about Lumora")
    assert body["blocks"][0]["type"] == "header"
    shown = json.dumps(body["blocks"], ensure_ascii=False)
    for text in ("once in 120 weeks", "dead by noon", "半天就没电了", MESSAGE.alert_id, f"<{MESSAGE.link}>"):
        assert text in shown


def test_the_dashboard_stands_beside_the_page_where_there_is_one(stub: SlackStub) -> None:
    assert "Explore it in Kibana" not in sent(MESSAGE, stub)
    address = "https://kibana.example/app/dashboards#/view/ow-episode?_g=%28time%29&_a=%28query%29"
    body = json.loads(sent(MESSAGE.model_copy(update={"dashboard": address}), stub))
    shown = json.dumps(body["blocks"])
    assert "Explore it in Kibana" in shown
    assert f"<{address.replace('&', '&amp;')}>" in shown


def test_chinese_gets_chinese_labels(stub: SlackStub) -> None:
    message = render(crisis(), lang="zh", public_url="http://127.0.0.1:8765", watchlist_name="流墨")
    shown = json.dumps(json.loads(sent(message, stub)), ensure_ascii=False)
    assert "可信度" in shown and "网友怎么说" in shown


def test_every_text_stays_within_slacks_limits(stub: SlackStub) -> None:
    long = "<&>" * 3000
    message = MESSAGE.model_copy(
        update={
            "title": long,
            "summary": long,
            "facts": tuple((long, long) for _ in range(12)),
            "reasons": tuple((long, long) for _ in range(12)),
        }
    )
    body = json.loads(sent(message, stub))
    assert len(body["blocks"]) <= 50
    for block in body["blocks"]:
        limit = {"header": 150, "section": 3000, "context": 2000}[block["type"]]
        assert len(block.get("text", {}).get("text", "")) <= limit
        assert len(block.get("fields", [])) <= 10
        for part in [*block.get("fields", []), *block.get("elements", [])]:
            assert 0 < len(part["text"]) <= 2000


def test_the_test_message_can_be_sent(stub: SlackStub) -> None:
    assert "Test:" in sent(sample(lang="en", public_url="http://127.0.0.1", at=OPENED), stub)


def test_a_rate_limit_is_retryable_after_what_slack_says(stub: SlackStub) -> None:
    stub.plan = [Answer(429, "rate_limited", {"Retry-After": "7"})]
    with pytest.raises(RetryableError, match="429 rate_limited") as caught:
        slack(stub.url).notify(MESSAGE)
    assert caught.value.after_s == 7


@pytest.mark.parametrize("answer", [Answer(500, "oops"), Answer(503, ""), Answer(200, "<html>log in</html>")])
def test_an_outage_is_retryable(stub: SlackStub, answer: Answer) -> None:
    stub.plan = [answer]
    with pytest.raises(RetryableError) as caught:
        slack(stub.url).notify(MESSAGE)
    assert not isinstance(caught.value, UncertainError)


@pytest.mark.parametrize("answer", [Answer(hang=True), Answer(drop=True)])
def test_an_answer_that_never_comes_leaves_it_open_whether_it_got_through(stub: SlackStub, answer: Answer) -> None:
    stub.plan = [answer]
    with pytest.raises(UncertainError, match="no answer"):
        slack(stub.url).notify(MESSAGE)
    assert len(stub.received) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(400, "invalid_payload"), (403, "no_service"), (404, "no_service"), (410, "gone")]
)
def test_what_slack_will_never_take_is_rejected_with_its_words(stub: SlackStub, status: int, body: str) -> None:
    stub.plan = [Answer(status, body)]
    with pytest.raises(RejectedError, match=f"{status} {body}") as caught:
        slack(stub.url).notify(MESSAGE)
    assert caught.value.reason == "channel_refused"


def test_a_closed_port_is_retryable_and_certain() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}{PATH}"
        with pytest.raises(RetryableError, match="cannot be reached") as caught:
            slack(url).notify(MESSAGE)
    assert not isinstance(caught.value, UncertainError)


def test_nothing_is_logged_even_at_the_most_talkative_level(stub: SlackStub, caplog: pytest.LogCaptureFixture) -> None:
    stub.plan = [Answer(500), Answer(drop=True)]
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises(RetryableError):
                slack(stub.url).notify(MESSAGE)
        slack(stub.url).notify(MESSAGE)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("http://hooks.slack.example/s3cr3t", "https://"),
        ("ftp://hooks.slack.example/s3cr3t", "web address"),
        ("s3cr3t", "web address"),
        ("https://[::1/s3cr3t", "not an address"),
        ("https://hooks.slack.example:99999/s3cr3t", "not an address"),
        ("https://user:s3cr3t@hooks.slack.example/", "without user"),
        ("http://127.0.0.1/s3cr3t", "allow_loopback"),
        ("https://localhost/s3cr3t", "allow_loopback"),
        ("https://[::1]/s3cr3t", "allow_loopback"),
        ("https://10.0.0.1/s3cr3t", "private network"),
        ("https://169.254.169.254/s3cr3t", "private network"),
        ("https://[fd00::1]/s3cr3t", "private network"),
    ],
)
def test_an_address_that_is_no_good_is_refused_without_showing_it(url: str, cure: str) -> None:
    with pytest.raises(SettingsError, match=cure) as caught:
        Slack("slack", Slack.Settings(url=SecretStr(url)))
    assert "channels.slack.url" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_the_address_may_come_from_a_file_and_from_nowhere_else_then(tmp_path: Path, stub: SlackStub) -> None:
    file = tmp_path / "hook"
    file.write_text(f"{stub.url}\n")
    Slack("slack", Slack.Settings(url_file=file, allow_loopback=True)).notify(MESSAGE)
    assert len(stub.received) == 1
    with pytest.raises(SettingsError, match="not both"):
        Slack("slack", Slack.Settings(url=SecretStr(stub.url), url_file=file))
    with pytest.raises(SettingsError, match="missing"):
        Slack("slack", Slack.Settings())
    with pytest.raises(SettingsError, match="cannot read"):
        Slack("slack", Slack.Settings(url_file=tmp_path / "none"))
    file.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        Slack("slack", Slack.Settings(url_file=file))


def test_escaping_never_cuts_an_entity() -> None:
    assert [escape("<<", limit) for limit in (3, 4, 7, 8)] == ["…", "…", "&lt;…"[:5], "&lt;&lt;"]
