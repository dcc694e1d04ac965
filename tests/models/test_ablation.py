"""The ablation table: a row for every trial, none made twice, and a run that was cut off goes on."""

from pathlib import Path

from tests.bench.ablation import Ablation


def ablation(data: Path, backbone: Path, out: Path, recipe: Path) -> Ablation:
    return Ablation(data, backbone, out, recipe, rows=12, dev=12, steps=3)


def test_every_row_is_made_once_on_the_same_rows_and_stands_when_it_is_asked_for_again(
    data: Path, backbone: Path, recipe: Path, tmp_path: Path
) -> None:
    first = ablation(data, backbone, tmp_path / "out", recipe)
    chosen = first.chosen(["focal", "lstm × vectors", "distilled"])
    assert {"base", "seed 2", "seed 3", "distilled from the ensemble"} < {each.name for each in chosen}
    table = [*first.table(chosen, first.run(chosen))]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table[4:]] == [each.name for each in chosen]
    made = tmp_path / "out" / "rows.jsonl"
    before = made.read_text()
    assert len(before.splitlines()) == len(chosen)
    # Killed while it wrote the last row: that one is made again, and no other.
    made.write_text(before[:-20])
    again = ablation(data, backbone, tmp_path / "out", recipe)
    assert [each.name for each in chosen if not again.stands(each)] == [chosen[-1].name]
    assert [*again.table(chosen, again.run(chosen, minutes=-1))][-1] == f"Not made yet: {chosen[-1].name}."
    assert len([*again.table(chosen, again.run(chosen))]) == len(table)
    assert made.read_text().splitlines()[:-1] == before.splitlines()[:-1]


def test_what_is_made_of_other_rows_or_with_another_budget_does_not_stand(
    data: Path, backbone: Path, recipe: Path, tmp_path: Path
) -> None:
    first = ablation(data, backbone, tmp_path / "out", recipe)
    base = first.chosen(["base"])
    first.run(base)
    longer = Ablation(data, backbone, tmp_path / "out", recipe, rows=12, dev=12, steps=4)
    assert first.stands(base[0])
    assert not longer.stands(base[0])
