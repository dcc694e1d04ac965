"""Reads the dev rows with a finished network: the calibration, and the figures of the card."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from pydantic import BaseModel

from opinionwatch.models.calibrate import Calibration, calibrate, calibration_error, for_lang
from opinionwatch.models.decode import Decoding
from opinionwatch.models.examples import Example, Link
from opinionwatch.models.figures import accuracy, macro_f1, opinions_f1, triplets_f1
from opinionwatch.models.losses import NEUTRAL
from opinionwatch.models.network import Network, Raw
from opinionwatch.models.recipe import Recipe
from opinionwatch.models.targets import Logits, plus

CHUNK = 2048
TERM_BIASES = (0.0, 0.5, 1.0, 1.5)
LINK_BIASES = (0.0, 1.0)
TUNING_CAP = 200
"""At most this many rows of a source take part in the choice of the decoding."""
CALIBRATION_CAP = 800
"""At most this many rows of a source take part in the calibration, so that no source rules a language."""


class SourceFigures(BaseModel):
    """One dev file."""

    source: str
    trained_on: bool
    rows: int
    accuracy: float | None = None
    macro_f1: float | None = None
    two_class_accuracy: float | None = None
    """Where no row is neutral: of the likelier of negative and positive. Beside it a neutral answer counts as wrong."""
    two_class_macro_f1: float | None = None
    triplet_f1: float | None = None
    opinion_f1: float | None = None
    """Opinion term and polarity without the aspect."""
    targets: int | None = None
    """Names, of texts that name some, whose sentiment is known."""
    target_macro_f1: float | None = None
    target_text_macro_f1: float | None = None
    """Of the text's own sentiment, taken for that towards each name."""


class LangFigures(BaseModel):
    """One language over the calibration rows: how honest the probabilities are, and how much is called sure. Each half
    of the rows is judged by what the other half alone would have set; what ships is set by both.
    """

    lang: str
    rows: int
    calibration_error: float
    coverage: float
    """Share of texts that are not unsure."""
    confident_accuracy: float
    accuracy: float


class Figures(BaseModel):
    """Everything that was measured on dev."""

    sources: list[SourceFigures]
    langs: list[LangFigures]


class Measured(NamedTuple):
    """A calibration, a way to decode, and the figures under both."""

    calibration: dict[str, Calibration]
    decoding: Decoding
    figures: Figures


def measure(network: Network, dev: Sequence[Example], recipe: Recipe) -> Measured:
    """Tune the decoding, read every dev row, calibrate. No source marked `evaluate_only` takes part in the tuning."""
    closed = {source.name for source in recipe.sources if source.evaluate_only}
    network.decoding = _tune(network, [example for example in dev if example.links and example.source not in closed])
    raws = [raw for at in range(0, len(dev), CHUNK) for raw in _read(network, dev[at : at + CHUNK])]
    taken: Counter[str] = Counter()
    rows: list[tuple[Example, Raw]] = []
    for example, raw in zip(dev, raws, strict=True):
        if example.label is not None and example.source not in closed and taken[example.source] < CALIBRATION_CAP:
            taken[example.source] += 1
            rows.append((example, raw))
    logits = torch.tensor([raw.logits for _, raw in rows], dtype=torch.float64)
    labels = torch.tensor([example.label for example, _ in rows])
    langs = [example.lang for example, _ in rows]
    calibration = calibrate(logits, labels, langs, recipe.sure)
    return Measured(
        calibration,
        network.decoding,
        Figures(sources=_sources(dev, raws, closed), langs=lang_figures(logits, labels, langs, recipe.sure)),
    )


def _tune(network: Network, dev: Sequence[Example]) -> Decoding:
    """The decoding of the best triplet F1, averaged over the sources so that none rules."""
    by_source: defaultdict[str, list[Example]] = defaultdict(list)
    for example in dev:
        if len(by_source[example.source]) < TUNING_CAP:
            by_source[example.source].append(example)

    def quality(decoding: Decoding) -> float:
        network.decoding = decoding
        return sum(
            triplets_f1([e.links or () for e in rows], _given(network.read([e.text for e in rows]))).f1
            for rows in by_source.values()
        )

    grid = [Decoding(term_bias=term, link_bias=link) for link in LINK_BIASES for term in TERM_BIASES]
    return max(grid, key=quality) if by_source else Decoding()


def _read(network: Network, rows: Sequence[Example]) -> list[Raw]:
    return network.read([row.text for row in rows], [[(span,) for span, _ in row.targets or ()] for row in rows])


def _given(raws: Sequence[Raw]) -> list[list[Link]]:
    return [[(term.aspect, term.opinion, term.polarity) for term in raw.terms] for raw in raws]


def _sources(dev: Sequence[Example], raws: Sequence[Raw], closed: set[str]) -> list[SourceFigures]:
    by_source: defaultdict[str, list[tuple[Example, Raw]]] = defaultdict(list)
    for example, raw in zip(dev, raws, strict=True):
        by_source[example.source].append((example, raw))
    return [_source(name, rows, name not in closed) for name, rows in by_source.items()]


def _source(name: str, rows: Sequence[tuple[Example, Raw]], trained_on: bool) -> SourceFigures:
    figures = SourceFigures(source=name, trained_on=trained_on, rows=len(rows))
    labelled = [(example.label, raw) for example, raw in rows if example.label is not None]
    if labelled:
        gold = [label for label, _ in labelled]
        told = [_likeliest(raw.logits) for _, raw in labelled]
        figures.accuracy, figures.macro_f1 = accuracy(gold, told), macro_f1(gold, told)
        if NEUTRAL not in gold:
            forced = [0 if raw.logits[0] >= raw.logits[2] else 2 for _, raw in labelled]
            figures.two_class_accuracy, figures.two_class_macro_f1 = accuracy(gold, forced), macro_f1(gold, forced)
    linked = [(example.links, raw) for example, raw in rows if example.links is not None]
    if linked:
        right = [links for links, _ in linked]
        given = _given([raw for _, raw in linked])
        figures.triplet_f1, figures.opinion_f1 = triplets_f1(right, given).f1, opinions_f1(right, given).f1
    named = [
        (mood, raw, more)
        for example, raw in rows
        for (_, mood), more in zip(example.targets or (), raw.added, strict=False)
    ]
    if named:
        moods = [mood for mood, _, _ in named]
        figures.targets = len(named)
        figures.target_macro_f1 = macro_f1(moods, [_likeliest(plus(raw.logits, more)) for _, raw, more in named])
        figures.target_text_macro_f1 = macro_f1(moods, [_likeliest(raw.logits) for _, raw, _ in named])
    return figures


def _likeliest(logits: Logits) -> int:
    return max(range(3), key=logits.__getitem__)


def lang_figures(logits: torch.Tensor, labels: torch.Tensor, langs: Sequence[str], sure: float) -> list[LangFigures]:
    """How sure the probabilities of rows may be trusted to be, by language: logits (n, 3), labels (n,)."""
    top, right = torch.zeros(len(labels), dtype=torch.float64), torch.zeros(len(labels), dtype=torch.bool)
    called = right.clone()
    halves = torch.arange(len(labels)) % 2
    for half in (0, 1):
        others = (halves != half).nonzero().flatten().tolist()
        calibration = calibrate(logits[others], labels[others], [langs[at] for at in others], sure)
        for lang in set(langs):
            rows = torch.tensor([at for at in range(half, len(labels), 2) if langs[at] == lang], dtype=torch.int64)
            own = for_lang(calibration, lang)
            chances = (logits[rows] / own.temperature).softmax(-1)
            top[rows], right[rows] = chances.max(-1).values, chances.argmax(-1) == labels[rows]
            called[rows] = top[rows] >= own.unsure_below
    figures = []
    for lang in sorted(set(langs)):
        rows = torch.tensor([at for at, other in enumerate(langs) if other == lang])
        trusted = rows[called[rows]]
        figures.append(
            LangFigures(
                lang=lang,
                rows=len(rows),
                calibration_error=calibration_error(top[rows], right[rows]),
                coverage=len(trusted) / len(rows),
                confident_accuracy=float(right[trusted].double().mean()) if len(trusted) else 0.0,
                accuracy=float(right[rows].double().mean()),
            )
        )
    return figures
