"""What an artefact's folder says without being loaded is what the loaded scorer says."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from opinionwatch.models.manifest import CONFIG, DEFAULT, MANIFEST, Counted
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.pipeline.daemon_worker import errors_of
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.settings import Settings


def test_version_and_confusion_are_those_of_the_loaded_scorer(artefact: Path) -> None:
    config, manifest = json.loads((artefact / CONFIG).read_text()), json.loads((artefact / MANIFEST).read_text())
    config["calibration"]["en"] = {"confusion": {"hits": 90, "negatives": 100, "false_hits": 5, "others": 200}}
    told = json.dumps(config).encode()
    (artefact / CONFIG).write_bytes(told)
    manifest["files"][CONFIG] = {"sha256": sha256(told).hexdigest(), "size": len(told)}
    (artefact / MANIFEST).write_text(json.dumps(manifest))
    known, scorer = Counted({"artefact": str(artefact)}), NeuralScorer(NeuralScorer.Settings(artefact=artefact))
    assert (known.version, known.confusion) == (scorer.version, scorer.confusion)
    assert known.confusion["en"].hits == 90


def test_a_trend_worker_knows_the_errors_of_a_scorer_that_was_counted_and_of_no_other() -> None:
    assert errors_of(Settings.model_validate({"scorer": {"kind": "lexicon"}})) == {}
    found = errors_of(Settings.model_validate({"scorer": {"kind": "neural", "artefact": str(DEFAULT)}}))
    assert found == {Counted({}).version: Counted({}).confusion}


def test_an_artefact_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such folder"):
        Counted({"artefact": str(tmp_path / "none")})


def test_a_configuration_that_says_nothing_is_refused_with_the_reason(artefact: Path) -> None:
    manifest = json.loads((artefact / MANIFEST).read_text())
    (artefact / CONFIG).write_bytes(b"nothing")
    manifest["files"][CONFIG] = {"sha256": sha256(b"nothing").hexdigest(), "size": 7}
    (artefact / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(SettingsError, match=r"config\.json: Invalid JSON"):
        Counted({"artefact": str(artefact)})


def test_it_needs_no_torch() -> None:
    told = "import sys; import opinionwatch.models.manifest as m; m.Counted({}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
