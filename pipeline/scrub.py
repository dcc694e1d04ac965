"""Leaves out of an episode what erased documents said: their posts as examples, and terms that only they used."""

from collections.abc import Mapping

from opinionwatch.pipeline.contracts_trend import Episode, Term


def scrubbed(episode: Episode, texts: Mapping[str, str]) -> Episode:
    """The episode without these documents (id → text). The same object when it holds nothing of them.

    A term's count goes down by the erased texts that hold it, so a term that nobody else used is gone at the latest
    with the last of them.
    """
    explanation = episode.explanation
    shown = {exemplar.document_id for exemplar in explanation.exemplars} & texts.keys()
    lower = [" ".join(text.lower().split()) for text in texts.values()]
    terms = tuple(kept for term in explanation.terms if (kept := _lessened(term, lower)))
    if not shown and terms == explanation.terms:
        return episode
    exemplars = tuple(each for each in explanation.exemplars if each.document_id not in shown)
    return episode.model_copy(
        update={"explanation": explanation.model_copy(update={"exemplars": exemplars, "terms": terms})}
    )


def _lessened(term: Term, lower: list[str]) -> Term | None:
    times = sum(term.term in text for text in lower)
    if not times:
        return term
    return term.model_copy(update={"count": term.count - times}) if term.count > times else None
