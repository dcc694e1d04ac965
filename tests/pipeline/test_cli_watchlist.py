"""Commands about watchlists."""

import json
from pathlib import Path

import pytest
import yaml

from tests.pipeline.command import Command

TEXTS = [
    *(f"My Lumora Zephyr broke, number {n}" for n in range(8)),
    *(f"the sky is blue {n}" for n in range(40)),
    "流墨手机很好用",
    "Zephyr is loud",
]


@pytest.fixture
def config(command: Command) -> Path:
    del command
    Path("posts.jsonl").write_text("".join(json.dumps({"body": text}) + "\n" for text in TEXTS), encoding="utf-8")
    path = Path("brands.yaml")
    path.write_text("watchlists: [{id: lumora, names: [Lumora, 流墨, LX9]}, {id: vega}]", encoding="utf-8")
    return path


def test_what_each_clause_finds_and_what_a_longer_list_would_add(command: Command, config: Path) -> None:
    ended = command("watchlist", "test", "posts.jsonl", "-c", config, "--field", "text=body", "--watchlist", "lumora")
    assert (ended.code, ended.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ended.out.splitlines() if line.startswith("│")]
    assert "lumora: 9 of 50 texts (18.0%)" in ended.out
    assert ["name", "Lumora", "8", "8", "My Lumora Zephyr broke, number 0"] in rows
    assert ["name", "流墨", "1", "1", "流墨手机很好用"] in rows
    assert any(row[0].endswith("Zephyr") and row[1] == "8" for row in rows)
    assert "warning: name 'LX9' stands in none of these texts" in ended.out
    assert "vega:" not in ended.out


def test_a_watchlist_that_matches_nothing_is_a_finding(command: Command, config: Path) -> None:
    assert command("watchlist", "test", "posts.jsonl", "-c", config, "--field", "text=body").code == 1
    nothing = command("watchlist", "test", "posts.jsonl", "-c", config, "--watchlist", "lumora")
    assert nothing.code == 1
    assert "50 texts could not be taken; the first: missing_field: text" in nothing.said


def test_mistakes_are_told_with_their_cure(command: Command, config: Path) -> None:
    for arguments, cure in (
        (("posts.jsonl", "-c", config, "--watchlist", "lumra"), "did you mean 'lumora'?"),
        (("posts.jsonl", "-c", config, "--field", "text"), "write ours=theirs"),
        (("posts.jsonl",), "no watchlists in the settings"),
    ):
        ended = command("watchlist", "test", *arguments)
        assert ended.code == 2
        assert cure in ended.said


def test_a_table_becomes_a_settings_file(command: Command) -> None:
    Path("brands.csv").write_text("id,names,context\nacme,Acme|艾克美,\nseat,Seat,car\n", encoding="utf-8")
    shown = command("watchlist", "import", "brands.csv")
    assert shown.code == 0
    assert "2 watchlists; try them: opinionwatch watchlist test POSTS -c brands.yaml" in shown.err
    assert yaml.safe_load(shown.out) == {
        "watchlists": [
            {"id": "acme", "name": "acme", "names": ["Acme", "艾克美"]},
            {"id": "seat", "name": "seat", "names": [{"term": "Seat", "context": ["car"]}]},
        ]
    }
    assert command("watchlist", "import", "brands.csv", "-o", "brands.yaml").code == 0
    assert yaml.safe_load(Path("brands.yaml").read_text(encoding="utf-8")) == yaml.safe_load(shown.out)
    again = command("watchlist", "import", "brands.csv", "-o", "brands.yaml")
    assert (again.code, "is there already" in again.said) == (2, True)
    assert command("watchlist", "import", "none.csv").code == 2
