"""A store for the page to show: three brands over eight days, one of them in a crisis, in English and Chinese."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import (
    Document,
    Label,
    Match,
    OpinionTerm,
    Reading,
    ScoredDocument,
    Sentiment,
    content_id,
)
from opinionwatch.pipeline.contracts_trend import (
    Alert,
    Contribution,
    Delivery,
    Episode,
    Exemplar,
    Explanation,
    Interval,
    Signal,
    Term,
    Window,
)
from opinionwatch.pipeline.mention import mention_of
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.sample import dead, drop

NOW = datetime(2026, 3, 8, 16, 30, tzinfo=UTC)
BEGAN = datetime(2026, 3, 8, 12, 5, tzinfo=UTC)
OPENED = datetime(2026, 3, 8, 12, 40, tzinfo=UTC)
WATCHLISTS = (("lumora", "Lumora 流墨"), ("skyfare", "Skyfare"), ("kumobean", "Kumobean"))
SOURCES = ("microblog", "forum", "reviews", "video")
ASPECTS = {
    "lumora": ("battery", "camera", "price", "general"),
    "skyfare": ("punctuality", "staff", "general"),
    "kumobean": ("taste", "queue", "general"),
}


@dataclass(frozen=True, slots=True)
class Post:
    """A text with what is to be found in it: (aspect, opinion, polarity)."""

    watchlist: str
    lang: str
    label: Label
    text: str
    found: tuple[tuple[str | None, str, Label], ...] = ()
    unsure: bool = False


POSTS = (
    Post("lumora", "en", "negative", "Third day with the update and my Lumora battery is dead by noon. Awful.",
         (("battery", "dead by noon", "negative"), (None, "Awful", "negative"))),
    Post("lumora", "zh", "negative", "流墨更新后电池掉电太快，半天就没电了，太失望了。客服还一直敷衍。",
         (("电池", "掉电太快", "negative"), ("客服", "敷衍", "negative"))),
    Post("skyfare", "en", "positive", "Boarding with Skyfare was quick and the crew were lovely, even at 6 am.",
         (("Boarding", "quick", "positive"), ("crew", "lovely", "positive"))),
    Post("kumobean", "zh", "positive", "云豆新出的燕麦拿铁很香，排队也不长，推荐。",
         (("燕麦拿铁", "很香", "positive"), ("排队", "不长", "positive"))),
    Post("lumora", "en", "negative", "Is it just me or does Lumora overheat while charging? The screen is gorgeous.",
         ((None, "overheat while charging", "negative"), ("screen", "gorgeous", "positive")), unsure=True),
    Post("skyfare", "zh", "neutral", "天帆航空下月新开上海到曼谷航线，每天一班。"),
    Post("lumora", "zh", "negative", "充一晚上电，中午就剩两成，这电池是来搞笑的吗？\n退货！",
         (("电池", "搞笑", "negative"),)),
    Post("kumobean", "en", "negative", "Kumobean queue was endless and my flat white came out lukewarm.",
         (("queue", "endless", "negative"), ("flat white", "lukewarm", "negative"))),
    Post("lumora", "en", "positive", "Camera on the Lumora is still the best I have had at this price.",
         (("Camera", "best", "positive"),)),
    Post("skyfare", "en", "negative", "Skyfare left two hours late and nobody told us anything at the gate.",
         ((None, "two hours late", "negative"),)),
)  # fmt: skip


def reading(post: Post) -> Reading:
    """What a scorer would make of it, with spans where the words stand."""
    sure = 0.52 if post.unsure else 0.94
    rest = (1 - sure) / 2
    probability = {label: sure if label == post.label else rest for label in ("negative", "neutral", "positive")}
    return Reading(
        sentiment=Sentiment(label=post.label, unsure=post.unsure, **probability),
        opinions=tuple(_opinion(post.text, *found) for found in post.found),
    )


def _opinion(text: str, aspect: str | None, opinion: str, polarity: Label) -> OpinionTerm:
    def span(words: str) -> tuple[int, int]:
        begin = text.index(words)
        return begin, begin + len(words)

    return OpinionTerm(
        aspect=aspect,
        opinion=opinion,
        polarity=polarity,
        aspect_span=None if aspect is None else span(aspect),
        opinion_span=span(opinion),
        confidence=0.9,
    )


def scored(post: Post, number: int, published_at: datetime, *, url: str | None = None) -> ScoredDocument:
    """The post as the index holds it."""
    source = SOURCES[number % len(SOURCES)]
    native_id = f"{source}-{number}"
    document = Document(
        id=content_id("default", "jsonl", "sample", native_id),
        tenant="default",
        source=source,
        source_kind="jsonl",
        instance="sample",
        native_id=native_id,
        text=post.text,
        author=f"{number:016x}",
        url=url or f"https://{source}.example/p/{number}",
        published_at=published_at,
        accepted_at=published_at + timedelta(seconds=20),
    )
    return ScoredDocument(
        document=document,
        lang=post.lang,
        lang_confidence=0.99,
        fingerprint="00ff00ff00ff00ff",
        matches=(Match(watchlist=post.watchlist, clause=f"name: {post.watchlist}", spans=()),),
        reading=reading(post),
        scorer="by-hand",
    )


def windows() -> Iterator[Window]:
    """Eight days of counts: calm, with a day's rhythm; about the battery of one brand a crisis in the last hours."""
    rng = Random(7)
    start = NOW - timedelta(days=8)
    while start < NOW:
        for watchlist, aspects in ASPECTS.items():
            for source in SOURCES:
                for aspect in aspects:
                    yield from _window(rng, watchlist, source, aspect, start)
        start += timedelta(minutes=5)


def _window(rng: Random, watchlist: str, source: str, aspect: str, start: datetime) -> Iterator[Window]:
    hour = start.hour + start.minute / 60
    rate = 0.06 * (1 + 0.8 * (1 - abs(hour - 14) / 12))
    negative = 0.14
    if watchlist == "lumora" and aspect == "battery" and start >= BEGAN:
        rate, negative = 0.62, 0.82
    if watchlist == "skyfare" and start >= NOW - timedelta(hours=7):
        rate *= 3.4
    posts = sum(rng.random() < rate / 4 for _ in range(4))
    if not posts:
        return
    unsure = sum(rng.random() < 0.07 for _ in range(posts))
    sure = posts - unsure
    bad = sum(rng.random() < negative for _ in range(sure))
    good = sum(rng.random() < 0.5 for _ in range(sure - bad))
    yield Window(
        watchlist=watchlist, source=source, aspect=aspect, start=start, posts=posts, voices=posts, negative=bad,
        positive=good, unsure=unsure, negative_voices=bad, sure_voices=sure,
    )  # fmt: skip


def _contribution(name: str, weight: float, voices: int, negative: int, expected: float, odds: float) -> Contribution:
    interval = Interval(low=odds * 0.6, value=odds, high=odds * 1.5)
    return Contribution(
        name=name, weight=weight, voices=voices, negative=negative, expected=expected, odds_ratio=interval
    )


def exemplar(document: ScoredDocument) -> Exemplar:
    """A document as evidence."""
    return Exemplar(
        document_id=document.id,
        source=document.document.source,
        author=document.document.author,
        url=document.document.url,
        lang=document.lang,
        text=document.document.text,
        published_at=document.document.published_at,
        label=document.reading.sentiment.label,
        negative=document.reading.sentiment.negative,
        opinions=document.reading.opinions,
    )


def crisis(exemplars: Sequence[ScoredDocument]) -> Episode:
    """The crisis about the battery, as it stands now."""
    signal = Signal(
        watchlist="lumora",
        at=NOW,
        score=17.3,
        threshold=9.9,
        kind="crisis",
        theta=6.0,
        volume_ratio=3.8,
        share_before=Interval(low=0.12, value=0.14, high=0.17),
        share_now=Interval(low=0.47, value=0.54, high=0.60),
        posts=231,
        voices=188,
        negative=102,
        expected=26.4,
        aspects=(
            _contribution("battery", 0.91, 121, 94, 16.9, 11.2),
            _contribution("general", 0.06, 41, 6, 5.7, 1.2),
            _contribution("camera", 0.03, 26, 2, 3.8, 0.7),
        ),
        sources=(
            _contribution("microblog", 0.48, 84, 47, 11.8, 6.3),
            _contribution("forum", 0.31, 52, 30, 7.3, 6.0),
            _contribution("video", 0.16, 31, 16, 4.3, 5.1),
        ),
    )
    explanation = Explanation(
        signal=signal,
        terms=tuple(
            Term(term=term, z=z, count=count)
            for term, z, count in (
                ("电池", 8.9, 41), ("掉电", 8.1, 33), ("dead by noon", 6.4, 12), ("battery", 6.1, 38),
                ("update", 5.2, 29), ("没电", 4.6, 17), ("drain", 4.1, 14), ("refund", 3.2, 9), ("overheats", 2.6, 6),
            )
        ),
        exemplars=tuple(exemplar(document) for document in exemplars),
        repost_share=0.19,
        once_in_weeks=1650.0,
    )  # fmt: skip
    return Episode(
        id=content_id("default", "lumora", "negative", OPENED.isoformat()),
        tenant="default",
        watchlist="lumora",
        kind="crisis",
        state="escalated",
        severity="critical",
        opened_at=OPENED,
        began_at=BEGAN,
        updated_at=NOW,
        resolved_at=None,
        peak_score=17.3,
        posts=231,
        voices=188,
        negative=102,
        explanation=explanation,
    )


def surge(like: Episode) -> Episode:
    """A launch: many posts, the usual mood."""
    opened_at = NOW - timedelta(hours=6)
    signal = like.explanation.signal.model_copy(
        update={
            "watchlist": "skyfare", "kind": "volume surge", "volume_ratio": 3.4, "aspects": (), "score": 1.2,
            "share_now": Interval(low=0.10, value=0.13, high=0.17), "negative": 31, "expected": 33.0, "posts": 240,
        }
    )  # fmt: skip
    return like.model_copy(
        update={
            "id": content_id("surge"), "watchlist": "skyfare", "kind": "volume surge", "state": "open",
            "severity": "info", "began_at": opened_at, "opened_at": opened_at,
            "explanation": like.explanation.model_copy(update={"signal": signal, "terms": (), "exemplars": ()}),
        }
    )  # fmt: skip


def past(like: Episode) -> Episode:
    """An older story that has ended."""
    began = NOW - timedelta(days=5)
    signal = like.explanation.signal.model_copy(update={"watchlist": "kumobean", "kind": "tone shift"})
    return like.model_copy(
        update={
            "id": content_id("past"), "watchlist": "kumobean", "kind": "tone shift", "state": "resolved",
            "severity": "warning", "began_at": began, "opened_at": began + timedelta(minutes=50),
            "resolved_at": began + timedelta(hours=7),
            "explanation": like.explanation.model_copy(update={"signal": signal}),
        }
    )  # fmt: skip


def deliveries(episode: Episode) -> list[Delivery]:
    """Two events, three channels."""
    opened = Alert(event="opened", at=OPENED, episode=episode.model_copy(update={"state": "open"}))
    escalated = Alert(event="escalated", at=OPENED + timedelta(hours=1), episode=episode)
    return [
        Delivery(alert=opened, channel="terminal", state="sent", attempts=1, due_at=opened.at),
        Delivery(alert=opened, channel="slack", state="sent", attempts=3, due_at=opened.at),
        Delivery(alert=opened, channel="email", state="failed", attempts=5, due_at=opened.at,
                 detail="550 no such mailbox"),
        Delivery(alert=escalated, channel="slack", state="pending", due_at=escalated.at),
    ]  # fmt: skip


def documents(count: int = 40) -> list[ScoredDocument]:
    """The posts over and over, newest last."""
    return [
        scored(POSTS[number % len(POSTS)], number, NOW - timedelta(minutes=3 * (count - number)))
        for number in range(count)
    ]


def write(store: SqliteStore, scored_documents: Sequence[ScoredDocument]) -> None:
    """Admit and index documents, as a runtime does in one transaction."""
    with store.transaction():
        store.admit(scored_document.document for scored_document in scored_documents)
        store.write(scored_documents)
        store.write(
            mention_of(one, match.watchlist, "general", ("general",))
            for one in scored_documents
            for match in one.matches
        )


def fill(path: Path, *, with_crisis: bool = True) -> SqliteArchive:
    """Make the store, and open it for reading."""
    store = SqliteStore(path)
    found = documents()
    write(store, found)
    left_out = scored(POSTS[5], 900, NOW - timedelta(hours=2)).document
    letters = [dead(n, "malformed_json", accepted_at=NOW - timedelta(hours=n)) for n in range(3)]
    letters.append(dead(9, "too_large", source="feed", accepted_at=NOW - timedelta(hours=30)))
    with store.transaction():
        store.write(windows())
        store.admit([left_out, *letters])
        store.write([drop(left_out), *letters])
        episode = crisis([found[0], found[1], found[6]])
        store.write([past(episode), surge(episode)])
        if with_crisis:
            store.write([episode, *deliveries(episode)])
        store.save_progress(NOW)
    store.close()
    return SqliteArchive(path)
