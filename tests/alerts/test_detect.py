"""The share detector on counts."""

import numpy as np
import pytest

from opinionwatch.alerts.detect import ShareDetector
from opinionwatch.alerts.detect_baseline import Cells, expit
from opinionwatch.alerts.detect_grid import F64, OTHER, Grid, in_order
from opinionwatch.alerts.detect_settings import DetectorSettings
from opinionwatch.alerts.explain import find
from opinionwatch.pipeline.ticks import TICKS_PER_DAY

S, A = 3, 4
THRESHOLD = DetectorSettings().threshold
FIRST = 5_000_000


def cells(counts: F64) -> Cells:
    """Counts [watchlist, source, aspect, (n, k)] as cells."""
    row, source, aspect = np.nonzero(counts[..., 0])
    return Cells(row, source, aspect, counts[row, source, aspect, 0], counts[row, source, aspect, 1])


NONE = cells(np.zeros((0, S, A, 2)))


class World:
    """Watchlists that speak with a constant share, and what is planted into it."""

    def __init__(self, watchlists: int, seed: int = 7) -> None:
        self.chance = np.random.default_rng(seed)
        self.grid = Grid(8, 8)
        for row in range(watchlists):
            self.grid.row(f"w{row}")
            for source in range(S):
                for aspect in range(A):
                    self.grid.cell(row, f"s{source}", f"a{aspect}")
        self.detector = ShareDetector(self.grid.sizes, 60)
        self.rows = np.arange(watchlists)
        self.tick = FIRST

    def day(self, share: F64 | float, rate: F64 | float = 0.4, days: float = 1.0) -> F64:
        """Scores [tick, watchlist] of some days at this share per cell."""
        scores = []
        for _ in range(round(days * TICKS_PER_DAY)):
            n = self.chance.poisson(rate, (len(self.rows), S, A))
            k = self.chance.binomial(n, np.broadcast_to(share, n.shape))
            counts = np.stack([n, k], axis=-1).astype(np.float64)
            scores.append(self.detector.step(self.tick, self.rows, cells(counts), NONE, self.grid.counts(self.rows)))
            self.tick += 1
        return np.array(scores)


def test_a_constant_share_keeps_within_the_false_alarm_budget() -> None:
    world = World(60)
    scores = world.day(0.2, days=6)
    weeks = scores.size / 2016
    alarms = ((scores[1:] >= THRESHOLD) & (scores[:-1] < THRESHOLD)).sum()
    assert alarms <= DetectorSettings().false_alarms_per_week * weeks


@pytest.mark.parametrize("rare", [0.01, 0.05])
def test_what_is_negative_always_is_no_alarm_however_little_of_it_is_learned_yet(rare: float) -> None:
    world = World(20)
    share, rate = np.full((S, A), 0.05), np.full((S, A), 5 * rare)
    share[:, 3], rate[:, 3] = 1.0, rare
    assert world.day(share, rate, days=6).max() < THRESHOLD


def test_a_raised_aspect_is_found_within_hours_and_named() -> None:
    world = World(6)
    assert world.day(0.2, days=4).max() < THRESHOLD
    raised = np.full((6, S, A), 0.2)
    raised[:, :, 2] = 0.6
    scores = world.day(raised, days=36 / TICKS_PER_DAY)
    found = np.flatnonzero(scores[-1] >= THRESHOLD)
    assert len(found) >= 4
    for row in found.tolist():
        finding = find(world.detector, world.grid, row, world.tick - 1)
        assert finding.aspects[0].name == "a2"
        assert finding.aspects[0].odds_ratio.low > 1
        assert abs(finding.onset - (world.tick - 36)) <= 18
        assert finding.share_before.value < finding.share_now.value


def test_ten_times_the_volume_at_the_same_share_is_no_alarm() -> None:
    world = World(20)
    world.day(0.2, days=4)
    assert world.day(0.2, rate=4.0, days=0.5).max() < THRESHOLD


def test_the_score_falls_again_when_the_share_returns() -> None:
    world = World(4)
    world.day(0.2, days=4)
    assert (world.day(0.7, days=0.25)[-1] >= THRESHOLD).all()
    assert (world.day(0.2, days=1)[-1] < THRESHOLD - 2).all()


def test_an_event_does_not_become_its_own_baseline_before_three_days() -> None:
    world = World(2)
    world.day(0.2, days=4)
    before = world.detector.baseline.logit.copy()
    world.day(0.6, days=2)
    assert np.allclose(world.detector.baseline.logit[:2, :S, :A], before[:2, :S, :A], atol=0.3)


def test_an_event_that_is_over_when_its_hours_are_due_is_not_learned_and_the_quiet_day_before_it_is() -> None:
    world = World(2)
    world.day(0.2, days=4)
    before = world.detector.baseline.total.copy()
    world.day(0.7, days=0.5)
    world.day(0.2, days=2)
    usual = expit(world.detector.baseline.logit[:2, :S, :A]).mean()
    assert usual == pytest.approx(0.2, abs=0.02)
    learned = world.detector.baseline.total[:2] - before[:2]
    assert (learned > 0.8 * S * A * 0.4 * 2 * TICKS_PER_DAY * 0.75).all()


def test_after_three_days_of_suspicion_the_new_mood_is_learned() -> None:
    world = World(2)
    world.day(0.2, days=4)
    world.day(0.6, days=6)
    assert expit(world.detector.baseline.logit[:2, :S, :A]).mean() > 0.3


def test_spare_capacity_changes_no_bit() -> None:
    tight, roomy = World(3), World(3)
    roomy.grid.sizes = (64, 8, 16)
    roomy.detector.grow(roomy.grid.sizes)
    assert (tight.day(0.3, days=2) == roomy.day(0.3, days=2)).all()


def test_a_quiet_watchlist_is_judged_as_if_every_tick_had_been_looked_at() -> None:
    watched, left = World(1), World(1)
    watched.day(0.2, days=3)
    left.day(0.2, days=3)
    rows = np.arange(1)
    for tick in range(watched.tick, watched.tick + 50):
        score = watched.detector.step(tick, rows, NONE, NONE, watched.grid.counts(rows))
    assert score == pytest.approx(left.detector.step(left.tick + 49, rows, NONE, NONE, left.grid.counts(rows)))


def test_sources_beyond_the_limit_are_counted_together() -> None:
    grid = Grid(3, 2)
    row = grid.row("w")
    assert [grid.cell(row, name, "a")[0] for name in ("x", "y", "z", "v", "x")] == [0, 1, 2, 2, 0]
    assert list(grid.sources[row]) == ["x", "y", OTHER]


def test_a_sum_in_order_does_not_care_for_zeros_behind_it() -> None:
    values = np.random.default_rng(1).random((3, 13))
    padded = np.concatenate([values, np.zeros((3, 51))], axis=1)
    assert (in_order(values, 1) == in_order(padded, 1)).all()
