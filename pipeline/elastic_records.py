"""Records as Elasticsearch keeps them, and back: pure functions, exact both ways.

Documents are spread over the fields of `elastic_mapping`; empty fields are left out. The other kinds keep their record
whole in `record` and beside it what people filter, sort and draw by.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from opinionwatch.pipeline.aspects import Aspects
from opinionwatch.pipeline.contracts import DeadLetter, Engagement, Gap, Match, Mention, OpinionTerm, ScoredDocument
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Feedback, Silence, Window
from opinionwatch.pipeline.elastic_fields import PIECE_CHARS
from opinionwatch.pipeline.mention import mention_of

OVERLAP_CHARS = 1000
"""How far pieces of a text reach into each other: the longest needle that is found for certain by one of them."""
Source = dict[str, Any]
"""What orjson writes and reads; made and taken apart only here."""
_FIGURES = ("likes", "reposts", "replies")
_COUNTS = ("posts", "voices", "negative", "positive", "unsure", "negative_voices", "sure_voices")
_ASPECTS = Aspects()
_MATCH = ("watchlist", "clause", "spans", "sentiment")
"""What a match is kept as, in this order; the last only where there is one."""


def stamp(moment: datetime) -> str:
    """UTC with microseconds; the index sorts and filters by milliseconds, and gives back all."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def ledger_source(id_: str, source: str, accepted_at: datetime, state: str) -> Source:
    """An entry of the ledger."""
    return {"@timestamp": stamp(accepted_at), "event.id": id_, "event.provider": source, "ledger.state": state}


def document_source(scored: ScoredDocument, mentions: Sequence[Mention]) -> Source:
    """A document, its reading, and where it is counted."""
    document, reading, mood = scored.document, scored.reading, scored.reading.sentiment
    found: Source = {
        "@timestamp": document.published_at,  # orjson writes moments itself, at a tenth of the cost
        "event.created": document.accepted_at,
        "event.id": document.id,
        "event.provider": document.source,
        "event.module": document.source_kind,
        "organization.id": document.tenant,
        "message": document.text,
        "document.instance": document.instance,
        "document.native_id": document.native_id,
        "document.lang": scored.lang,
        "document.lang_confidence": scored.lang_confidence,
        "document.fingerprint": scored.fingerprint,
        "document.edited_at": document.edited_at and stamp(document.edited_at),
        "document.revised_at": document.revised_at and stamp(document.revised_at),
        **engagement_source(document.engagement),
        "document.folded": pieces(document.text),
        "sentiment.label": mood.label,
        "sentiment.negative": mood.negative,
        "sentiment.neutral": mood.neutral,
        "sentiment.positive": mood.positive,
        "sentiment.unsure": mood.unsure,
        "sentiment.scorer": scored.scorer,
    }
    if mentions:
        found["document.mentions"] = [(each.watchlist, each.aspect, each.aspects) for each in mentions]
        found["watchlist.id"] = [each.watchlist for each in mentions]
        found["watchlist.aspect"] = [f"{each.watchlist}|{aspect}" for each in mentions for aspect in each.aspects]
        found["aspect.name"] = sorted({aspect for each in mentions for aspect in each.aspects})
    told = [f"{match.watchlist}|{match.sentiment.label}" for match in scored.matches if match.sentiment is not None]
    if told:
        found["watchlist.label"] = told
    if reading.opinions:
        found["opinion"] = [opinion.model_dump(exclude_none=True) for opinion in reading.opinions]
        found["aspect.pair"] = sorted({pair for opinion in reading.opinions for pair in _pair(opinion)})
    rare = (
        ("url.full", document.url),
        ("user.hash", document.author),
        ("tags", document.flags),
        ("document.declared_lang", document.declared_lang),
        ("document.matches", [_match_source(match) for match in scored.matches]),
    )
    for name, value in rare:
        if value is not None and value != () and value != []:
            found[name] = value
    return found


def _match_source(match: Match) -> tuple[object, ...]:
    plain = match.watchlist, match.clause, match.spans
    return plain if match.sentiment is None else (*plain, match.sentiment.model_dump())


def engagement_source(engagement: Engagement | None) -> Source:
    """Figures of engagement."""
    if engagement is None:
        return {}
    figures = {name: getattr(engagement, name) for name in _FIGURES}
    told = {f"engagement.{name}": value for name, value in figures.items() if value is not None}
    return told | {"engagement.total": engagement.total, "engagement.seen_at": stamp(engagement.seen_at)}


def engagement_of(source: Mapping[str, Any]) -> Engagement | None:
    """The figures as they were written."""
    if "engagement.seen_at" not in source:
        return None
    return Engagement(
        **{name: source.get(f"engagement.{name}") for name in _FIGURES}, seen_at=source["engagement.seen_at"]
    )


def scored_of(source: Mapping[str, Any]) -> ScoredDocument:
    """The document as it was written."""
    matches = [dict(zip(_MATCH, match, strict=False)) for match in source.get("document.matches", ())]
    mood = {name: source[f"sentiment.{name}"] for name in ("label", "negative", "neutral", "positive", "unsure")}
    return ScoredDocument.model_validate(
        {
            "document": {
                "id": source["event.id"],
                "tenant": source["organization.id"],
                "source": source["event.provider"],
                "source_kind": source["event.module"],
                "instance": source["document.instance"],
                "native_id": source["document.native_id"],
                "text": source["message"],
                "author": source.get("user.hash"),
                "url": source.get("url.full"),
                "published_at": source["@timestamp"],
                "accepted_at": source["event.created"],
                "declared_lang": source.get("document.declared_lang"),
                "flags": source.get("tags", ()),
                "edited_at": source.get("document.edited_at"),
                "revised_at": source.get("document.revised_at"),
                "engagement": engagement_of(source),
            },
            "lang": source["document.lang"],
            "lang_confidence": source["document.lang_confidence"],
            "fingerprint": source["document.fingerprint"],
            "matches": matches,
            "reading": {
                "sentiment": mood,
                "opinions": [{"aspect": None, "aspect_span": None, **each} for each in source.get("opinion", ())],
            },
            "scorer": source["sentiment.scorer"],
        }
    )


def mentions_of(source: Mapping[str, Any]) -> list[Mention]:
    """The mentions that were written with a document: what the windows can be recomputed from."""
    scored = scored_of(source)
    return [
        mention_of(scored, watchlist, aspect, tuple(aspects))
        for watchlist, aspect, aspects in source.get("document.mentions", ())
    ]


def pieces(text: str) -> list[str]:
    """The lower-cased text in pieces that overlap.

    >>> [len(piece) for piece in pieces("x" * 10_000)]
    [8000, 3000]
    """
    lowered = text.lower()
    step = PIECE_CHARS - OVERLAP_CHARS
    return [lowered[at : at + PIECE_CHARS] for at in range(0, max(len(lowered) - OVERLAP_CHARS, 1), step)]


def _pair(opinion: OpinionTerm) -> list[str]:
    """`battery|negative`: the aspect by its canonical name where the shared taxonomy has one, else as it was said."""
    said = opinion.aspect or ""
    name = _ASPECTS.canonical(said) or _ASPECTS.canonical(opinion.opinion) or said.lower()
    return [f"{name}|{opinion.polarity}"] if name else []


def window_of(source: Mapping[str, Any]) -> Window:
    """The window as it was written."""
    return Window(
        watchlist=source["watchlist.id"],
        source=source["event.provider"],
        aspect=source["aspect.name"],
        start=datetime.fromisoformat(source["@timestamp"]),
        **{name: source[f"window.{name}"] for name in _COUNTS},
    )


def window_source(window: Window) -> Source:
    """A window."""
    return {
        "@timestamp": stamp(window.start),
        "event.id": window.id,
        "event.provider": window.source,
        "watchlist.id": window.watchlist,
        "aspect.name": window.aspect,
        **{f"window.{name}": getattr(window, name) for name in _COUNTS},
    }


def episode_source(episode: Episode) -> Source:
    """An episode as it stands."""
    explanation, signal = episode.explanation, episode.explanation.signal
    return {
        "@timestamp": stamp(episode.opened_at),
        "event.id": episode.id,
        "organization.id": episode.tenant,
        "event.start": stamp(episode.began_at),
        "event.end": None if episode.resolved_at is None else stamp(episode.resolved_at),
        "event.provider": [each.name for each in signal.sources],
        "watchlist.id": episode.watchlist,
        "aspect.name": [each.name for each in signal.aspects],
        "episode.kind": episode.kind,
        "episode.state": episode.state,
        "episode.severity": episode.severity,
        "episode.updated_at": stamp(episode.updated_at),
        "episode.peak_score": episode.peak_score,
        "episode.posts": episode.posts,
        "episode.voices": episode.voices,
        "episode.negative": episode.negative,
        "episode.share_before": signal.share_before.value,
        "episode.share_now": signal.share_now.value,
        "episode.repost_share": explanation.repost_share,
        "episode.once_in_weeks": explanation.once_in_weeks,
        "episode.terms": [each.term for each in explanation.terms],
        "record": episode.model_dump(mode="json"),
    }


def delivery_source(delivery: Delivery) -> Source:
    """A row of the outbox."""
    return {
        "@timestamp": stamp(delivery.due_at),
        "event.id": delivery.id,
        "organization.id": delivery.alert.episode.tenant,
        "watchlist.id": delivery.alert.episode.watchlist,
        "episode.id": delivery.alert.episode.id,
        "delivery.channel": delivery.channel,
        "delivery.state": delivery.state,
        "delivery.event": delivery.alert.event,
        "delivery.attempts": delivery.attempts,
        "delivery.detail": delivery.detail,
        "record": delivery.model_dump(mode="json"),
    }


def letter_source(letter: DeadLetter) -> Source:
    """A dead letter."""
    return {
        "@timestamp": stamp(letter.accepted_at),
        "event.id": letter.id,
        "event.provider": letter.source,
        "event.module": letter.source_kind,
        "organization.id": letter.tenant,
        "error.code": letter.reason,
        "error.message": letter.detail,
        "deadletter.stage": letter.stage,
        "deadletter.attempts": letter.attempts,
        "deadletter.headers": [f"{name}: {value}" for name, value in letter.headers],
        "deadletter.program": letter.program,
        "deadletter.scorer": letter.scorer,
        "record": letter.model_dump(mode="json"),
    }


def gap_source(gap: Gap) -> Source:
    """What a source could not have."""
    return {
        "@timestamp": stamp(gap.found_at),
        "event.id": gap.id,
        "event.provider": gap.source,
        "record": gap.model_dump(mode="json"),
    }


def silence_source(silence: Silence) -> Source:
    """A person's wish."""
    return {
        "@timestamp": stamp(silence.starts_at),
        "event.id": silence.id,
        "event.end": stamp(silence.ends_at),
        "watchlist.id": silence.watchlist,
        "record": silence.model_dump(mode="json"),
    }


def feedback_source(feedback: Feedback) -> Source:
    """A person's answer."""
    return {
        "@timestamp": stamp(feedback.at),
        "event.id": feedback.id,
        "episode.id": feedback.episode_id,
        "feedback.verb": feedback.verb,
        "record": feedback.model_dump(mode="json"),
    }
