"""What every store must answer alike through `Archive`, whatever it is made of."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Thread
from typing import Protocol, TypeVar

import pytest

from opinionwatch.pipeline.archive import Archive, DocumentQuery
from opinionwatch.pipeline.contracts import DeadLetter, Document, Mention, ScoredDocument
from tests.pipeline.sample import (
    LABELS,
    NOON,
    dead,
    delivery,
    document,
    drop,
    episode,
    feedback,
    gap,
    mention,
    scored,
    silence,
    toward,
    window,
)

SOURCES = ("microblog", "forum", "新闻")
WORDS = ("Battery", "ÉCRAN", "流墨手机", "发烫", "50%", "a_b", "C:\\temp", '"quoted"')
Value = TypeVar("Value")
Admitted = TypeVar("Admitted", Document, DeadLetter)


class Store(Protocol):
    """What the suite needs of a store under test."""

    archive: Archive

    def take(self, admitted: Sequence[Document | DeadLetter], written: Sequence[object]) -> Sequence[object]:
        """Admit these ids and write these records, visible to the archive when it returns. Returns what goes on."""
        ...

    def progress(self, up_to: datetime) -> None:
        """Save a progress mark of the trend hop."""
        ...


def corpus(seed: int = 7, size: int = 60) -> list[ScoredDocument]:
    """Documents of all sources, languages and labels, some of them published at the same moment."""
    dice = random.Random(seed)
    found = []
    for number in range(size):
        origin = document(
            number,
            f"{dice.choice(WORDS)} {dice.choice(WORDS)} number {number}",
            source=dice.choice(SOURCES),
            published_at=NOON + timedelta(minutes=dice.randrange(30)),
        )
        watchlists = dice.choice([("lumora",), ("skyfare",), ("lumora", "skyfare")])
        whole = scored(origin, dice.choice(LABELS), lang=dice.choice(("en", "zh")), watchlists=watchlists)
        found.append(whole if number % 2 else torn(whole, dice))
    return found


def torn(whole: ScoredDocument, dice: random.Random) -> ScoredDocument:
    """The document, read by a scorer that tells what it says of each watchlist."""
    return toward(whole, *(dice.choice(LABELS) for _ in whole.matches))


def mentions(origins: Sequence[ScoredDocument]) -> list[Mention]:
    """One mention a match; every third one is about the price, too."""
    return [
        mention(origin, match.watchlist, *(("battery", "price") if number % 3 else ("general",)))
        for number, origin in enumerate(origins)
        for match in origin.matches
    ]


def expected(query: DocumentQuery, origins: Sequence[ScoredDocument]) -> list[str]:
    """The answer to a query by going through everything: the suite's own judge."""
    about: dict[str, list[Mention]] = {}
    for each in mentions(origins):
        about.setdefault(each.document_id, []).append(each)

    def wanted(scored: ScoredDocument) -> bool:
        document = scored.document
        hits = [
            one
            for one in about[scored.id]
            if query.watchlist in (None, one.watchlist) and (query.aspect is None or query.aspect in one.aspects)
        ]
        return (
            bool(hits)
            and query.source in (None, document.source)
            and query.lang in (None, scored.lang)
            and (query.label is None or query.label in said(scored, query.watchlist))
            and (query.since is None or document.published_at >= query.since)
            and (query.until is None or document.published_at < query.until)
            and (not query.text or query.text.lower() in document.text.lower())
        )

    found = sorted(filter(wanted, origins), key=lambda each: each.id)
    found.sort(key=lambda each: each.document.published_at, reverse=True)
    return [each.id for each in found[: query.limit]]


def said(scored: ScoredDocument, watchlist: str | None) -> list[str]:
    """The label of a text, or of what it says of a watchlist."""
    if watchlist is None:
        return [scored.reading.sentiment.label]
    return [
        (each.sentiment or scored.reading.sentiment).label for each in scored.matches if each.watchlist == watchlist
    ]


def question(dice: random.Random) -> DocumentQuery:
    """A query with any number of conditions."""

    def perhaps(values: Sequence[Value]) -> Value | None:
        return dice.choice(values) if dice.random() < 0.35 else None

    moments = [NOON + timedelta(minutes=minute) for minute in range(0, 31, 5)]
    return DocumentQuery(
        watchlist=perhaps(("lumora", "skyfare", "unknown")),
        source=perhaps(SOURCES),
        lang=perhaps(("en", "zh")),
        label=perhaps(LABELS),
        aspect=perhaps(("battery", "price", "general", "unknown")),
        since=perhaps(moments),
        until=perhaps(moments),
        text=perhaps((*WORDS, "battery", "流墨", "%", "_", "number 1", "nowhere", "'; DROP TABLE documents --")),
        limit=dice.choice((1, 5, 50, 1000)),
    )


def later(record: Admitted) -> Admitted:
    """The same text or record, delivered a second time."""
    return record.model_copy(update={"accepted_at": record.accepted_at + timedelta(hours=30)})


class ArchiveSuite:
    """Subclass it and give it a fixture `store` with an empty store of your own."""

    def test_any_question_about_documents_has_the_answer_of_a_plain_search(self, store: Store) -> None:
        origins = corpus()
        store.take([each.document for each in origins], [*origins, *mentions(origins)])
        dice = random.Random(11)
        for _ in range(150):
            query = question(dice)
            assert [each.id for each in store.archive.documents(query)] == expected(query, origins), query

    def test_a_document_comes_back_whole(self, store: Store) -> None:
        origins = corpus(size=5)
        store.take([each.document for each in origins], [*origins, *mentions(origins)])
        assert store.archive.document(origins[2].id) == origins[2]
        assert store.archive.document("0" * 32) is None
        assert list(store.archive.every_document()) == sorted(origins, key=lambda each: each.id)

    def test_what_is_said_of_a_watchlist_is_found_by_it_and_what_the_text_says_without_it(self, store: Store) -> None:
        dice = random.Random(2)
        wholes = [scored(document(number), "positive", watchlists=("lumora", "skyfare")) for number in range(20)]
        origins = [each if number % 2 else torn(each, dice) for number, each in enumerate(wholes)]
        store.take([each.document for each in origins], [*origins, *mentions(origins)])
        for watchlist in (None, "lumora", "skyfare"):
            for label in LABELS:
                query = DocumentQuery(watchlist=watchlist, label=label)
                assert [each.id for each in store.archive.documents(query)] == expected(query, origins), query
        assert store.archive.documents(DocumentQuery(label="negative")) == []
        assert store.archive.documents(DocumentQuery(watchlist="lumora", label="negative"))

    def test_several_documents_come_back_in_the_order_in_which_they_are_named(self, store: Store) -> None:
        origins = corpus(size=5)
        store.take([each.document for each in origins], [*origins, *mentions(origins)])
        named = [origins[3], origins[0], origins[4]]
        assert store.archive.documents_of([named[0].id, "0" * 32, named[1].id, named[2].id]) == named
        assert store.archive.documents_of([]) == []

    @pytest.mark.parametrize("limit", [-1, 0, 2, 10**9])
    def test_an_answer_is_never_longer_than_asked_nor_than_a_thousand(self, store: Store, limit: int) -> None:
        origins = corpus(size=5)
        store.take([each.document for each in origins], [*origins, *mentions(origins)])
        found = store.archive.documents(DocumentQuery(limit=limit))
        assert len(found) == max(0, min(limit, 5))
        for answer in (
            store.archive.episodes(limit=limit),
            store.archive.deliveries(limit=limit),
            store.archive.deadletters(limit=limit),
        ):
            assert answer == []

    def test_windows_come_in_order_of_start_source_and_aspect_from_a_half_open_span(self, store: Store) -> None:
        starts = [NOON + timedelta(minutes=5 * step) for step in range(4)]
        made = [
            window(start, source=source, aspect=aspect) for start in starts for source in SOURCES for aspect in "ab"
        ]
        random.Random(3).shuffle(made)
        store.take([], made)
        found = store.archive.windows("lumora", starts[1], starts[3])
        wanted = [each for each in made if starts[1] <= each.start < starts[3]]
        assert found == sorted(wanted, key=lambda each: (each.start, each.source, each.aspect))
        assert store.archive.windows("skyfare", starts[0], starts[3]) == []
        assert store.archive.span() == store.archive.span("lumora") == (starts[0], starts[3])
        assert store.archive.span("skyfare") is None

    def test_a_rewritten_window_replaces_the_one_before(self, store: Store) -> None:
        store.take([], [window(NOON, posts=1)])
        store.take([], [window(NOON, posts=7)])
        [found] = store.archive.windows("lumora", NOON, NOON + timedelta(minutes=5))
        assert found.posts == 7

    def test_episodes_come_newest_first_as_they_stand_now(self, store: Store) -> None:
        made = [episode(number, opened_at=NOON + timedelta(hours=number)) for number in range(3)]
        other = episode(9, watchlist="skyfare", opened_at=NOON + timedelta(hours=1, minutes=30))
        resolved = made[1].model_copy(update={"state": "resolved", "resolved_at": NOON + timedelta(hours=4)})
        store.take([], [*made, other, resolved])
        assert store.archive.episodes() == [made[2], other, resolved, made[0]]
        assert store.archive.episodes("lumora", limit=2) == [made[2], resolved]
        assert store.archive.episode(resolved.id) == resolved
        assert store.archive.episode("unknown") is None

    def test_deliveries_come_newest_first_by_episode(self, store: Store) -> None:
        made = [
            delivery(number, channel=channel, due_at=NOON + timedelta(minutes=number))
            for number in range(3)
            for channel in ("slack", "email")
        ]
        store.take([], made)
        assert [each.due_at for each in store.archive.deliveries()] == sorted(
            (each.due_at for each in made), reverse=True
        )
        of_one = store.archive.deliveries(made[2].alert.episode.id)
        assert sorted(of_one, key=lambda each: each.id) == sorted(made[2:4], key=lambda each: each.id)
        assert len(store.archive.deliveries(limit=1)) == 1

    def test_dead_letters_come_newest_first_by_reason(self, store: Store) -> None:
        letters = [
            dead(number, "empty_text" if number % 2 else "malformed_json", accepted_at=NOON + timedelta(minutes=number))
            for number in range(6)
        ]
        store.take(letters, letters)
        assert store.archive.deadletters() == letters[::-1]
        assert store.archive.deadletters("empty_text", limit=2) == [letters[5], letters[3]]
        assert store.archive.deadletter(letters[0].id) == letters[0]
        assert store.archive.deadletter("unknown") is None
        assert store.archive.dead() == {"empty_text": 3, "malformed_json": 3}

    def test_the_ledger_adds_up_by_source_and_hour(self, store: Store) -> None:
        origins = [
            document(number, source=SOURCES[number % 2], accepted_at=NOON + timedelta(minutes=20 * number))
            for number in range(9)
        ]
        letters = [dead(number) for number in range(2)]
        store.take([*origins, *letters], [*map(scored, origins[:4]), *map(drop, origins[4:7]), *letters])
        # Delivered again later: another record of an id that is known.
        store.take([later(origins[0]), later(origins[8]), later(letters[0])], [])
        rows = store.archive.ledger()
        assert [(row.source, row.hour) for row in rows] == sorted((row.source, row.hour) for row in rows)
        assert all(row.gap == 0 for row in rows)
        totals = [
            sum(getattr(row, name) for row in rows) for name in ("accepted", "indexed", "dead", "dropped", "pending")
        ]
        assert totals == [11, 4, 2, 3, 2]
        assert sum(row.duplicates for row in rows) == 3
        assert store.archive.dropped() == {"no-watchlist": 3}
        assert store.archive.misfiled() == 0

    @pytest.mark.parametrize("about", [True, False])
    @pytest.mark.parametrize("together", [True, False])
    def test_what_was_refused_and_then_came_whole_is_indexed_or_dropped_and_the_letter_is_gone(
        self, store: Store, about: bool, together: bool
    ) -> None:
        whole = document(1, accepted_at=NOON + timedelta(hours=1))
        letter = dead(1, "missing_field").model_copy(update={"id": whole.id})
        if together:
            _, right = store.take([letter, whole], [letter])
        else:
            store.take([letter], [letter])
            [right] = store.take([whole], [])
        assert isinstance(right, Document) and (right.text, right.accepted_at) == (whole.text, letter.accepted_at)
        dropped = drop(right).model_copy(update={"version": right.version})
        store.take([], [scored(right) if about else dropped])
        assert store.take([later(letter), later(whole)], []) == [], "it is right now"
        edited = whole.model_copy(update={"edited_at": NOON + timedelta(minutes=1), "text": "fine now"})
        [row] = store.archive.ledger()
        assert (row.accepted, row.indexed, row.dead, row.dropped, row.gap) == (1, about, 0, not about, 0)
        assert (store.archive.dead(), store.archive.misfiled()) == ({}, 0)
        assert len(store.take([edited], [])) == 1, "an edit is later"

    def test_health_is_by_source_and_knows_the_latest(self, store: Store) -> None:
        origins = [
            document(number, source=SOURCES[number % 2], published_at=NOON + timedelta(minutes=number))
            for number in range(4)
        ]
        store.take([*origins, dead(1, source="新闻")], [*map(scored, origins), dead(1, source="新闻")])
        found = {each.source: each for each in store.archive.health()}
        assert list(found) == sorted(found)
        assert found["microblog"].accepted == 2
        assert found["microblog"].last_published_at == NOON + timedelta(minutes=2)
        assert found["forum"].last_accepted_at == origins[3].accepted_at
        assert (found["新闻"].accepted, found["新闻"].last_published_at) == (1, None)

    def test_silences_are_stored_replaced_and_newest_first(self, store: Store) -> None:
        early, late = silence(1), silence(2, watchlist=None, starts_at=NOON + timedelta(days=1))
        for each in (early, late):
            store.archive.add_silence(each)
        assert store.archive.silences() == [late, early]
        ended = early.model_copy(update={"ends_at": NOON})
        store.archive.add_silence(ended)
        assert store.archive.silences() == [late, ended]

    def test_answers_are_stored_once_and_newest_first(self, store: Store) -> None:
        early, late = feedback(1), feedback(2, at=NOON + timedelta(hours=1), verb="not_crisis")
        elsewhere = feedback(3, episode_id="another", at=NOON + timedelta(minutes=1))
        assert [store.archive.add_feedback(each) for each in (early, late, elsewhere)] == [True, True, True]
        assert not store.archive.add_feedback(early.model_copy(update={"by": "somebody else"}))
        assert store.archive.feedback(early.episode_id) == [late, early]
        assert store.archive.feedback() == [late, elsewhere, early]
        assert store.archive.feedback(limit=1) == [late]

    def test_gaps_upstream_are_told_once_newest_first_and_are_in_no_sum(self, store: Store) -> None:
        early, late = gap(1), gap(2, found_at=NOON + timedelta(hours=1))
        store.take([], [early, late])
        store.take([], [early])
        assert store.archive.gaps() == [late, early]
        assert store.archive.gaps(limit=1) == [late]
        assert store.archive.ledger() == []

    def test_the_revision_changes_with_everything_there_is_to_see(self, store: Store) -> None:
        seen = [store.archive.revision()]
        store.take([document(1)], [scored(document(1))])
        seen.append(store.archive.revision())
        store.archive.add_silence(silence(1))
        seen.append(store.archive.revision())
        store.progress(NOON)
        seen.append(store.archive.revision())
        assert len(set(seen)) == len(seen)
        assert store.archive.revision() == seen[-1]

    def test_now_is_the_pipelines_own_time(self, store: Store) -> None:
        assert store.archive.now() is None
        store.progress(NOON)
        assert store.archive.now() == NOON

    def test_an_empty_store_has_empty_answers(self, store: Store) -> None:
        archive = store.archive
        assert archive.documents(DocumentQuery()) == []
        assert list(archive.every_document()) == []
        assert (archive.ledger(), archive.dropped(), archive.health(), archive.silences()) == ([], {}, [], [])
        assert (archive.span(), archive.gaps()) == (None, [])

    def test_several_threads_may_ask_at_once(self, store: Store) -> None:
        origins = corpus(size=30)
        store.take([each.document for each in origins], [*origins, *mentions(origins)])
        answers: list[int] = []

        def ask() -> None:
            answers.extend(len(store.archive.documents(DocumentQuery(limit=100))) for _ in range(5))

        threads = [Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [30] * 30
