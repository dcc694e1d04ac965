"""Which terms are over-represented in the negative voices of the last two hours: log-odds with an informative Dirichlet
prior (Monroe, Colaresi, Quinn 2008, "Fightin' Words", eq. 16 and 22) against the watchlist's own slow counts.
"""

import math
from collections.abc import Collection, Mapping

from opinionwatch.pipeline.contracts_trend import Term
from opinionwatch.pipeline.snapshots import Facts
from opinionwatch.pipeline.ticks import TICKS_PER_DAY, TICKS_PER_HOUR

FAST_TICKS = 24
HALF_LIFE = 10 * TICKS_PER_DAY
MAX_TERMS = 4_000
PRIOR = 0.1
"""Weight of the prior, as a part of all that was counted."""
MIN_Z = 1.0


class Terms:
    """Term counts of one watchlist's negative voices: tick by tick for 2 hours, then discounted and bounded."""

    def __init__(self) -> None:
        self._fast: list[tuple[int, dict[str, float]]] = []
        self._slow: dict[str, float] = {}
        self._slow_at = 0

    def add(self, tick: int, counts: Mapping[str, float]) -> None:
        """Count the terms of one tick. Ticks must not go back."""
        if not self._fast or self._fast[-1][0] != tick:
            self._expire(tick)
            self._fast.append((tick, {}))
        fast = self._fast[-1][1]
        for term, count in counts.items():
            fast[term] = fast.get(term, 0.0) + count

    def top(self, tick: int, limit: int) -> list[Term]:
        """The terms that stand out most at this tick, strongest first; overlapping ones are named once."""
        self._expire(tick)
        fast: dict[str, float] = {}
        for _, counts in self._fast:
            for term, count in counts.items():
                fast[term] = fast.get(term, 0.0) + count
        least = 2 if sum(fast.values()) > 0 else 1
        scored = [
            Term(term=term, z=z, count=round(fast[term]))
            for term, z in self._log_odds(fast).items()
            if z >= MIN_Z and fast[term] >= least
        ]
        scored.sort(key=lambda found: (-found.z, -len(found.term), found.term))
        chosen: list[Term] = []
        for found in scored:
            if len(chosen) == limit:
                break
            if not any(_overlap(found.term, other.term) for other in chosen):
                chosen.append(found)
        return chosen

    def _log_odds(self, fast: Mapping[str, float]) -> dict[str, float]:
        now, before = math.fsum(fast.values()), math.fsum(self._slow.values())
        weight = PRIOR * (now + before)
        found = {}
        for term, count in fast.items():
            usual = self._slow.get(term, 0.0)
            prior = PRIOR * (count + usual)
            here, there = count + prior, usual + prior
            odds = here / max(now + weight - here, 1.0)
            usual_odds = there / max(before + weight - there, 1.0)
            found[term] = math.log(odds / usual_odds) / math.sqrt(1 / here + 1 / there)
        return found

    def _expire(self, tick: int) -> None:
        """What is older than two hours becomes part of the slow counts."""
        for at, counts in [entry for entry in self._fast if entry[0] <= tick - FAST_TICKS]:
            if at - self._slow_at >= TICKS_PER_HOUR:
                fade = 0.5 ** ((at - self._slow_at) / HALF_LIFE)
                self._slow = {term: count * fade for term, count in self._slow.items()}
                self._slow_at = at
            for term, count in counts.items():
                self._slow[term] = self._slow.get(term, 0.0) + count
            if len(self._slow) > MAX_TERMS:
                kept = sorted(self._slow.items(), key=lambda item: (-item[1], item[0]))[: MAX_TERMS * 3 // 4]
                self._slow = dict(kept)
        self._fast = [entry for entry in self._fast if entry[0] > tick - FAST_TICKS]

    def save(self) -> Facts:
        """All counts."""
        return {
            "fast": [[at, dict(counts)] for at, counts in self._fast],
            "slow": dict(self._slow),
            "slow_at": self._slow_at,
        }

    @classmethod
    def of(cls, saved: Facts) -> "Terms":
        """What `save` gave, alive again."""
        terms = cls()
        terms._fast = [(at, counts) for at, counts in saved["fast"]]
        terms._slow, terms._slow_at = saved["slow"], saved["slow_at"]
        return terms


def _overlap(one: str, other: str) -> bool:
    """Whether two terms are pieces of each other: contained, or (n-grams) the end of one is the start of the other."""
    if one in other or other in one:
        return True
    if one.isascii() or other.isascii():
        return False
    return any(one[-size:] == other[:size] or other[-size:] == one[:size] for size in (1, 2))


def count_terms(texts: Collection[Collection[str]]) -> dict[str, float]:
    """In how many texts each term stands."""
    counts: dict[str, float] = {}
    for terms in texts:
        for term in sorted(terms):
            counts[term] = counts.get(term, 0.0) + 1
    return counts
