"""Records as Elasticsearch keeps them: they come back exactly, whatever is in them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.pipeline.contracts import Label, OpinionTerm
from opinionwatch.pipeline.elastic_fields import FIELDS, PIECE_CHARS
from opinionwatch.pipeline.elastic_operations import operations, operations_of_parts
from opinionwatch.pipeline.elastic_records import (
    OVERLAP_CHARS,
    document_source,
    mentions_of,
    pieces,
    scored_of,
)
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.revisions import digest_of
from tests.pipeline.sample import LABELS, NOON, delivery, document, episode, mention, reading, scored, toward, window

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
MOMENTS = st.integers(0, 4 * 10**15).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)


@given(
    text=TEXT, name=TEXT, published_at=MOMENTS, share=st.floats(0, 1), author=st.none() | TEXT, aspect=st.none() | TEXT,
    aspects=st.lists(st.sampled_from(["battery", "price", "screen"]), max_size=3, unique=True),
    told=st.lists(st.none() | st.sampled_from(LABELS), min_size=2, max_size=2),
)  # fmt: skip
def test_any_document_and_its_mentions_come_back_exactly(
    text: str, name: str, published_at: datetime, share: float, author: str | None, aspect: str | None,
    aspects: list[str], told: list[Label | None],
) -> None:  # fmt: skip
    opinion = OpinionTerm(
        aspect=aspect, opinion=name, polarity="negative", aspect_span=None if aspect is None else (0, 1),
        opinion_span=(1, 2), confidence=share,
    )  # fmt: skip
    origin = document(1, text, source=name, published_at=published_at, author=author).model_copy(
        update={"flags": ("masked", "html"), "declared_lang": "zh-Hant"}
    )
    whole = scored(origin, watchlists=("lumora", "skyfare")).model_copy(
        update={"reading": reading().model_copy(update={"opinions": (opinion,)}), "lang_confidence": share}
    )
    whole = toward(whole, *told)
    said = [mention(whole, "lumora", *(aspects or ["general"])), mention(whole, "skyfare")]
    source = orjson.loads(orjson.dumps(document_source(whole, said)))
    assert scored_of(source) == whole
    assert mentions_of(source) == said


def test_what_is_said_of_a_watchlist_is_flat_beside_it_and_a_document_of_before_has_nothing_of_it() -> None:
    whole = scored(document(1), watchlists=("lumora", "skyfare"))
    assert "watchlist.label" not in document_source(whole, [])
    assert [len(match) for match in document_source(whole, [])["document.matches"]] == [3, 3]
    source = document_source(toward(whole, "positive", None), [])
    assert source["watchlist.label"] == ["lumora|positive"]
    assert [len(match) for match in source["document.matches"]] == [4, 3]


def test_only_fields_of_the_mapping_are_written() -> None:
    whole = toward(scored(document(1, url="https://example.org/1")), "positive")
    records: list[Outcome] = [whole, mention(whole), window(NOON), episode(1), delivery(1)]
    for operation, kind in zip(
        operations("acme", records), ("documents", "windows", "episodes", "deliveries"), strict=True
    ):
        assert orjson.loads(operation.source).keys() <= FIELDS[kind].keys()  # type: ignore[index]  # they are kinds


def test_aspects_are_flat_by_their_canonical_name_with_the_polarity_of_their_opinion() -> None:
    whole = scored(document(1))
    good = OpinionTerm(
        aspect="手机屏幕", opinion="好", polarity="positive", aspect_span=(0, 1), opinion_span=(1, 2), confidence=0.9
    )
    odd = good.model_copy(update={"aspect": "Frobnicator"})
    whole = whole.model_copy(
        update={"reading": whole.reading.model_copy(update={"opinions": (*whole.reading.opinions, good, odd)})}
    )
    source = document_source(whole, [mention(whole, "lumora", "battery", "screen")])
    assert source["aspect.pair"] == ["battery|negative", "frobnicator|positive", "screen|positive"]
    assert source["aspect.name"] == ["battery", "screen"]
    assert source["watchlist.aspect"] == ["lumora|battery", "lumora|screen"]


@given(st.integers(0, 20_000), st.integers(1, OVERLAP_CHARS), st.integers(0, 20_000))
def test_a_needle_as_long_as_the_overlap_lies_whole_in_a_piece(size: int, length: int, start: int) -> None:
    text = "".join(chr(0x4E00 + number % 15_000) for number in range(size))
    found = pieces(text)
    assert all(len(piece) <= PIECE_CHARS for piece in found)
    needle = text[start : start + length]
    assert any(needle in piece for piece in found)


def test_a_digest_tells_a_replay_from_another_delivery() -> None:
    origin = document(1)
    assert digest_of(origin) == digest_of(document(1))
    assert digest_of(origin) != digest_of(origin.model_copy(update={"accepted_at": NOON + timedelta(days=1)}))


def test_of_two_writes_to_one_place_one_is_made_so_that_bulks_cannot_overtake_each_other() -> None:
    first, second = operations("acme", [window(NOON, posts=1), scored(document(1)), window(NOON, posts=7)])
    assert (first.version, b'"window.posts":7' in first.source) == (7, True)
    assert (second.version, second.once) == (0, True)


def test_parts_are_made_one_by_one_and_come_to_the_same_with_versions_last() -> None:
    first, again, second = scored(document(1)), scored(document(1)), scored(document(2))
    asked = []

    def parts() -> Iterator[list[Outcome]]:
        given: list[list[Outcome]] = [
            [first, mention(first), window(NOON, posts=1)],
            [again, second, window(NOON, posts=7)],
        ]
        for part in given:
            asked.append(part)
            yield part

    made = operations_of_parts("acme", parts())
    assert next(made).id == first.id
    assert len(asked) == 1
    rest = list(made)
    assert [each.id for each in rest] == [second.id, window(NOON).id]
    assert b'"window.posts":7' in rest[1].source
