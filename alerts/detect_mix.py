"""Source mix: the negative share of a watchlist rises although no cell's does, because cells that are always more
negative than others have become louder. That is information, and the reason why a plain share would alarm.
"""

import numpy as np

from opinionwatch.alerts.detect_baseline import Baseline, expit
from opinionwatch.alerts.detect_grid import F64, I64, Bool, in_order

MIN_VOICES = 20
NATS = 9.0
"""Binomial deviance of the share of the last two hours from the usual one, without regard to the mix."""
EXPLAINED = 0.6
"""Part of the rise that the mix alone must explain."""


def mixed(baseline: Baseline, rows: I64, judged: Bool) -> Bool:
    """Whether the plain negative share of the last two hours is up, and the mix of cells says why."""
    counts = baseline.ticks[rows].astype(np.float64).sum(axis=1)
    n, k = _total(counts[..., 0]), _total(counts[..., 1])
    expected = _total(counts[..., 0] * expit(baseline.logit[rows]))
    usual = (_total(baseline.k[rows]) + 1) / (_total(baseline.n[rows]) + 5)
    rise = k - n * usual
    by_mix = expected - n * usual
    found: Bool = judged & (n >= MIN_VOICES) & (by_mix >= EXPLAINED * rise) & (rise > 0) & (_nats(n, k, usual) >= NATS)
    return found


def _total(values: F64) -> F64:
    return in_order(in_order(values, 2), 1)


def _nats(n: F64, k: F64, p: F64) -> F64:
    share = np.clip(k / np.maximum(n, 1), 1e-9, 1 - 1e-9)
    nats: F64 = n * (share * np.log(share / p) + (1 - share) * np.log((1 - share) / (1 - p)))
    return nats
