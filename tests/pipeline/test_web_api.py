"""The API: what it answers, what it refuses, and that its OpenAPI document says exactly that."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.web_api import ENDPOINTS
from opinionwatch.pipeline.web_trend import Trend
from tests.pipeline.web_client import HOME, address, client, open_store, sample
from tests.pipeline.web_sample import NOW

QUERIES = {"/api/windows": "?watchlist=lumora", "/api/series": "?watchlist=lumora"}


@pytest.fixture(scope="module")
def api() -> TestClient:
    return client()


def example(path: str) -> str:
    """An address of an endpoint that has an answer."""
    thing = "episode" if "episodes" in path else "document"
    return address(path.replace("{id}", f"{{{thing}}}")) + QUERIES.get(path, "")


@pytest.mark.parametrize("path", [one.path for one in ENDPOINTS])
def test_every_endpoint_answers_in_its_own_model(api: TestClient, path: str) -> None:
    endpoint = next(one for one in ENDPOINTS if one.path == path)
    answer = api.get(example(path))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    model: type[BaseModel] = endpoint.answer
    assert model.model_validate_json(answer.content).model_dump_json() == answer.text


def test_the_openapi_document_names_every_route_and_no_other(api: TestClient) -> None:
    document = api.get("/api/openapi.json").json()
    app = api.app
    assert isinstance(app, Starlette)
    there = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith("/api/") and route.path != "/api/openapi.json"
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == there
    assert document["openapi"] == "3.1.0"


def test_every_reference_in_the_document_leads_somewhere(api: TestClient) -> None:
    answer = api.get("/api/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
    assert references and references <= set(schemas)
    assert {"Episode", "ScoredDocument", "NewSilence", "Error"} <= set(schemas)


def test_the_document_names_every_parameter_and_what_it_may_be(api: TestClient) -> None:
    operation = api.get("/api/openapi.json").json()["paths"]["/api/documents"]["get"]
    parameters = {one["name"]: one for one in operation["parameters"]}
    assert set(parameters) == {
        "watchlist", "source", "language", "label", "aspect", "since", "until", "text", "order", "limit"
    }  # fmt: skip
    assert parameters["limit"]["schema"]["maximum"] == 1000
    one = api.get("/api/openapi.json").json()["paths"]["/api/episodes/{id}"]["get"]["parameters"]
    assert [(item["name"], item["in"], item["required"]) for item in one] == [("id", "path", True)]


def test_documents_are_filtered_and_bounded(api: TestClient) -> None:
    items = api.get("/api/documents", params={"watchlist": "lumora", "label": "negative", "limit": 3}).json()["items"]
    documents = [ScoredDocument.model_validate(item) for item in items]
    assert len(documents) == 3
    assert {one.reading.sentiment.label for one in documents} == {"negative"}
    assert documents == sorted(documents, key=lambda one: one.document.published_at, reverse=True)


def test_spans_of_the_api_are_the_words_they_name(api: TestClient) -> None:
    for item in api.get("/api/documents?language=zh").json()["items"]:
        text = item["document"]["text"]
        for opinion in item["reading"]["opinions"]:
            begin, end = opinion["opinion_span"]
            assert text[begin:end] == opinion["opinion"]


def test_windows_are_those_of_the_last_day_unless_asked_otherwise(api: TestClient) -> None:
    day = api.get("/api/windows?watchlist=lumora").json()["items"]
    assert min(item["start"] for item in day) >= "2026-03-07T16:30"
    hour = api.get("/api/windows?watchlist=lumora&since=2026-03-08T12:00:00Z&until=2026-03-08T13:00:00Z").json()
    assert {item["start"][11:13] for item in hour["items"]} == {"12"}
    assert hour["truncated"] is False


def test_a_series_adds_up_to_its_windows(api: TestClient) -> None:
    trend = Trend.model_validate_json(api.get("/api/series?watchlist=lumora&range=24h").content)
    windows = sample().windows("lumora", trend.since, trend.until)
    assert sum(point.posts for point in trend.points) == sum(window.posts for window in windows)
    assert [band.id for band in trend.episodes] == [sample().episodes("lumora")[0].id]


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("/api/documents?limit=1001", "limit: Input should be less than or equal to 1000"),
        ("/api/documents?limit=ten", "limit: Input should be a valid integer"),
        ("/api/documents?lang=zh", "lang: unknown parameter; did you mean 'language'?"),
        ("/api/windows", "watchlist: Field required"),
        ("/api/windows?watchlist=lumora&since=2026-01-01T00:00:00Z", "since: at most 31 days before until"),
        ("/api/deadletters?reason=bad_luck", "reason: there is no such reason; did you mean 'bad_encoding'?"),
        ("/api/ledger?x=1", "x: unknown"),
    ],
)
def test_a_question_that_makes_no_sense_is_a_400_that_says_why(api: TestClient, question: str, says: str) -> None:
    answer = api.get(question)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_what_is_not_there_is_a_404_in_json(api: TestClient) -> None:
    for path in ("/api/nothing", "/api/episodes/none", "/api/documents/none", "/api/series?watchlist=none"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_a_silence_can_be_posted_and_is_there(tmp_path: Path) -> None:
    archive = open_store(tmp_path)
    wish = {"watchlist": "lumora", "hours": 2, "comment": "known recall", "created_by": "mei"}
    answer = client(archive).post("/api/silences", json=wish)
    assert answer.status_code == 201
    [silence] = archive.silences()
    assert (silence.watchlist, silence.comment, silence.created_by) == ("lumora", "known recall", "mei")
    assert (silence.starts_at, (silence.ends_at - silence.starts_at).total_seconds()) == (NOW, 7200)
    assert client(archive).post("/api/silences", json=wish).json()["id"] == silence.id
    assert len(archive.silences()) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"hours": 2, "comment": "x"}, 400),
        ({"hours": 0, "comment": "x", "created_by": "m"}, 400),
        ({"hours": 1e9, "comment": "x", "created_by": "m"}, 400),
        ({"hours": 2, "comment": "  ", "created_by": "m"}, 400),
        ({"hours": 2, "comment": "x", "created_by": "m", "id": "mine"}, 400),
        ({"hours": 2, "comment": "x", "created_by": "m", "watchlist": "none"}, 404),
        ({"hours": 2, "comment": "x" * 20_000, "created_by": "m"}, 413),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(tmp_path: Path, body: dict[str, object], status: int) -> None:
    archive = open_store(tmp_path)
    assert client(archive).post("/api/silences", json=body).status_code == status
    assert archive.silences() == []


def test_a_silence_is_taken_as_json_only_which_no_foreign_form_can_send(api: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = api.post("/api/silences", content=b'{"hours": 2}', headers={"content-type": kind})
        assert answer.status_code == 415
    assert api.post("/api/silences", content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert api.delete("/api/silences").status_code == 405


def test_head_and_health_words_are_there(api: TestClient) -> None:
    assert api.head("/api/episodes").status_code == 200
    assert api.get("/healthz").text == "ok\n"
    assert api.get("/readyz").text == "ready\n"
    assert str(api.base_url) == HOME


def test_episodes_come_whole(api: TestClient) -> None:
    episode = Episode.model_validate_json(api.get(example("/api/episodes/{id}")).content)
    assert episode == sample().episodes("lumora")[0]
