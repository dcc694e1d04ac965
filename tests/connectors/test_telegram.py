"""Telegram: what bots are told, what is forgotten, who else reads."""

import json
import time
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Page, Source
from tests.connectors.imitation import Imitation, Told, imitating
from tests.connectors.reading_services import bodies, ids
from tests.connectors.telegram_api import TelegramApi, message
from tests.contract.source_suite import build


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("123456:AAs3cret\n")
    return tmp_path / "token"


def telegram(service: Imitation, token: Path, **given: object) -> Source:
    return build("telegram", url=service.url, allow_hosts=["127.0.0.1"], token_file=str(token), **given)


def test_a_post_of_a_channel_is_a_document_and_an_edit_has_its_id(token: Path) -> None:
    api = TelegramApi(1, changed=[message(1, text="better now", edit_date=1_740_000_999)])
    with imitating(api) as service:
        first, second = bodies(telegram(service, token).fetch(None))
    assert first == {
        "native_id": "-1001234/1",
        "text": "post 1 电池",
        "author": "@Lumora",
        "url": "https://t.me/Lumora/1",
        "published_at": str(message(1)["date"]),
        "html": False,
        "source": "Lumora 新闻",
    }
    assert (second["native_id"], second["text"]) == ("-1001234/1", "better now")


def test_a_private_channel_has_no_address_and_a_picture_is_read_by_its_caption(token: Path) -> None:
    chat = {"id": -1009, "title": "Inside", "type": "channel"}
    changed = [
        message(5, chat=chat, text=None, caption="a photo", author_signature="Ann"),
        message(6, chat=chat, text=None, new_chat_title="Renamed"),
    ]
    with imitating(TelegramApi(0, changed=changed)) as service:
        [found] = bodies(telegram(service, token).fetch(None))
    assert (found["text"], found["author"], "url" in found) == ("a photo", "Ann", False)


def test_only_the_channels_of_the_settings(token: Path) -> None:
    other = {"id": -1009, "title": "Other", "username": "other", "type": "channel"}
    with imitating(TelegramApi(1, changed=[message(2, chat=other)])) as service:
        found = [
            ids(telegram(service, token, channels=[name]).fetch('{"offset": null, "at": 1}'))
            for name in ("@LUMORA", "-1009")
        ]
    assert found[0] == ["-1001234/1"]


def test_nothing_is_forgotten_before_its_page_was_asked_beyond(token: Path) -> None:
    api = TelegramApi(450)
    taken: list[Page] = []
    with imitating(api) as service:
        while len(set(ids(taken))) < 450:
            pages = telegram(service, token).fetch(taken[-1].cursor if taken else None)
            lost = next(pages)
            again = next(telegram(service, token).fetch(taken[-1].cursor if taken else None))
            assert ids([lost]) == ids([again]), "a page that was not stored is told again"
            taken.append(again)
    assert ids(taken) == [f"-1001234/{n}" for n in range(1, 451)]


def test_a_pause_of_more_than_a_day_is_a_gap_of_exactly_what_telegram_no_longer_keeps(token: Path) -> None:
    with imitating(TelegramApi(3)) as service:
        first = list(telegram(service, token).fetch(None))
        gaps = []
        for pause_s in (80_000, 90_000):
            cursor = json.dumps({**json.loads(first[-1].cursor), "at": int(time.time()) - pause_s})
            gaps.append([gap for page in telegram(service, token).fetch(cursor) for gap in page.missed])
    assert gaps[0] == []
    [gap] = gaps[1]
    assert gap.since is not None and gap.until is not None
    assert (gap.until - gap.since).total_seconds() == pytest.approx(3600, abs=2)


def test_a_webhook_or_a_second_reader_is_named(token: Path) -> None:
    with imitating(TelegramApi(3, hook="https://elsewhere.example/")) as service:
        source = telegram(service, token)
        with pytest.raises(RetryableError, match=r"@lumora_bot has a webhook.*deleteWebhook"):
            source.check()  # type: ignore[attr-defined]  # a source that can be checked
        with pytest.raises(RetryableError, match="409"):
            list(source.fetch(None))


def test_the_token_stands_in_the_address_and_in_no_message(token: Path) -> None:
    faults = [Told(b"no", 500), Told(b"<html>"), Told(b"", 302, {"Location": "http://10.0.0.1/bot123456:AAs3cret/"})]
    said = []
    with imitating(TelegramApi(3)) as service:
        for fault in faults:
            service.faults.append(fault)
            with pytest.raises(RetryableError) as caught:
                list(telegram(service, token).fetch(None))
            said.append(str(caught.value))
    with pytest.raises(RetryableError) as caught:
        list(telegram(service, token).fetch(None))
    said.append(str(caught.value))
    assert all("s3cret" not in words for words in said)
    assert "/bot…/getUpdates" in said[0]
