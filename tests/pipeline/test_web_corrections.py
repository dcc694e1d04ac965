"""Corrections from the page and the API: believed only from our own form or with JSON, kept with who and when."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.corrections import Correction, Corrections
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web import build
from tests.pipeline.web_client import HOME, client, open_store, text
from tests.pipeline.web_sample import WATCHLISTS


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
