"""Bulk writing: every answer of a cluster has one meaning, and a request that is too large is halved."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from threading import Event, Thread

import pytest

from opinionwatch.pipeline.elastic_bulk import BulkWriter, Verdict, verdict
from opinionwatch.pipeline.elastic_client import connect
from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_operations import Operation, operations
from opinionwatch.pipeline.errors import RejectedError, RetryableError
from opinionwatch.pipeline.settings_elastic import Elastic
from tests.faults.elastic_proxy import Plan, Proxy, proxy
from tests.pipeline.elastic import Cluster, cluster
from tests.pipeline.sample import document, scored

CALM = Plan(busy_items=0, unavailable=0, dropped=0, cut_off=0, too_few=0)


@pytest.mark.parametrize(
    ("status", "kind", "meaning"),
    [
        (200, "", Verdict.DONE),
        (201, "", Verdict.DONE),
        (409, "version_conflict_engine_exception", Verdict.THERE),
        (400, "document_parsing_exception", Verdict.REFUSED),
        (400, "strict_dynamic_mapping_exception", Verdict.REFUSED),
        (400, "illegal_argument_exception", Verdict.REFUSED),
        (404, "document_missing_exception", Verdict.REFUSED),
        (413, "", Verdict.REFUSED),
        (429, "es_rejected_execution_exception", Verdict.BUSY),
        (429, "cluster_block_exception", Verdict.BUSY),
        (403, "cluster_block_exception", Verdict.BUSY),
        (503, "unavailable_shards_exception", Verdict.BUSY),
        (500, "who knows", Verdict.BUSY),
        (400, "index_closed_exception", Verdict.BUSY),
        (401, "security_exception", Verdict.DENIED),
        (403, "security_exception", Verdict.DENIED),
        (404, "index_not_found_exception", Verdict.DENIED),
        (400, "validation_exception", Verdict.DENIED),
        (418, "teapot_exception", Verdict.UNKNOWN),
        (302, "", Verdict.UNKNOWN),
    ],
)
def test_an_items_answer_means_one_thing(status: int, kind: str, meaning: Verdict) -> None:
    assert verdict(status, kind) is meaning


def test_deleting_what_is_not_there_is_done() -> None:
    assert verdict(404, "", delete=True) is Verdict.DONE
    assert verdict(404, "index_not_found_exception", delete=True) is Verdict.DENIED


@contextmanager
def writer(address: str, plan: Plan, **settings: int) -> Iterator[tuple[BulkWriter, Cluster, Proxy]]:
    """A writer behind the proxy."""
    with cluster(address) as given, proxy(address, plan) as between:
        chosen = given.settings.model_copy(update={"hosts": (between.address,), **settings})
        client = connect(chosen)
        made = BulkWriter(client, chosen)
        yield made, given, between
        made.close()
        client.close()


def written(given: Cluster, count: int) -> list[Operation]:
    """Documents to write."""
    return operations(given.settings.prefix, [scored(document(number)) for number in range(count)])


def test_a_request_that_is_too_large_is_halved_until_only_what_is_too_large_alone_is_refused(
    services: dict[str, str],
) -> None:
    with writer(services["elasticsearch"], replace(CALM, longest_body=20_000)) as (bulk, given, between):
        given_ = written(given, 40)
        [huge] = operations(given.settings.prefix, [scored(document(99, "x" * 30_000))])
        found = bulk.write([*given_, huge])
        assert [refusal.operation for refusal in found.refused] == [huge]
        assert between.fired["too large"] > 1
        given.refresh()
        assert given.client.count(index=f"{given.settings.prefix}-documents-*")["count"] == 40


def test_a_bulk_is_no_larger_than_the_settings_say_and_none_is_left_out(services: dict[str, str]) -> None:
    with writer(services["elasticsearch"], CALM, bulk_bytes=10_000, bulks_in_flight=3) as (bulk, given, _):
        found = bulk.write(written(given, 100))
        assert (found.refused, found.there) == ([], frozenset())
        assert bulk.figures.requests >= 10
        assert bulk.figures.done == 100
        again = bulk.write(written(given, 101))
        assert len(again.there) == 100


def test_who_is_denied_is_shown_until_it_is_mended(services: dict[str, str]) -> None:
    with writer(services["elasticsearch"], CALM) as (bulk, given, _):
        # An index that may not be made: the cluster is told not to make any of that name.
        given.client.cluster.put_settings(persistent={"action.auto_create_index": f"-{given.settings.prefix}-doc*,+*"})
        try:
            thread = Thread(target=bulk.write, args=(written(given, 2),))
            thread.start()
            while bulk.figures.denied is None:
                thread.join(0.05)
            assert "index_not_found_exception" in bulk.figures.denied
        finally:
            given.client.cluster.put_settings(persistent={"action.auto_create_index": None})
        thread.join(60)
        assert bulk.figures.denied is None
        assert (bulk.figures.done, bulk.figures.refused) == (2, 0)


def test_waiting_for_a_cluster_that_is_away_is_a_sign_of_life_again_and_again() -> None:
    chosen, stop, signs = Elastic(hosts=("http://127.0.0.1:9",)), Event(), list[float]()
    enough = Event()

    def alive() -> None:
        signs.append(time.monotonic())
        if signs[-1] - signs[0] > 4:
            enough.set()

    with connect(chosen) as client:
        bulk = BulkWriter(client, chosen, stop, alive)
        thread = Thread(target=_until_told, args=(bulk,))
        thread.start()
        assert enough.wait(60)
        stop.set()
        thread.join(60)
        bulk.close()
    assert max(after - before for before, after in pairwise(signs)) < 3, "however long the pauses between attempts are"


def _until_told(bulk: BulkWriter) -> None:
    with pytest.raises(RetryableError, match="told to stop"):
        bulk.write(operations("t", [scored(document(1))]))


def test_writing_nothing_asks_nothing(services: dict[str, str]) -> None:
    with writer(services["elasticsearch"], CALM) as (bulk, given, _):
        assert bulk.write([]).refused == ()
        assert bulk.figures.requests == 0
        assert given.client.indices.exists(index=index_of(given.settings.prefix, "ledger"))


def test_what_is_made_lazily_is_asked_for_only_as_fast_as_it_is_written(services: dict[str, str]) -> None:
    with writer(services["elasticsearch"], CALM, bulk_bytes=10_000, bulks_in_flight=2) as (bulk, given, _):
        ahead = []

        def made() -> Iterator[Operation]:
            for number, operation in enumerate(written(given, 300)):
                ahead.append(number - bulk.figures.done)
                yield operation

        assert bulk.write(made()).refused == []
        assert bulk.figures.done == 300
        a_request = 300 / bulk.figures.requests
        assert a_request < max(ahead) <= 4 * a_request + 1, "two under way, one waiting, one being made"


def test_an_error_in_making_them_comes_out_when_nothing_is_under_way_any_more(services: dict[str, str]) -> None:
    with writer(services["elasticsearch"], CALM, bulk_bytes=10_000) as (bulk, given, _):

        def made() -> Iterator[Operation]:
            yield from written(given, 40)
            raise RejectedError("stage_failed", "the scorer")

        with pytest.raises(RejectedError, match="the scorer"):
            bulk.write(made())
        done = bulk.figures.done
        assert 0 < done < 40, "what was whole was written, the rest not"
        given.refresh()
        assert given.client.count(index=f"{given.settings.prefix}-documents-*")["count"] == done
