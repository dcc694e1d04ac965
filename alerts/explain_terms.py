"""Which terms are over-represented in the negative voices of a finding: log-odds with an informative Dirichlet prior
(Monroe, Colaresi, Quinn 2008, "Fightin' Words", eq. 16 and 22) against the watchlist's own negative voices before it.
"""

import math
from collections.abc import Collection, Mapping

from opinionwatch.pipeline.contracts_trend import Term
from opinionwatch.pipeline.snapshots import Facts
from opinionwatch.pipeline.ticks import TICKS_PER_DAY

SLOT = 3
"""Ticks that share a table: 15 minutes."""
FAST_TICKS = TICKS_PER_DAY
HALF_LIFE = 10 * TICKS_PER_DAY
FADE_TICKS = 12
MAX_TERMS = 4_000
PRIOR = 0.1
"""Weight of the prior, as a part of all that was counted."""
MIN_Z, MIN_COUNT = 1.0, 2


class Terms:
    """Term counts of one watchlist's negative voices: by quarter of an hour for a day, then discounted and bounded."""

    def __init__(self) -> None:
        self._fast: list[tuple[int, dict[str, float]]] = []
        self._slow: dict[str, float] = {}
        self._slow_at = 0

    def add(self, tick: int, counts: Mapping[str, float]) -> None:
        """Count the terms of one tick. Ticks must not go back."""
        slot = tick // SLOT
        if not self._fast or self._fast[-1][0] != slot:
            self._expire(slot)
            self._fast.append((slot, {}))
        fast = self._fast[-1][1]
        for term, count in counts.items():
            fast[term] = fast.get(term, 0.0) + count

    def since(self, tick: int, min_count: int = MIN_COUNT) -> list[Term]:
        """The terms that stand out since that tick (at most a day back), strongest first; a term that was said less
        often than `min_count` is none.
        """
        now: dict[str, float] = {}
        before = dict(self._slow)
        for slot, counts in self._fast:
            table = now if slot >= tick // SLOT else before
            for term, count in counts.items():
                table[term] = table.get(term, 0.0) + count
        found = [
            Term(term=term, z=z, count=round(now[term]))
            for term, z in _log_odds(now, before).items()
            if z >= (MIN_Z if now[term] >= MIN_COUNT else 0.0) and now[term] >= min_count
        ]
        return sorted(found, key=lambda term: (-term.z, len(term.term), term.term))

    def forget(self, tick: int, terms: Collection[str]) -> None:
        """Take back one text's terms, as far as they were counted: at its tick, else wherever they still are."""
        for term in terms:
            tables = [counts for slot, counts in self._fast if term in counts and slot >= tick // SLOT]
            for table in [*tables, self._slow][:1]:
                if table.get(term, 0.0) > 1:
                    table[term] -= 1
                else:
                    table.pop(term, None)

    def _expire(self, slot: int) -> None:
        """What is older than a day becomes part of the slow counts."""
        oldest = slot - FAST_TICKS // SLOT
        for at, counts in [entry for entry in self._fast if entry[0] <= oldest]:
            if at * SLOT - self._slow_at >= FADE_TICKS:
                fade = 0.5 ** ((at * SLOT - self._slow_at) / HALF_LIFE)
                self._slow = {term: count * fade for term, count in self._slow.items()}
                self._slow_at = at * SLOT
            for term, count in counts.items():
                self._slow[term] = self._slow.get(term, 0.0) + count
            if len(self._slow) > MAX_TERMS:
                kept = sorted(self._slow.items(), key=lambda item: (-item[1], item[0]))[: MAX_TERMS * 3 // 4]
                self._slow = dict(kept)
        self._fast = [entry for entry in self._fast if entry[0] > oldest]

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


def count_terms(texts: Collection[Collection[str]]) -> dict[str, float]:
    """In how many texts each term stands."""
    counts: dict[str, float] = {}
    for terms in texts:
        for term in sorted(terms):
            counts[term] = counts.get(term, 0.0) + 1
    return counts


def _log_odds(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """z of every term of `now`: positive when it is said more often than before."""
    total, total_before = math.fsum(now.values()), math.fsum(before.values())
    weight = PRIOR * (total + total_before)
    found = {}
    for term, count in now.items():
        usual = before.get(term, 0.0)
        prior = PRIOR * (count + usual)
        here, there = count + prior, usual + prior
        odds = here / max(total + weight - here, 1.0)
        usual_odds = there / max(total_before + weight - there, 1.0)
        found[term] = math.log(odds / usual_odds) / math.sqrt(1 / here + 1 / there)
    return found
