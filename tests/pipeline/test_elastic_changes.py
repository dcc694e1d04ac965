"""Versions, deletions and figures in the Elasticsearch store: what stands is where it was, whatever is repeated."""

from datetime import timedelta

from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.contracts import Document, Engagement, ScoredDocument
from opinionwatch.pipeline.contracts_changes import Deletion, Engaged
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.store_elastic import ElasticStore
from tests.pipeline.elastic import Cluster
from tests.pipeline.sample import NOON, dead, document, drop, episode, mention, scored, window


def edited(origin: Document, hours: float, text: str) -> Document:
    """A later version, which arrives in another month."""
    at = origin.published_at + timedelta(hours=hours)
    return origin.model_copy(update={"edited_at": at, "text": text, "accepted_at": at + timedelta(days=40)})


def gone(origin: Document) -> Deletion:
    """Its deletion."""
    return Deletion(
        id=origin.id,
        tenant=origin.tenant,
        source=origin.source,
        source_kind=origin.source_kind,
        instance=origin.instance,
        accepted_at=origin.accepted_at + timedelta(days=40),
    )


def written(origin: ScoredDocument) -> list[Outcome]:
    """A document with its mention."""
    return [origin, mention(origin)]


def admitted(store: ElasticStore, record: Document | Deletion) -> Document:
    """What goes on of it."""
    [found] = store.admit([record])
    assert isinstance(found, Document)
    return found


def sums(archive: ElasticArchive, source: str) -> tuple[int, ...]:
    """Accepted, indexed, dead, dropped, duplicates of a source; nothing is missing."""
    [row] = [row for row in archive.ledger() if row.source == source]
    assert (row.gap, row.pending, archive.misfiled()) == (0, 0, 0)
    return row.accepted, row.indexed, row.dead, row.dropped, row.duplicates


def test_a_later_version_takes_the_place_and_the_times_of_the_first_and_an_earlier_one_never_does(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    first = document(500, source="edits")
    second, third = edited(first, 1, "The Lumora battery is fine"), edited(first, 2, "The Lumora battery is great")
    store.write(written(scored(admitted(store, first))))
    going = admitted(store, third)
    assert (going.accepted_at, going.published_at, going.revised_at) == (
        first.accepted_at, first.published_at, third.accepted_at,
    )  # fmt: skip
    store.write(written(scored(going, "positive")))
    assert store.admit([second]) == [], "an older edit that comes late"
    assert admitted(store, third) == going, "a replay of what may not have been finished"
    assert admitted(store, first) == first
    store.write(written(scored(first)))
    place.refresh()
    [found] = archive.documents(DocumentQuery(source="edits"))
    assert (found, found.reading.sentiment.label) == (scored(going, "positive"), "positive")
    assert sums(archive, "edits") == (1, 1, 0, 0, 1)


def test_the_outcome_of_the_latest_version_decides_where_an_id_lies(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    first = document(510, source="moves")
    store.admit([first])
    store.write([drop(first)])
    going = admitted(store, edited(first, 1, "The Lumora battery is fine"))
    store.write(written(scored(going)))
    place.refresh()
    assert sums(archive, "moves") == (1, 1, 0, 0, 0)
    going = admitted(store, edited(first, 2, "of no interest"))
    store.write([drop(going).model_copy(update={"version": going.version})])
    place.refresh()
    assert sums(archive, "moves") == (1, 0, 0, 1, 0)
    going = admitted(store, edited(first, 3, "poison"))
    letter = dead(510, source="moves", accepted_at=going.accepted_at)
    store.write([letter.model_copy(update={"id": going.id, "version": going.version})])
    place.refresh()
    assert sums(archive, "moves") == (1, 0, 1, 0, 0)
    going = admitted(store, edited(first, 4, "The Lumora battery is great"))
    store.write(written(scored(going, "positive")))
    place.refresh()
    assert sums(archive, "moves") == (1, 1, 0, 0, 0)


def test_a_deletion_leaves_a_tombstone_that_edits_replays_and_stragglers_respect(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    first = document(520, source="gone")
    store.write(written(scored(admitted(store, first))))
    for _ in range(2):
        [going] = store.admit([gone(first)])
        assert isinstance(going, Deletion)
        assert going.first_at == first.accepted_at
        store.write([going])
    assert store.admit([edited(first, 5, "The Lumora battery is back")]) == []
    store.write(written(scored(first)))  # a process that was paused since before the deletion
    place.refresh()
    assert archive.document(first.id) is None
    assert sums(archive, "gone") == (1, 0, 0, 1, 1)
    assert archive.dropped()["deleted"] == 1


def test_a_deletion_that_comes_first_is_a_tombstone_too(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    first = document(530, source="early")
    store.write([each for each in store.admit([gone(first)]) if isinstance(each, Deletion)])
    assert store.admit([first]) == []
    place.refresh()
    assert sums(archive, "early") == (1, 0, 0, 1, 1)


def test_what_is_deleted_goes_out_of_the_episodes_that_quote_it(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    told = episode(77)
    first = document(540, source="quoted")
    shown = told.explanation.exemplars[0].model_copy(update={"document_id": first.id, "text": first.text})
    explanation = told.explanation.model_copy(update={"exemplars": (shown,)})
    store.write([*written(scored(admitted(store, first))), told.model_copy(update={"explanation": explanation})])
    store.write([each for each in store.admit([gone(first)]) if isinstance(each, Deletion)])
    place.refresh()
    found = archive.episode(told.id)
    assert found is not None
    assert found.explanation.exemplars == ()


def test_figures_that_were_seen_later_replace_the_earlier_ones_and_count_nowhere(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    def with_likes(likes: int, hours: int) -> Document:
        at = origin.accepted_at + timedelta(hours=hours)
        return origin.model_copy(
            update={"accepted_at": at, "engagement": Engagement(likes=likes, replies=1, seen_at=at)}
        )

    origin = document(550, source="liked")
    other = document(551, source="liked", published_at=NOON + timedelta(minutes=1))
    store.admit([origin, other])
    store.write([*written(scored(origin)), *written(scored(other))])
    for likes, hours in ((5, 2), (9, 3), (1, 1)):
        [figures] = store.admit([with_likes(likes, hours)])
        assert isinstance(figures, Engaged)
        store.write([figures])
    store.write(written(scored(origin)))  # a replay of the document wipes nothing out
    place.refresh()
    newest = archive.documents(DocumentQuery(source="liked"))
    assert [each.id for each in newest] == [other.id, origin.id]
    engaged = archive.documents(DocumentQuery(source="liked", engaged=True))
    assert [each.id for each in engaged] == [origin.id, other.id]
    kept = engaged[0].document.engagement
    assert kept is not None
    assert (kept.likes, kept.replies, kept.total) == (9, 1, 10)
    assert sums(archive, "liked") == (2, 2, 0, 0, 3)


def test_a_window_in_which_something_was_taken_back_is_newer_though_it_holds_less(
    place: Cluster, store: ElasticStore, archive: ElasticArchive
) -> None:
    start = NOON + timedelta(days=2)
    store.write([window(start, posts=7)])
    store.write([window(start, posts=6).model_copy(update={"changes": 1})])
    store.write([window(start, posts=7)])
    place.refresh()
    assert [found.posts for found in archive.windows("lumora", start, start + timedelta(minutes=5))] == [6]
