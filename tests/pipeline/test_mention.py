"""What a document says as it concerns one watchlist: of it, where the scorer can tell, and else as a whole."""

import pytest

from opinionwatch.pipeline.contracts import Match, ScoredDocument
from opinionwatch.pipeline.mention import differs, mention_of, reading_of, rematched
from tests.pipeline.sample import document, reading, scored, toward


def torn() -> ScoredDocument:
    """A positive text that is bad for Brava and good for Corvo; of the third watchlist nobody was asked."""
    whole = scored(document(1, "Corvo beats Brava at cars"), "positive", watchlists=("corvo", "brava", "cars"))
    return toward(whole, "positive", "negative", None)


def test_a_mention_bears_the_sentiment_towards_its_watchlist_and_the_document_its_own() -> None:
    whole = torn()
    labels = {
        name: mention_of(whole, name, "general", ()).reading.sentiment.label
        for name in ("corvo", "brava", "cars", "elsewhere")
    }
    assert labels == {"corvo": "positive", "brava": "negative", "cars": "positive", "elsewhere": "positive"}
    assert whole.reading.sentiment.label == "positive"


def test_only_what_is_counted_otherwise_than_the_text_says_differs() -> None:
    whole = torn()
    assert [differs(whole, match) for match in whole.matches] == [False, True, False]
    unsure = whole.matches[0].model_copy(update={"sentiment": reading("positive", unsure=True).sentiment})
    assert differs(whole, unsure)


@pytest.mark.parametrize("names", [("brava", "newcomer"), ("newcomer",), ("brava", "corvo")])
def test_matched_anew_a_document_keeps_what_it_says_of_what_it_was_matched_by_before(names: tuple[str, ...]) -> None:
    again = rematched(torn(), tuple(Match(watchlist=name, clause="name: x", spans=((0, 1),)) for name in names))
    assert [match.watchlist for match in again.matches] == list(names)
    said = {match.watchlist: match.sentiment and match.sentiment.label for match in again.matches}
    assert said == {name: {"brava": "negative", "corvo": "positive"}.get(name) for name in names}
    assert reading_of(again, "newcomer") == again.reading
