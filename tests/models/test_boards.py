"""Weights & Biases draws a run when the environment says so, offline too, and is no part of it otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opinionwatch.models.boards import boards
from opinionwatch.models.recipe import load_recipe
from opinionwatch.pipeline.errors import SettingsError

PROGRAM = Path(sys.executable).parent / "opinionwatch"
KEY = "0123456789abcdef0123456789abcdef01234567"


def test_without_a_project_there_is_tensorboard_alone(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    [board] = boards(tmp_path, load_recipe(recipe))
    board.numbers(1, {"loss/sentiment": 0.5})
    board.close(failed=False)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["tensorboard"]


def test_where_it_is_not_installed_it_is_said_what_to_do(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "moods")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SettingsError, match=r"pip install 'opinionwatch\[wandb\]', or unset WANDB_PROJECT"):
        boards(tmp_path, load_recipe(recipe))


def test_a_run_is_written_offline_with_its_recipe_and_losses_and_without_the_key(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    recipe.write_text(recipe.read_text().replace("epochs: 4", "epochs: 40"))
    run = tmp_path / "run"
    words = ["train", "--recipe", recipe, "--data", data, "--backbone", backbone, "--out", run]
    weights = {"WANDB_PROJECT": "moods", "WANDB_MODE": "offline", "WANDB_API_KEY": KEY}
    ended = subprocess.run(
        [PROGRAM, *words], env={**os.environ, **weights}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert KEY not in ended.stdout + ended.stderr
    [written] = (run / "wandb").glob("offline-run-*/run-*.wandb")
    content = written.read_bytes()
    for word in (b"loss/sentiment", b"moods", b"rows_per_batch"):
        assert word in content
    assert not [path for path in run.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    # Nothing of the rows leaves with it.
    assert b"awful" not in content
    assert "很差".encode() not in content
