"""A bilingual crisis, written by hand: the alert that tests of alerts share."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from opinionwatch.pipeline.contracts import OpinionTerm
from opinionwatch.pipeline.contracts_trend import (
    Alert,
    AlertEvent,
    Contribution,
    Episode,
    EpisodeKind,
    Exemplar,
    Explanation,
    Interval,
    Severity,
    Signal,
    Silence,
    Term,
    Window,
)

BEGAN = datetime(2026, 3, 8, 14, 5, tzinfo=UTC)
OPENED = datetime(2026, 3, 8, 14, 40, tzinfo=UTC)


def _interval(low: float, value: float, high: float) -> Interval:
    return Interval(low=low, value=value, high=high)


def _contribution(name: str, weight: float, negative: int, expected: float, odds: Interval) -> Contribution:
    return Contribution(
        name=name, weight=weight, voices=negative + 40, negative=negative, expected=expected, odds_ratio=odds
    )


def exemplar(
    text: str, *, lang: str = "en", source: str = "microblog", author: str = "a1b2", url: str | None = None
) -> Exemplar:
    """A negative post about the battery."""
    return Exemplar(
        document_id=f"{abs(hash((text, author))):032x}"[:32],
        source=source,
        author=author,
        url=url,
        lang=lang,
        text=text,
        published_at=BEGAN + timedelta(minutes=10),
        label="negative",
        negative=0.94,
        opinions=(
            OpinionTerm(
                aspect="battery", opinion="dies", polarity="negative", aspect_span=(0, 1), opinion_span=(0, 1),
                confidence=0.9,
            ),
        ),
    )  # fmt: skip


EXEMPLARS = (
    exemplar(
        "The new Lumora update kills the battery: dead by noon, twice this week.", url="https://microblog.example/p/1"
    ),
    exemplar("Battery drain after the update is unbelievable. Shame on you, Lumora.", author="c3d4"),
    exemplar("流墨更新后电池掉电太快，半天就没电了，太失望。", lang="zh", source="forum", author="e5f6"),
    exemplar("Lumora battery swollen after 3 weeks.", source="reviews", author="0789"),
)


def crisis(
    event: AlertEvent = "opened",
    *,
    kind: EpisodeKind = "crisis",
    severity: Severity = "critical",
    watchlist: str = "lumora",
    at: datetime = OPENED,
    exemplars: Sequence[Exemplar] = EXEMPLARS,
    terms: Sequence[str] = ("drain", "overheats", "掉电"),
    aspects: Sequence[str] = ("battery", "software", "price"),
    sources: Sequence[str] = ("microblog", "forum", "news"),
    weights: Sequence[float] = (0.72, 0.12, 0.05),
    once_in_weeks: float = 120.0,
) -> Alert:
    """An alert about Lumora's battery."""
    signal = Signal(
        watchlist=watchlist,
        at=at,
        score=14.2,
        threshold=9.9,
        kind=kind,
        theta=6.0,
        volume_ratio=2.34,
        share_before=_interval(0.19, 0.22, 0.25),
        share_now=_interval(0.66, 0.71, 0.76),
        posts=1512,
        voices=430,
        negative=301,
        expected=94.0,
        aspects=tuple(
            _contribution(name, weight, 140, 32.0, _interval(4.2, 6.1, 8.8))
            for name, weight in zip(aspects, weights, strict=False)
        ),
        sources=tuple(
            _contribution(name, weight, 160, 50.0, _interval(3.0, 4.4, 12.04))
            for name, weight in zip(sources, (weights[0], weights[0] - 0.1, weights[2]), strict=False)
        ),
    )
    resolved = event == "resolved"
    episode = Episode(
        id="ep" + "0" * 30,
        tenant="default",
        watchlist=watchlist,
        kind=kind,
        state="resolved" if resolved else "open",
        severity=severity,
        opened_at=OPENED,
        began_at=BEGAN,
        updated_at=at,
        resolved_at=at if resolved else None,
        peak_score=14.2,
        posts=4200,
        voices=1210,
        negative=2870,
        explanation=Explanation(
            signal=signal,
            terms=tuple(Term(term=term, z=7.1 - place, count=41 - place) for place, term in enumerate(terms)),
            exemplars=tuple(exemplars),
            repost_share=0.12,
            once_in_weeks=once_in_weeks,
        ),
    )
    return Alert(event=event, at=at, episode=episode)


def silence(
    watchlist: str | None = "lumora", *, starts_at: datetime = BEGAN, ends_at: datetime = OPENED + timedelta(hours=1)
) -> Silence:
    """A silence that covers the opening."""
    return Silence(
        id="s1", watchlist=watchlist, starts_at=starts_at, ends_at=ends_at, created_by="mei", comment="known recall"
    )


def windows(hours: int = 8, watchlist: str = "lumora") -> list[Window]:
    """Five-minute windows around the opening: a calm morning, then the crisis, in two sources."""
    start = OPENED - timedelta(hours=hours - 1)
    rows = []
    for step in range(hours * 12):
        moment = start + timedelta(minutes=5 * step)
        for source, share in (("microblog", 6), ("forum", 3)):
            sure = share + (step % 4) + (9 if moment >= BEGAN else 0)
            negative = sure * (7 if moment >= BEGAN else 2) // 10
            rows.append(
                Window(
                    watchlist=watchlist, source=source, aspect="battery", start=moment, posts=sure + 4,
                    voices=sure + 1, negative=negative + 1, positive=1, unsure=1, negative_voices=negative,
                    sure_voices=sure,
                )
            )  # fmt: skip
    return rows
