"""What the scorer says on an accelerator beside the CPU in 32 bits, and how fast; exits 1 when they differ too much.

    python tests/bench/scorer_device.py [--device cuda:0] [--precision auto] [--texts 2000]

Checked are: labels beside those of the CPU (at most 1 % differ, none that leads by more than 0.1), a batch beside its
single texts (within the precision's bound), recorded passes beside passes that are run (within the same bound), and,
on CUDA, that a lack of memory halves batches and changes no label. `--device cpu --precision bf16` shows on any machine
that the checks themselves work; there is nothing to record there, and no memory to take away.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import torch

from opinionwatch.models.neural import PROBABILITY_BOUND, NeuralScorer
from opinionwatch.models.packed import PackedBody
from opinionwatch.models.tuning import posts
from opinionwatch.pipeline.contracts import Reading, Sentiment
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.ports import Passage

MOST_FLIPS, SURE, ALONE, HUGE = 0.01, 0.1, 200, 1 << 20
Judged = tuple[str, bool]


def moods(readings: Sequence[Reading]) -> list[Sentiment]:
    """The sentiments alone."""
    return [reading.sentiment for reading in readings]


def chances(mood: Sentiment) -> tuple[float, float, float]:
    """Its probabilities."""
    return mood.negative, mood.neutral, mood.positive


def gap(one: Sequence[Sentiment], other: Sequence[Sentiment]) -> float:
    """How far any probability is from what it is in the other."""
    pairs = zip(one, other, strict=True)
    return max(abs(a - b) for left, right in pairs for a, b in zip(chances(left), chances(right), strict=True))


def flips(of: Sequence[Sentiment], wanted: Sequence[Sentiment]) -> tuple[float, int]:
    """The share of labels that differ, and how many of those were sure."""
    changed = [right for left, right in zip(of, wanted, strict=True) if left.label != right.label]
    leads = [sorted(chances(mood)) for mood in changed]
    return len(changed) / len(wanted), sum(top - second > SURE for _, second, top in leads)


def against_cpu(scorer: NeuralScorer, passages: Sequence[Passage]) -> Judged:
    """Labels beside those of the CPU in 32 bits."""
    exact = NeuralScorer(NeuralScorer.Settings(device="cpu", precision="fp32"))
    own, wanted = moods(scorer.score(passages)), moods(exact.score(passages))
    share, sure = flips(own, wanted)
    widest = gap(own, wanted)
    told = f"labels that differ from the CPU's in 32 bits: {share:.2%}, sure ones {sure}; widest gap {widest:.4f}"
    return told, share <= MOST_FLIPS and not sure


def in_company(scorer: NeuralScorer, passages: Sequence[Passage], bound: float) -> Judged:
    """A batch beside its single texts."""
    alone = [scorer.score([passage])[0] for passage in passages[:ALONE]]
    found = gap(moods(scorer.score(passages))[:ALONE], moods(alone))
    return f"a batch beside its single texts: widest gap {found:.4f}, bound {bound}", found <= bound


def recorded(scorer: NeuralScorer, passages: Sequence[Passage], bound: float) -> Judged:
    """Recorded passes beside passes that are run."""
    body = scorer.network.model.body
    if not isinstance(body, PackedBody) or not body.records:
        return "nothing is recorded here", True
    few = passages[:ALONE]
    played = moods(scorer.score(few))
    with body.unrecorded():
        run = moods(scorer.score(few))
    found = gap(played, run)
    return f"recorded passes beside passes that are run: widest gap {found:.4f}, bound {bound}", found <= bound


def short_of_memory(scorer: NeuralScorer, passages: Sequence[Passage]) -> Judged:
    """Everything in one pass, with room for a part of it."""
    device = scorer.network.device
    if device.type != "cuda":
        return "no memory can be taken away here", True
    wanted = moods(scorer.score(passages))
    whole = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved(device) + (64 << 20)
    before, scorer.network.tokens_per_batch = scorer.network.tokens_per_batch, HUGE
    torch.cuda.set_per_process_memory_fraction(room / whole, device)
    try:
        share, sure = flips(moods(scorer.score(list(passages) * 8)), wanted * 8)
    except RejectedError as error:
        return f"short of memory: {error}", False
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        scorer.network.tokens_per_batch = before
    return f"short of memory: labels that differ {share:.2%}, sure ones {sure}", share <= MOST_FLIPS and not sure


def pace(score: Callable[[], object], texts: int, times: int = 3) -> float:
    """Texts a second of wall time, the best of several after a warm-up."""
    score()
    took = []
    for _ in range(times):
        started = time.perf_counter()
        score()
        took.append(time.perf_counter() - started)
    return texts / min(took)


def main() -> int:
    """Print Markdown; exits 2 without an accelerator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--texts", type=int, default=2000)
    given = parser.parse_args()
    scorer = NeuralScorer(NeuralScorer.Settings.model_validate({"device": given.device, "precision": given.precision}))
    if given.device == "auto" and scorer.network.device.type == "cpu":
        sys.stdout.write("there is no accelerator here; --device cpu --precision bf16 tries the checks themselves\n")
        return 2
    passages = [Passage(text, "en") for text in dict.fromkeys(posts(given.texts))]
    bound = PROBABILITY_BOUND[scorer.dtype]
    judged = [
        against_cpu(scorer, passages),
        in_company(scorer, passages, bound),
        recorded(scorer, passages, bound),
        short_of_memory(scorer, passages),
    ]
    name = torch.cuda.get_device_name(scorer.network.device) if scorer.network.device.type == "cuda" else "CPU"
    sys.stdout.write(f"| {scorer.version}, {scorer.dtype} on {name} | |\n|---|---|\n")
    for told, good in judged:
        sys.stdout.write(f"| {told} | {'ok' if good else 'BAD'} |\n")
    speed = pace(lambda: scorer.score(passages), len(passages))
    few = pace(lambda: scorer.score(passages[:16]), len(passages[:16]))
    sys.stdout.write(f"| texts a second, {len(passages)} at once / 16 at once | {speed:.0f} / {few:.0f} |\n")
    return 0 if all(good for _, good in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
