"""How much a linear companion counts beside an encoder: stacked generalization (Wolpert, Neural Networks 1992)."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn.functional import one_hot

from opinionwatch.models.companion import Companion, Mixing, Parts
from opinionwatch.models.examples import Example
from opinionwatch.models.losses import sentiment_loss
from opinionwatch.models.priors import NONE, Prior
from opinionwatch.pipeline.errors import SettingsError

STACKING_ROUNDS = 100
PENALTY = 1e-4
"""On the square of every factor, beside the mean loss of a row."""
BIAS_PENALTY = 3e-3
"""On the square of what is added to all texts of a language."""


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


def told_of(rows: Sequence[Example], balance: float, priors: Mapping[str, Prior], known: Tensor | float = 0.0) -> Told:
    """What labelled rows say, each source weighing `rows ** (1 - balance)`; `known` is added to their logits."""
    shares = torch.tensor([priors.get(row.source, NONE) for row in rows]).view(-1, 3)
    return Told(
        torch.tensor([row.label for row in rows], dtype=torch.int64),
        torch.tensor([row.classes for row in rows]),
        torch.tensor(weights_of([row.source for row in rows], balance)),
        shares + known,
    )


def weights_of(sources: Sequence[str], balance: float) -> list[float]:
    """Weights of mean 1."""
    counts = Counter(sources)
    raw = [counts[source] ** -balance for source in sources]
    mean = math.fsum(raw) / max(1, len(raw))
    return [weight / mean for weight in raw]


class Stacked(NamedTuple):
    """How much each part counts: the shared weights, and of each language the domains' and what is added to them,
    both relative to the factor of the table.
    """

    mixing: Mixing
    shared: float
    domains: list[float]
    biases: list[list[float]]


def stack(
    encoder: Tensor,
    own: Parts,
    tongues: Sequence[int],
    examples: Sequence[Example],
    two_class_weight: float,
    priors: Mapping[str, Prior] = MappingProxyType({}),
) -> Stacked:
    """The factors and biases of least loss on rows that no part was trained on; every source weighs the same.

    `encoder` are logits (n, 3), `tongues` the language of each domain: a text is of a language as far as the gate takes
    it for one of its domains. A convex problem of a few numbers: L-BFGS finds the one minimum. Raises SettingsError
    when nothing sensible comes out.
    """
    told = told_of(examples, 1.0, priors)
    exact = told._replace(weights=told.weights.double(), added=told.added.double())
    loss = exact.loss(two_class_weight)
    share = own.gate.double().softmax(-1)
    spoken = one_hot(torch.tensor([*tongues, 0]))[:-1].double()
    # Without domains there is one language, which all texts are of.
    of = share @ spoken if tongues else torch.ones(len(encoder), 1, dtype=torch.float64)
    said = torch.einsum("nd,ndc,dg->gnc", share, own.domains.double(), spoken) if tongues else ()
    parts = torch.stack([encoder.double(), own.shared.double(), *said])
    count, most = of.shape[1], len(parts)
    factors = torch.cat([torch.ones(most), torch.zeros(3 * count)]).double().requires_grad_()
    costs = torch.cat([torch.full((most,), PENALTY), torch.full((3 * count,), BIAS_PENALTY)]).double()
    optimiser = torch.optim.LBFGS([factors], max_iter=STACKING_ROUNDS, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        optimiser.zero_grad()
        mixed = torch.einsum("p,pnc->nc", factors[:most], parts) + of @ factors[most:].reshape(count, 3)
        both = loss(mixed) / len(examples) + (costs * factors.square()).sum()
        torch.autograd.backward(both)
        return both

    optimiser.step(cost)  # type: ignore[no-untyped-call]  # untyped in torch
    first, shared, *domains = factors.detach()[:most].tolist()
    biases = factors.detach()[most:].reshape(count, 3)
    table = max(map(abs, (shared, *domains))) or 1.0
    bias = [0.0, 0.0, 0.0] if tongues else [round(number, 4) for number in biases[0].tolist()]
    try:
        mixing = Mixing(encoder=round(first, 4), table=round(table, 4), bias=(bias[0], bias[1], bias[2]))
    except ValidationError as error:
        raise SettingsError(
            f"beside this encoder the companion would count {table:.1f} times, and the encoder {first:.1f} times: "
            "train the encoder first"
        ) from error
    return Stacked(mixing, shared / table, [factor / table for factor in domains], (biases / table).tolist())


@torch.no_grad()
def fold(companion: Companion, stacked: Stacked, tongues: Sequence[int]) -> None:
    """An artefact keeps one factor of the table: what its parts count beside one another goes into the weights."""
    own = 3 + len(companion.mixing.domains)
    for weights in (companion.table, companion.bias):
        weights[..., :3] *= stacked.shared
        for domain, tongue in enumerate(tongues):
            weights[..., own + 3 * domain : own + 3 * domain + 3] *= stacked.domains[tongue]
    for domain, tongue in enumerate(tongues):
        companion.bias[own + 3 * domain : own + 3 * domain + 3] += torch.tensor(stacked.biases[tongue])
