"""Records written by hand that the tests of the pipeline share: one of each kind, every part of it adjustable."""

from datetime import UTC, datetime, timedelta
from typing import get_args

from opinionwatch.pipeline.contracts import (
    DeadLetter,
    Document,
    Drop,
    Gap,
    Label,
    Match,
    Mention,
    OpinionTerm,
    Reading,
    ScoredDocument,
    Sentiment,
    content_id,
)
from opinionwatch.pipeline.contracts_trend import (
    Alert,
    Delivery,
    DeliveryState,
    Episode,
    Feedback,
    Silence,
    Verb,
    Window,
)
from opinionwatch.pipeline.errors import DeadReason
from opinionwatch.pipeline.mention import mention_of
from tests.alerts.sample import crisis

NOON = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
LABELS: tuple[Label, ...] = get_args(Label)


def document(
    number: int,
    text: str = "The Lumora battery is awful",
    *,
    source: str = "microblog",
    published_at: datetime = NOON,
    accepted_at: datetime | None = None,
    author: str | None = "00112233445566aa",
    url: str | None = None,
) -> Document:
    """Post `number` of a source."""
    native_id = f"post-{number}"
    return Document(
        id=content_id("default", "jsonl", "feed", native_id),
        tenant="default",
        source=source,
        source_kind="jsonl",
        instance="feed",
        native_id=native_id,
        text=text,
        author=author,
        url=url,
        published_at=published_at,
        accepted_at=accepted_at or published_at + timedelta(seconds=30),
    )


def reading(label: Label = "negative", *, unsure: bool = False) -> Reading:
    """A sentiment with that label; the negative one has an opinion about the battery."""
    share = {name: 0.9 if name == label else 0.05 for name in LABELS}
    opinion = OpinionTerm(
        aspect="battery", opinion="awful", polarity="negative", aspect_span=(11, 18), opinion_span=(22, 27),
        confidence=0.8,
    )  # fmt: skip
    return Reading(
        sentiment=Sentiment(label=label, unsure=unsure, **share), opinions=(opinion,) if label == "negative" else ()
    )


def scored(
    origin: Document, label: Label = "negative", *, lang: str = "en", watchlists: tuple[str, ...] = ("lumora",)
) -> ScoredDocument:
    """A document with its reading and the watchlists it matched."""
    return ScoredDocument(
        document=origin,
        lang=lang,
        lang_confidence=1.0,
        fingerprint="00ff00ff00ff00ff",
        matches=tuple(Match(watchlist=name, clause=f"name: {name}", spans=((4, 10),)) for name in watchlists),
        reading=reading(label),
        scorer="by-hand",
    )


def toward(whole: ScoredDocument, *labels: Label | None) -> ScoredDocument:
    """The document, read by a scorer that tells what it says of each watchlist that has a label."""
    moods = (label and reading(label).sentiment for label in labels)
    pairs = zip(whole.matches, moods, strict=True)
    return whole.model_copy(
        update={"matches": tuple(match.model_copy(update={"sentiment": mood}) for match, mood in pairs)}
    )


def mention(origin: ScoredDocument, watchlist: str = "lumora", *aspects: str) -> Mention:
    """The document as it concerns one watchlist; counted under the first aspect."""
    aspects = aspects or ("battery",)
    return mention_of(origin, watchlist, aspects[0], aspects)


def window(start: datetime, *, source: str = "microblog", aspect: str = "battery", posts: int = 3) -> Window:
    """A bucket in which every post is a sure, negative voice."""
    return Window(
        watchlist="lumora", source=source, aspect=aspect, start=start, posts=posts, voices=posts, negative=posts,
        positive=0, unsure=0, negative_voices=posts, sure_voices=posts,
    )  # fmt: skip


def episode(number: int, *, watchlist: str = "lumora", opened_at: datetime = NOON) -> Episode:
    """A crisis of its own id."""
    return crisis(watchlist=watchlist).episode.model_copy(
        update={"id": content_id("episode", str(number)), "opened_at": opened_at}
    )


def delivery(
    number: int, *, channel: str = "slack", due_at: datetime = NOON, state: DeliveryState = "pending"
) -> Delivery:
    """The opening of episode `number`, on its way to a channel."""
    alert = Alert(event="opened", at=NOON, episode=episode(number))
    return Delivery(alert=alert, channel=channel, state=state, due_at=due_at)


def dead(
    number: int, reason: DeadReason = "malformed_json", *, source: str = "microblog", accepted_at: datetime = NOON
) -> DeadLetter:
    """A record that the accept stage refused."""
    return DeadLetter(
        id=content_id("default", "jsonl", "feed", f"dead-{number}"),
        tenant="default",
        source=source,
        source_kind="jsonl",
        instance="feed",
        native_id=None,
        stage="accept",
        reason=reason,
        detail="Expecting value at character 9",
        raw='{"text": ',
        headers=(("trace", f"7f{number}"), ("author", "[email]")),
        program="0.1.0",
        scorer="lexicon-1",
        accepted_at=accepted_at,
    )


def gap(number: int, *, found_at: datetime = NOON) -> Gap:
    """What a source could not have."""
    return Gap(
        source="feed",
        since=NOON - timedelta(hours=number + 1),
        until=NOON - timedelta(hours=number),
        missed=number,
        detail="the window turned over",
        found_at=found_at,
    )


def drop(origin: Document) -> Drop:
    """A document that no watchlist wants."""
    return Drop(id=origin.id, source=origin.source, accepted_at=origin.accepted_at, rule="no-watchlist")


def silence(number: int, *, watchlist: str | None = "lumora", starts_at: datetime = NOON) -> Silence:
    """Two quiet hours."""
    return Silence(
        id=f"silence-{number}", watchlist=watchlist, starts_at=starts_at, ends_at=starts_at + timedelta(hours=2),
        created_by="mei", comment="known recall",
    )  # fmt: skip


def feedback(
    number: int, *, episode_id: str = "episode-1", at: datetime = NOON, verb: Verb = "acknowledge"
) -> Feedback:
    """Somebody's answer."""
    return Feedback(
        id=f"answer-{number}", episode_id=episode_id, verb=verb, at=at, by="mei", via="page", comment="on it"
    )
