"""The trend hop as one stage: mentions and progress in; windows, episodes and alerts out.

    deduplicate → cluster → aggregate → detect → explain → episodes

Mentions wait in their tick of `accepted_at` (a later version in that of its own acceptance) until `Progress` has passed
its end; then the tick is folded in the order of the mentions' ids. So the outputs are a function of the log alone: they
are the same, bit for bit, however the log is cut into batches, in whichever order mentions stand between two marks of
progress, and whenever the state is saved and restored. Only a mention that arrives after progress has passed it (the
runtime promises there is none) is counted in the next tick instead.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import numpy as np

from opinionwatch.alerts.calibration import Curve
from opinionwatch.alerts.detect_grid import I64
from opinionwatch.alerts.detect_mix import mixed
from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.explain_evidence import Evidence
from opinionwatch.alerts.explain_terms import Terms, count_terms
from opinionwatch.alerts.thresholds import Thresholds
from opinionwatch.alerts.trend_fold import Fold, cells_of
from opinionwatch.alerts.trend_judge import Reading, judge
from opinionwatch.alerts.trend_silence import judge_silence
from opinionwatch.alerts.trend_state import TrendState
from opinionwatch.pipeline.contracts import Confusion, Mention
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.contracts_trend import Alert, Episode, Window
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, Away, Progress, Watched, tick_of


class Trend:
    """The trend hop of one partition: all its watchlists, one array program."""

    def __init__(
        self,
        settings: TrendSettings,
        tenant: str,
        curves: Sequence[Curve] = (),
        confusion: Mapping[str, Mapping[str, Confusion]] | None = None,
    ) -> None:
        """`curves` are the calibrations there have been, each from its moment on; `confusion` says how scorers err, by
        version and language.
        """
        self._settings = settings
        self._confusion = confusion or {}
        self._thresholds = Thresholds(settings.detector, curves)
        self._tenant = tenant
        self._state = TrendState(settings, tenant)

    def __call__(self, batch: Sequence[object], now: datetime) -> Sequence[Window | Episode | Alert]:
        """Take `Mention`, `Withdrawal`, `Away`, `Watched` and `Progress` records; returns what the ticks closed by this
        batch bring, and the stories that end since their sources are watched no more.
        """
        del now
        state, up_to = self._state, 0
        found: list[Window | Episode | Alert] = []
        for record in batch:
            if isinstance(record, Mention | Withdrawal):
                tick = max(tick_of(_heard_at(record)), state.closed + 1)
                state.pending.add(tick, record)
            elif isinstance(record, Away):
                state.nodata.pass_over(tick_of(record.since), tick_of(record.until))
            elif isinstance(record, Watched):
                found += state.keep(record)
            elif isinstance(record, Progress):
                up_to = max(up_to, tick_of(record.up_to))
            else:
                raise TypeError(
                    f"the trend stage takes mentions, withdrawals and what `ticks` has, not {type(record).__name__}"
                )
        while (tick := self._next(up_to)) < up_to:
            found += self._close(tick)
        return found

    def snapshot(self) -> bytes:
        """All of the state, versioned."""
        return self._state.save()

    def restore(self, snapshot: bytes) -> None:
        """Take over a state. Raises FatalError when it is damaged or of another version."""
        state = TrendState(self._settings, self._tenant)
        state.load(snapshot)
        self._state = state

    def forget(self, mentions: Sequence[Mention], authors: Collection[str]) -> None:
        """Erase what these mentions say and who these authors are; what was counted of them stays counted."""
        self._state.forget(mentions, authors)

    def _next(self, up_to: int) -> int:
        """The next tick in which something can happen: one with mentions, the first of an hour while somebody may turn
        out to be silent, any while an episode is open.
        """
        state = self._state
        waiting = state.pending.first(up_to)
        look = state.nodata.next_look(state.closed)
        waiting = waiting if look is None else min(waiting, look)
        return min(waiting, state.closed + 1) if state.episodes.open_watchlists() else waiting

    def _close(self, tick: int) -> list[Window | Episode | Alert]:
        state = self._state
        if tick // TICKS_PER_HOUR > state.closed // TICKS_PER_HOUR:
            state.voices.forget(tick)
            state.windows.forget(tick)
            state.folding.forget(tick)
        state.closed = tick
        fold = state.folding.fold(state.pending.take(tick), tick)
        state.make_room()
        for row in sorted(fold.rebased):
            state.detector.baseline.forget(row)
            state.detector.reset(row)
        self._remember(fold, tick)
        found: list[Window | Episode | Alert] = []
        if fold.outdated:
            found += state.retract(fold.outdated)
        watched = {state.grid.watchlists[name] for name in state.episodes.open_watchlists()}
        rows: I64 = np.array(sorted(fold.rows() | watched), np.int64)
        counts = state.grid.counts(rows)
        score = state.detector.step(tick, rows, cells_of(fold.cells), cells_of(fold.late), counts)
        timely = np.array([fold.timely.get(row, 0) for row in rows.tolist()], np.float64)
        surprise, ratio = state.volume.step(tick, rows, timely)
        flagged = surprise >= self._settings.volume.flag_at
        found += state.windows.take()
        mix = mixed(state.detector.baseline, rows, state.detector.judged(rows))
        threshold = self._thresholds.at(tick)
        busy = flagged | mix | (score >= threshold) | np.isin(rows, list(watched))
        names = list(state.grid.watchlists)
        for place in np.flatnonzero(busy).tolist():
            row = int(rows[place])
            reading = Reading(
                tick,
                row,
                names[row],
                float(score[place]),
                threshold,
                flagged=bool(flagged[place]),
                mixed=bool(mix[place]),
                volume_ratio=float(ratio[place]),
                confusion=self._settings.confusion or self._confusion.get(state.folding.scorers[row][-1], {}),
            )
            found += judge(state, self._settings, reading)
        silent = state.nodata.rows() | {row for row in watched if state.episodes.is_open(names[row], "data")}
        for row in sorted(silent):
            found += judge_silence(state, tick, row, names[row])
        return found

    def _remember(self, fold: Fold, tick: int) -> None:
        """Keep what an explanation will need."""
        state = self._state
        state.tallies.add(tick, fold.tallies)
        state.nodata.hear(fold.heard, tick)
        state.langs.add(fold.langs)
        for row, voices in fold.voices.items():
            state.terms.setdefault(row, Terms()).add(tick, count_terms([voice.terms for voice in voices]))
            evidence = state.evidence.setdefault(row, Evidence())
            for voice in voices:
                evidence.add(voice)


def _heard_at(record: Mention | Withdrawal) -> datetime:
    return record.at if isinstance(record, Withdrawal) else record.revised_at or record.accepted_at
