"""Trains the linear companion, and learns how much it counts beside an encoder."""

import math
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

from opinionwatch.models.companion import CHUNK, Companion, Mixing, Parts
from opinionwatch.models.data import read_rows
from opinionwatch.models.examples import Example
from opinionwatch.models.losses import sentiment_loss
from opinionwatch.models.network import Network
from opinionwatch.models.ngrams import Features, features
from opinionwatch.models.priors import NONE, Prior, priors
from opinionwatch.models.recipe import CompanionPlan, Recipe
from opinionwatch.models.tokens import TextTokens
from opinionwatch.pipeline.errors import SettingsError

log = structlog.get_logger(__name__)
LOG_EVERY = 200
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
    texts = [example.text for example in spare]
    chunks = [texts[at : at + READ_ROWS] for at in range(0, len(texts), READ_ROWS)]
    said = torch.tensor([logits for chunk in chunks for logits in network.moods(chunk)])
    ids = [row.ids for chunk in chunks for row in network.tokens.encode(chunk)]
    mixing = stack(said, companion.read(texts, ids), spare, weight, shares)
    companion.mixing = mixing.model_copy(update={"ngrams": plan.ngrams, "domains": companion.mixing.domains})
    log.info("companion.mixing", **companion.mixing.model_dump(exclude={"ngrams"}))
    counts = Counter(row.source for row in dict.fromkeys(rows) if row.label is not None)
    return Accompanied(companion, dict(counts), len(spare))


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

    Adam on the features of each batch, the rate falling to zero; rows without neutral train what they know. A row
    trains the shared weights alone and, where its source has a domain, together with those of the domain, and the gate.
    """
    rows = [example for example in dict.fromkeys(examples) if example.label is not None]
    hashed = _hash([example.text for example in rows], tokens, plan)
    labels = torch.tensor([example.label for example in rows])
    classes = torch.tensor([example.classes for example in rows])
    weights = torch.tensor(_weights([example.source for example in rows], plan.balance))
    domains = torch.tensor([_domain(example.source, plan) for example in rows])
    shares = torch.tensor([priors.get(example.source, NONE) for example in rows])
    companion = Companion(Mixing(ngrams=plan.ngrams, domains=tuple(plan.domains)))
    sparse = torch.optim.SparseAdam([companion.table], lr=plan.learning_rate)
    dense = torch.optim.Adam([companion.bias], lr=plan.learning_rate)
    batches = [batch for turn in range(plan.epochs) for batch in _batches(len(rows), plan.rows_per_batch, seed + turn)]
    for step, batch in enumerate(batches):
        at = torch.tensor(batch)
        parts = companion(_join([hashed[row] for row in batch]))
        target = Target(labels[at], classes[at], weights[at], domains[at], shares[at])
        loss = _loss(parts, target, plan, two_class_weight)
        for optimiser in (sparse, dense):
            optimiser.param_groups[0]["lr"] = plan.learning_rate * (1 - step / len(batches))
            optimiser.zero_grad()
        torch.autograd.backward(loss)
        sparse.step()  # type: ignore[no-untyped-call]  # untyped in torch
        dense.step()
        if step % LOG_EVERY == 0:
            log.info("companion.step", step=step, steps=len(batches), loss=round(float(loss.detach()), 4))
    return companion.eval()


class Target(NamedTuple):
    """What is known of a batch: labels, class counts, weights, and domains (-1: none), each (n,); priors (n, 3)."""

    labels: Tensor
    classes: Tensor
    weights: Tensor
    domains: Tensor
    priors: Tensor


def _loss(parts: Parts, target: Target, plan: CompanionPlan, two_class_weight: float) -> Tensor:
    labels, classes, weights, domains, shares = target

    def sentiment(logits: Tensor) -> Tensor:
        return sentiment_loss(logits + shares, labels, classes, two_class_weight, weights=weights)

    known = domains >= 0
    if not bool(known.any()):
        return sentiment(parts.shared)
    own = torch.zeros_like(parts.shared)
    own[known] = parts.domains[known, domains[known]]
    gate = (cross_entropy(parts.gate[known], domains[known], reduction="none") * weights[known]).mean()
    return sentiment(parts.shared + own) + plan.shared_weight * sentiment(parts.shared) + plan.gate_weight * gate


def _domain(source: str, plan: CompanionPlan) -> int:
    return next((at for at, sources in enumerate(plan.domains.values()) if source in sources), -1)


def stack(
    encoder: Tensor,
    own: Tensor,
    examples: Sequence[Example],
    two_class_weight: float,
    priors: Mapping[str, Prior] = MappingProxyType({}),
) -> Mixing:
    """The factors and biases of least loss on rows that neither model was trained on; every source weighs the same.

    `encoder` and `own` are logits (n, 3). Five numbers, a convex problem: L-BFGS finds the one minimum.
    """
    labels = torch.tensor([example.label for example in examples])
    classes = torch.tensor([example.classes for example in examples])
    weights = torch.tensor(_weights([example.source for example in examples], 1.0), dtype=torch.float64)
    shares = torch.tensor([priors.get(example.source, NONE) for example in examples], dtype=torch.float64)
    encoder, own = encoder.double(), own.double()
    factors = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([factors], max_iter=STACKING_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        mixed = factors[0] * encoder + factors[1] * own + factors[2:] - factors[2:].mean()
        told = sentiment_loss(mixed + shares, labels, classes, two_class_weight, weights=weights)
        cost = told + 1e-4 * factors.square().sum()
        torch.autograd.backward(cost)
        return cost

    optimiser.step(loss)  # type: ignore[no-untyped-call]  # untyped in torch
    found = factors.detach()
    first, second, *bias = (
        round(number, 4) for number in (*found[:2].tolist(), *(found[2:] - found[2:].mean()).tolist())
    )
    return Mixing(encoder=first, table=second, bias=(bias[0], bias[1], bias[2]))


def _hash(texts: Sequence[str], tokens: TextTokens, plan: CompanionPlan) -> list[Tensor]:
    """The features of each text, in 32 bits: there are hundreds a text."""
    hashed: list[Tensor] = []
    for at in range(0, len(texts), CHUNK):
        chunk = texts[at : at + CHUNK]
        found = features(chunk, [row.ids for row in tokens.encode(chunk)], plan.ngrams)
        numbers = torch.from_numpy(found.numbers).int()
        hashed += [row.clone() for row in numbers.tensor_split(torch.from_numpy(found.starts[1:-1]))]
    return hashed


def _join(rows: Sequence[Tensor]) -> Features:
    starts = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    return Features(torch.cat([*rows]).long().numpy(), starts.numpy())


def _weights(sources: Sequence[str], balance: float) -> list[float]:
    """Weights of mean 1."""
    counts = Counter(sources)
    raw = [counts[source] ** -balance for source in sources]
    mean = math.fsum(raw) / max(1, len(raw))
    return [weight / mean for weight in raw]


def _batches(rows: int, size: int, seed: int) -> list[list[int]]:
    order = list(range(rows))
    random.Random(seed).shuffle(order)
    return [order[at : at + size] for at in range(0, rows, size)]
