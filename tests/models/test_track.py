"""What people see of a training run while it goes on."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from opinionwatch.models.checkpoint import Progress
from opinionwatch.models.track import PARTS, Track
from opinionwatch.models.track_show import Bar
from opinionwatch.pipeline.errors import FatalError


def a_run(out: Path, console: Console) -> None:
    with Track(out, 2, [], Bar(console)) as track:
        for step in range(1, 5):
            track.step(Progress(step=step, elapsed_s=30.0 * step), step / 4, torch.full((len(PARTS),), 0.5))


def test_in_a_terminal_a_bar_says_how_far_it_is_and_what_it_loses(tmp_path: Path) -> None:
    screen = io.StringIO()
    a_run(tmp_path, Console(file=screen, force_terminal=True, width=120, color_system=None))
    assert "100%" in screen.getvalue()
    assert f"step 4: {PARTS[0]} 0.500" in screen.getvalue()


def test_a_loss_that_is_no_number_is_told_at_its_step_and_not_at_the_next_line_of_the_log(tmp_path: Path) -> None:
    with Track(tmp_path, 50, []) as track, pytest.raises(FatalError, match="no longer a number at step 3"):
        track.step(Progress(step=3), 0.5, torch.full((len(PARTS),), float("nan")))


def test_elsewhere_there_is_no_bar_and_the_log_has_it_all_the_same(tmp_path: Path) -> None:
    file = io.StringIO()
    a_run(tmp_path, Console(file=file))
    assert file.getvalue() == ""
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["progress"], line[PARTS[0]]) for line in lines] == [(2, 0.5, 0.5), (4, 1.0, 0.5)]
