"""What `doctor --tune` measures, in processes of its own and within a bounded time."""

from pathlib import Path

import pytest
import yaml

from opinionwatch.models.neural import NeuralScorer
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.tuning import HEADING, WORTH, Advice, Options, Way, cores, fastest, tune
from tests.models.tiny import tiny_artefact

LONG_S = 300
"""A start takes half a minute on a machine that does much else."""


def way(speed: float, processes: int = 1, refused: str = "") -> Way:
    return Way(processes, {}, speed, refused)


def test_it_measures_precisions_budgets_and_processes_beside_threads_and_says_what_to_write(tmp_path: Path) -> None:
    artefact = str(tiny_artefact(tmp_path / "tiny", "negative"))
    told: list[Way] = []
    announced: list[str] = []
    advice = tune(
        {"artefact": artefact, "device": "cpu"},
        ("fp32", "bf16", "fp16"),
        told.append,
        sample_s=0.05,
        longest_s=LONG_S,
        about=announced.append,
    )
    assert told == advice.ways
    assert len(announced) == len(told)
    assert "fp32" in announced[0]
    assert {each.options["precision"] for each in told} == {"fp32", "bf16"}
    assert {each.options["tokens_per_batch"] for each in told} == {1024, 2048, 4096}
    if cores() > 1:
        assert {(each.processes, each.options["threads"]) for each in told} >= {(1, 1), (1, cores()), (cores(), 1)}
    assert not advice.cut_short
    assert all(each.texts_per_s > 0 for each in told)
    written = yaml.safe_load(advice.lines)["scorer"]
    assert written.pop("kind") == "neural"
    assert NeuralScorer.Settings.model_validate(written).precision == advice.best.options["precision"]


def test_what_the_scorer_refuses_is_the_answer_when_nothing_else_came_of_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        tune({"artefact": str(tmp_path / "nowhere")}, ("fp32",), lambda _: None, sample_s=0.05, longest_s=LONG_S)


def test_it_ends_when_its_time_is_over(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing was measured within 0 s"):
        tune({"artefact": str(tmp_path)}, ("fp32",), lambda _: None, longest_s=0.01)


def test_what_comes_first_stands_unless_something_is_worth_the_change() -> None:
    first, little, much = way(100), way(100 * WORTH), way(120, 2)
    assert fastest([first, little]) is first
    assert fastest([first, None, much]) is much
    assert fastest([way(0, refused="no"), None]) is None


def test_rows_stand_below_their_heading_and_the_words_say_what_to_do() -> None:
    options: Options = {"precision": "bf16", "threads": 1, "tokens_per_batch": 2048}
    best = Way(2, options, 512.4)
    assert best.row.split() == ["512", "2", "1", "bf16", "2048"]
    assert len(best.row) == len(HEADING)
    assert Way(1, options, 0, "no such artefact").row.startswith("      –")
    words = Advice([best], best, True).words
    assert "--within 300" in words
    assert "scorer: {kind: neural, precision: bf16, threads: 1, tokens_per_batch: 2048}" in words
    assert "run 2 of `opinionwatch worker score`" in words
    alone = Advice([best], best._replace(processes=1), False).words
    assert "--within" not in alone
    assert "worker score" not in alone
