"""Answers from the page, the API, Slack's buttons and signed addresses: stored with the episode, once."""

import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.testclient import TestClient

from opinionwatch.pipeline.answers import LASTS, Answers
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web import build
from tests.pipeline.web_client import HOME, open_store
from tests.pipeline.web_sample import WATCHLISTS

ANSWERS = Answers(b"k" * 32)
SECRET = "slack-signing-s3cret"


@pytest.fixture
def archive(tmp_path: Path) -> SqliteArchive:
    return open_store(tmp_path)


@pytest.fixture
def browser(archive: SqliteArchive, tmp_path: Path) -> TestClient:
    secret, token = tmp_path / "slack.secret", tmp_path / "token"
    secret.write_text(SECRET)
    token.write_text("t0ken" * 8)
    app = build(
        archive,
        watchlists=WATCHLISTS,
        settings=Web(slack_signing_secret_file=secret),
        lang="en",
        answers=ANSWERS,
    )
    return TestClient(app, base_url=HOME, follow_redirects=False, raise_server_exceptions=False)


def sent(browser: TestClient, path: str, **fields: str) -> int:
    """Send a form from our own page."""
    browser.get("/silences")
    token = browser.cookies["ow_form"]
    return browser.post(path, data={"form_token": token, **fields}).status_code


def pressed(browser: TestClient, verb: str, episode: str, *, secret: str = SECRET, ago_s: int = 0) -> int:
    said = {"type": "block_actions", "user": {"id": "U1", "username": "mei"},
            "actions": [{"action_id": verb, "value": episode}]}  # fmt: skip
    body = urlencode({"payload": json.dumps(said)})
    stamp = str(int(time.time()) - ago_s)
    signature = "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), "sha256").hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": signature,
    }
    return browser.post("/hooks/slack", content=body, headers=headers).status_code


def test_an_answer_from_the_page_is_stored_and_shown_with_the_episode(
    browser: TestClient, archive: SqliteArchive
) -> None:
    episode = archive.episodes()[0]
    assert (
        sent(browser, f"/episodes/{episode.id}/feedback", verb="not_crisis", by="mei", comment="a <b>launch</b>") == 303
    )
    (answer,) = archive.feedback(episode.id)
    assert (answer.verb, answer.by, answer.via, answer.comment) == ("not_crisis", "mei", "page", "a <b>launch</b>")
    page = browser.get(f"/episodes/{episode.id}?done=answer_stored").text
    assert "Not a crisis" in page
    assert "a &lt;b&gt;launch&lt;/b&gt;" in page and "a <b>launch" not in page
    assert "Your answer is stored" in page


def test_an_answer_from_another_site_is_not_believed(browser: TestClient, archive: SqliteArchive) -> None:
    episode = archive.episodes()[0]
    assert browser.post(f"/episodes/{episode.id}/feedback", data={"verb": "real", "by": "x"}).status_code == 403
    assert archive.feedback() == []


def test_the_api_takes_answers_and_gives_them_back_once(browser: TestClient, archive: SqliteArchive) -> None:
    episode = archive.episodes()[0]
    path = f"/api/episodes/{episode.id}/feedback"
    given = {"verb": "acknowledge", "by": "duty"}
    first, again = browser.post(path, json=given), browser.post(path, json=given)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    listed = browser.get("/api/feedback", params={"episode": episode.id}).json()["items"]
    assert [one["verb"] for one in listed] == ["acknowledge"]
    assert browser.post("/api/episodes/nobody/feedback", json=given).status_code == 404
    assert browser.post(path, json={"verb": "shrug", "by": "x"}).status_code == 400
    assert "/api/episodes/{id}/feedback" in browser.get("/api/openapi.json").json()["paths"]


def test_slacks_buttons_answer_and_silence(browser: TestClient, archive: SqliteArchive) -> None:
    episode = archive.episodes()[0]
    assert pressed(browser, "acknowledge", episode.id) == 200
    assert [(one.verb, one.by, one.via) for one in archive.feedback(episode.id)] == [("acknowledge", "mei", "slack")]
    before = len(archive.silences())
    assert pressed(browser, "silence", episode.id) == 200
    assert len(archive.silences()) == before + 1
    assert pressed(browser, "shrug", episode.id) == 400


def test_what_slack_has_not_signed_just_now_is_not_believed(browser: TestClient, archive: SqliteArchive) -> None:
    episode = archive.episodes()[0]
    assert pressed(browser, "acknowledge", episode.id, secret="another secret 123") == 401
    assert pressed(browser, "acknowledge", episode.id, ago_s=301) == 401
    assert pressed(browser, "acknowledge", episode.id, ago_s=-301) == 401
    assert archive.feedback() == []


def test_a_secret_that_is_none_refuses_to_start(archive: SqliteArchive, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("x")
    for name in ("short", "not-there"):
        with pytest.raises(SettingsError, match="slack_signing_secret_file"):
            build(archive, watchlists=WATCHLISTS, settings=Web(slack_signing_secret_file=tmp_path / name), lang="en")


def opened(archive: SqliteArchive) -> Alert:
    return Alert(event="opened", at=datetime.now(UTC), episode=archive.episodes()[0])


def test_a_signed_address_asks_first_and_answers_once(browser: TestClient, archive: SqliteArchive) -> None:
    alert = opened(archive)
    links = dict(ANSWERS.links(alert, HOME))
    path = urlsplit(links["not_crisis"]).path
    asked = browser.get(path)
    assert asked.status_code == 200
    assert "Is this your answer?" in asked.text
    assert archive.feedback() == []
    assert sent(browser, path) == 200
    assert [(one.verb, one.via) for one in archive.feedback(alert.episode.id)] == [("not_crisis", "link")]
    assert sent(browser, path) == 410
    assert browser.get(path).status_code == 410
    assert len(archive.feedback()) == 1


def test_a_signed_address_needs_no_token_and_shows_nothing_but_the_name(archive: SqliteArchive, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken" * 8)
    app = build(archive, watchlists=WATCHLISTS, settings=Web(token_file=tmp_path / "token"), lang="zh", answers=ANSWERS)
    browser = TestClient(app, base_url=HOME, follow_redirects=False)
    path = urlsplit(dict(ANSWERS.links(opened(archive), HOME))["real"]).path
    page = browser.get(path, headers={"accept-language": "zh"})
    assert page.status_code == 200
    assert "确有其事" in page.text
    assert archive.episodes()[0].explanation.exemplars[0].text not in page.text
    assert browser.get("/episodes", headers={"accept": "text/html"}).status_code == 303


def test_a_forged_or_expired_address_is_unknown(browser: TestClient, archive: SqliteArchive) -> None:
    alert = opened(archive)
    good = dict(ANSWERS.links(alert, HOME))["real"].rpartition("/")[2]
    episode, verb, expires, signature = good.split(".")
    now = datetime.now(UTC)
    assert ANSWERS.read(good, now) is not None
    assert ANSWERS.read(good, now + LASTS + timedelta(minutes=1)) is None
    assert Answers(b"x" * 32).read(good, now) is None
    forged = [
        f"{episode}.acknowledge.{expires}.{signature}",
        f"{episode}.{verb}.{int(expires) + 1}.{signature}",
        f"x{episode}.{verb}.{expires}.{signature}",
        f"{episode}.{verb}.{expires}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'B'}",
        "", "a.b.c.d", "../../x",
    ]  # fmt: skip
    for token in forged:
        assert ANSWERS.read(token, now) is None
        assert browser.get(f"/answer/{token}").status_code == 404


def test_an_episode_that_has_ended_has_nothing_to_answer(archive: SqliteArchive) -> None:
    assert ANSWERS.links(opened(archive).model_copy(update={"event": "resolved"}), HOME) == ()
