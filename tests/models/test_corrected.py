"""Corrections become rows: of the text as a whole, or of every place that names what they are towards."""

from datetime import UTC, datetime

from opinionwatch.models.corrected import lessons
from opinionwatch.models.examples import Example
from opinionwatch.models.targets import MOST_PLACES
from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.corrections import Correction, of_text
from opinionwatch.pipeline.watchlists import Watchlist

AT = datetime(2026, 3, 8, tzinfo=UTC)
WATCHED = (Watchlist(id="lumora", names=("Lumora", "流墨")), Watchlist(id="brava", names=("Brava",), must=("phone",)))


def said(text: str, label: Label, watchlist: str | None = None, lang: str = "en") -> Correction:
    return of_text(text, lang, label, "dana", "csv", AT, watchlist, [watchlist or ""])


def test_a_correction_of_the_text_teaches_its_sentiment_and_one_towards_a_watchlist_only_that() -> None:
    text = "Lumora beats the Brava phone"
    found = lessons(
        [said(text, "positive"), said(text, "positive", "lumora"), said(text, "negative", "brava")], WATCHED
    )
    assert found.rows == [
        Example(text, "corrections", "en", label=2),
        Example(text, "corrections", "en", targets=(((0, 6), 2),)),
        Example(text, "corrections", "en", targets=(((17, 22), 0),)),
    ]
    assert found.unusable == []


def test_the_name_is_found_as_it_stands_in_the_folded_text_wherever_it_stands() -> None:
    found = lessons([said("\u200b＃Ｌｕｍｏｒａ　fail，流墨太差", "negative", "lumora", "zh")], WATCHED)
    [row] = found.rows
    assert row.targets is not None
    assert [(row.text[begin:end], label) for (begin, end), label in row.targets] == [("Lumora", 0), ("流墨", 0)]
    [row] = lessons([said("Lumora " * 40, "negative", "lumora")], WATCHED).rows
    assert len(row.targets or ()) == MOST_PLACES, "a scorer looks at no more"


def test_a_name_that_is_not_found_any_more_is_listed_and_costs_nothing_else() -> None:
    given = [
        said("Lumora is fine", "neutral", "skyfare"),
        said("lum0ra is fine", "neutral", "lumora"),
        said("Brava alone", "neutral", "brava"),
        said("Lumora is fine", "neutral", "lumora"),
    ]
    found = lessons(given, WATCHED)
    assert [(each.correction, each.reason.split(",")[0]) for each in found.unusable] == [
        (given[0], "the settings have no watchlist 'skyfare' any more"),
        (given[1], "the watchlist 'lumora'"),
        (given[2], "the watchlist 'brava'"),
    ]
    assert [row.text for row in found.rows] == ["Lumora is fine"]


def test_a_model_that_knows_no_targets_learns_from_whole_texts_alone() -> None:
    found = lessons([said("Lumora", "neutral"), said("Lumora", "positive", "lumora")], WATCHED, tells_targets=False)
    assert [row.label for row in found.rows] == [1]
    assert [each.reason.split(":")[0] for each in found.unusable] == ["the model knows no targets"]
