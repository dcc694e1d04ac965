"""The linear companion: what it learns, how it is weighed, that an artefact keeps it, that nothing else moves."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from opinionwatch.models.artefact import Config, load, save
from opinionwatch.models.companion import PREFIX, Companion, Kept, Mixing, Parts
from opinionwatch.models.companion_add import add_companion, unreached
from opinionwatch.models.companion_fit import fit_companion
from opinionwatch.models.companion_stack import Stacked, fold, stack
from opinionwatch.models.data import read_rows
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.ngrams import Ngrams
from opinionwatch.models.quantise import widen
from opinionwatch.models.recipe import CompanionPlan, load_recipe
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.train import train
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Passage

from .conftest import BODY, tiny_tokenizer
from .rows import write_rows

NGRAMS = Ngrams(bits=12, characters=3, pieces=1)
PLAN = CompanionPlan(ngrams=NGRAMS)
GOOD, BAD = ["the screen is great", "味道很好", "great service"], ["the screen is awful", "味道很差", "awful service"]


def examples(classes: int = 3) -> list[Example]:
    plain = [] if classes == 2 else [Example("the screen and the battery", "s", "en", label=1)]
    return [
        *(Example(text, "s", "en", label=2, classes=2 if classes == 2 else 3) for text in GOOD),
        *(Example(text, "s", "en", label=0, classes=2 if classes == 2 else 3) for text in BAD),
        *plain,
    ]


@pytest.fixture
def companion(tokenizer: Tokenizer) -> Companion:
    return fit_companion(examples(), TextTokens(tokenizer, 32), PLAN, two_class_weight=0.0, seed=1)


def read(companion: Companion, *texts: str) -> torch.Tensor:
    ids = [row.ids for row in TextTokens(tiny_tokenizer(), 32).encode(texts)]
    return companion.read(texts, ids)


def test_it_learns_words_and_applies_them_to_texts_it_never_saw(companion: Companion) -> None:
    assert read(companion, "great battery", "awful battery", "很差").argmax(-1).tolist() == [2, 0, 0]


def test_rows_without_neutral_teach_it_nothing_about_neutral(tokenizer: Tokenizer) -> None:
    taught = fit_companion(examples(2), TextTokens(tokenizer, 32), PLAN, two_class_weight=0.0, seed=1)
    assert float(taught.table[:, 1].detach().abs().max()) == 0
    assert float(taught.bias[1].detach()) == 0
    assert read(taught, "great battery")[0, 2] > 0


def test_a_word_may_mean_another_thing_in_another_domain(tokenizer: Tokenizer) -> None:
    # `fast` is praise of a screen and no news of a service; what a text is about decides.
    penalties = {"penalty": 0.1, "domain_penalty": 0.1, "gate_penalty": 0.1}
    plan = PLAN.model_copy(update={"domains": {"phones": ("p",), "service": ("q",)}, **penalties})
    rows = [
        *(Example(f"the screen is fast {at}", "p", "en", label=2) for at in range(8)),
        *(Example(f"the screen {at}", "p", "en", label=1) for at in range(8)),
        *(Example(f"service is fast {at}", "q", "en", label=1) for at in range(8)),
        *(Example(f"service {at}", "q", "en", label=0) for at in range(8)),
    ]
    taught = fit_companion(rows, TextTokens(tokenizer, 32), plan, two_class_weight=0.0, seed=1)
    assert read(taught, "the screen is fast", "the screen", "service is fast", "service").argmax(-1).tolist() == [
        2, 1, 1, 0,
    ]  # fmt: skip


def test_the_same_seed_gives_the_same_table(companion: Companion, tokenizer: Tokenizer) -> None:
    again = fit_companion(examples(), TextTokens(tokenizer, 32), PLAN, two_class_weight=0.0, seed=1)
    assert torch.equal(companion.table, again.table)


def test_a_text_reads_the_same_in_any_company(companion: Companion) -> None:
    texts = [*GOOD, "", *BAD] * 30
    together = read(companion, *texts)
    alone = torch.cat([read(companion, text) for text in texts[:7]])
    torch.testing.assert_close(together[:7], alone, rtol=0, atol=1e-6)


def test_a_model_that_is_always_right_gets_the_weight_and_noise_gets_none() -> None:
    torch.manual_seed(2)
    rows = [Example(str(at), "s", "en", label=at % 3) for at in range(3000)]
    truth = torch.nn.functional.one_hot(torch.tensor([row.label for row in rows]), 3).float()
    # Right nine times out of ten; the other one knows nothing.
    knowing = torch.where(torch.rand(3000, 1) < 0.9, truth, truth.roll(1, 1))
    noise = torch.randn(3000, 3)
    found = stack(noise, parts(knowing), [], rows, 0.0)
    assert found.mixing.table > 1
    assert found.shared == 1
    assert abs(found.mixing.encoder) < 0.15
    mirrored = stack(knowing, parts(noise), [], rows, 0.0)
    assert mirrored.mixing.encoder == pytest.approx(found.mixing.table, abs=1e-2)
    assert abs(mirrored.mixing.table) < 0.15
    # The weights of the domains count apart from the shared ones, those of each language apart from the others'.
    apart = stack(noise, parts(noise.roll(1, 0), noise.roll(2, 0), knowing), [0, 1], rows, 0.0)
    assert apart.domains[1] == 1
    assert abs(apart.domains[0]) < 0.1
    assert abs(apart.shared) < 0.1


def test_a_language_whose_texts_are_mostly_neutral_is_told_so_and_the_other_is_not() -> None:
    torch.manual_seed(3)
    rows = [Example(str(at), "s", "en", label=1 if at % 2 and at % 8 != 1 else at % 3) for at in range(3000)]
    zeros = torch.zeros(3000, 3)
    gate = torch.tensor([[20.0, 0.0], [0.0, 20.0]]).repeat(1500, 1)
    found = stack(torch.randn(3000, 3), Parts(zeros, gate, torch.zeros(3000, 2, 3)), [0, 1], rows, 0.0)
    even, odd = ([number * found.mixing.table for number in biases] for biases in found.biases)
    assert abs(even[1] - even[0]) < 0.2
    assert odd[1] - odd[0] > 0.7


def test_what_was_stacked_is_what_the_companion_then_says(tokenizer: Tokenizer) -> None:
    torch.manual_seed(4)
    companion = Companion(Mixing(ngrams=NGRAMS, domains=("a", "b", "c"))).eval()
    torch.nn.init.normal_(companion.table)
    ids = [row.ids for row in TextTokens(tokenizer, 32).encode([*GOOD, *BAD])]
    own, tongues = companion.parts([*GOOD, *BAD], ids), [0, 1, 0]
    mixing = Mixing(encoder=0.5, table=2.0)
    stacked = Stacked(mixing, 0.25, [1.0, -0.5], [[0.1, 0.0, -0.1], [0.3, 0.2, 0.1]])
    fold(companion, stacked, tongues)
    factors = torch.tensor([stacked.domains[tongue] for tongue in tongues]).view(1, 3, 1)
    biases = torch.tensor([stacked.biases[tongue] for tongue in tongues])
    expected = Parts(0.25 * own.shared, own.gate, factors * own.domains + biases).joined()
    torch.testing.assert_close(companion.read([*GOOD, *BAD], ids), expected)


def test_an_encoder_that_cannot_be_weighed_is_refused_with_what_to_do() -> None:
    rows = [Example(str(at), "s", "en", label=at % 3) for at in range(300)]
    right = torch.nn.functional.one_hot(torch.tensor([row.label for row in rows]), 3).float()
    with pytest.raises(SettingsError, match="train the encoder first"):
        stack(0.1 * right, parts(torch.randn(300, 3)), [], rows, 0.0)


def parts(shared: torch.Tensor, *domains: torch.Tensor) -> Parts:
    """Of a companion whose gate takes every text as well for one domain as for another."""
    count = len(shared)
    own = torch.stack(domains, 1) if domains else torch.zeros(count, 0, 3)
    return Parts(shared, torch.zeros(count, len(domains)), own * max(1, len(domains)))


def test_a_domain_whose_rows_have_no_neutral_says_nothing_of_it(tokenizer: Tokenizer) -> None:
    rows = [*examples(), *(Example(row.text, "t", "en", label=row.label, classes=2) for row in examples(2))]
    plan = PLAN.model_copy(update={"domains": {"many": ("s",), "two": ("t",), "absent": ("u",)}})
    taught = fit_companion(rows, TextTokens(tokenizer, 32), plan, two_class_weight=0.5, seed=1)
    [many, two, absent] = taught.table[:, 6:].detach().view(-1, 3, 3).unbind(1)
    assert float(two[:, 1].abs().max()) == 0
    assert float(two.abs().max()) > 0
    assert float(many[:, 1].abs().max()) > 0
    assert float(absent.abs().max()) == 0


def test_an_artefact_keeps_its_companion_and_says_so_in_its_version(model: Encoder, tmp_path: Path) -> None:
    mixing = Mixing(ngrams=NGRAMS, domains=("a", "b"), encoder=0.5, table=2.0, bias=(0.25, 0.0, -0.25))
    companion = Companion(mixing).eval()
    torch.nn.init.normal_(companion.table)
    config = Config(name="tiny", body=BODY, backbone=model.shape())
    plain = save(tmp_path / "plain", config, tiny_tokenizer(), model, "# a card\n")
    version = save(tmp_path / "joined", config, tiny_tokenizer(), model, "# a card\n", companion)
    assert version != plain
    kept = load(tmp_path / "joined").companion
    assert kept is not None
    assert kept.mixing == companion.mixing
    table = widen(kept.stored())[f"{PREFIX}table"].T
    torch.testing.assert_close(table, companion.table.detach(), rtol=0, atol=0.03)
    again = Kept(mixing, kept.stored())
    assert torch.equal(read(again, *GOOD), read(kept, *GOOD))

    passages = [Passage(text, "en") for text in (*GOOD, *BAD)]
    settings = {"device": "cpu", "precision": "fp32"}
    [joined, alone] = [
        NeuralScorer(NeuralScorer.Settings(artefact=tmp_path / name, **settings)) for name in ("joined", "plain")
    ]
    expected = companion.mix(
        torch.tensor([raw.logits for raw in alone.network.read([*GOOD, *BAD])]), read(kept, *GOOD, *BAD)
    )
    got = torch.tensor([raw.logits for raw in joined.network.read([*GOOD, *BAD])])
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    assert [one.opinions for one in joined.score(passages)] == [one.opinions for one in alone.score(passages)]


def test_weights_without_a_companion_in_the_configuration_are_refused(model: Encoder, tmp_path: Path) -> None:
    config = Config(name="tiny", body=BODY, backbone=model.shape())
    save(tmp_path, config, tiny_tokenizer(), model, "# a card\n", Companion(Mixing(ngrams=NGRAMS)))
    wrong = {"companion": None}, {"companion": Mixing(ngrams=Ngrams(bits=13)).model_dump()}
    for change in wrong:
        told = json.loads((tmp_path / "config.json").read_text()) | change
        content = json.dumps(told).encode()
        (tmp_path / "config.json").write_bytes(content)
        manifest = json.loads((tmp_path / "manifest.json").read_text())
        manifest["files"]["config.json"] = {"sha256": sha256(content).hexdigest(), "size": len(content)}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(SettingsError, match="companion"):
            load(tmp_path)


@pytest.fixture
def accompanied(recipe: Path, data: Path) -> Path:
    """A recipe with a companion, and rows enough to weigh it."""
    words = ("battery", "screen", "service")
    rows = [
        {"text": f"the {one} is {tone} and the {other} {number}", "label": label, "lang": "en"}
        for number in range(40)
        for one in words
        for other in words
        for tone, label in (("great", "positive"), ("awful", "negative"), ("", "neutral"))
    ]
    write_rows(data / "train" / "mood.jsonl.gz", rows)
    text = recipe.read_text().replace("name: mood", "name: mood, cap: 900").replace("epochs: 4", "epochs: 1")
    recipe.write_text(f"{text}\nvalidation: 0.2\ncompanion: {{ngrams: {{bits: 12}}, rounds: 20}}\n")
    return recipe


def test_training_weighs_the_companion_on_rows_that_nothing_was_trained_on(
    accompanied: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    rows = read_rows(load_recipe(accompanied), data)
    kept = {row.text for row in rows.validation}
    assert 150 < len(kept) < 300
    assert not kept & {row.text for row in rows.train}
    done = train(accompanied, tmp_path / "run", data=data, backbone=str(backbone))
    stored = load(done.artefact)
    assert stored.companion is not None
    assert stored.companion.mixing.table > 0
    card = (done.artefact / "card.md").read_text()
    assert f"learnt on {len(kept)} training rows" in card
    # The cap is the encoder's; the companion reads every row but those that decide its weight.
    assert f"| mood | {1080 - len(kept)} | ours |" in card.replace(",", "")


def test_an_artefact_gets_a_companion_later_from_the_rows_its_run_never_reached(
    accompanied: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    text = accompanied.read_text().replace("validation: 0.2", "validation: 0.0")
    accompanied.write_text(text.replace("max_tokens: 32", "max_tokens: 24"))
    recipe = load_recipe(accompanied)
    plain = tmp_path / "plain.yaml"
    plain.write_text(text.split("companion:")[0])
    first = train(plain, tmp_path / "first", data=data, backbone=str(backbone))
    rows = read_rows(recipe, data)
    late = unreached(recipe, rows, tiny_tokenizer(), 20)
    assert 0 < len(late) < len(unreached(recipe, rows, tiny_tokenizer(), 10))
    out, origin = tmp_path / "second", str(backbone)
    done = add_companion(first.artefact, accompanied, out, data=data, backbone=origin, steps=20, minutes=1.0)
    before, after = load(first.artefact), load(done.artefact)
    assert after.companion is not None
    assert (before.config.body.max_tokens, after.config.body.max_tokens) == (32, 24)
    assert f"learnt on {len(late):,} training rows" in (done.artefact / "card.md").read_text()
    for name, weight in before.model.state_dict().items():
        torch.testing.assert_close(weight, after.model.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_a_companion_of_a_recipe_that_reads_on_beyond_the_places_of_the_body_is_refused(
    accompanied: Path, data: Path, model: Encoder, tmp_path: Path
) -> None:
    config = Config(name="tiny", body=BODY, backbone=model.shape())
    save(tmp_path / "plain", config, tiny_tokenizer(), model, "")
    accompanied.write_text(accompanied.read_text().replace("max_tokens: 32", "max_tokens: 65"))
    with pytest.raises(SettingsError, match=r"body\.max_tokens: 65 are more than the body's 64 places"):
        add_companion(tmp_path / "plain", accompanied, tmp_path, data=data, backbone="x", steps=20, minutes=1.0)


def test_without_rows_to_weigh_it_a_companion_is_refused(
    accompanied: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    accompanied.write_text(accompanied.read_text().replace("validation: 0.2", "validation: 0.0"))
    with pytest.raises(SettingsError, match="validation"):
        train(accompanied, tmp_path / "run", data=data, backbone=str(backbone))
