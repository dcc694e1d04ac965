"""A process that scores as fast as it can with the settings it is told, for `opinionwatch doctor --tune`.

    python -m opinionwatch.models.tuning

Orders come as JSON lines on standard input, answers go to standard output: how many texts it read, and in how long.
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Passage

TEXTS, SEED = 128, 7
CHALLENGE = Path(__file__).parent / "challenge.tsv"


class Order(BaseModel):
    """Score with these settings of the neural scorer for so long; the first pass, which warms up, does not count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    options: dict[str, JsonValue]
    seconds: float


class Pace(BaseModel):
    """What came of it. An order that cannot be carried out is answered with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: int = 0
    seconds: float = 1.0
    device: str = ""
    """Of which kind the device is that it ran on, e.g. `cpu`."""
    tokens_per_batch: int = 0
    refused: str = ""

    @property
    def texts_per_s(self) -> float:
        """Texts a second."""
        return self.texts / self.seconds


def posts(count: int = TEXTS) -> list[str]:
    """Texts whose lengths spread like those of posts: the challenge set's, alone or a few together.

    >>> posts(2) == posts(2) and len(posts(2))
    2
    """
    lines = CHALLENGE.read_text(encoding="utf-8").splitlines()
    texts, dice = [line.split("\t")[3] for line in lines], random.Random(SEED)
    sizes = dice.choices((1, 2, 3, 5, 8), weights=(60, 22, 10, 6, 2), k=count)
    return [" ".join(dice.sample(texts, size)) for size in sizes]


def main() -> None:
    """Carry out orders until there are no more."""
    from opinionwatch.models.neural import NeuralScorer  # who gives the orders does not need torch

    # Whatever else speaks in this process, its warnings are no answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    passages = [Passage(text, "en") for text in posts()]
    ready: dict[str, NeuralScorer] = {}
    for line in sys.stdin:
        order = Order.model_validate_json(line)
        key = order.model_dump_json(exclude={"seconds"})
        try:
            if key not in ready:
                ready = {key: NeuralScorer(NeuralScorer.Settings.model_validate(order.options))}
            ready[key].score(passages)
        except SettingsError as error:
            answers.write(Pace(refused=str(error)).model_dump_json() + "\n")
        else:
            network = ready[key].network
            told = {"device": network.device.type, "tokens_per_batch": network.tokens_per_batch}
            pace = _paced(ready[key].score, passages, order.seconds).model_copy(update=told)
            answers.write(pace.model_dump_json() + "\n")
        answers.flush()


def _paced(score: Callable[[Sequence[Passage]], object], passages: Sequence[Passage], seconds: float) -> Pace:
    started, texts = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < seconds or not texts:
        score(passages)
        texts += len(passages)
    return Pace(texts=texts, seconds=max(spent, time.perf_counter() - started))


if __name__ == "__main__":
    main()
