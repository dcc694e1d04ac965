"""The training kit: each device does what it says, on a network of a few thousand weights."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from opinionwatch.models import checkpoint
from opinionwatch.models.adversary import input_table, moved
from opinionwatch.models.artefact import load
from opinionwatch.models.augment import augment
from opinionwatch.models.batches import Batch, collate, encode
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.fit import fit
from opinionwatch.models.loop import Material, loop
from opinionwatch.models.losses import Losses, sentiment_loss, teacher_loss
from opinionwatch.models.optimise import optimiser, set_rate
from opinionwatch.models.recipe import Recipe, Schedule, SentimentSource, load_recipe
from opinionwatch.models.step import Learner, Step
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.train import train
from opinionwatch.pipeline.errors import SettingsError

from .conftest import BODY
from .rows import sentiment_rows, write_rows

CPU = torch.device("cpu")
ROWS = [Example("the battery is great", "s", "en", 2), Example("slow screen", "s", "en", 0)]


def changed(recipe: Path, **schedule: object) -> Path:
    """The tiny recipe with other settings of the schedule."""
    extra = ", ".join(f"{name}: {json.dumps(value)}" for name, value in schedule.items())
    recipe.write_text(recipe.read_text().replace("threads: 1", f"threads: 1, {extra}"))
    return recipe


def batch_of(tokenizer: Tokenizer, rows: list[Example] = ROWS) -> Batch:
    return collate(encode(rows, TextTokens(tokenizer, 32)), pad=1)


def recipe_of(**schedule: object) -> Recipe:
    sources = (SentimentSource(name="s", terms="ours"),)
    return Recipe(name="x", schedule=Schedule.model_validate(schedule), sentiment=sources)


def test_focal_loss_counts_a_row_that_is_told_well_less() -> None:
    logits, labels, classes = torch.tensor([[4.0, 0, 0], [0.1, 0, 0]]), torch.tensor([0, 0]), torch.tensor([3, 3])
    chances = logits.softmax(-1)[:, 0]
    plain = sentiment_loss(logits, labels, classes, 0.0)
    focal = sentiment_loss(logits, labels, classes, 0.0, focal_gamma=2.0)
    assert float(focal) == pytest.approx(float((-((1 - chances) ** 2) * chances.log()).mean()))
    assert focal < plain


def test_class_weights_weigh_the_rows_of_a_class(model: Encoder, tokenizer: Tokenizer) -> None:
    torch.manual_seed(1)
    only_positive = recipe_of(class_weights=(0.0, 0.0, 1.0), precision="fp32")
    step = Step(Learner(model, only_positive.schedule), only_positive, CPU)
    assert float(step.gradients(batch_of(tokenizer, ROWS[1:]))[0]) == 0
    assert float(step.gradients(batch_of(tokenizer, ROWS[:1]))[0]) > 0


def test_learnt_task_weights_lower_the_loud_task() -> None:
    noise = torch.zeros(4, requires_grad=True)
    for _ in range(300):
        loss = Losses(*torch.tensor([4.0, 1.0, 0.25, 2.0])).total(Schedule(), noise)
        [grad] = torch.autograd.grad(loss, noise)
        noise = (noise - 0.1 * grad).detach().requires_grad_()
    # The best log-variance of a loss L is log 2L.
    assert noise.tolist() == pytest.approx(torch.tensor([8.0, 2.0, 0.5, 4.0]).log().tolist(), abs=1e-2)


def test_a_teacher_is_followed_and_rows_it_was_not_asked_about_are_skipped() -> None:
    soft = torch.tensor([[0.7, 0.2, 0.1], [float("nan")] * 3]).log()
    logits = torch.zeros(2, 3, requires_grad=True)
    for _ in range(400):
        [grad] = torch.autograd.grad(teacher_loss(logits, soft, 2.0), logits)
        logits = (logits - 0.5 * grad).detach().requires_grad_()
    assert (logits[0] / 2).softmax(-1).tolist() == pytest.approx([0.7, 0.2, 0.1], abs=1e-3)
    assert logits[1].tolist() == [0, 0, 0]
    assert float(teacher_loss(logits, soft[1:].expand(2, 3), 2.0).detach()) == 0


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_every_optimiser_lowers_the_loss(name: str, model: Encoder, tokenizer: Tokenizer) -> None:
    rate = 0.05 if name == "sgd" else 0.005
    recipe = recipe_of(optimiser=name, learning_rate=rate, head_learning_rate=rate, precision="fp32", warmup=0.0)
    step = Step(Learner(model, recipe.schedule), recipe, CPU)
    losses = []
    for _ in range(30):
        losses.append(float(step.gradients(batch_of(tokenizer))[0]))
        step.move(0.0)
    assert losses[-1] < losses[0] / 2


def test_rates_warm_up_and_decay_as_named(model: Encoder) -> None:
    def rates(decay: str) -> list[float]:
        schedule = Schedule.model_validate({"decay": decay, "warmup": 0.2, "learning_rate": 1.0, "layer_decay": 1.0})
        group = optimiser(model, schedule)
        found = []
        for at in (0.1, 0.2, 0.6, 1.0):
            set_rate(group, at, schedule)
            found.append(round(group.param_groups[0]["lr"], 3))
        return found

    assert rates("linear") == [0.5, 1.0, 0.5, 0.0]
    assert rates("cosine") == [0.5, 1.0, 0.5, 0.0]
    assert rates("constant") == [0.5, 1.0, 1.0, 1.0]


def test_gradients_of_two_batches_add_up_to_those_of_both(backbone: Path, tokenizer: Tokenizer) -> None:
    def weights(batches: list[Batch], accumulate: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(3)
        model = Encoder.from_backbone(str(backbone), BODY).eval()
        recipe = recipe_of(accumulate=accumulate, precision="fp32", clip_norm=1e9, warmup=0.0, optimiser="sgd")
        step = Step(Learner(model, recipe.schedule), recipe, CPU)
        for batch in batches:
            step.gradients(batch)
        step.move(0.0)
        return model.state_dict()

    whole = weights([batch_of(tokenizer)], 1)
    parts = weights([batch_of(tokenizer, [row]) for row in ROWS], 2)
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=1e-4, atol=1e-6)


def test_an_adversary_moves_the_input_vectors_by_its_length_and_back(model: Encoder, tokenizer: Tokenizer) -> None:
    table = input_table(model.body)
    assert table is not None
    before = table.detach().clone()
    recipe = recipe_of(precision="fp32", adversarial=0.5)
    step = Step(Learner(model, recipe.schedule), recipe, CPU)
    step.gradients(batch_of(tokenizer))
    assert torch.equal(table, before)
    with moved(table, 0.5):
        assert float((table.detach() - before).norm()) == pytest.approx(0.5, rel=1e-4)
    assert torch.equal(table, before)


def test_an_adversary_adds_gradients_of_a_harder_batch(model: Encoder, tokenizer: Tokenizer) -> None:
    recipe = recipe_of(precision="fp32")
    step = Step(Learner(model, recipe.schedule), recipe, CPU)
    plain = float(step.gradients(batch_of(tokenizer))[0])
    table = input_table(model.body)
    assert table is not None
    with moved(table, 1.0):
        harder = float(Step(Learner(model, recipe.schedule), recipe, CPU).gradients(batch_of(tokenizer))[0])
    assert harder > plain


@pytest.mark.parametrize(
    "text", ["I do not like this phone at all!!", "这手机不好用，客服没有回复", "don't buy 😡😡 it 差评"]
)
def test_another_way_to_write_keeps_every_word_that_turns_the_meaning(text: str) -> None:
    turned = {"not", "don't", "不", "没"} & {*text.lower().split(), *text}
    seen = {augment(text, random.Random(seed)) for seed in range(200)}
    assert len(seen) > 10
    for other in seen:
        assert all(word in other.lower() for word in turned), other
        assert abs(len(other) - len(text)) <= 6


def test_the_same_dice_write_the_same_and_short_texts_stay() -> None:
    assert augment("好", random.Random(1)) == "好"
    assert augment("", random.Random(1)) == ""
    text = "the battery is really great, 味道很好 😀😀"
    assert [augment(text, random.Random(5)) for _ in range(3)] == [augment(text, random.Random(5))] * 3


def test_out_of_patience_a_run_stops_and_keeps_its_best_weights(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    # The validation rows contradict the others: every step makes them worse.
    rows = [*sentiment_rows()] * 6
    write_rows(data / "train" / "mood.jsonl.gz", rows)
    changed(recipe, patience=2, look_every=2)
    recipe.write_text(recipe.read_text().replace("epochs: 4", "epochs: 400") + "validation: 0.3\n")
    run = tmp_path / "run"
    done = fit(recipe, run, data=data, backbone=str(backbone))
    looks = [
        entry for line in (run / "log.jsonl").read_text().splitlines() if "validation" in (entry := json.loads(line))
    ]
    best = min(looks, key=lambda entry: entry["validation"])
    assert done.steps < 400 * 2
    assert looks[-1]["step"] == best["step"] + 4
    for name, weight in load_file(run / "best.safetensors").items():
        assert torch.equal(done.model.state_dict()[name], weight)


def test_a_run_without_a_look_does_not_take_the_weights_of_a_run_before(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    changed(recipe, patience=2, look_every=1000)
    recipe.write_text(recipe.read_text() + "validation: 0.3\n")
    run = tmp_path / "run"
    run.mkdir()
    fresh = fit(recipe, run, data=data, backbone=str(backbone)).model.state_dict()
    save_file({name: torch.zeros_like(weight) for name, weight in fresh.items()}, run / "best.safetensors")
    again = fit(recipe, run, data=data, backbone=str(backbone)).model.state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in fresh.items())


def test_patience_without_rows_to_look_at_is_refused(recipe: Path) -> None:
    with pytest.raises(SettingsError, match="needs `validation`"):
        load_recipe(changed(recipe, patience=2))


def test_everything_at_once_is_resumed_to_the_same_weights_after_kill_9(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    changed(
        recipe, checkpoint_minutes=1e-9, augment=0.5, adversarial=0.3, accumulate=2, task_weighting="learned",
        decay="cosine", patience=50, look_every=3, focal_gamma=1.0,
    )  # fmt: skip
    text = recipe.read_text().replace("dropout: 0.0", "dropout: 0.3").replace("epochs: 4", "epochs: 30")
    recipe.write_text(text + "validation: 0.2\n")
    whole = fit(recipe, tmp_path / "whole", data=data, backbone=str(backbone))
    program = (
        "import sys; from pathlib import Path; from opinionwatch.models.fit import fit; "
        "fit(Path(sys.argv[1]), Path(sys.argv[2]), data=Path(sys.argv[3]), backbone=sys.argv[4])"
    )
    killed = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", program, recipe, killed, data, backbone], stderr=subprocess.DEVNULL)
    while not (killed / "checkpoint.pt").exists() and child.poll() is None:
        time.monotonic()
    child.send_signal(signal.SIGKILL)
    child.wait()
    resumed = fit(recipe, killed, data=data, backbone=str(backbone), resume=True)
    assert resumed.steps == whole.steps
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_a_row_with_the_places_of_names_is_never_written_another_way(
    backbone: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    rows = [Example(f"the battery is great {number}", "s", "en", targets=(((4, 11), 0),)) for number in range(6)]
    tokens = TextTokens(tokenizer, 32)
    weights = []
    for share in (0.0, 1.0):
        torch.manual_seed(5)
        model = Encoder.from_backbone(str(backbone), BODY.model_copy(update={"targets": True}))
        material = Material(encode(rows, tokens), [row.text for row in rows], [], tokens)
        recipe = recipe_of(augment=share, epochs=2)
        loop(Learner(model, recipe.schedule), material, recipe, tmp_path / str(share), resume=False, identity="r")
        weights.append(model.state_dict())
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name]), name


def test_a_checkpoint_keeps_learnt_task_weights(model: Encoder, tmp_path: Path) -> None:
    recipe = recipe_of(task_weighting="learned")
    learner = Learner(model, recipe.schedule)
    step = Step(learner, recipe, CPU)
    assert learner.noise is not None
    with torch.no_grad():
        learner.noise += 2
    at = checkpoint.Progress(step=3, best_loss=0.5, since_best=1, looked=2)
    checkpoint.save(tmp_path / "c.pt", learner, step.optimiser, at, "r")
    other = Learner(model, recipe.schedule)
    found = checkpoint.restore(tmp_path / "c.pt", other, Step(other, recipe, CPU).optimiser, "r")
    assert found == at
    assert other.noise is not None
    assert other.noise.tolist() == [2] * 4


def test_a_run_is_drawn_by_tensorboard(recipe: Path, data: Path, backbone: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text().replace("epochs: 4", "epochs: 40"))
    fit(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    [events] = (tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*")
    assert b"loss/sentiment" in events.read_bytes()


@pytest.fixture
def school(recipe: Path, data: Path) -> Path:
    """A student beside two teachers; what it reads without labels is another file."""
    folder = recipe.parent
    text = recipe.read_text().replace("name: tiny", "name: {}").replace("epochs: 4", "epochs: 40")
    for number in (1, 2):
        taught = text.replace("{}", f"teacher{number}")
        (folder / f"teacher{number}.yaml").write_text(taught.replace("threads: 1", f"threads: 1, seed: {number}"))
    rows = [{"text": row["text"], "lang": row["lang"]} for row in sentiment_rows() if isinstance(row, dict)]
    write_rows(data / "train" / "unread.jsonl.gz", rows)
    student = folder / "student.yaml"
    student.write_text(
        "extends: teacher1\nname: student\nbody: {layers: 1}\nopinions: []\n"
        "sentiment: [{name: unread, terms: ours, unlabelled: true}, {name: mood, terms: ours, evaluate_only: true}]\n"
        "distillation: {recipes: [teacher1, teacher2], weight: 1.0, temperature: 1.5}\n"
    )
    return student


def test_a_student_learns_from_two_teachers_what_no_label_told_it(
    school: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    done = train(school, tmp_path / "run", data=data, backbone=str(backbone))
    figures = {figure.source: figure for figure in done.figures.sources}
    assert figures["mood"].macro_f1 is not None
    assert figures["mood"].macro_f1 > 0.9
    assert load(done.artefact).config.body.layers == 1
    kept = sorted(path.name for path in (tmp_path / "run" / "before").iterdir())
    assert kept == ["teacher1", "teacher2"]
    answers = (tmp_path / "run" / "teachers.safetensors").stat().st_mtime_ns
    train(school, tmp_path / "run", data=data, backbone=str(backbone), resume=True)
    assert (tmp_path / "run" / "teachers.safetensors").stat().st_mtime_ns == answers
    # A file of answers that is not whole, as a full disk leaves it: the teachers are asked again.
    whole = (tmp_path / "run" / "teachers.safetensors").read_bytes()
    (tmp_path / "run" / "teachers.safetensors").write_bytes(whole[:40])
    train(school, tmp_path / "run", data=data, backbone=str(backbone), resume=True)
    assert (tmp_path / "run" / "teachers.safetensors").read_bytes() == whole


def test_a_teacher_that_is_not_there_is_named_with_the_nearest(
    school: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    school.write_text(school.read_text().replace("[teacher1, teacher2]", "[teacher3]"))
    with pytest.raises(SettingsError, match="did you mean 'teacher"):
        train(school, tmp_path / "run", data=data, backbone=str(backbone))


def test_rows_without_labels_need_a_teacher(school: Path) -> None:
    school.write_text(school.read_text().split("distillation")[0])
    with pytest.raises(SettingsError, match="no teacher to learn from"):
        load_recipe(school)
