"""The ablation table as Markdown, and what it says in words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from statistics import fmean, median
from typing import Self

import numpy as np
from pydantic import BaseModel

from opinionwatch.models.bootstrap import Counts, Interval
from opinionwatch.models.examples import Span
from tests.bench import ablation_judge as judge
from tests.bench.ablation_data import Drawn
from tests.bench.ablation_rows import BASE, INPUTS

DEARER, CHEAPER = 1.15, 0.87
"""A step whose cost is between these is called as dear as the base's: machines are not steadier."""


class Made(BaseModel):
    """A training that was done, as it is kept."""

    key: str
    """Of everything it depends on."""
    name: str
    seed: int
    steps: int
    cpu_s: float
    """Of the steps."""
    moods: str
    """The class that is told of every dev row, a digit each."""
    terms: list[tuple[int, int]] = []
    """Of every dev row of terms, how many are right and how many were told; empty where no terms are told."""


@dataclass(frozen=True)
class Truth:
    """What is right."""

    labels: Sequence[int]
    opinions: Sequence[AbstractSet[tuple[Span, int]]]
    """Each term with its polarity."""
    trained: int
    """Rows that are trained on."""

    @classmethod
    def of(cls, drawn: Drawn) -> Self:
        """From the dev rows."""
        opinions = [{link[1:] for link in row.links or ()} for row in drawn.terms]
        return cls([row.label or 0 for row in drawn.moods], opinions, len(drawn.rows.train))

    def hits(self, told: Sequence[AbstractSet[tuple[Span, int]]]) -> list[tuple[int, int]]:
        """How many terms of each row are right, and how many there are."""
        return [(len(right & row), len(row)) for right, row in zip(self.opinions, told, strict=True)]

    def moods(self, made: Made) -> float:
        """Macro-F1."""
        return float(judge.moods(self.mood_cells(made).sum(0)))

    def mood_cells(self, made: Made) -> Counts:
        """A one for each dev row (N, 9)."""
        at = 3 * np.array(self.labels) + np.array([int(digit) for digit in made.moods])
        cells: Counts = np.eye(9)[at]
        return cells

    def term_cells(self, made: Made) -> Counts:
        """Right, told and there, for each dev row (N, 3)."""
        counts = [(*told, len(right)) for told, right in zip(made.terms, self.opinions, strict=True)]
        return np.array(counts, dtype=np.float64)


class Judged(BaseModel):
    """A row of the table."""

    name: str
    scratch: bool
    seeds: int
    steps: float
    cost: float | None
    """CPU of a step beside that of the base; None where there are no steps."""
    alone_s: float
    """CPU seconds of what is done besides, where there are no steps."""
    moods: float
    terms: float | None
    more_moods: Interval | None
    """Beside the base; None with one seed."""
    more_terms: Interval | None


def judged(truth: Truth, names: Sequence[str], made: Sequence[Made]) -> list[Judged]:
    """Every row that is made with a seed at least that the base is made with, too."""
    by_name: dict[str, dict[int, Made]] = {name: {} for name in names}
    for each in made:
        by_name[each.name][each.seed] = each
    base = by_name[BASE]
    pairs = {
        name: [(base[seed], one) for seed, one in sorted(found.items()) if seed in base]
        for name, found in by_name.items()
    }
    pairs = {name: found for name, found in pairs.items() if found}
    moods = _differences({n: _stacked(found, truth.mood_cells) for n, found in pairs.items()}, judge.moods)
    telling = {n: _stacked(found, truth.term_cells) for n, found in pairs.items() if found[0][1].terms}
    terms = _differences(telling, judge.terms)
    rows = []
    for name, found in pairs.items():
        costs = [one.cpu_s / one.steps / (first.cpu_s / first.steps) for first, one in found if one.steps]
        rows.append(
            Judged(
                name=name,
                scratch=_scratch(name),
                seeds=len(found),
                steps=fmean(one.steps for _, one in found),
                cost=median(costs) if costs else None,
                alone_s=fmean(0.0 if one.steps else one.cpu_s for _, one in found),
                moods=fmean(truth.moods(one) for _, one in found),
                terms=float(judge.terms(telling[name][1].sum(1)).mean()) if name in telling else None,
                more_moods=moods.get(name),
                more_terms=terms.get(name),
            )
        )
    return rows


def table(truth: Truth, names: Sequence[str], seeds: Sequence[int], made: Sequence[Made]) -> Iterator[str]:
    """The table, what it says, and what is missing."""
    rows = judged(truth, names, made)
    yield "| | macro-F1 | beside the base (95 %) | F1 of terms | beside the base (95 %) | CPU a step | steps |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        terms = "–" if row.terms is None else f"{100 * row.terms:.1f}"
        alone = f"{row.alone_s:.0f} s in all" if row.alone_s else "–"
        cost = alone if row.cost is None else f"× {row.cost:.2f}"
        steps = f"{row.steps:.0f}" if row.steps else "–"
        more = f"{_shown(row.more_moods)} | {terms} | {_shown(row.more_terms)}"
        yield f"| {row.name} | {100 * row.moods:.1f} | {more} | {cost} | {steps} |"
    yield ""
    yield _note(truth, len(seeds), [each.cpu_s / each.steps for each in made if each.name == BASE])
    for words in _words(rows):
        yield ""
        yield words
    done = {row.name: row.seeds for row in rows}
    fewer = [f"{name} ({done.get(name, 0)})" for name in names if done.get(name, 0) < len(seeds)]
    if fewer:
        yield ""
        yield f"With fewer seeds so far: {'; '.join(fewer)}."


def _note(truth: Truth, seeds: int, base: Sequence[float]) -> str:
    """How to read it; `base` are the CPU seconds of a step of it, by seed."""
    pace = f" A step of the base takes {median(base):.2f} s of CPU." if base else ""
    found, others = sum(map(len, truth.opinions)), len(truth.opinions)
    return (
        f"Means of at most {seeds} seeds, the same for every row; {truth.trained:,} rows to train on, "
        f"{len(truth.labels):,} dev rows of sentiment, {found:,} terms to find in {others:,} others "
        f"(exact characters, with polarity).{pace} "
        "**Bold**: different beyond which dev rows and which seeds there are; one row in twenty would be so by chance, "
        "and the two rows of another seed show what chance does."
    )


def _words(rows: Sequence[Judged]) -> Iterator[str]:
    """What is better, worse, dearer, and of how many nothing can be said; devices and architectures apart."""
    devices = [row for row in rows if row.name != BASE and not row.scratch]
    yield from _verdict("Devices and depth", devices, costs=True)
    yield from _verdict("From scratch, in the time of the base", [row for row in rows if row.scratch], costs=False)


def _verdict(what: str, rows: Sequence[Judged], *, costs: bool) -> Iterator[str]:
    told = [(row.name, row.more_moods) for row in rows if row.more_moods is not None]
    terms = [(row.name, row.more_terms) for row in rows if row.more_terms is not None]
    said = {
        "better": [name for name, more in told if more.low > 0],
        "worse": [name for name, more in told if more.high < 0],
        "finds more terms": [name for name, more in terms if more.low > 0],
        "finds fewer": [name for name, more in terms if more.high < 0],
    }
    if costs:
        said["dearer a step"] = [f"{row.name} (× {row.cost:.1f})" for row in rows if row.cost and row.cost > DEARER]
        said["cheaper"] = [f"{row.name} (× {row.cost:.1f})" for row in rows if row.cost and row.cost < CHEAPER]
    if told:
        lines = "; ".join(f"{verb}: {', '.join(names) or 'none'}" for verb, names in said.items())
        unsure = sum(more.low <= 0 <= more.high for _, more in told)
        yield f"{what}. {lines}. Whether sentiment is better or worse cannot be told for {unsure} of {len(told)}."


def _stacked(pairs: Sequence[tuple[Made, Made]], cells: Callable[[Made], Counts]) -> tuple[Counts, Counts]:
    """The cells of the base and of the row, by seed (S, N, K)."""
    return np.stack([cells(first) for first, _ in pairs]), np.stack([cells(one) for _, one in pairs])


def _differences(pairs: Mapping[str, tuple[Counts, Counts]], figure: judge.Figure) -> dict[str, Interval]:
    """Of every row but the base. What is usual is learnt apart from encoders and from what begins from scratch."""
    found: dict[str, Interval] = {}
    told = {name: both for name, both in pairs.items() if name != BASE and len(both[0]) > 1}
    for kind in (True, False):
        own = {name: both for name, both in told.items() if _scratch(name) is kind}
        common = judge.usual([judge.gains(*both, figure) for both in own.values()])
        found |= {name: judge.difference(*both, figure, common) for name, both in own.items()}
    return found


def _scratch(name: str) -> bool:
    return name.rpartition(" × ")[2] in INPUTS


def _shown(more: Interval | None) -> str:
    if more is None:
        return "–"
    text = f"{100 * more.value:+.1f} ({100 * more.low:+.1f} … {100 * more.high:+.1f})"
    return f"**{text}**" if more.low > 0 or more.high < 0 else text
