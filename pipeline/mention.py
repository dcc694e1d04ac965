"""A mention is a view of a scored document: built in one place, so that a store need not keep the text twice."""

from datetime import datetime

from opinionwatch.pipeline.contracts import Mention, ScoredDocument


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
        reading=scored.reading,
        scorer=scored.scorer,
        history="history" in document.flags,
        version=document.version,
        revised_at=revised_at,
    )
