from pathlib import Path

import pytest

from opinionwatch.models.recipe import Recipe, load_recipe
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


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_shipped_recipe_trains_on_a_row_whose_terms_forbid_it(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    trained = [source.name for source in recipe.sources if not source.evaluate_only]
    forbidden = [name for name in trained for part in FORBIDDEN if part in name]
    assert bool(forbidden) == recipe.local, "one whose weights stay here says so"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_a_recipe_may_extend_another_and_change_some_keys(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="name: base\nsentiment: [{name: a, terms: t}]\nschedule: {epochs: 3, seed: 5}\ncompanion: {rounds: 2}\n",
        middle="extends: base\nname: middle\nschedule: {epochs: 4}\n",
        top="extends: middle\nname: top\nbody: {layers: 3}\ncompanion: null\nsentiment: [{name: b, terms: t}]\n",
    )
    top = load_recipe(tmp_path / "top.yaml")
    assert (top.name, top.schedule.epochs, top.schedule.seed, top.body.layers) == ("top", 4, 5, 3)
    assert top.companion is None
    assert [source.name for source in top.sentiment] == ["b"]


def test_a_recipe_that_extends_nothing_that_is_there_or_itself_is_refused(tmp_path: Path) -> None:
    write(tmp_path, default="name: default\nsentiment: []\n", near="extends: defalt\n", ring="extends: ring\n")
    with pytest.raises(SettingsError, match="did you mean 'default'"):
        load_recipe(tmp_path / "near.yaml")
    with pytest.raises(SettingsError, match="or itself"):
        load_recipe(tmp_path / "ring.yaml")


def shipped(name: str) -> Recipe:
    return load_recipe(RECIPES / f"{name}.yaml")


def test_the_tiers_differ_in_depth_and_rows_and_read_the_same_files() -> None:
    fast, default, accurate = shipped("fast"), shipped("default"), shipped("accurate")
    assert fast.sources == default.sources == accurate.sources
    assert fast.companion == default.companion == accurate.companion
    assert default.body.targets
    assert (fast.body.layers, default.body.layers) == (6, None)
    assert fast.body.model_copy(update={"layers": None}) == default.body == accurate.body
    assert (default.uncapped, accurate.uncapped) == (False, True)


def test_the_accurate_recipe_ends_with_its_epochs_and_leaves_the_notice_to_its_backbone() -> None:
    accurate = shipped("accurate")
    assert accurate.schedule.deadline_minutes is None
    assert accurate.schedule.epochs >= 3
    assert accurate.origin == "other"


def test_the_distilled_recipe_is_the_fast_one_taught_by_the_deeper_one_beside_it() -> None:
    student = shipped("distilled")
    assert student.distillation is not None
    assert student.distillation.recipes == ("default",)
    assert student.body == shipped("fast").body
    assert student.sources == shipped("default").sources


def test_what_a_recipe_starts_from_or_learns_from_ships_beside_it() -> None:
    names = {path.stem for path in RECIPES.glob("*.yaml")}
    for name in names:
        recipe = shipped(name)
        asked = {recipe.start} - {None} | set(recipe.distillation.recipes if recipe.distillation else ())
        assert asked <= names, name
