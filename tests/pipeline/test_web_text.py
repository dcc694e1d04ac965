"""How a stranger's text is cut into pieces."""

from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.pipeline.contracts import Match, OpinionTerm
from opinionwatch.pipeline.web_text import shown, web_link
from tests.pipeline.web_hostile import LINKS


def opinion(begin: int, end: int, aspect: tuple[int, int] | None = None) -> OpinionTerm:
    return OpinionTerm(
        aspect="x" if aspect else None, opinion="y", polarity="negative", aspect_span=aspect,
        opinion_span=(begin, end), confidence=0.9,
    )  # fmt: skip


def test_pieces_end_where_a_span_begins_or_ends() -> None:
    pieces = shown("the battery is dead", [opinion(15, 19, (4, 11))]).pieces
    assert [(one.text, one.aspect, one.opinion) for one in pieces] == [
        ("the ", False, None), ("battery", True, None), (" is ", False, None), ("dead", False, "negative"),
    ]  # fmt: skip


def test_overlapping_spans_are_cut_into_pieces_that_carry_both() -> None:
    pieces = shown("abcdef", [opinion(1, 4, (2, 6))]).pieces
    assert [(one.text, one.aspect, one.opinion) for one in pieces] == [
        ("a", False, None), ("b", False, "negative"), ("cd", True, "negative"), ("ef", True, None),
    ]  # fmt: skip


def test_a_match_is_marked_where_nothing_else_is() -> None:
    match = Match(watchlist="w", clause="name: 流墨", spans=((0, 2),))
    assert [(one.text, one.match) for one in shown("流墨好用", [], [match]).pieces] == [("流墨", True), ("好用", False)]


def test_a_long_text_is_cut_around_what_was_found_in_it() -> None:
    cut = shown("x" * 1000 + "bad" + "y" * 1000, [opinion(1000, 1003)], limit=90)
    assert cut.cut_before and cut.cut_after
    assert "".join(one.text for one in cut.pieces) == "x" * 30 + "bad" + "y" * 57
    assert not shown("short", []).cut_after


spans = st.tuples(st.integers(-5, 60), st.integers(-5, 60))


@given(st.text(max_size=50), st.lists(st.tuples(spans, st.none() | spans), max_size=5), st.integers(1, 60) | st.none())
def test_whatever_the_spans_the_text_stays_the_text(
    text: str, found: list[tuple[tuple[int, int], tuple[int, int] | None]], limit: int | None
) -> None:
    cut = shown(text, [opinion(begin, end, aspect) for (begin, end), aspect in found], limit=limit)
    together = "".join(one.text for one in cut.pieces)
    assert together in text
    assert together == text or cut.cut_before or cut.cut_after
    assert all(one.text for one in cut.pieces)


def test_only_plain_web_addresses_become_links() -> None:
    assert not [link for link in LINKS if web_link(link)]
    assert web_link("https://例子.example/流墨?a=1&b=2#c") is not None


@given(st.text(max_size=30))
def test_no_text_makes_a_link_of_another_scheme(text: str) -> None:
    link = web_link(text)
    assert link is None or link.startswith(("http://", "https://"))
