"""Judge silences: the story of a watchlist about which sources have stopped to speak."""

from opinionwatch.alerts.episodes import Evidence as Told
from opinionwatch.alerts.episodes import Verdict
from opinionwatch.alerts.explain import wilson
from opinionwatch.alerts.trend_state import TrendState
from opinionwatch.pipeline.contracts_trend import Alert, Contribution, Episode, Explanation, Interval, Signal
from opinionwatch.pipeline.ticks import start_of


def judge_silence(state: TrendState, tick: int, row: int, watchlist: str) -> list[Episode | Alert]:
    """Go on with the story of the row's silent sources, of which there may be none any more."""
    silent = state.nodata.silent.get(row, {})
    verdict = Verdict(
        watchlist=watchlist,
        family="data",
        kind="no data",
        alarm=bool(silent),
        calm=not silent,
        loud=False,
        score=0.0,
        counts=(0, 0, 0),
        explain=lambda: _explain(state, tick, row, watchlist),
    )
    told, given_up = state.episodes.step(tick, verdict)
    if given_up:
        state.nodata.give_up(row)
    return told


def _explain(state: TrendState, tick: int, row: int, watchlist: str) -> Told:
    """Who is silent, and how many posts are missed. There is no share of nothing, so it is 0 … 1."""
    silent = state.nodata.silent.get(row, {})
    unknown = wilson(0, 0)
    missed = sum(silent.values())
    signal = Signal(
        watchlist=watchlist,
        at=start_of(tick + 1),
        score=0.0,
        threshold=0.0,
        kind="no data",
        theta=1.0,
        volume_ratio=0.0,
        share_before=unknown,
        share_now=unknown,
        posts=0,
        voices=0,
        negative=0,
        expected=0.0,
        aspects=(),
        sources=tuple(
            Contribution(
                name=source,
                weight=posts / missed,
                voices=0,
                negative=0,
                expected=0.0,
                odds_ratio=Interval(low=0.0, value=1.0, high=1.0),
            )
            for source, posts in sorted(silent.items(), key=lambda item: (-item[1], item[0]))
        ),
    )
    explanation = Explanation(signal=signal, terms=(), exemplars=(), repost_share=0.0, once_in_weeks=0.0)
    return Told(explanation, state.nodata.since(row), 0, 0.0, tuple(sorted(silent)))
