"""An export, run by ONNX Runtime: every head says what the scorer says, and so does the program that goes with it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import onnx
import pytest
import torch

from opinionwatch.models.artefact import load, save
from opinionwatch.models.batches import span_batch
from opinionwatch.models.calibrate import Calibration
from opinionwatch.models.companion import Companion, Mixing
from opinionwatch.models.decode import Decoding
from opinionwatch.models.encoder import Encoded
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.ngrams import Ngrams
from opinionwatch.models.onnx_export import Exported, export
from opinionwatch.models.onnx_graphs import graphs_of
from opinionwatch.models.onnx_read import BOUND, OnnxScorer
from opinionwatch.pipeline.contracts import Reading, Sentiment
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Passage

from .rows import sentiment_rows, write_rows
from .tiny import RIVALS, partisan_artefact

TEXTS = ["the screen is great", "味道很差", "a", "the battery " * 30, "", "<pad> </s> great"]
NAMED = [
    ("Corvo beats Brava", "en", "Corvo"),
    ("Corvo beats Brava", "en", "Brava"),
    ("the battery is awful and the battery is slow", "en", "battery"),
    ("屏幕比电池好", "zh", "屏幕"),
    ("味道很好，服务态度差 😀", "zh", "服务"),
    ("great </s> screen", "other", "screen"),
]
GRAPHS = ("model.onnx", "pairs.onnx", "targets.onnx")


class Made(NamedTuple):
    artefact: Path
    folder: Path
    done: Exported


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An artefact with every head and a companion with weights, and its export: it takes seconds, all read one."""
    scratch = tmp_path_factory.mktemp("onnx")
    stored = load(partisan_artefact(scratch / "before", "neutral", RIVALS))
    mixing = Mixing(ngrams=Ngrams(bits=9), domains=("one", "two"), encoder=0.7, table=0.9, bias=(0.2, -0.1, 0.3))
    companion = Companion(mixing)
    torch.manual_seed(8)
    with torch.no_grad():
        for weights in companion.parameters():
            weights.normal_()
    calibration = {"en": Calibration(temperature=2.0, unsure_below=0.9), "other": Calibration()}
    about = {"calibration": calibration, "decoding": Decoding(term_bias=0.1, link_bias=0.05)}
    config = stored.config.model_copy(update=about)
    save(scratch / "artefact", config, stored.tokens.tokenizer, stored.model, "# a card\n", companion)
    write_rows(scratch / "mood.jsonl.gz", sentiment_rows())
    done = export(scratch / "artefact", scratch / "out", [scratch / "mood.jsonl.gz"], sentences=TEXTS)
    return Made(scratch / "artefact", scratch / "out", done)


def passages() -> list[Passage]:
    named = [Passage(text, lang, (((text.index(name), text.index(name) + len(name)),),)) for text, lang, name in NAMED]
    return [*named, *(Passage(text, lang) for text in TEXTS for lang in ("en", "zh"))]


def the_same(mine: Sentiment, other: Sentiment) -> None:
    assert (mine.label, mine.unsure) == (other.label, other.unsure)
    assert mine.negative == pytest.approx(other.negative, abs=BOUND)
    assert mine.positive == pytest.approx(other.positive, abs=BOUND)


def readings(artefact: Path) -> list[Reading]:
    return NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32")).score(passages())


def test_the_runtime_reads_sentiment_triplets_and_names_as_the_scorer_does(made: Made) -> None:
    wanted = readings(made.artefact)
    for mine, other in zip(OnnxScorer(made.folder).score(passages()), wanted, strict=True):
        the_same(mine.sentiment, other.sentiment)
        assert len(mine.targets) == len(other.targets)
        for toward, same in zip(mine.targets, other.targets, strict=True):
            the_same(toward, same)
        assert [one.model_copy(update={"confidence": 0}) for one in mine.opinions] == [
            one.model_copy(update={"confidence": 0}) for one in other.opinions
        ]
        for opinion, term in zip(mine.opinions, other.opinions, strict=True):
            assert opinion.confidence == pytest.approx(term.confidence, abs=BOUND)
    told = [term for reading in wanted for term in reading.opinions]
    assert {term.aspect is None for term in told} == {True, False}, "implied aspects and others were compared"
    moods = [reading.targets[0].label for reading in wanted[: len(NAMED)]]
    assert len(set(moods)) > 1, "names change something here"


def test_every_head_gives_the_networks_logits_for_batches_and_lists_of_any_size(made: Made) -> None:
    exported, graphs = OnnxScorer(made.folder), graphs_of(load(made.artefact))
    assert graphs.toward is not None
    for texts in (TEXTS, TEXTS[:1], TEXTS[3:4], TEXTS[4:5]):
        encoded = exported.network.tokens.encode(texts)
        ids, mask, _ = exported.network.padded(max(len(each.ids) for each in encoded), encoded)
        with torch.inference_mode():
            plain: Encoded = graphs.whole(ids, mask)
        found = exported.network.model(ids, mask)
        real = mask == 1
        torch.testing.assert_close(found.sentiment, plain.sentiment, atol=BOUND, rtol=0)
        for one, other in zip(found[1:], plain[1:], strict=True):
            torch.testing.assert_close(one[real], other[real], atol=BOUND, rtol=0)
        for aspects, pairs in (([], [(-1, 0)]), ([(0, 1, 1)], [(0, 0)]), ([(0, 0, 1)] * 3, [(-1, 0), (2, 0), (1, 0)])):
            left, right, links = span_batch(aspects), span_batch([(0, 1, 1)]), torch.tensor(pairs)
            with torch.inference_mode():
                logits = graphs.pairs(plain.hidden, torch.stack(left, 1), torch.stack(right, 1), links)
                added = graphs.toward(plain.hidden, torch.stack(right, 1))
            torch.testing.assert_close(
                exported.network.model.pairs(found, left, right, links), logits, atol=BOUND, rtol=0
            )
            torch.testing.assert_close(exported.network.model.toward(found, right), added, atol=BOUND, rtol=0)


def test_the_cost_is_told_in_likeness_size_speed_and_quality(made: Made) -> None:
    assert made.done.likeness.sentences == len(TEXTS)
    assert made.done.likeness.largest < BOUND / 10
    assert made.done.likeness.flips == 0
    assert made.done.cost.quality is not None
    assert [file.texts for file in made.done.cost.quality.files] == [12]
    assert made.done.cost.bytes_after > 0
    assert made.done.cost.cpu_s_after > 0


def test_the_files_are_whole_and_the_readme_names_all_that_is_in_them(made: Made) -> None:
    files = {*GRAPHS, "companion.safetensors", "tokenizer.json", "README.md", "example.py", "card.md"}
    assert {path.name for path in made.folder.iterdir()} == files
    readme = (made.folder / "README.md").read_text(encoding="utf-8")
    for name in GRAPHS:
        read = onnx.load(made.folder / name)
        onnx.checker.check_model(read, full_check=True)
        section = readme.split(f"## {name}")[1].split("\n## ")[0]
        for each in (*read.graph.input, *read.graph.output):
            assert f"`{each.name}`" in section, (name, each.name)
    about = {entry.key: entry.value for entry in onnx.load(made.folder / "model.onnx").metadata_props}
    assert {key for key in about if f"`{key}`" not in readme} == set()
    assert about["version"] == load(made.artefact).version
    assert json.loads(about["labels"]) == ["negative", "neutral", "positive"]
    assert json.loads(about["calibration"])["en"] == {"temperature": 2.0, "unsure_below": 0.9}
    assert json.loads(about["decoding"]) == {"term_bias": 0.1, "link_bias": 0.05}


def program(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("exported_example", folder / "example.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_program_beside_the_files_says_what_the_scorer_says(made: Made) -> None:
    model = program(made.folder).Model(made.folder)
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=made.artefact, device="cpu", precision="fp32"))
    for text, lang, name in [*NAMED, *((text, "zh", "") for text in TEXTS)]:
        places = [at for at in range(len(text)) if name and text.startswith(name, at)]
        spans = tuple((at, at + len(name)) for at in places)
        [wanted] = scorer.score([Passage(text, lang, (spans,) if spans else ())])
        said = model.read(text, lang, name)
        moods = [(said["sentiment"], wanted.sentiment), *((said["toward"], toward) for toward in wanted.targets)]
        for mine, other in moods:
            assert (mine["label"], mine["unsure"]) == (other.label, other.unsure)
            assert mine["chances"] == pytest.approx([other.negative, other.neutral, other.positive], abs=BOUND)
        assert [told[:3] for told in said["opinions"]] == [
            [term.aspect, term.opinion, term.polarity] for term in wanted.opinions
        ]
        assert [told[3] for told in said["opinions"]] == pytest.approx(
            [term.confidence for term in wanted.opinions], abs=BOUND
        )


def test_that_program_runs_without_us(made: Made) -> None:
    assert "opinionwatch" not in (made.folder / "example.py").read_text(encoding="utf-8")
    text, lang, name = NAMED[0]
    command = [sys.executable, "example.py", text, lang, name]
    ran = subprocess.run(command, cwd=made.folder, capture_output=True, text=True, check=True)
    [reading] = readings(made.artefact)[:1]
    said = json.loads(ran.stdout)
    assert (said["sentiment"]["label"], said["toward"]["label"]) == (reading.sentiment.label, reading.targets[0].label)


def test_in_eight_bits_it_says_nearly_the_same_and_what_an_artefact_lacks_is_not_there(
    artefact: Path, tmp_path: Path
) -> None:
    done = export(artefact, tmp_path / "out", int8=True, sentences=TEXTS)
    kinds = {node.op_type for node in onnx.load(tmp_path / "out" / "model.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert 0 < done.likeness.largest < 0.1
    assert OnnxScorer(tmp_path / "out").version == f"{load(artefact).version}-onnx"
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"model.onnx", "pairs.onnx", "tokenizer.json", "README.md", "example.py", "card.md"}
    readme = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "targets.onnx" not in readme
    assert "companion" not in readme
    said = program(tmp_path / "out").Model(tmp_path / "out").read("the screen is great", "en", "screen")
    assert set(said) == {"sentiment", "opinions"}
    [reading] = OnnxScorer(tmp_path / "out").score([Passage("the screen is great", "en", (((4, 10),),))])
    assert (reading.targets, reading.sentiment.label) == ((), said["sentiment"]["label"])


def test_a_folder_with_something_else_in_it_is_left_alone(artefact: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("dear")
    with pytest.raises(SettingsError, match=r"holds 'love\.txt': give --out a new folder"):
        export(artefact, tmp_path / "letters", sentences=TEXTS)


def test_without_the_extra_it_is_said_what_to_install(
    artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(SettingsError, match=r"pip install 'opinionwatch\[onnx\]'"):
        export(artefact, tmp_path / "out")
