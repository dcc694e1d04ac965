"""Ablation: what every architecture, input and training device of the kit adds and costs, on the same rows.

    python tests/bench/ablation.py --data ../shared/data --out runs/ablation [--seeds 1,2,3] [--only "lstm,focal"]

The base is the six-layer encoder of `fast` on the files of `default`, few short texts of each (`ablation_data.py`).
Every row is made with every seed, which differ in what the heads begin with, in the order of the batches and in
dropout; all rows with the first seed, then all with the second: a run that is cut off leaves a whole table of fewer
seeds. One thread. Devices take as many steps as the base, whatever they cost; architectures take as many as fit into
the processor time of the base, at most eight passes over the rows. `ablation_judge.py` says how a row is compared.

A training that stands in OUT/rows.jsonl is not done again: a run that is cut off goes on where it was, and one with
`--minutes 0` shows what there is. Minutes, and costs, are those of the processor: others may work beside it.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from hashlib import sha256
from itertools import product
from pathlib import Path
from shutil import rmtree

import torch
import transformers
from pydantic import ValidationError
from torch import Tensor

from opinionwatch.models.artefact import Config, load, save
from opinionwatch.models.batches import encode, epoch
from opinionwatch.models.companion_fit import fit_companion, weigh
from opinionwatch.models.decode import Decoding
from opinionwatch.models.device import pick_device, pick_dtype
from opinionwatch.models.distil import answers
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.fit import Fit, Teacher, learn
from opinionwatch.models.network import Network
from opinionwatch.models.recipe import CompanionPlan, Distillation, load_recipe
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.train import RECIPES
from opinionwatch.models.vocabulary import load_tokenizer
from opinionwatch.pipeline.console import quiet_logs
from opinionwatch.pipeline.errors import FatalError, RejectedError

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.ablation_data import VECTORS, Budget, base_recipe, draw_rows, prepare
from tests.bench.ablation_rows import BASE, SCHOOL, Trial, devices, shapes
from tests.bench.ablation_table import Made, Truth, table

PASSES, PROBE_STEPS = 8, 6
READY = Decoding(link_bias=3.0)
"""So early no link is sure: terms are told by how they are tagged, and the likeliest polarity counts."""
TEACHING = Distillation(recipes=SCHOOL, temperature=2.0, weight=0.5)


class Ablation:
    """The trials of one budget on one machine."""

    def __init__(self, data: Path, backbone: Path, out: Path, recipe: Path, budget: Budget) -> None:
        """Read the rows, and leave in `out` the backbone and the vectors that all trials begin with."""
        self.out, self.budget = out, budget
        out.mkdir(parents=True, exist_ok=True)
        shipped = load_recipe(recipe)
        self.base = base_recipe(shipped, budget)
        self.plan = shipped.companion or CompanionPlan()
        one_more = TextTokens(load_tokenizer(str(backbone)), budget.tokens + 1)
        self.drawn = draw_rows(self.base, data, one_more, budget)
        self.backbone = prepare(out, backbone, self.drawn.texts(), budget.tokens)
        self.tokens = TextTokens(load_tokenizer(str(self.backbone)), budget.tokens)
        width = int(json.loads((self.backbone / "config.json").read_text(encoding="utf-8"))["hidden_size"])
        from_scratch = shapes(self.backbone / VECTORS, width, budget.tokens)
        can = torch.cpu.get_capabilities()
        halves = pick_device().type == "cuda" or bool(can.get("avx512_fp16") or can.get("amx_fp16"))
        self.trials = [*devices(TEACHING, self.base.body, halves=halves), *from_scratch]
        self.truth = Truth.of(self.drawn)
        self.made = {made.key: made for made in _kept(out / "rows.jsonl")}

    def key(self, trial: Trial, seed: int) -> str:
        """Changes when the trial, the rows or the budget do; not with the folder."""
        parts = (trial, seed, self.base.model_dump_json(), sorted(self.drawn.rows.hashes.items()), self.budget)
        return sha256(repr(parts).replace(str(self.out), "").encode()).hexdigest()[:16]

    def chosen(self, parts: Sequence[str]) -> list[Trial]:
        """The trials with one of these in their names, all if there are none; the base, and the teachers if needed."""
        wanted = {each.name for each in self.trials if not parts or any(part in each.name for part in parts)} | {BASE}
        if any(each.name in wanted and each.way in ("ensemble", "taught", "pseudo-labels") for each in self.trials):
            wanted |= {*SCHOOL}
        return [each for each in self.trials if each.name in wanted]

    def run(self, trials: Sequence[Trial], seeds: Sequence[int], minutes: float = float("inf")) -> list[Made]:
        """Make those that are not there, none after so many minutes, and say how it goes; all that there are."""
        pairs = [(trial, seed) for seed, trial in product(seeds, trials)]
        missing = [pair for pair in pairs if not self.stands(*pair)]
        for number, (trial, seed) in enumerate(missing):
            if time.process_time() >= 60 * minutes:
                break
            if not number:
                _mend(self.out / "rows.jsonl")
            began = time.process_time()
            try:
                made = self.make(trial, seed)
            except (FatalError, RejectedError, ValidationError) as error:
                # One that goes astray with a seed is missing from the table; the others are not.
                sys.stderr.write(f"[{number + 1}/{len(missing)}] seed {seed}, {trial.name}: {error}\n")
                continue
            self.made[made.key] = made
            with (self.out / "rows.jsonl").open("a", encoding="utf-8") as file:
                file.write(made.model_dump_json() + "\n")
            figure = self.truth.moods(made)
            sys.stderr.write(
                f"[{number + 1}/{len(missing)}] seed {seed}, {trial.name}: {figure:.1%}, {made.steps} steps in "
                f"{made.cpu_s:.1f} s of CPU, {time.process_time() - began:.1f} with all of it\n"
            )
        return [self.made[key] for pair in pairs if (key := self.key(*pair)) in self.made]

    def stands(self, trial: Trial, seed: int) -> bool:
        """Whether it is made, and its network still there if others need it."""
        return self.key(trial, seed) in self.made and (trial.name not in SCHOOL or self.school(trial, seed).is_dir())

    def school(self, trial: Trial, seed: int) -> Path:
        """Where a network that others need is kept."""
        return self.out / "school" / self.key(trial, seed)

    def teachers(self, seed: int) -> list[Path]:
        """Those of a seed."""
        return [self.school(trial, seed) for trial in self.trials if trial.name in SCHOOL]

    def make(self, trial: Trial, seed: int) -> Made:
        """Train as the trial says, and read the dev rows."""
        texts = [row.text for row in self.drawn.moods]
        if trial.way == "ensemble":
            one = TEACHING.model_copy(update={"temperature": 1.0})
            return self.told(trial, seed, answers(self.teachers(seed), texts, one, self.out).tolist())
        if trial.way == "companion":
            began = time.process_time()
            network = self.accompanied(seed)
            cpu_s = time.process_time() - began
            return self.told(trial, seed, network.moods(texts), cpu_s=cpu_s)
        done = self.train(trial, seed, self.budget.steps if trial.way != "shape" else self.affordable(trial, seed))
        if trial.name in SCHOOL:
            config = Config(name="ablation", body=done.recipe.body, backbone=done.model.shape())
            save(self.school(trial, seed), config, done.tokenizer, done.model, "")
        network = self.network(done.model, TextTokens(done.tokenizer, self.budget.tokens))
        terms = [raw.terms for raw in network.read([row.text for row in self.drawn.terms])]
        told = [{(term.opinion, term.polarity) for term in row} for row in terms]
        made = self.told(trial, seed, network.moods(texts), cpu_s=done.cpu_s, steps=done.steps)
        return made.model_copy(update={"terms": self.truth.hits(told)})

    def told(
        self, trial: Trial, seed: int, logits: Sequence[Sequence[float]], *, cpu_s: float = 0.0, steps: int = 0
    ) -> Made:
        """What is kept of it; a row of two classes is never told neutral."""
        digits = []
        for row, values in zip(self.drawn.moods, logits, strict=True):
            allowed = (0, 1, 2) if row.classes == 3 else (0, 2)
            digits.append(str(max(allowed, key=values.__getitem__)))
        key = self.key(trial, seed)
        return Made(key=key, name=trial.name, seed=seed, steps=steps, cpu_s=cpu_s, moods="".join(digits))

    def network(self, model: Encoder, tokens: TextTokens) -> Network:
        """What reads with it."""
        device = pick_device()
        return Network(model, tokens, device, pick_dtype(device), decoding=READY)

    def accompanied(self, seed: int) -> Network:
        """The base of this seed with a companion that learns from the same rows, as `opinionwatch companion` does."""
        base = load(self.teachers(seed)[0])
        network = self.network(base.model, base.tokens)
        spare, weight = self.drawn.rows.validation, self.base.schedule.two_class_weight
        found = fit_companion(self.drawn.rows.train, base.tokens, self.plan, two_class_weight=weight, seed=seed)
        weigh(found, network, self.plan, spare, weight)
        network.companion = found
        return network

    def train(self, trial: Trial, seed: int, steps: int) -> Fit:
        """So many steps, in a run folder that is thrown away."""
        rows, folder = replace(self.drawn.rows), self.out / "run"
        rmtree(folder, ignore_errors=True)
        if not trial.lexicon:
            rows.train = self.drawn.plain
        if trial.way == "pseudo-labels":
            rows.train = [*rows.train, *self.drawn.pool]
        recipe = trial.recipe(self.base, seed)
        passes = steps / self.a_pass(rows.train, recipe.schedule.seed)
        schedule = recipe.schedule.model_copy(update={"epochs": passes})
        recipe = recipe.model_copy(update={"schedule": schedule})
        teacher = None if trial.distillation is None else self.teacher(seed)
        return learn(recipe, rows, folder, backbone=str(self.backbone), teacher=teacher)

    def a_pass(self, examples: Sequence[Example], seed: int) -> int:
        """Steps that go once over these."""
        schedule = self.base.schedule
        return len(epoch(encode(examples, self.tokens), schedule.tokens_per_batch, schedule.rows_per_batch, seed))

    def teacher(self, seed: int) -> Teacher:
        """What the school of a seed says; it is asked once for all rows."""
        texts = [row.text for row in (*self.drawn.rows.train, *self.drawn.pool)]
        folder = self.out / "answers" / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        found = answers(self.teachers(seed), texts, TEACHING, folder)
        place = {text: at for at, text in enumerate(texts)}

        def told(asked: Sequence[str]) -> Tensor:
            return found[[place[text] for text in asked]]

        return told

    def affordable(self, trial: Trial, seed: int) -> int:
        """Steps in the processor time that the base took."""
        probe, base = self.train(trial, seed, PROBE_STEPS), self.made[self.key(self.trials[0], seed)]
        most = PASSES * self.a_pass(self.drawn.rows.train, seed)
        return max(PROBE_STEPS, min(round(base.cpu_s / probe.cpu_s * probe.steps), most))


def _kept(path: Path) -> list[Made]:
    """Trainings of earlier runs; a line that was cut off by a kill counts for nothing."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Made.model_validate_json(line) for line in lines if line.endswith("}")]


def _mend(path: Path) -> None:
    """Take the line away that a kill cut off, if there is one; only who writes does so."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text and not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")


def main() -> int:
    """Make the trainings that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--backbone", type=Path, default=Path("../shared/backbone"))
    parser.add_argument("--recipe", type=Path, default=RECIPES / "default.yaml", help="whose files are read")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="folder with what is made")
    parser.add_argument("--seeds", default="1,2,3", help="by comma")
    parser.add_argument("--minutes", type=float, default=90, help="of CPU, after which no training begins")
    parser.add_argument("--only", default="", help="parts of names, by comma; what they need is made, too")
    for part in fields(Budget):
        parser.add_argument(f"--{part.name}", type=int, default=part.default, help="see ablation_data.py")
    given = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # untyped in transformers
    quiet_logs()
    budget = Budget(**{part.name: getattr(given, part.name) for part in fields(Budget)})
    ablation = Ablation(given.data, given.backbone, given.out, given.recipe, budget)
    chosen = ablation.chosen([part for part in given.only.split(",") if part])
    seeds = [int(seed) for seed in given.seeds.split(",")]
    made = ablation.run(chosen, seeds, given.minutes)
    sys.stdout.write("\n".join(table(ablation.truth, [trial.name for trial in chosen], seeds, made)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
