"""Ablation: what every architecture, input and training device of the kit adds and costs, on the same rows.

    python tests/bench/ablation.py --data ../shared/data --out runs/ablation [--steps 80] [--only "lstm,focal"]

One thread. Devices take as many steps as the base, whatever they cost; architectures take as many as fit into the
processor time of the base, at most eight passes over the rows. The figure is macro-F1 over all dev rows together (rows
of a file without neutral ones are judged on negative and positive alone), with a bootstrap interval; beside it the
difference to the base on the same rows. One seed a row: the rows `seed 2` and `seed 3` say what a seed is worth. The
budget is small, so that the table says what a device does early in training, and not where it ends.

A row that stands in OUT/rows.jsonl is not trained again: a run that is cut off goes on where it was.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

import numpy as np
import torch
import transformers
from pydantic import BaseModel
from tokenizers import Tokenizer

from opinionwatch.models.artefact import Config, save
from opinionwatch.models.batches import encode, epoch
from opinionwatch.models.bootstrap import interval, paired
from opinionwatch.models.data import Rows, draw, read_rows
from opinionwatch.models.device import pick_device, pick_dtype
from opinionwatch.models.distil import answers
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.fit import Fit, Teacher, learn
from opinionwatch.models.inputs import WORD_START, pieces_of
from opinionwatch.models.network import Network
from opinionwatch.models.recipe import Distillation, Recipe, load_recipe
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.train import RECIPES
from opinionwatch.models.vocabulary import load_tokenizer
from opinionwatch.pipeline.console import quiet_logs

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.ablation_rows import SCHOOL, Trial, devices, shapes

PASSES, PROBE_STEPS = 8, 6
TEACHING = Distillation(recipes=SCHOOL, temperature=2.0, weight=0.5)


class Row(BaseModel):
    """A trial that was made, as it is kept."""

    key: str
    """Of everything it depends on."""
    name: str
    steps: int
    cpu_s: float
    said: str
    """The class of every dev row, a digit each."""


class Ablation:
    """The trials of one budget on one machine."""

    def __init__(self, data: Path, backbone: Path, out: Path, recipe: Path, *, rows: int, dev: int, steps: int) -> None:
        """`rows` and `dev` of each file of the recipe, at most."""
        self.out, self.backbone, self.steps = out, backbone, steps
        out.mkdir(parents=True, exist_ok=True)
        self.base = _base(load_recipe(recipe), rows, dev)
        self.rows, self.pool = _halved(read_rows(self.base, data))
        self.dev = [row for row in self.rows.dev if row.label is not None]
        self.rows.dev = []
        self.tokenizer = load_tokenizer(str(backbone))
        schedule = self.base.schedule
        tokens = TextTokens(self.tokenizer, schedule.train_tokens)
        own = encode(self.rows.train, tokens)
        self.a_pass = len(epoch(own, schedule.tokens_per_batch, schedule.rows_per_batch, schedule.seed))
        self.vectors = out / "vectors.txt"
        self.width = _write_vectors(self.vectors, str(backbone), self.tokenizer, {i for row in own for i in row.ids})
        self.trials = [*devices(TEACHING), *shapes(self.vectors, self.width)]
        self.made = {row.key: row for row in _kept(out / "rows.jsonl")}

    def key(self, trial: Trial) -> str:
        """Changes when the trial, the rows or the budget do."""
        parts = (trial, self.base.model_dump_json(), sorted(self.rows.hashes.items()), self.steps)
        return sha256(repr(parts).encode()).hexdigest()[:16]

    def chosen(self, parts: Sequence[str]) -> list[Trial]:
        """The trials with one of these in their names, all if there are none; the base, and the teachers if needed."""
        wanted = {each.name for each in self.trials if not parts or any(part in each.name for part in parts)} | {"base"}
        if any(each.name in wanted and each.way not in ("trained", "shape") for each in self.trials):
            wanted |= {*SCHOOL}
        return [each for each in self.trials if each.name in wanted]

    def run(self, trials: Sequence[Trial], minutes: float = float("inf")) -> list[Row]:
        """Make those that are not there, none after so many minutes, and say how it goes; all there are, in order."""
        missing = [trial for trial in trials if not self.stands(trial)]
        began = time.monotonic()
        for number, trial in enumerate(missing):
            if time.monotonic() - began > 60 * minutes:
                break
            row = self.make(trial)
            self.made[row.key] = row
            with (self.out / "rows.jsonl").open("a", encoding="utf-8") as file:
                file.write(row.model_dump_json() + "\n")
            left = (time.monotonic() - began) / (number + 1) * (len(missing) - number - 1)
            figure = interval(self.confusion(row)).value
            sys.stderr.write(
                f"[{number + 1}/{len(missing)}] {trial.name}: {figure:.1%}, {row.steps} steps, "
                f"{row.cpu_s:.0f} s of CPU; about {left / 60:.0f} min left\n"
            )
        return [self.made[self.key(trial)] for trial in trials if self.key(trial) in self.made]

    def stands(self, trial: Trial) -> bool:
        """Whether it is made, and its network still there if others need it."""
        return self.key(trial) in self.made and (trial.name not in SCHOOL or self.school(trial.name).is_dir())

    def school(self, name: str) -> Path:
        """Where a network that others need is kept."""
        return self.out / "school" / name.replace(" ", "-")

    def make(self, trial: Trial) -> Row:
        """Train as the trial says, and read the dev rows."""
        if trial.way == "ensemble":
            one = TEACHING.model_copy(update={"temperature": 1.0})
            told = answers([*map(self.school, SCHOOL)], [row.text for row in self.dev], one, self.out)
            return Row(key=self.key(trial), name=trial.name, steps=0, cpu_s=0, said=self.said(told.tolist()))
        done = self.train(trial, self.steps if trial.way != "shape" else self.affordable(trial))
        if trial.name in SCHOOL:
            config = Config(name="ablation", body=done.recipe.body, backbone=done.model.shape())
            save(self.school(trial.name), config, done.tokenizer, done.model, "")
        device = pick_device()
        tokens = TextTokens(done.tokenizer, done.recipe.body.max_tokens)
        network = Network(done.model, tokens, device, pick_dtype(device))
        said = self.said(network.moods([row.text for row in self.dev]))
        return Row(key=self.key(trial), name=trial.name, steps=done.steps, cpu_s=done.cpu_s, said=said)

    def train(self, trial: Trial, steps: int) -> Fit:
        """So many steps, in a run folder that is thrown away."""
        rows, folder = replace(self.rows), self.out / "run"
        teacher: Teacher | None = None
        rmtree(folder, ignore_errors=True)
        if trial.way == "pseudo-labels":
            rows.train = [*rows.train, *self.pool]
        if trial.distillation is not None:
            teacher = partial(answers, [*map(self.school, SCHOOL)], plan=trial.distillation, out=folder)
        recipe = trial.recipe(self.base)
        passes = steps / self.a_pass * len(self.rows.train) / len(rows.train)
        schedule = recipe.schedule.model_copy(update={"epochs": passes})
        recipe = recipe.model_copy(update={"schedule": schedule})
        return learn(recipe, rows, folder, backbone=str(self.backbone), teacher=teacher)

    def affordable(self, trial: Trial) -> int:
        """Steps in the processor time that the base took."""
        probe = self.train(trial, PROBE_STEPS)
        base = self.made[self.key(self.trials[0])]
        return max(PROBE_STEPS, min(round(base.cpu_s / probe.cpu_s * probe.steps), PASSES * self.a_pass))

    def said(self, logits: Sequence[Sequence[float]]) -> str:
        """Classes of the dev rows; a row of two classes is never told neutral."""
        digits = []
        for row, values in zip(self.dev, logits, strict=True):
            allowed = (0, 1, 2) if row.classes == 3 else (0, 2)
            digits.append(str(max(allowed, key=values.__getitem__)))
        return "".join(digits)

    def confusion(self, row: Row) -> list[list[int]]:
        """Rows true, columns said."""
        found = [[0] * 3 for _ in range(3)]
        for example, digit in zip(self.dev, row.said, strict=True):
            found[example.label or 0][int(digit)] += 1
        return found

    def table(self, trials: Sequence[Trial], rows: Sequence[Row]) -> Iterator[str]:
        """As Markdown, with what is missing."""
        base = self.made[self.key(self.trials[0])]
        yield "| | steps | CPU s a step | CPU s | macro-F1 (95 %) | beside the base (95 %) |"
        yield "|---|---|---|---|---|---|"
        for row in rows:
            own = interval(self.confusion(row))
            cells = np.zeros((3, 3, 3))
            for example, old, new in zip(self.dev, base.said, row.said, strict=True):
                cells[example.label or 0, int(old), int(new)] += 1
            gain = paired(cells)
            beside = f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} … {100 * gain.high:+.1f})" if row != base else "–"
            pace = f"{row.cpu_s / row.steps:.2f}" if row.steps else "–"
            figure = f"{100 * own.value:.1f} ({100 * own.low:.1f} … {100 * own.high:.1f})"
            yield f"| {row.name} | {row.steps} | {pace} | {row.cpu_s:.0f} | {figure} | {beside} |"
        yield ""
        yield (
            f"{len(self.rows.train):,} rows to train on ({self.a_pass} steps a pass), {len(self.dev):,} dev rows; "
            f"the base took {base.steps} steps."
        )
        there = {row.name for row in rows}
        if missing := [trial.name for trial in trials if trial.name not in there]:
            yield ""
            yield f"Not made yet: {'; '.join(missing)}."


def _base(shipped: Recipe, rows: int, dev: int) -> Recipe:
    """The recipe's files, few rows of each, and a schedule that one core finishes in about a minute."""
    told = shipped.model_dump(mode="json")
    told |= {"name": "ablation", "companion": None, "dev_cap": dev, "validation": 0.1, "uncapped": False}
    told |= {"start": None, "soup": 1.0}
    told["body"] |= {"targets": False}
    # Twice as many as are learnt from: the other half is what pseudo-labels are for.
    told["sentiment"] = [each | {"cap": 2 * rows} for each in told["sentiment"] if not each["evaluate_only"]]
    told["opinions"] = [each | {"cap": rows, "repeat": 1} for each in told["opinions"] if not each["evaluate_only"]]
    told["schedule"] |= {
        "epochs": 1, "deadline_minutes": None, "tokens_per_batch": 2048, "rows_per_batch": 32, "train_tokens": 64,
        "learning_rate": 3e-4, "head_learning_rate": 1e-3, "checkpoint_minutes": 600, "seed": 1, "threads": 1,
        "prior_strength": 0.0,
    }  # fmt: skip
    return Recipe.model_validate(told)


def _halved(rows: Rows) -> tuple[Rows, list[Example]]:
    """The rows to learn from, and as many without their labels."""
    labelled = [row for row in rows.train if row.label is None or draw("labelled " + row.text) < 0.5]
    known = set(labelled)
    pool = [Example(row.text, row.source, row.lang) for row in rows.train if row not in known]
    return replace(rows, train=labelled), pool


def _write_vectors(path: Path, backbone: str, tokenizer: Tokenizer, used: set[int]) -> int:
    """Word vectors in the text form of word2vec: the backbone's own table of input vectors, of the words in use."""
    table = Encoder.from_backbone(backbone, load_recipe(RECIPES / "default.yaml").body).body.get_input_embeddings()  # type: ignore[operator]  # a PreTrainedModel
    weights = table.weight.detach()
    pieces = pieces_of(tokenizer)
    with path.open("w", encoding="utf-8") as file:
        for number in sorted(used):
            piece = pieces[number]
            if piece.startswith(WORD_START) and len(piece) > 1 and " " not in piece:
                numbers = " ".join(f"{value:.3f}" for value in weights[number].tolist())
                file.write(f"{piece.removeprefix(WORD_START)} {numbers}\n")
    return int(weights.shape[1])


def _kept(path: Path) -> list[Row]:
    """Rows of earlier runs; a line that was cut off by a kill counts for nothing."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    whole = [line for line in lines if line.endswith("}")]
    path.write_text("".join(line + "\n" for line in whole), encoding="utf-8")
    return [Row.model_validate_json(line) for line in whole]


def main() -> int:
    """Make the rows that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--backbone", type=Path, default=Path("../shared/backbone"))
    parser.add_argument("--recipe", type=Path, default=RECIPES / "default.yaml", help="whose files are read")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="folder with the rows that are made")
    parser.add_argument("--rows", type=int, default=120, help="to train on, of each file")
    parser.add_argument("--dev", type=int, default=60, help="dev rows of each file")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--minutes", type=float, default=60, help="begin no row after so many; run it again to go on")
    parser.add_argument("--only", default="", help="parts of names, by comma; what they need is made, too")
    given = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # untyped in transformers
    quiet_logs()
    ablation = Ablation(
        given.data, given.backbone, given.out, given.recipe, rows=given.rows, dev=given.dev, steps=given.steps
    )
    chosen = ablation.chosen([part for part in given.only.split(",") if part])
    sys.stdout.write("\n".join(ablation.table(chosen, ablation.run(chosen, given.minutes))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
