"""Reading an index: order, late documents, restarts; an imitation for the faults, a real Elasticsearch for the rest."""

import json
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.elastic_index import ElasticIndex
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.ports import Page
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.submission import parse
from tests.connectors.elastic_cluster import Cluster
from tests.connectors.imitation import Asked, Told, imitating
from tests.connectors.services import when
from tests.contract.source_suite import build, items

FIELDS = {"text": "message.body", "author": "user"}


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask one host faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def source(url: str, **given: object) -> ElasticIndex:
    told = {"index": "posts", "fields": FIELDS, "allow_hosts": ["127.0.0.1"], "history_h": 100_000, **given}
    found = build("elasticsearch", url=url, **told)
    assert isinstance(found, ElasticIndex)
    return found


def ids(pages: list[Page]) -> list[str]:
    return [parse(item, Limits()).native_id for item in items(pages)]


def test_documents_come_in_order_and_are_read_by_the_fields_of_the_settings() -> None:
    with imitating(Cluster(1_300)) as service:
        pages = list(source(service.url).fetch(None))
        first = parse(pages[0].items[0], Limits())
    assert sorted(ids(pages)) == sorted(f"d{n}" for n in range(1, 1_301))
    assert (first.text, first.author, first.native_id) == ("text 1 电池", "u1", "d1")
    assert first.published_at is not None
    assert int(first.published_at.timestamp()) == when(1)


def test_what_is_added_comes_once_and_late_documents_within_their_time() -> None:
    cluster = Cluster(600)
    with imitating(cluster) as service:
        pages = list(source(service.url, late_s=100).fetch(None))
        assert list(source(service.url, late_s=100).fetch(pages[-1].cursor)) == []
        cluster.count = 603
        cluster.late = {601: when(600) - 50, 602: when(600) - 5_000}
        more = list(source(service.url, late_s=100).fetch(pages[-1].cursor))
    assert ids(more) == ["d601", "d603"]


def test_a_poll_that_is_cut_off_goes_on_where_it_was() -> None:
    with imitating(Cluster(900)) as service:
        found: list[str] = []
        cursor = None
        while page := next(source(service.url, page_items=100).fetch(cursor), None):
            found += ids([page])
            cursor = page.cursor
    assert found == [f"d{n}" for n in sorted(range(1, 901), key=lambda n: (when(n), n))]


def test_a_document_from_the_future_does_not_hide_those_that_follow() -> None:
    cluster = Cluster(3)
    cluster.late = {2: 4_000_000_000}
    with imitating(cluster) as service:
        pages = list(source(service.url, late_s=10**4).fetch(None))
        assert len(ids(pages)) == 3
        assert json.loads(pages[-1].cursor)["top_ms"] < 4_000_000_000_000


def test_half_a_character_in_a_document_holds_up_neither_it_nor_those_after_it() -> None:
    whole = json.dumps({"cut": r"great \ud83d", "pair": "\U0001f600", "words": r"C:\ud800", "quoted": '\\"\ud800"'})
    cluster = Cluster(3, changed={2: {"message": {"body": "great \ud83d"}, "more": whole}})

    def escaped(asked: Asked) -> Told:
        told = cluster(asked)
        return Told(json.dumps(told.body).encode(), told.status)

    with imitating(escaped) as service:
        pages = list(source(service.url).fetch(None))
    assert [parse(item, Limits()).text for item in items(pages)] == ["text 1 电池", "great \ufffd", "text 3 电池"]
    assert json.loads(items(pages)[1].body)["_source"]["more"] == whole


def test_an_answer_of_only_some_shards_is_no_answer() -> None:
    cluster = Cluster(3)

    def partly(asked: object) -> object:
        told = cluster(asked)  # type: ignore[arg-type]  # as the imitation hands it on
        if isinstance(told.body, dict) and "hits" in told.body:
            told.body["_shards"] = {"failed": 1}
        return told

    with imitating(partly) as service, pytest.raises(RetryableError, match="only part"):  # type: ignore[arg-type]  # see above
        list(source(service.url).fetch(None))


def test_credentials_come_from_files_and_check_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    with imitating(Cluster(7, token="s3cret")) as service:
        assert "7 documents" in source(service.url, api_key_file=tmp_path / "key").check()
        with pytest.raises(RetryableError, match="401"):
            source(service.url).check()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"fields": {"title": "t"}}, "where the text stands"),
        ({"user": "me"}, "belong together"),
        ({"index": "a/b"}, "index"),
        ({"fields": {"txt": "t", "text": "x"}}, "did you mean 'text'"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: Mapping[str, object], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        source("http://127.0.0.1:9200", **given)


def ask(address: str, method: str, body: bytes = b"", kind: str = "application/json") -> None:
    """Speak to the real one."""
    answer = httpx2.request(method, address, content=body, headers={"content-type": kind}, timeout=30)
    assert answer.is_success, answer.text


def test_a_real_elasticsearch_is_read_to_its_end_and_on(services: dict[str, str]) -> None:
    base, index = services["elasticsearch"], f"posts-{uuid4().hex[:12]}"
    mappings = {"properties": {"@timestamp": {"type": "date"}}}
    settings = {"number_of_shards": 3, "number_of_replicas": 0}
    ask(f"{base}/{index}", "PUT", json.dumps({"mappings": mappings, "settings": settings}).encode())
    try:
        add(base, index, range(1, 2_001))
        pages = list(source(base, index=index).fetch(None))
        assert sorted(ids(pages)) == sorted(f"d{n}" for n in range(1, 2_001))
        assert len(ids(pages)) == 2_000
        assert list(source(base, index=index).fetch(pages[-1].cursor)) == []
        add(base, index, range(2_001, 2_051))
        cut = pages[2].cursor
        assert sorted(ids(list(source(base, index=index).fetch(pages[-1].cursor)))) == [
            f"d{n}" for n in range(2_001, 2_051)
        ]
        rest = set(ids(pages[3:])) | {f"d{n}" for n in range(2_001, 2_051)}
        assert set(ids(list(source(base, index=index).fetch(cut)))) == rest
        assert "2,050 documents" in source(base, index=index).check()
    finally:
        ask(f"{base}/{index}", "DELETE")


def add(base: str, index: str, numbers: range) -> None:
    """Index documents, many of them in the same millisecond."""
    lines = []
    for number in numbers:
        lines.append(json.dumps({"create": {"_id": f"d{number}"}}))
        lines.append(
            json.dumps({"@timestamp": 1000 * when(number), "message": {"body": f"text {number}"}, "user": "u"})
        )
    body = ("\n".join(lines) + "\n").encode()
    ask(f"{base}/{index}/_bulk?refresh=true", "POST", body, "application/x-ndjson")
