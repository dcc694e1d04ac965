"""Erasure in the Elasticsearch store: what is named goes, what stands beside it stays, and no replay brings it back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.contracts import Engagement
from opinionwatch.pipeline.elastic_erasing import ElasticErasing
from opinionwatch.pipeline.elastic_mapping import pattern_of
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.store_elastic import ElasticStore
from tests.pipeline.elastic import Cluster, cluster
from tests.pipeline.sample import NOON, dead, delivery, document, episode, mention, scored

ANNA, BERT = "a" * 16, "b" * 16


@pytest.fixture
def place(services: dict[str, str]) -> Iterator[Cluster]:
    with cluster(services["elasticsearch"]) as given:
        yield given


@pytest.fixture
def erasing(place: Cluster) -> Iterator[ElasticErasing]:
    made = ElasticErasing(place.client, place.settings)
    yield made
    made.close()


def test_an_erased_document_is_gone_and_neither_its_replay_nor_an_edit_nor_a_figure_goes_on(
    place: Cluster, store: ElasticStore, erasing: ElasticErasing, archive: ElasticArchive
) -> None:
    doomed, other = document(1), document(2, "The Lumora screen is awful")
    told = episode(1)
    first = told.explanation.exemplars[0]
    shown = tuple(first.model_copy(update={"document_id": one.id, "text": one.text}) for one in (doomed, other))
    told = told.model_copy(update={"explanation": told.explanation.model_copy(update={"exemplars": shown})})
    sent = delivery(1)
    sent = sent.model_copy(update={"alert": sent.alert.model_copy(update={"episode": told})})
    store.admit([doomed, other])
    both: list[Outcome] = [record for one in (doomed, other) for record in (scored(one), mention(scored(one)))]
    store.write([*both, told, sent])
    assert doomed.native_id is not None
    place.refresh()
    assert erasing.named(doomed.native_id) == [doomed.id]
    for _ in range(2):  # the second life of a command that was killed at the end
        erasing.take_away(erasing.find([], [doomed.id]))
        place.refresh()
        assert [each.id for each in archive.every_document()] == [other.id]
        [kept] = archive.episodes()
        [due] = archive.deliveries()
        for each in (kept, due.alert.episode):
            assert [one.document_id for one in each.explanation.exemplars] == [other.id]
        assert archive.dropped() == {"erased": 1}
    edit = {"edited_at": NOON + timedelta(hours=1), "text": "The Lumora is back"}
    seen = {"engagement": Engagement(likes=3, seen_at=NOON), "accepted_at": NOON + timedelta(days=1)}
    assert store.admit([doomed, doomed.model_copy(update=edit), doomed.model_copy(update=seen)]) == []
    assert store.admit([other]) == [other], "what was not erased is a replay like any other"


def test_an_erased_author_is_gone_with_his_dead_letters_and_what_he_published_before_is_dropped_when_it_comes(
    place: Cluster, store: ElasticStore, erasing: ElasticErasing, archive: ElasticArchive
) -> None:
    his, hers = document(3, author=ANNA), document(4, author=BERT)
    letters = [dead(5).model_copy(update={"raw": f'{{"author": "{ANNA}"}}'}), dead(6)]
    store.admit([his, hers, *letters])
    said: list[Outcome] = [record for one in (his, hers) for record in (scored(one), mention(scored(one)))]
    store.write([*said, *letters])
    place.refresh()
    erasing.remember([ANNA], NOON + timedelta(days=1))
    found = erasing.find([ANNA], [])
    assert len(found) == 2
    erasing.take_away(found)
    again = ElasticStore(place.client, place.settings)
    late = document(7, author=ANNA, accepted_at=NOON + timedelta(days=2))
    since = document(8, author=ANNA, published_at=NOON + timedelta(days=2))
    assert again.admit([his, late, since, hers]) == [since, hers]
    again.close()
    place.refresh()
    assert [each.id for each in archive.every_document()] == [hers.id]
    assert [letter.id for letter in archive.deadletters()] == [letters[1].id]
    assert archive.dropped() == {"erased": 3}


def test_files_that_documents_were_exported_to_are_remembered(archive: ElasticArchive, place: Cluster) -> None:
    for count in (3, 5):
        archive.note_export(Path("/tmp/some.csv"), count, NOON)
    place.refresh()
    assert archive.exports() == [(Path("/tmp/some.csv"), NOON, 5)]


def test_a_view_that_somebody_left_open_holds_the_erasure_up_since_it_keeps_the_files(
    place: Cluster, store: ElasticStore, erasing: ElasticErasing
) -> None:
    store.admit([document(9)])
    store.write([scored(document(9))])
    place.refresh()
    left = place.client.open_point_in_time(index=pattern_of(place.settings.prefix, "documents"), keep_alive="5m")
    with pytest.raises(RetryableError, match="what 1 open views see"):
        erasing.expunge(0)
    place.client.close_point_in_time(id=left["id"])
    erasing.expunge(60)
