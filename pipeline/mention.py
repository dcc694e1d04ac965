"""A mention is a view of a scored document: built in one place, so that a store need not keep the text twice."""

from datetime import datetime

from opinionwatch.pipeline.contracts import Match, Mention, Reading, ScoredDocument


def reading_of(scored: ScoredDocument, watchlist: str) -> Reading:
    """What a document says as it concerns `watchlist`: with the sentiment towards it, where the scorer can tell that
    from the sentiment of the whole text. “A beats B” is good for A and bad for B.
    """
    toward = next((match.sentiment for match in scored.matches if match.watchlist == watchlist), None)
    return scored.reading if toward is None else scored.reading.model_copy(update={"sentiment": toward})


def differs(scored: ScoredDocument, match: Match) -> bool:
    """Whether a match's mention is counted as something else than what the whole text says."""
    own, toward = scored.reading.sentiment, match.sentiment
    return toward is not None and (toward.label, toward.unsure) != (own.label, own.unsure)


def rematched(scored: ScoredDocument, matches: tuple[Match, ...]) -> ScoredDocument:
    """The document with other matches. What it says of a watchlist that it had before stays with it; of one that
    nobody had asked about, nothing is known but the sentiment of the text.
    """
    toward = {match.watchlist: match.sentiment for match in scored.matches}
    found = (match.model_copy(update={"sentiment": toward.get(match.watchlist)}) for match in matches)
    return scored.model_copy(update={"matches": tuple(found)})


def mention_of(
    scored: ScoredDocument,
    watchlist: str,
    aspect: str,
    aspects: tuple[str, ...],
    revised_at: datetime | None = None,
) -> Mention:
    """The mention of `watchlist` in a scored document, counted in the cell of `aspect`.

    `revised_at`: it goes to a trend hop that may know an earlier version; whoever starts from a store knows only this.
    """
    document = scored.document
    return Mention(
        watchlist=watchlist,
        document_id=document.id,
        tenant=document.tenant,
        source=document.source,
        author=document.author,
        url=document.url,
        lang=scored.lang,
        text=document.text,
        published_at=document.published_at,
        accepted_at=document.accepted_at,
        fingerprint=scored.fingerprint,
        aspect=aspect,
        aspects=aspects,
        reading=reading_of(scored, watchlist),
        scorer=scored.scorer,
        history="history" in document.flags,
        version=document.version,
        revised_at=revised_at,
    )
