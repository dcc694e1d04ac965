"""Commands on Elasticsearch, and the commands on a store when the store is Elasticsearch."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_setup import retire, set_up
from opinionwatch.pipeline.store_elastic import ElasticStore
from tests.pipeline.command import Command, lines
from tests.pipeline.elastic import Cluster, cluster
from tests.pipeline.sample import NOON, dead, document, drop, mention, scored, window


@pytest.fixture
def place(services: dict[str, str], command: Command) -> Iterator[Cluster]:
    """Nothing there yet; the settings in the working folder."""
    del command
    with cluster(services["elasticsearch"], made=False) as given:
        address, prefix = services["elasticsearch"], given.settings.prefix
        Path("opinionwatch.yaml").write_text(
            f"store: elasticsearch\nelasticsearch: {{hosts: ['{address}'], prefix: {prefix}, keep_months: 2}}\n",
            encoding="utf-8",
        )
        yield given


def test_setup_makes_what_check_misses_and_may_be_repeated(command: Command, place: Cluster) -> None:
    before = command("index", "check")
    assert before.code == 1
    assert "missing: run `opinionwatch index setup`" in before.out
    assert "say what to do" in before.err
    for _ in range(2):
        assert command("index", "setup").code == 0
    after = command("index", "check")
    assert (after.code, after.err) == (0, "")
    assert "missing" not in after.out


def test_check_sees_a_template_that_somebody_changed(command: Command, place: Cluster) -> None:
    command("index", "setup")
    name = f"{place.settings.prefix}-windows"
    place.client.indices.put_index_template(name=name, index_patterns=[f"{name}-*"], priority=500)
    ended = command("index", "check")
    assert ended.code == 1
    assert re.search(rf"no +index template {name} +of another version, or changed by hand", ended.out)
    assert command("index", "setup").code == 0
    assert command("index", "check").code == 0


def test_check_sees_an_index_that_was_there_before_its_template(command: Command, place: Cluster) -> None:
    name = f"{place.settings.prefix}-windows-2026.03"
    place.client.index(index=name, document={"anything": 1})
    command("index", "setup")
    ended = command("index", "check")
    assert ended.code == 1
    assert re.search(rf"no +index {name} +made without its template", ended.out)


def test_a_cluster_that_is_not_there_is_told_in_one_line(command: Command) -> None:
    Path("opinionwatch.yaml").write_text("elasticsearch: {hosts: ['http://127.0.0.1:9']}\n", encoding="utf-8")
    ended = command("index", "check")
    assert ended.code == 1
    assert "Elasticsearch cannot be reached" in ended.err
    assert "Traceback" not in ended.err


def test_retire_deletes_whole_old_months_with_their_ledger_and_nothing_else(place: Cluster) -> None:
    assert all(step.ok for step in set_up(place.client, place.settings))
    store = ElasticStore(place.client, place.settings)
    old, new = document(1), document(2, accepted_at=datetime(2026, 4, 1, tzinfo=UTC))
    store.admit([old, new])
    store.write([scored(old), scored(new), window(NOON)])
    now, kept = datetime(2026, 6, 15, tzinfo=UTC), place.settings.model_copy(update={"keep_months": 2})
    done = [step.what for step in retire(place.client, kept, now)]
    prefix = place.settings.prefix
    assert done == [f"index {prefix}-documents-2026.03", f"index {prefix}-windows-2026.03", "ledger"]
    place.refresh()
    entries = place.client.search(index=index_of(prefix, "ledger"))["hits"]["hits"]
    assert [entry["_id"] for entry in entries] == [new.id]
    assert [step.what for step in retire(place.client, kept, now)] == ["ledger"]
    store.close()


def test_audit_export_and_dead_letters_work_on_the_index_by_settings(command: Command, place: Cluster) -> None:
    command("index", "setup")
    store = ElasticStore(place.client, place.settings)
    letter = dead(9)
    store.admit([document(1), document(2), letter])
    store.write([scored(document(1)), mention(scored(document(1))), drop(document(2)), letter])
    place.refresh()
    audited = command("audit")
    assert audited.code == 0
    assert re.search(r"all +│ +│ +3 │ +1 │ +1 │ +1 │ +0 │", audited.out)
    assert "no gap" in audited.out
    [exported] = [json.loads(line) for line in lines(command("export").out)]
    assert exported["id"] == document(1).id
    assert letter.id in command("deadletters", "list").out
    assert json.loads(command("deadletters", "show", letter.id).out)["raw"] == letter.raw
    assert command("silence", "add", "--watchlist", "lumora").code == 0
    assert "lumora" in command("silence", "list").out
    store.write([scored(document(7))])
    assert command("audit").code == 1, "a document that nobody accepted"
    store.close()
