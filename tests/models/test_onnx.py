"""An exported model, run by ONNX Runtime: it says what the network says, and its README is true."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from opinionwatch.models.artefact import Config, load, save
from opinionwatch.models.companion import Companion, Mixing
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.ngrams import Ngrams
from opinionwatch.models.onnx_export import Exported, Graph, export
from opinionwatch.models.onnx_read import OnnxScorer
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Passage

from .rows import sentiment_rows, write_rows

TEXTS = ["the screen is great", "味道很差", "a", "the battery " * 30, "", "<pad> </s> great"]


class Made:
    """One export for all tests that only read it: it takes seconds."""

    done: Exported | None = None


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    return tmp_path_factory.mktemp("onnx"), Made()


@pytest.fixture
def done(made: tuple[Path, Made], artefact: Path) -> Exported:
    scratch, kept = made
    if kept.done is None:
        write_rows(scratch / "mood.jsonl.gz", sentiment_rows())
        kept.done = export(artefact, scratch / "out", [scratch / "mood.jsonl.gz"], sentences=TEXTS)
    return kept.done


@pytest.fixture
def folder(made: tuple[Path, Made], done: Exported) -> Path:
    del done
    return made[0] / "out"


def test_what_the_runtime_reads_is_what_the_network_says_in_batches_of_any_size(artefact: Path, folder: Path) -> None:
    scorer, graph = OnnxScorer(folder), Graph(load(artefact)).eval()
    for texts in (TEXTS, TEXTS[:1], TEXTS[3:4]):
        encoded = scorer.tokens.encode(texts)
        width = max(len(each.ids) for each in encoded)
        ids = np.array([each.ids + [scorer.tokens.pad] * (width - len(each.ids)) for each in encoded])
        mask = np.array([[1] * len(each.ids) + [0] * (width - len(each.ids)) for each in encoded])
        with torch.inference_mode():
            plain = graph(torch.from_numpy(ids), torch.from_numpy(mask))
        for one, other in zip(scorer.run(ids, mask), plain, strict=True):
            assert one.shape == tuple(other.shape)
        assert np.allclose(scorer.run(ids, mask).sentiment, plain[0], atol=1e-4)
        assert np.allclose(
            scorer.run(ids, mask).opinion_tags[mask == 1], plain[2][torch.from_numpy(mask) == 1], atol=1e-4
        )


def test_it_is_calibrated_as_the_artefact_is(artefact: Path, folder: Path) -> None:
    passages = [Passage(text, lang) for text in TEXTS for lang in ("en", "zh")]
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32"))
    for mine, other in zip(OnnxScorer(folder).score(passages), scorer.score(passages), strict=True):
        assert mine.sentiment.label == other.sentiment.label
        assert mine.sentiment.unsure == other.sentiment.unsure
        assert mine.sentiment.negative == pytest.approx(other.sentiment.negative, abs=1e-3)


def test_the_cost_is_told_in_likeness_size_speed_and_quality(done: Exported) -> None:
    assert done.likeness.sentences == len(TEXTS)
    assert done.likeness.largest < 1e-4
    assert done.likeness.flips == 0
    assert done.cost.quality is not None
    assert [file.texts for file in done.cost.quality.files] == [12]
    assert done.cost.bytes_after > 0
    assert done.cost.cpu_s_after > 0


def test_the_file_is_whole_and_says_what_a_reader_must_know(artefact: Path, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "tokenizer.json", "README.md", "card.md"}
    read = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(read, full_check=True)
    about = {entry.key: entry.value for entry in read.metadata_props}
    assert about["version"] == load(artefact).version
    assert json.loads(about["labels"]) == ["negative", "neutral", "positive"]
    assert json.loads(about["calibration"])["en"] == {"temperature": 2.0, "unsure_below": 0.9}


def test_the_program_in_the_readme_runs_without_us(folder: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert "opinionwatch" not in program
    ran = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    told = [line.split()[0] for line in ran.stdout.splitlines()]
    passages = [Passage("The battery is awful", "en"), Passage("服务很好", "zh")]
    assert told == [reading.sentiment.label for reading in OnnxScorer(folder).score(passages)]


def test_in_eight_bits_it_says_nearly_the_same(artefact: Path, folder: Path, tmp_path: Path) -> None:
    done = export(artefact, tmp_path / "out", int8=True, sentences=TEXTS)
    assert (tmp_path / "out" / "model.onnx").read_bytes() != (folder / "model.onnx").read_bytes()
    kinds = {node.op_type for node in onnx.load(tmp_path / "out" / "model.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert 0 < done.likeness.largest < 0.1
    assert OnnxScorer(tmp_path / "out").version == OnnxScorer(folder).version


def test_a_companion_stays_behind_with_its_bias_and_factor_in_the_logits(artefact: Path, tmp_path: Path) -> None:
    stored = load(artefact)
    companion = Companion(Mixing(ngrams=Ngrams(bits=8), encoder=0.5, table=1.0, bias=(0.0, 3.0, 0.0)))
    config: Config = stored.config
    save(tmp_path / "joined", config, stored.tokens.tokenizer, stored.model, "# a card\n", companion)
    done = export(tmp_path / "joined", tmp_path / "out", sentences=TEXTS)
    assert done.likeness.largest < 1e-4
    assert "linear\ncompanion" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    [reading] = OnnxScorer(tmp_path / "out").score([Passage("the screen", "zh")])
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=tmp_path / "joined", device="cpu", precision="fp32"))
    # The companion has no weights yet: it knows no word of any text.
    assert reading.sentiment.neutral == pytest.approx(
        scorer.score([Passage("the screen", "zh")])[0].sentiment.neutral, abs=1e-3
    )


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
