"""CPU-seconds a text of the shipped scorer, beside two Hugging Face pipelines of the same encoder in the same run.

    python tests/bench/scorer.py [--texts 600]

One thread. The texts are the project's own written sentences: as they are (short), and joined so that their lengths
spread like those of posts (mixed). Two pipelines: one reads the sentiment, one tags the words, batches of 32 in the
order of arrival, which is what the scorer's two heads replace. The ceiling is what the processor reaches on the
encoder's own matrix shapes, weights laid out beforehand; the fraction counts the multiplications of the real tokens, so
padding lowers it. “one head” is the sentiment alone, everything around it included; “of bare” is the cost of the body
and both heads, from token ids that are ready, over that of the scorer from text to reading. The pipelines' figure is of
one run, the others are the least of five, taken in turns. Latency and memory: `scorer_load.py`.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, BertForSequenceClassification, BertForTokenClassification, PreTrainedTokenizerFast

from opinionwatch.models.artefact import load
from opinionwatch.models.device import pick_dtype
from opinionwatch.models.kernels import ByteProduct, Product, Reach
from opinionwatch.models.manifest import DEFAULT
from opinionwatch.models.network import Raw
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.tuning import posts
from opinionwatch.pipeline.ports import Passage

ROOT = Path(__file__).resolve().parents[2]
SEED, BATCH = 7, 32
CPU = torch.device("cpu")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8}


def sentences() -> list[str]:
    """The challenge set's texts, shuffled."""
    lines = (ROOT / "models" / "challenge.tsv").read_text(encoding="utf-8").splitlines()
    texts = [line.split("\t")[3] for line in lines]
    random.Random(SEED).shuffle(texts)
    return texts


def cost(read: Callable[[], object], times: int = 3) -> float:
    """CPU-seconds of one reading, the least of several after a warm-up: others use this machine, too."""
    return costs(read, times=times)[0]


def costs(*reads: Callable[[], object], times: int = 5) -> list[float]:
    """The same of several, in turns, so that a busy machine is busy for all."""
    spent: list[list[float]] = [[] for _ in reads]
    for turn in range(times + 1):
        for own, read in zip(spent, reads, strict=True):
            started = time.process_time()
            read()
            if turn:
                own.append(time.process_time() - started)
    return [min(own) for own in spent]


def pipelines() -> Callable[[Sequence[str]], object]:
    """Two models of the artefact's encoder behind transformers' own pipelines."""
    stored = load(DEFAULT)
    shape = {key: value for key, value in stored.config.backbone.items() if key != "model_type"}
    config = AutoConfig.for_model("bert", **shape, num_labels=3)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # untyped in transformers
        tokenizer_object=stored.tokens.tokenizer, pad_token="<pad>", model_max_length=stored.config.body.max_tokens
    )
    ways = {"tokenizer": tokenizer, "device": "cpu", "batch_size": BATCH}
    moods = BertForSequenceClassification(config)  # type: ignore[no-untyped-call]  # untyped in transformers
    words = BertForTokenClassification(config)  # type: ignore[no-untyped-call]  # untyped in transformers
    classify = transformers.pipeline("text-classification", model=moods, **ways)  # type: ignore[call-overload]  # as above
    tag = transformers.pipeline("token-classification", model=words, **ways)  # type: ignore[call-overload]  # as above
    return lambda texts: (classify(list(texts), truncation=True), tag(list(texts)))


def ceiling(dtype: torch.dtype) -> float:
    """Multiply-adds a second, twice, on the encoder's own shapes, 2,048 tokens at a time."""
    flops, seconds = 0, 0.0
    for inner, outer in ((384, 1152), (384, 384), (384, 1536), (1536, 384)):
        weight, bias, rows = torch.randn(outer, inner), torch.randn(outer), torch.randn(2048, inner)
        product: Callable[[torch.Tensor], torch.Tensor]
        if dtype == torch.int8:
            product = ByteProduct(weight, bias, Reach(rows.amin(0), rows.amax(0)), torch.float32)
            rows = rows.to(torch.uint8)
        else:
            product, rows = Product(weight, bias, dtype), rows.to(dtype)

        def multiply(product: Callable[[torch.Tensor], torch.Tensor] = product, rows: torch.Tensor = rows) -> None:
            for _ in range(10):
                product(rows)

        seconds += cost(multiply)
        flops += 10 * 2 * 2048 * inner * outer
    return flops / seconds


def needed(sizes: Sequence[int], layers: int) -> int:
    """Floating-point operations of an encoder of so many layers of width 384 on texts of so many tokens."""
    return sum(2 * layers * size * (4 * 384**2 + 2 * 384 * 1536) + 4 * layers * 384 * size**2 for size in sizes)


def bare(scorer: NeuralScorer, texts: Sequence[str]) -> Callable[[], object]:
    """The body and both heads on ids and masks that are ready."""
    network = scorer.network
    encoded = network.tokens.encode(texts)
    ready = [network.padded(group.width, [encoded[at] for at in group.indices]) for group in network.groups(encoded)]

    @torch.inference_mode()
    def forward() -> None:
        for ids, mask, _ in ready:
            network.model(ids, mask)

    return forward


def sentiment_alone(scorer: NeuralScorer, texts: Sequence[str]) -> Callable[[], object]:
    """What the scorer does for one head: everything but tags and triplets."""
    network = scorer.network

    @torch.inference_mode()
    def read() -> list[object]:
        encoded = network.tokens.encode(texts)
        logits = torch.zeros(len(texts), 3)
        for group in network.groups(encoded):
            ids, mask, _ = network.padded(group.width, [encoded[at] for at in group.indices])
            logits[group.indices] = network.model.sentiment(network.model.hidden(ids, mask), mask)
        if network.companion is not None:
            logits = network.companion.mix(logits, network.companion.read(texts, [each.ids for each in encoded]))
        return [
            scorer.reading(Raw((a, b, c), ()), Passage(text, "en"))
            for (a, b, c), text in zip(logits.tolist(), texts, strict=True)
        ]

    return read


def table(title: str, texts: Sequence[str], two: Callable[[Sequence[str]], object]) -> str:
    """One table: the pipelines, then the scorer in each precision."""
    passages = [Passage(text, "en") for text in texts]
    stored = load(DEFAULT)
    sizes = [len(tokens.ids) for tokens in stored.tokens.encode(texts)]
    operations = needed(sizes, int(stored.model.config.num_hidden_layers)) / len(texts)
    base = cost(lambda: two(texts), times=1) / len(texts)
    rows = [
        f"### {title}: {len(texts):,} texts, {sum(sizes) / len(sizes):.0f} tokens on average\n",
        "| | CPU-ms a text | times faster | of the ceiling | × one head | of bare |\n|---|---:|---:|---:|---:|---:|",
        f"| two Hugging Face pipelines, fp32 | {1000 * base:.2f} | 1.0 | | | |",
    ]
    for name in precisions():
        scorer = NeuralScorer(NeuralScorer.Settings.model_validate({"device": "cpu", "precision": name}))
        score = partial(scorer.score, passages)
        spent = costs(score, sentiment_alone(scorer, texts), bare(scorer, texts))
        own, one, forward = (each / len(texts) for each in spent)
        share = operations / own / ceiling(DTYPES[name])
        rows.append(
            f"| scorer, both heads, {name} | {1000 * own:.2f} | {base / own:.1f} | {share:.0%} | {own / one:.2f} | "
            f"{forward / own:.2f} |"
        )
    return "\n".join(rows) + "\n"


def precisions() -> list[str]:
    """Those that this processor is fast at."""
    return ["fp32", "bf16", "int8"] if pick_dtype(CPU) == torch.bfloat16 else ["fp32", "int8"]


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=600)
    count = parser.parse_args().texts
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # untyped in transformers
    two = pipelines()
    sys.stdout.write(table("Mixed lengths", posts(count), two) + "\n")
    sys.stdout.write(table("Short texts", sentences()[:count], two) + "\n")


if __name__ == "__main__":
    main()
