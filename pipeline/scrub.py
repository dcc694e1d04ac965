"""Leaves what erased documents said out of episodes and deliveries: posts as examples, and terms only they used."""

from collections.abc import Mapping

from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Term


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


def scrubbed_delivery(delivery: Delivery, texts: Mapping[str, str]) -> Delivery:
    """The delivery without these documents (id → text). The same object when it holds nothing of them."""
    kept = scrubbed(delivery.alert.episode, texts)
    if kept is delivery.alert.episode:
        return delivery
    return delivery.model_copy(update={"alert": delivery.alert.model_copy(update={"episode": kept})})


def _lessened(term: Term, lower: list[str]) -> Term | None:
    times = sum(term.term in text for text in lower)
    if not times:
        return term
    return term.model_copy(update={"count": term.count - times}) if term.count > times else None
