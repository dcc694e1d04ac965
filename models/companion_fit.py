"""Trains the linear companion, and learns how much it counts beside an encoder."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import structlog
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from opinionwatch.models.companion import CHUNK, Companion, Mixing
from opinionwatch.models.companion_stack import fold, stack, told_of, weights_of
from opinionwatch.models.data import read_rows
from opinionwatch.models.examples import Example
from opinionwatch.models.linear import Linear, Table, minimise
from opinionwatch.models.network import Network
from opinionwatch.models.ngrams import features
from opinionwatch.models.priors import Prior, priors
from opinionwatch.models.recipe import CompanionPlan, Recipe
from opinionwatch.models.tokens import TextTokens
from opinionwatch.pipeline.errors import SettingsError

log = structlog.get_logger(__name__)
GATE_ROWS = 3000
"""Of each domain, that the gate is trained on."""
FEWEST_SPARE = 100
READ_ROWS = 2048


class Accompanied(NamedTuple):
    """A companion, how many rows of each source it was trained on, and how many decided its weight."""

    companion: Companion
    counts: dict[str, int]
    spare: int


def accompany(
    network: Network, plan: CompanionPlan, recipe: Recipe, data: Path, spare: Sequence[Example]
) -> Accompanied:
    """Train a companion for an encoder on all rows of the recipe's files but `spare`, which decide how much it counts.

    `spare` are labelled rows that the encoder was not trained on. Raises SettingsError when there are too few.
    """
    spare = [example for example in dict.fromkeys(spare) if example.label is not None]
    if len(spare) < FEWEST_SPARE:
        raise SettingsError(
            f"a companion needs {FEWEST_SPARE} rows that nothing was trained on, not {len(spare)}; "
            "set `validation: 0.03` in the recipe"
        )
    closed = {example.text for example in spare}
    rows = [example for example in read_rows(_uncapped(recipe), data).train if example.text not in closed]
    weight, seed = recipe.schedule.two_class_weight, recipe.schedule.seed
    shares = priors(rows, recipe.schedule.prior_strength)
    companion = fit_companion(rows, network.tokens, plan, two_class_weight=weight, seed=seed, priors=shares)
    weigh(companion, network, plan, spare, weight, shares)
    counts = Counter(row.source for row in dict.fromkeys(rows) if row.label is not None)
    return Accompanied(companion, dict(counts), len(spare))


def weigh(
    companion: Companion,
    network: Network,
    plan: CompanionPlan,
    spare: Sequence[Example],
    two_class_weight: float,
    priors: Mapping[str, Prior] = MappingProxyType({}),
) -> None:
    """Let a companion count beside the network as much as labelled rows say that neither was trained on."""
    texts = [example.text for example in spare]
    chunks = [texts[at : at + READ_ROWS] for at in range(0, len(texts), READ_ROWS)]
    said = torch.tensor([logits for chunk in chunks for logits in network.moods(chunk)])
    ids = [row.ids for chunk in chunks for row in network.tokens.encode(chunk)]
    tongues = _tongues(plan, spare)
    stacked = stack(said, companion.parts(texts, ids), tongues, spare, two_class_weight, priors)
    fold(companion, stacked, tongues)
    companion.mixing = stacked.mixing.model_copy(update={"ngrams": plan.ngrams, "domains": companion.mixing.domains})
    log.info(
        "companion.mixing",
        shared=round(stacked.shared, 4),
        domains=[round(factor, 4) for factor in stacked.domains],
        **companion.mixing.model_dump(exclude={"ngrams", "domains"}),
    )


def _tongues(plan: CompanionPlan, spare: Sequence[Example]) -> list[int]:
    """The number of the language of each domain, by most of its rows."""
    langs = [
        Counter(example.lang for example in spare if example.source in sources).most_common(1)
        for sources in plan.domains.values()
    ]
    names = sorted({name for found in langs for name, _ in found})
    return [names.index(found[0][0]) if found else 0 for found in langs]


def _uncapped(recipe: Recipe) -> Recipe:
    """The same files without caps, once each; of the opinion rows only the written ones say how a text is meant."""
    sentiment = tuple(source.model_copy(update={"repeat": 1}) for source in recipe.sentiment)
    written = tuple(source for source in recipe.opinions if source.kind == "written")
    return recipe.model_copy(update={"sentiment": sentiment, "opinions": written, "uncapped": True, "validation": 0.0})


def fit_companion(
    examples: Sequence[Example],
    tokens: TextTokens,
    plan: CompanionPlan,
    *,
    two_class_weight: float,
    seed: int,
    priors: Mapping[str, Prior] = MappingProxyType({}),
) -> Companion:
    """Train a table on every row that has a label, each source weighing `rows ** (1 - balance)`.

    First the weights shared by all, on all rows. Then those of each domain, on its rows, as what is to be added to the
    shared ones (Chelba and Acero, Adaptation of Maximum Entropy Capitalizer, EMNLP 2004); rows without neutral say
    nothing of it there. Then the gate, on as many rows of each domain, drawn by `seed`.
    """
    rows = [example for example in dict.fromkeys(examples) if example.label is not None]
    table = _table([example.text for example in rows], tokens, plan)
    told = told_of(rows, plan.balance, priors)
    shared = minimise(table, 3, told.loss(two_class_weight), penalty=plan.penalty, rounds=plan.rounds)
    log.info("companion.shared", rows=len(rows))
    known = table.times(shared.weights) + shared.bias
    domains = [_domain(example.source, plan) for example in rows]
    companion = Companion(Mixing(ngrams=plan.ngrams, domains=tuple(plan.domains)))
    parts = [shared, _gate(table, domains, plan, seed)]
    for at, name in enumerate(plan.domains):
        own = [row for row, domain in enumerate(domains) if domain == at]
        said = told_of([rows[row] for row in own], plan.balance, priors, known[own])
        parts.append(minimise(table.only(own), 3, said.loss(0.0), penalty=plan.domain_penalty, rounds=plan.rounds))
        log.info("companion.domain", name=name, rows=len(own))
    with torch.no_grad():
        companion.table.copy_(torch.cat([part.weights for part in parts], 1))
        companion.bias.copy_(torch.cat([part.bias for part in parts]))
    return companion.eval()


def _gate(table: Table, domains: Sequence[int], plan: CompanionPlan, seed: int) -> Linear:
    """Which domain a text is of, each as likely before its words are read."""
    count = len(plan.domains)
    order = random.Random(seed).sample(range(len(domains)), len(domains))
    drawn = [row for at in range(count) for row in [row for row in order if domains[row] == at][:GATE_ROWS]]
    wanted = torch.tensor([domains[row] for row in drawn])
    weights = torch.tensor(weights_of([str(domains[row]) for row in drawn], 1.0))

    def loss(logits: Tensor) -> Tensor:
        return (cross_entropy(logits, wanted, reduction="none") * weights).sum()

    return minimise(table.only(drawn), count, loss, penalty=plan.gate_penalty, rounds=plan.rounds)


def _domain(source: str, plan: CompanionPlan) -> int:
    return next((at for at, sources in enumerate(plan.domains.values()) if source in sources), -1)


def _table(texts: Sequence[str], tokens: TextTokens, plan: CompanionPlan) -> Table:
    numbers: list[Tensor] = []
    sizes: list[Tensor] = []
    for at in range(0, len(texts), CHUNK):
        chunk = texts[at : at + CHUNK]
        found = features(chunk, [row.ids for row in tokens.encode(chunk)], plan.ngrams)
        numbers.append(torch.from_numpy(found.numbers).int())
        sizes.append(torch.from_numpy(found.starts).diff())
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), *sizes]).cumsum(0)
    return Table(torch.cat([torch.zeros(0, dtype=torch.int32), *numbers]), starts, 1 << plan.ngrams.bits)
