"""The Elasticsearch store: one accepted id is one document whatever is repeated, and refusals end where they belong."""

from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from opinionwatch.connectors.pulling import Health
from opinionwatch.connectors.quota import Quota
from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.contracts import Document
from opinionwatch.pipeline.elastic_client import connect
from opinionwatch.pipeline.elastic_mapping import field_types, index_of, pattern_of
from opinionwatch.pipeline.elastic_records import OVERLAP_CHARS
from opinionwatch.pipeline.elastic_reports import Allowance, Reported
from opinionwatch.pipeline.elastic_setup import KINDS
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.outbox_elastic import ElasticOutbox
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.settings_elastic import Elastic
from opinionwatch.pipeline.store_elastic import ElasticStore
from opinionwatch.pipeline.web_health import HealthReader
from tests.faults.indexing import choosy
from tests.pipeline.elastic import Cluster, cluster
from tests.pipeline.sample import NOON, dead, delivery, document, drop, episode, mention, scored, window


def again(origin: Document, **hours: float) -> Document:
    """The same text delivered, and accepted, later."""
    return origin.model_copy(update={"accepted_at": origin.accepted_at + timedelta(**hours)})


def test_the_very_same_record_goes_on_again_and_another_one_of_its_id_is_a_duplicate_even_next_month(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    origin = document(100, source="twice")
    assert store.admit([origin]) == [origin]
    assert store.admit([origin]) == [origin], "an earlier life may have died before it wrote anything"
    later = again(origin, hours=24 * 40)
    assert store.admit([later, again(origin, hours=1)]) == []
    assert store.admit([later]) == [], "the duplicate itself is replayed, too, and counted once"
    store.write([scored(origin)])
    place.refresh()
    [row] = [row for row in archive.ledger() if row.source == "twice"]
    assert (row.accepted, row.indexed, row.duplicates, row.gap) == (1, 1, 2, 0)
    assert [found.id for found in archive.documents(DocumentQuery(source="twice"))] == [origin.id]


def test_two_deliveries_in_one_batch_are_one_acceptance(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    first, second = document(110, source="pair"), again(document(110, source="pair"), hours=1)
    assert store.admit([first, second, first]) == [first]
    place.refresh()
    [row] = [row for row in archive.ledger() if row.source == "pair"]
    assert (row.accepted, row.pending) == (1, 1)
    assert row.duplicates == 1, "the second acceptance; the first one again is a replay, however batches are cut"


def test_the_sums_add_up_while_documents_are_seen_and_their_entries_not_yet(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    ledger = index_of(place.settings.prefix, "ledger")
    place.client.indices.put_settings(index=ledger, settings={"index.refresh_interval": "-1"})
    origin = document(115, source="early")
    store.admit([origin])
    store.write([scored(origin)])
    place.client.indices.refresh(index=pattern_of(place.settings.prefix, "documents"))
    [row] = [row for row in archive.ledger() if row.source == "early"]
    assert (row.accepted, row.indexed, row.pending, row.gap) == (1, 1, 0, 0)


def test_everything_may_be_written_again_and_nothing_is_there_twice(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    origin, dropped, letter = document(120, source="again"), document(121, source="again"), dead(122, source="again")
    indexed = scored(origin)
    records: list[Outcome] = [indexed, mention(indexed), drop(dropped), letter, window(NOON), episode(1), delivery(1)]
    store.admit([origin, dropped, letter])
    for _ in range(3):
        assert store.write(records) == []
    place.refresh()
    [row] = [row for row in archive.ledger() if row.source == "again"]
    assert (row.accepted, row.indexed, row.dead, row.dropped, row.pending, row.gap) == (3, 1, 1, 1, 0, 0)
    assert archive.misfiled() == 0
    assert [found.id for found in archive.every_mention() if found.document_id == origin.id] == [
        mention(scored(origin)).id
    ]


def test_a_window_only_grows_so_a_process_that_wakes_up_late_takes_nothing_back(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    start = NOON + timedelta(days=1)
    store.write([window(start, posts=7)])
    store.write([window(start, posts=3)])
    place.refresh()
    assert [found.posts for found in archive.windows("lumora", start, start + timedelta(minutes=5))] == [7]


def test_an_episode_stays_as_it_was_told_last(place: Cluster, store: ElasticStore, archive: ElasticArchive) -> None:
    first = episode(50)
    resolved = first.model_copy(update={"state": "resolved", "updated_at": first.updated_at + timedelta(hours=1)})
    store.write([resolved])
    store.write([first])
    assert archive.episode(first.id) == resolved


def test_a_mention_without_its_document_is_refused(store: ElasticStore) -> None:
    with pytest.raises(FatalError, match="without its document"):
        store.write([mention(scored(document(130)))])


def test_a_document_that_the_index_refuses_is_a_dead_letter_in_elasticsearchs_words(services: dict[str, str]) -> None:
    with choosy(services["elasticsearch"]) as given:
        store = ElasticStore(given.client, given.settings)
        good = document(1).model_copy(update={"native_id": "17"})
        bad = document(2)
        store.admit([good, bad])
        [letter] = store.write([scored(bad), scored(good), mention(scored(bad)), mention(scored(good))])
        assert (letter.id, letter.reason, letter.stage) == (bad.id, "index_refused", "index")
        assert letter.scorer == scored(bad).scorer
        assert "document_parsing_exception" in letter.detail
        assert "native_id" in letter.detail
        assert Document.model_validate_json(letter.raw) == bad
        given.refresh()
        archive = ElasticArchive(given.client, given.settings)
        assert archive.deadletter(bad.id) == letter
        assert [row.pending for row in archive.ledger()] == [0]
        assert archive.misfiled() == 0
        store.close()


def test_a_letter_that_was_tried_again_is_forgotten_and_one_that_failed_again_is_there_once(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    letter = dead(140, source="redriven")
    later = letter.model_copy(update={"attempts": 2, "accepted_at": letter.accepted_at + timedelta(days=40)})
    store.admit([letter])
    store.write([letter])
    store.write([later])
    place.refresh()
    assert archive.deadletter(letter.id) == later
    assert archive.misfiled() == 0
    for _ in range(2):
        store.forget_letter(letter.id)
    place.refresh()
    assert archive.deadletter(letter.id) is None


def test_a_redriven_document_is_counted_in_the_hour_it_was_accepted_in(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    origin = document(150, source="mended")
    store.admit([origin])
    store.write([scored(again(origin, hours=5))])
    place.refresh()
    [row] = [row for row in archive.ledger() if row.source == "mended"]
    assert (row.hour, row.accepted, row.indexed, row.pending, row.gap) == ("2026-03-08T12Z", 1, 1, 0, 0)


@pytest.mark.parametrize("where", ["twice", "in both", "without entry"])
def test_what_lies_where_it_should_not_is_misfiled(services: dict[str, str], where: str) -> None:
    with cluster(services["elasticsearch"]) as given:
        store = ElasticStore(given.client, given.settings)
        origin = document(1)
        if where != "without entry":
            store.admit([origin])
        store.write([scored(origin)])
        if where == "twice":
            store.write([scored(again(origin, hours=24 * 40))])
        if where == "in both":
            store.write([dead(1).model_copy(update={"id": origin.id})])
        assert ElasticArchive(given.client, given.settings).misfiled() == 1
        store.close()


def test_a_refusal_of_our_own_records_stops_the_runtime(services: dict[str, str]) -> None:
    with cluster(services["elasticsearch"], made=False) as given:
        wrong = {"mappings": {"dynamic": "strict", "properties": {"@timestamp": {"type": "date"}}}}
        given.client.indices.create(index=index_of(given.settings.prefix, "episodes"), mappings=wrong["mappings"])
        store = ElasticStore(given.client, given.settings)
        with pytest.raises(FatalError, match=r"our own records.*strict_dynamic_mapping.*index check"):
            store.write([episode(1)])
        store.close()


def test_a_stop_ends_the_wait_for_a_cluster_that_is_not_there() -> None:
    settings = Elastic(hosts=("http://127.0.0.1:9",))
    stop = Event()
    client = connect(settings)
    store = ElasticStore(client, settings, stop)
    stop.set()
    with pytest.raises(RetryableError, match="told to stop"):
        store.admit([document(1)])
    assert store.figures.done == 0
    store.close()
    client.close()


def test_the_slowest_part_of_the_trend_hop_sets_the_time(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    store.save_progress(NOON, "0")
    store.save_progress(NOON - timedelta(hours=1), "1")
    place.refresh()
    assert archive.now() == NOON - timedelta(hours=1)


def test_sources_report_how_they_are(place: Cluster, store: ElasticStore) -> None:
    store.report([Health("blog", "rss", state="backing off", last_error="503", last_error_at=NOON, errors=3)], NOON)
    store.report([Health("blog", "rss", state="running", last_success=NOON, items=9)], NOON)
    place.refresh()
    found = place.client.search(index=index_of(place.settings.prefix, "health"))["hits"]["hits"]
    assert [(hit["_source"]["health.state"], hit["_source"]["health.items"]) for hit in found] == [("running", 9)]


def test_the_page_beside_the_daemons_sees_what_they_report_and_that_a_report_is_old(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    now, kinds, quota = datetime.now(UTC).replace(microsecond=0), (("http 503", 2), ("no answer", 1)), Quota(42, NOON)
    shop = Health("shop", "x", "circuit open", last_error="503", errors=3, kinds=kinds, quota=quota)
    store.report([shop], now)
    store.report([Health("old", "rss", "running", last_success=NOON)], now - timedelta(minutes=5))
    place.refresh()
    found = archive.reports()
    assert found["shop"] == Reported("circuit open", "503", None, kinds, Allowance(42, NOON))
    assert found["old"] == Reported("unreported", None, NOON, (), None)
    [line] = [each for each in HealthReader(archive, archive.reports).health().sources if each.source == "shop"]
    assert (line.failing, line.errors, line.quota_left, line.quota_until) == (True, kinds, 42, NOON)


def test_a_note_is_no_progress_and_the_page_finds_the_last(place: Cluster, archive: ElasticArchive) -> None:
    before = archive.now()
    for text in ("first", "second"):
        ElasticOutbox(place.client, place.settings).keep("digest/morning", text)
    place.refresh()
    assert archive.now() == before
    assert archive.notes("digest/") == {"morning": "second"}


@pytest.mark.parametrize("length", [1, OVERLAP_CHARS, OVERLAP_CHARS + 1, 5000])
def test_a_part_of_a_long_text_is_found_wherever_it_lies(
    place: Cluster, store: ElasticStore, archive: ElasticArchive, length: int
) -> None:
    text = "".join(chr(0x4E00 + number % 3000) for number in range(9_990)) + "🙂" * 10
    origin = document(160 + length, text, source=f"long {length}")
    store.admit([origin])
    store.write([scored(origin)])
    place.refresh()
    for start in (0, 6_990, 7_500, 8_000 - length // 2, 10_000 - length):
        needle = text[max(0, start) : start + length]
        found = archive.documents(DocumentQuery(text=needle, source=f"long {length}"))
        assert [each.id for each in found] == [origin.id], start
    assert archive.documents(DocumentQuery(text=text[10:50] + "?", source=f"long {length}")) == []


def test_every_field_of_the_mapping_has_its_type_on_the_server(place: Cluster, store: ElasticStore) -> None:
    """Whoever builds a dashboard relies on it."""
    origin = document(170, url="https://example.org/1")
    store.admit([origin, document(171), dead(172)])
    store.write([scored(origin), mention(scored(origin)), drop(document(171)), dead(172), window(NOON), episode(1)])
    store.report_worker("score", {"lag": 7.0}, NOON)  # an index a month is made by its first record
    for kind in KINDS:
        found = place.client.field_caps(index=pattern_of(place.settings.prefix, kind), fields="*")["fields"]
        for name, type_ in field_types(kind).items():
            if name in found and type_ != "object":
                assert list(found[name]) == [type_], name
        assert found.keys() >= {name for name, type_ in field_types(kind).items() if type_ != "object"}
