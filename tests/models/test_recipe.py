from pathlib import Path

import pytest

from opinionwatch.models.recipe import load_recipe
from opinionwatch.models.train import RECIPES
from opinionwatch.pipeline.errors import SettingsError

FORBIDDEN = ("en_fpb", "en_gop", "airline", "chnsenticorp", "zh_hotel", "absa_en_aste", "mams", "absa_en_apc", "_mix")


def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("name: x\nsentiment: []\nschedule: {epoch: 3}\n")
    with pytest.raises(SettingsError, match=r"schedule\.epoch: unknown key; did you mean 'epochs'"):
        load_recipe(path)


@pytest.mark.parametrize("text", ["", "- a", "name: [", "name: x\nsentiment: 3", "name: X Y\nsentiment: []"])
def test_what_is_no_recipe_is_a_settings_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"r\.yaml"):
        load_recipe(path)


def test_a_missing_recipe_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        load_recipe(tmp_path / "none.yaml")


def test_the_shipped_recipe_trains_on_no_row_whose_terms_forbid_it() -> None:
    recipe = load_recipe(RECIPES / "default.yaml")
    trained = [source.name for source in recipe.sources if not source.evaluate_only]
    assert not [name for name in trained for part in FORBIDDEN if part in name]
