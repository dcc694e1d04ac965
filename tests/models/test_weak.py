"""Opinion terms that nobody marked: taught where the lexicon and a row's own label agree, and else nothing is."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.models.data import read_rows
from opinionwatch.models.examples import Example, Target
from opinionwatch.models.recipe import OpinionSource, Recipe, SentimentSource, load_recipe
from opinionwatch.models.weak import NEGATIVE, NEUTRAL, POSITIVE, with_terms
from opinionwatch.pipeline.errors import SettingsError

from .rows import write_rows


def review(text: str, label: int | None) -> Example:
    return Example(text, "reviews", "en", label=label)


def about(text: str, **aspects: int) -> Example:
    """A row whose aspects are marked with what is thought of them."""
    targets: list[Target] = []
    for name, mood in aspects.items():
        word = name.replace("_", " ")
        targets.append(((text.index(word), text.index(word) + len(word)), mood))
    return Example(text, "aspects", "en", aspects=tuple(span for span, _ in targets), targets=tuple(targets))


def terms(example: Example) -> list[str] | None:
    found = with_terms(example).opinions
    return None if found is None else [example.text[slice(*span)] for span in found]


def links(example: Example) -> list[tuple[str | None, str, int]] | None:
    found = with_terms(example).links
    if found is None:
        return None
    text = example.text
    return [
        (None if aspect is None else text[slice(*aspect)], text[slice(*term)], mood) for aspect, term, mood in found
    ]


def test_a_review_teaches_the_words_that_say_what_its_label_says() -> None:
    assert terms(review("Delicious soup and a friendly waiter", POSITIVE)) == ["Delicious", "friendly"]
    assert terms(review("Terrible hinge, useless manual", NEGATIVE)) == ["Terrible", "useless"]
    assert terms(review("味道不错，服务很热情", POSITIVE)) == ["不错", "热情"]


def test_what_a_review_says_of_no_aspect_in_particular_links_nothing() -> None:
    taught = with_terms(review("Delicious soup", POSITIVE))
    assert (taught.aspects, taught.links, taught.label) == (None, None, POSITIVE)


@pytest.mark.parametrize(
    "row",
    [
        review("Delicious soup but a terrible waiter", POSITIVE),
        review("Delicious soup", NEGATIVE),
        review("Delicious soup", NEUTRAL),
        review("Delicious soup", None),
        review("The shop opens at nine", POSITIVE),
        review("", NEGATIVE),
        review("Arrived on Monday 😍", POSITIVE),
        about("the screen is awful", screen=POSITIVE),
        about("the screen is great and the hinge came today", screen=POSITIVE, hinge=POSITIVE),
        about("the screen is great and the hinge is awful", screen=POSITIVE),
        about("the screen is great", screen=NEUTRAL),
    ],
    ids=lambda row: f"{row.text} ({row.label}, {row.targets})",
)
def test_a_row_without_agreement_comes_back_as_it_is(row: Example) -> None:
    assert with_terms(row) is row


def test_what_a_row_knows_of_its_opinions_stays() -> None:
    known = Example("Delicious soup", "marked", "en", label=POSITIVE, opinions=())
    assert with_terms(known) is known


def test_a_term_is_linked_to_the_nearest_aspect_of_its_own_polarity() -> None:
    mixed = about("the screen is great but the hinge is awful", screen=POSITIVE, hinge=NEGATIVE)
    assert links(mixed) == [("screen", "great", POSITIVE), ("hinge", "awful", NEGATIVE)]
    # `awful` stands nearer to the screen, which nobody complains about.
    crossed = about("awful, next to this screen: the hinge. But great", screen=POSITIVE, hinge=NEGATIVE)
    assert links(crossed) == [("hinge", "awful", NEGATIVE), ("screen", "great", POSITIVE)]
    assert with_terms(mixed).targets == mixed.targets


def test_a_negation_belongs_to_its_term_and_turns_it() -> None:
    assert links(about("the screen is not very good", screen=NEGATIVE)) == [("screen", "not very good", NEGATIVE)]
    assert terms(review("I would not recommend it", NEGATIVE)) == ["not recommend"]
    assert terms(review("这家一点都不好", NEGATIVE)) == ["一点都不好"]
    assert terms(review("the soup is not good", POSITIVE)) is None


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("The best soup in town", "best"),
        ("i like this soup", "like"),
        ("We like this soup", "like"),
        ("a steal", "steal"),
    ],
)
def test_an_article_or_a_pronoun_is_no_part_of_a_term(text: str, term: str) -> None:
    assert terms(review(text, POSITIVE)) == [term]


def test_a_face_is_no_term_but_must_agree() -> None:
    assert terms(review("great soup 😍", POSITIVE)) == ["great"]
    assert terms(review("great soup 😡", POSITIVE)) is None
    assert links(about("great soup 😍", soup=POSITIVE)) == [("soup", "great", POSITIVE)]
    assert links(about("great soup 😡", soup=POSITIVE)) is None


def test_an_aspect_that_is_said_by_a_word_of_mood_leaves_its_row_unknown() -> None:
    row = about("the fast charging is great, as is the screen", fast_charging=POSITIVE, screen=POSITIVE)
    assert "fast" in (terms(review("a fast ship", POSITIVE)) or ()), "a word of mood by itself"
    assert with_terms(row) is row


WORDS = ("screen", "battery", "soup", "味道", "屏幕", "great", "awful", "the best", "i like", "好吃", "难吃")
TURNS = ("not", "不", "very", "but", "但是", ", ", "。", "value for money", "NOT good", "sooo good", "😍", "😡")
ODD = ("\ud800", "ﷺ", "İ")
PIECES = st.sampled_from(WORDS + TURNS + ODD)


@given(
    pieces=st.lists(PIECES, max_size=12),
    joined=st.sampled_from(["", " "]),
    label=st.sampled_from([None, NEGATIVE, NEUTRAL, POSITIVE]),
    marked=st.dictionaries(st.sampled_from(["screen", "battery", "soup", "味道", "屏幕", "value"]), st.integers(0, 2)),
)
def test_whatever_a_row_says_what_it_is_taught_holds_together(
    pieces: list[str], joined: str, label: int | None, marked: dict[str, int]
) -> None:
    text = joined.join(pieces)
    row = about(text, **{name: mood for name, mood in marked.items() if name in text})
    row = Example(text, "any", "und", label=label, aspects=row.aspects, targets=row.targets)
    taught = with_terms(row)
    if taught is row:
        return
    spans = taught.opinions
    assert spans
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans)), "in order, and apart"
    assert (taught.aspects, taught.targets, taught.label) == (row.aspects, row.targets, row.label)
    if not row.targets:
        assert taught.links is None
        return
    assert taught.links is not None
    assert [term for _, term, _ in taught.links] == list(spans)
    assert {(aspect, mood) for aspect, _, mood in taught.links} == set(row.targets), (
        "every aspect, with its own polarity"
    )
    assert all(aspect and (end <= aspect[0] or aspect[1] <= start) for aspect, (start, end), _ in taught.links)


def test_the_rows_of_a_source_with_a_lexicon_are_taught_terms_and_its_dev_rows_are_not(tmp_path: Path) -> None:
    rows: list[object] = [
        {"text": "Delicious soup", "label": "positive", "lang": "en"},
        {"text": "Nothing to add", "label": "neutral", "lang": "en"},
    ]
    marked: list[object] = [
        {"text": "great screen", "aspects": [{"span": [6, 12], "sentiment": "positive"}], "lang": "en"}
    ]
    for part in ("train", "dev"):
        write_rows(tmp_path / part / "reviews.jsonl.gz", rows)
        write_rows(tmp_path / part / "aspects.jsonl.gz", marked)

    def read(lexicon: bool) -> tuple[list[Example], list[Example]]:
        found = read_rows(
            Recipe(
                name="r",
                sentiment=(SentimentSource(name="reviews", terms="ours", lexicon=lexicon),),
                opinions=(OpinionSource(name="aspects", kind="aspects", terms="ours", lexicon=lexicon),),
            ),
            tmp_path,
        )
        return found.train, found.dev

    plain, dev = read(lexicon=False)
    assert [row.opinions for row in plain] == [None, None, None]
    taught, unchanged = read(lexicon=True)
    assert [row.opinions for row in taught] == [((0, 9),), None, ((0, 5),)]
    assert taught[2].links == (((6, 12), (0, 5), POSITIVE),)
    assert unchanged == dev == plain


def test_rows_kept_for_choices_before_dev_are_not_taught_terms(tmp_path: Path) -> None:
    rows = [{"text": f"Delicious soup, {number} bowls", "label": "positive"} for number in range(40)]
    write_rows(tmp_path / "train" / "reviews.jsonl.gz", rows)
    source = SentimentSource(name="reviews", terms="ours", lexicon=True)
    found = read_rows(Recipe(name="r", sentiment=(source,), validation=0.5), tmp_path)
    assert found.train
    assert found.validation
    assert all(row.opinions for row in found.train)
    assert all(row.opinions is None for row in found.validation)


@pytest.mark.parametrize("kind", ["triplets", "written", "targets"])
def test_a_lexicon_is_refused_where_rows_say_themselves_what_is_in_them(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"name: r\nsentiment: []\nopinions: [{{name: a, terms: t, kind: {kind}, lexicon: true}}]\n")
    with pytest.raises(SettingsError, match="`lexicon` is for `kind: aspects`"):
        load_recipe(path)
