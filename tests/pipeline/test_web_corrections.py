"""Corrections from the page and the API: believed only from our own form or with JSON, kept with who and when."""

from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser
from starlette.testclient import TestClient

from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.corrections import Correction, Corrections
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.web import build
from tests.pipeline.sample import toward
from tests.pipeline.web_client import HOME, client, open_store, text
from tests.pipeline.web_sample import NOW, WATCHLISTS, Post, scored, write


@pytest.fixture
def archive(tmp_path: Path) -> SqliteArchive:
    return open_store(tmp_path)


@pytest.fixture
def kept(tmp_path: Path) -> Corrections:
    return Corrections(tmp_path / "data")


@pytest.fixture
def browser(archive: SqliteArchive, kept: Corrections) -> TestClient:
    app = build(archive, watchlists=WATCHLISTS, settings=Web(), lang="en", corrections=kept)
    return TestClient(app, base_url=HOME, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def one(archive: SqliteArchive) -> str:
    return archive.documents(DocumentQuery())[0].id


@pytest.fixture
def rivals(archive: SqliteArchive, tmp_path: Path) -> str:
    """A document that names two watchlists, one of them no longer watched beside."""
    del archive
    store = SqliteStore(tmp_path / "own.db")
    post = scored(Post("lumora", "en", "positive", "Kumobean beats Lumora any day, lovely"), 501, NOW)
    others = [post.matches[0].model_copy(update={"watchlist": name}) for name in ("kumobean", "gone")]
    torn = toward(post.model_copy(update={"matches": (*post.matches, *others)}), "positive", None, None)
    write(store, [torn])
    store.close()
    return torn.id


def test_a_correction_from_the_page_is_kept_and_thanked_for(browser: TestClient, kept: Corrections, one: str) -> None:
    assert "Correct" in text(browser.get(f"/documents/{one}").text)
    fields = {"form_token": browser.cookies["ow_form"], "label": "neutral", "by": "dana", "comment": "  "}
    answer = browser.post(f"/documents/{one}/correction", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/documents/{one}?done=correction_stored")
    [found] = kept.all()
    assert (found.document_id, found.label, found.by, found.via) == (one, "neutral", "dana", "page")
    assert "correction is stored" in text(browser.get(answer.headers["location"]).text)
    assert "更正" in text(browser.get(answer.headers["location"] + "&lang=zh").text)


def test_a_form_from_elsewhere_is_not_believed(browser: TestClient, kept: Corrections, one: str) -> None:
    browser.get(f"/documents/{one}")
    for fields in ({"label": "neutral"}, {"label": "neutral", "form_token": "guess" * 8}):
        assert browser.post(f"/documents/{one}/correction", data=fields).status_code == 403
    assert kept.all() == []


def test_a_correction_by_the_api_is_answered_with_what_is_kept(
    browser: TestClient, kept: Corrections, one: str
) -> None:
    given = {"label": "positive", "by": "a program"}
    first = browser.post(f"/api/documents/{one}/correction", json=given)
    again = browser.post(f"/api/documents/{one}/correction", json=given)
    assert (first.status_code, again.status_code) == (201, 201)
    assert Correction.model_validate_json(first.content) == Correction.model_validate_json(again.content)
    assert len(kept.all()) == 1


@pytest.mark.parametrize(
    "body", ["{}", '{"label": "meh", "by": "x"}', '{"label": "neutral", "by": ""}', "[", '{"label": "neutral"}']
)
def test_what_is_no_correction_is_refused(browser: TestClient, kept: Corrections, one: str, body: str) -> None:
    headers = {"content-type": "application/json"}
    assert browser.post(f"/api/documents/{one}/correction", content=body, headers=headers).status_code == 400
    assert kept.all() == []


def test_what_is_not_there_cannot_be_corrected(browser: TestClient, one: str) -> None:
    given = {"label": "positive", "by": "x"}
    assert browser.post("/api/documents/none/correction", json=given).status_code == 404
    assert client().post(f"/api/documents/{one}/correction", json=given).status_code == 404


def test_the_page_asks_which_sentiment_is_wrong_and_shows_what_people_said_beside_it(
    browser: TestClient, kept: Corrections, rivals: str
) -> None:
    options = LexborHTMLParser(browser.get(f"/documents/{rivals}").text).css("select[name=watchlist] option")
    assert [(each.attributes["value"], each.text()) for each in options] == [
        ("", "Of the text as a whole"), ("lumora", "Towards Lumora 流墨"), ("kumobean", "Towards Kumobean"),
    ]  # fmt: skip
    fields = {"form_token": browser.cookies["ow_form"], "by": "dana"}
    for watchlist, label in (("lumora", "negative"), ("kumobean", "positive"), ("", "neutral")):
        answer = browser.post(
            f"/documents/{rivals}/correction", data={**fields, "label": label, "watchlist": watchlist}
        )
        assert answer.status_code == 303
    assert [(each.watchlist, each.was) for each in kept.all()] == [
        ("lumora", "positive"), ("kumobean", "positive"), (None, "positive"),
    ]  # fmt: skip
    shown = text(browser.get(f"/documents/{rivals}").text)
    assert "Towards Lumora 流墨 negative 5 % · neutral 5 % · positive 90 % dana corrected this to negative" in shown
    assert "Towards Kumobean dana corrected this to positive" in shown, "though the model told nothing of it"
    assert shown.count("dana corrected this to") == 3
    assert "▲ positive 94 % Lumora" in shown, "what is counted stays what the model said"
    chinese = text(browser.get(f"/documents/{rivals}", params={"lang": "zh"}).text)
    assert "dana 已将其更正为负面" in chinese
    assert "整篇文本的情感" in chinese


def test_a_correction_towards_a_watchlist_by_the_api_is_answered_and_the_last_one_stands(
    browser: TestClient, kept: Corrections, rivals: str
) -> None:
    given = {"label": "negative", "by": "a program", "watchlist": "lumora"}
    address = f"/api/documents/{rivals}/correction"
    answers = [browser.post(address, json=given) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    assert {each.json()["at"] for each in answers} == {answers[0].json()["at"]}
    assert answers[0].json()["watchlist"] == "lumora"
    browser.post(address, json={**given, "label": "neutral", "by": "lee"})
    browser.post(address, json={**given, "watchlist": None})
    assert [(each.watchlist, each.label) for each in kept.standing()] == [("lumora", "neutral"), (None, "negative")]
    schema = browser.get("/api/openapi.json").json()["components"]["schemas"]
    assert "watchlist" in schema["NewCorrection"]["properties"]
    assert "watchlist" not in schema["NewCorrection"]["required"]


@pytest.mark.parametrize(
    ("watchlist", "status", "said"),
    [
        ("lumoro", 404, "did you mean 'lumora'?"),
        ("gone", 404, "no watchlist of that id"),
        ("skyfare", 400, "does not mention 'skyfare'; name one of lumora, kumobean"),
        ("x" * 65, 400, "watchlist"),
        (3, 400, "watchlist"),
    ],
)
def test_a_watchlist_that_there_is_not_or_that_is_not_mentioned_is_refused_with_the_cure(
    browser: TestClient, kept: Corrections, rivals: str, watchlist: object, status: int, said: str
) -> None:
    given = {"label": "negative", "by": "x", "watchlist": watchlist}
    answer = browser.post(f"/api/documents/{rivals}/correction", json=given)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True)
    browser.get(f"/documents/{rivals}")
    fields = {"label": "negative", "watchlist": str(watchlist), "form_token": browser.cookies["ow_form"]}
    assert browser.post(f"/documents/{rivals}/correction", data=fields).status_code in (400, 404)
    assert kept.all() == []
