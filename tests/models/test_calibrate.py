import pytest
import torch

from opinionwatch.models.calibrate import (
    Calibration,
    calibrate,
    calibration_error,
    fit_temperature,
    for_lang,
    unsure_below,
)
from opinionwatch.models.measure import lang_figures


def overconfident(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits four times as large as the distribution their labels are drawn from."""
    generator = torch.Generator().manual_seed(seed)
    honest = torch.randn(rows, 3, generator=generator)
    labels = torch.multinomial(honest.softmax(-1), 1, generator=generator).squeeze(1)
    return 4 * honest, labels


def test_the_temperature_undoes_overconfidence() -> None:
    logits, labels = overconfident(6000, 1)
    assert fit_temperature(logits, labels) == pytest.approx(4, rel=0.1)


def test_the_calibration_error_falls_and_no_label_changes() -> None:
    logits, labels = overconfident(6000, 2)
    own = calibrate(logits, labels, ["en"] * 6000, 0.9)["en"]
    before, after = logits.softmax(-1), (logits / own.temperature).softmax(-1)
    assert torch.equal(before.argmax(-1), after.argmax(-1))
    right = before.argmax(-1) == labels
    assert calibration_error(after.max(-1).values, right) < 0.03 < calibration_error(before.max(-1).values, right)


def test_what_is_not_unsure_is_right_often_enough() -> None:
    top = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    right = torch.tensor([True, True, True, False, False])
    threshold = unsure_below(top, right, 0.75)
    assert threshold == pytest.approx(0.6)
    assert float(right[top >= threshold].float().mean()) >= 0.75


def test_where_nothing_is_right_often_enough_everything_is_unsure() -> None:
    assert unsure_below(torch.tensor([0.9, 0.8]), torch.tensor([False, True]), 0.9) == 1.0


def test_a_language_with_few_rows_shares_the_calibration_of_all() -> None:
    logits, labels = overconfident(200, 3)
    found = calibrate(logits, labels, ["en"] * 190 + ["zh"] * 10, 0.9)
    assert set(found) == {"en", "other"}
    assert for_lang(found, "zh") is found["other"]
    assert for_lang({}, "zh") == Calibration()


def test_an_honest_set_has_no_calibration_error() -> None:
    right = torch.tensor([True] * 7 + [False] * 3)
    assert calibration_error(torch.full((10,), 0.7), right) == pytest.approx(0, abs=1e-6)


def test_the_confusion_is_counted_on_the_rows_that_are_sure() -> None:
    logits = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [0, 9.0, 0], [0, 9.0, 0], [1.0, 0.9, 0]] * 40)
    labels = torch.tensor([0, 1, 1, 0, 2] * 40)
    own = calibrate(logits, labels, ["en"] * 200, 0.5)["en"]
    assert own.confusion is not None
    assert (own.confusion.hits, own.confusion.negatives) == (40, 80)
    assert own.confusion.false_hits in (40, 80)
    assert Calibration.model_validate_json(own.model_dump_json()) == own


def test_without_a_negative_row_there_is_no_confusion() -> None:
    logits, labels = torch.tensor([[0, 9.0, 0]] * 60), torch.ones(60, dtype=torch.long)
    assert calibrate(logits, labels, ["en"] * 60, 0.5)["en"].confusion is None


def test_how_sure_a_model_may_be_is_judged_on_rows_that_did_not_decide_it() -> None:
    # Every other row is right, all with the same certainty: what one half would set fails on the other.
    logits = torch.tensor([[6.0, 0, 0]] * 200, dtype=torch.float64)
    labels = torch.tensor([0, 1] * 100)
    [found] = lang_figures(logits, labels, ["en"] * 200, sure=0.9)
    assert (found.rows, found.accuracy) == (200, 0.5)
    # The right half never reaches 90 % by the wrong one's threshold; the wrong half is sure by the right one's.
    assert (found.coverage, found.confident_accuracy) == (0.5, 0.0)
    assert found.calibration_error > 0.7
