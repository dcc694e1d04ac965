"""Trains the linear companion, and learns how much it counts beside an encoder."""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import structlog
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from opinionwatch.models.companion import CHUNK, Companion, Mixing, Split
from opinionwatch.models.data import read_rows
from opinionwatch.models.examples import Example
from opinionwatch.models.linear import Linear, Table, minimise
from opinionwatch.models.losses import sentiment_loss
from opinionwatch.models.network import Network
from opinionwatch.models.ngrams import features
from opinionwatch.models.priors import NONE, Prior, priors
from opinionwatch.models.recipe import CompanionPlan, Recipe
from opinionwatch.models.tokens import TextTokens
from opinionwatch.pipeline.errors import SettingsError

log = structlog.get_logger(__name__)
GATE_ROWS = 3000
"""Of each domain, that the gate is trained on."""
STACKING_ROUNDS = 100
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
    stacked = stack(said, companion.split(texts, ids), spare, two_class_weight, priors)
    _scale(companion, stacked)
    companion.mixing = stacked.mixing.model_copy(update={"ngrams": plan.ngrams, "domains": companion.mixing.domains})
    log.info(
        "companion.mixing",
        shared=round(stacked.shared, 4),
        own=round(stacked.domains, 4),
        **companion.mixing.model_dump(exclude={"ngrams"}),
    )


def _uncapped(recipe: Recipe) -> Recipe:
    """The same files without caps; of the opinion rows only the written ones say how a text is meant."""
    written = tuple(source for source in recipe.opinions if source.kind == "written")
    return recipe.model_copy(update={"opinions": written, "uncapped": True, "validation": 0.0})


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
    told = _told(rows, plan.balance, priors)
    shared = minimise(table, 3, told.loss(two_class_weight), penalty=plan.penalty, rounds=plan.rounds)
    log.info("companion.shared", rows=len(rows))
    known = table.times(shared.weights) + shared.bias
    domains = [_domain(example.source, plan) for example in rows]
    companion = Companion(Mixing(ngrams=plan.ngrams, domains=tuple(plan.domains)))
    parts = [shared, _gate(table, domains, plan, seed)]
    for at, name in enumerate(plan.domains):
        own = [row for row, domain in enumerate(domains) if domain == at]
        said = _told([rows[row] for row in own], plan.balance, priors, known[own])
        parts.append(minimise(table.only(own), 3, said.loss(0.0), penalty=plan.domain_penalty, rounds=plan.rounds))
        log.info("companion.domain", name=name, rows=len(own))
    with torch.no_grad():
        companion.table.copy_(torch.cat([part.weights for part in parts], 1))
        companion.bias.copy_(torch.cat([part.bias for part in parts]))
    return companion.eval()


class Told(NamedTuple):
    """What is known of rows: labels, class counts and weights, each (n,); to be added to their logits (n, 3)."""

    labels: Tensor
    classes: Tensor
    weights: Tensor
    added: Tensor

    def loss(self, two_class_weight: float) -> Callable[[Tensor], Tensor]:
        """The sum over rows of what logits (n, 3) cost."""

        def cost(logits: Tensor) -> Tensor:
            labels, classes, weights, added = self
            mean = sentiment_loss(logits + added, labels, classes, two_class_weight, weights=weights)
            return mean * len(labels)

        return cost


def _told(rows: Sequence[Example], balance: float, priors: Mapping[str, Prior], known: Tensor | float = 0.0) -> Told:
    shares = torch.tensor([priors.get(row.source, NONE) for row in rows]).view(-1, 3)
    return Told(
        torch.tensor([row.label for row in rows], dtype=torch.int64),
        torch.tensor([row.classes for row in rows]),
        torch.tensor(_weights([row.source for row in rows], balance)),
        shares + known,
    )


def _gate(table: Table, domains: Sequence[int], plan: CompanionPlan, seed: int) -> Linear:
    """Which domain a text is of, each as likely before its words are read."""
    count = len(plan.domains)
    order = random.Random(seed).sample(range(len(domains)), len(domains))
    drawn = [row for at in range(count) for row in [row for row in order if domains[row] == at][:GATE_ROWS]]
    wanted = torch.tensor([domains[row] for row in drawn])
    weights = torch.tensor(_weights([str(domains[row]) for row in drawn], 1.0))

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


def _weights(sources: Sequence[str], balance: float) -> list[float]:
    """Weights of mean 1."""
    counts = Counter(sources)
    raw = [counts[source] ** -balance for source in sources]
    mean = math.fsum(raw) / max(1, len(raw))
    return [weight / mean for weight in raw]


class Stacked(NamedTuple):
    """How much each part counts; the shared weights and those of the domains relative to the factor of the table."""

    mixing: Mixing
    shared: float
    domains: float


def stack(
    encoder: Tensor,
    own: Split,
    examples: Sequence[Example],
    two_class_weight: float,
    priors: Mapping[str, Prior] = MappingProxyType({}),
) -> Stacked:
    """The factors and biases of least loss on rows that no part was trained on; every source weighs the same.

    `encoder` are logits (n, 3). Six numbers, a convex problem: L-BFGS finds the one minimum.
    """
    told = _told(examples, 1.0, priors)
    parts = torch.stack([encoder, *own]).double()
    exact = told._replace(weights=told.weights.double(), added=told.added.double())
    loss = exact.loss(two_class_weight)
    factors = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([factors], max_iter=STACKING_ROUNDS, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        optimiser.zero_grad()
        mixed = torch.einsum("p,pnc->nc", factors[:3], parts) + factors[3:] - factors[3:].mean()
        both = loss(mixed) / len(examples) + 1e-4 * factors.square().sum()
        torch.autograd.backward(both)
        return both

    optimiser.step(cost)  # type: ignore[no-untyped-call]  # untyped in torch
    found = factors.detach()
    first, shared, domains = found[:3].tolist()
    table = max(abs(shared), abs(domains)) or 1.0
    bias = [round(number, 4) for number in (found[3:] - found[3:].mean()).tolist()]
    mixing = Mixing(encoder=round(first, 4), table=round(table, 4), bias=(bias[0], bias[1], bias[2]))
    return Stacked(mixing, shared / table, domains / table)


@torch.no_grad()
def _scale(companion: Companion, stacked: Stacked) -> None:
    """An artefact keeps one factor of the table: what its parts count beside one another goes into the weights."""
    for weights in (companion.table, companion.bias):
        weights[..., :3] *= stacked.shared
        weights[..., 3 + len(companion.mixing.domains) :] *= stacked.domains
