"""Judge: what a tick's scores mean for the stories of a watchlist, and the explanation when there is one to give."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from opinionwatch.alerts.confusion import corrected
from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.episodes import Evidence as Told
from opinionwatch.alerts.episodes import Verdict
from opinionwatch.alerts.explain import find, once_in_weeks
from opinionwatch.alerts.explain_evidence import Evidence
from opinionwatch.alerts.explain_terms import Terms
from opinionwatch.alerts.explain_words import choose
from opinionwatch.alerts.trend_state import TrendState
from opinionwatch.pipeline.contracts import Confusion
from opinionwatch.pipeline.contracts_trend import Alert, Episode, EpisodeKind, Explanation, Signal
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, start_of

TERMS, EXEMPLARS = 8, 4
EXEMPLAR_TICKS = 72
NEGATIVE_KINDS = ("crisis", "tone shift")
ESCALATION = math.log(10)


@dataclass(frozen=True, slots=True)
class Reading:
    """One watchlist's figures at the end of one tick."""

    tick: int
    row: int
    watchlist: str
    score: float
    """ln M."""
    threshold: float
    """What it takes to be an alarm."""
    flagged: bool
    """Volume is unusual now."""
    mixed: bool
    """The share is up because of which cells are loud, not because any is more negative."""
    volume_ratio: float
    confusion: Mapping[str, Confusion]
    """How the row's scorer errs, by language."""


def judge(state: TrendState, settings: TrendSettings, reading: Reading) -> list[Episode | Alert]:
    """Go on with the stories of one watchlist. Volume and mix open information, never a negative episode."""
    name, threshold = reading.watchlist, reading.threshold
    if reading.flagged:
        state.loud[reading.row] = reading.tick
    found: list[Episode | Alert] = []
    if reading.score >= threshold or state.episodes.is_open(name, "negative"):
        loud = reading.tick - state.loud.get(reading.row, -TICKS_PER_HOUR - 1) <= TICKS_PER_HOUR
        verdict = _verdict(
            state,
            reading,
            "crisis" if loud else "tone shift",
            alarm=reading.score >= threshold and _authors_enough(state, settings, reading),
            calm=reading.score < threshold - settings.episodes.resolve_margin,
            loud=loud and reading.score >= threshold + ESCALATION,
        )
        told, accept = state.episodes.step(reading.tick, verdict)
        found += told
        if accept:
            state.detector.baseline.accept(reading.row)
            state.detector.reset(reading.row)
    if reading.flagged or reading.mixed or state.episodes.is_open(name, "info"):
        unusual = (reading.flagged or reading.mixed) and not state.episodes.is_open(name, "negative")
        kind: EpisodeKind = "source mix" if reading.mixed else "volume surge"
        verdict = _verdict(state, reading, kind, alarm=unusual, calm=not unusual, loud=False)
        found += state.episodes.step(reading.tick, verdict)[0]
    return found


def _authors_enough(state: TrendState, settings: TrendSettings, reading: Reading) -> bool:
    """Whether enough different people stand behind the negative voices: a handful of accounts is no public mood."""
    after = reading.tick - round(settings.detector.authors_h * TICKS_PER_HOUR)
    authors = state.evidence.get(reading.row, Evidence()).authors(after)
    return authors >= settings.detector.min_authors


def _verdict(
    state: TrendState,
    reading: Reading,
    kind: EpisodeKind,
    *,
    alarm: bool,
    calm: bool,
    loud: bool,
) -> Verdict:
    posts, voices, negative, _ = state.tallies.since(reading.row, reading.tick)
    return Verdict(
        watchlist=reading.watchlist,
        family="negative" if kind in NEGATIVE_KINDS else "info",
        kind=kind,
        alarm=alarm,
        calm=calm,
        loud=loud,
        score=reading.score,
        counts=(posts, voices, negative),
        explain=lambda: _explain(state, reading, kind),
    )


def _explain(state: TrendState, reading: Reading, kind: EpisodeKind) -> Told:
    tick, row = reading.tick, reading.row
    is_info = kind not in NEGATIVE_KINDS
    finding = find(state.detector, state.grid, row, tick, ticks=TICKS_PER_HOUR if is_info else None)
    posts, voices, negative, reposts = state.tallies.since(row, finding.onset)
    evidence, langs = state.evidence.get(row, Evidence()), state.langs.of(row)
    after = max(finding.onset - 1, tick - EXEMPLAR_TICKS)
    table = state.terms.get(row, Terms())
    terms = choose(table.since(finding.onset) or table.since(0), evidence.texts(after), TERMS)
    exemplars = evidence.choose(
        after,
        finding.weights,
        {term.term: term.z for term in terms},
        EXEMPLARS,
    )
    signal = Signal(
        watchlist=reading.watchlist,
        at=start_of(tick + 1),
        score=reading.score,
        threshold=reading.threshold,
        kind=kind,
        theta=finding.theta,
        volume_ratio=reading.volume_ratio,
        share_before=corrected(finding.share_before, langs, reading.confusion),
        share_now=corrected(finding.share_now, langs, reading.confusion),
        posts=posts,
        voices=voices,
        negative=finding.negative,
        expected=finding.expected,
        aspects=finding.aspects,
        sources=finding.sources,
    )
    explanation = Explanation(
        signal=signal,
        # What is kept are negative voices: no evidence for news that are not about mood.
        terms=() if is_info else tuple(terms),
        exemplars=() if is_info else exemplars,
        repost_share=reposts / negative if negative else 0.0,
        once_in_weeks=once_in_weeks(reading.score),
    )
    carriers = tuple(s.name for s in finding.sources if s.odds_ratio.low > 1 and s.negative >= 3)
    return Told(explanation, finding.onset, negative, finding.impact, carriers)
