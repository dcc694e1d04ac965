import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from opinionwatch.models.evaluate import evaluate
from opinionwatch.models.evaluate_pages import write_pages
from opinionwatch.models.evaluate_report import Report
from opinionwatch.models.lexicon import LexiconScorer
from opinionwatch.pipeline.errors import SettingsError

CHALLENGE = Path(__file__).parents[2] / "models" / "challenge.tsv"


class Tags(HTMLParser):
    """Which elements a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    hostile = tmp_path / "<img src=x>|`*.jsonl"
    spans = [{"aspect_span": [0, 6], "opinion_span": [10, 15], "sentiment": "positive"}]
    rows = [
        {"text": "screen is great", "label": "positive", "triplets": spans},
        {"text": "awful", "label": "negative"},
        {"text": "no label"},
    ]
    hostile.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return evaluate(LexiconScorer(LexiconScorer.Settings()), [CHALLENGE, hostile])


def test_the_page_holds_every_table_and_picture(report: Report, tmp_path: Path) -> None:
    written = write_pages(report, tmp_path / "out")
    assert {path.name for path in written} == {
        "report.md", "report.html", "confusion.svg", "reliability.svg", "risk-coverage.svg",
    }  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    for title in ("files", "languages", "slices", "traits of the texts", "class", "triplets", "not measured"):
        assert title in page
    for name in ("irony", "negation", "mixed-language", "obfuscated", "short"):
        assert f"<td>{name}</td>" in page


def test_names_of_files_are_text_and_nothing_else(report: Report, tmp_path: Path) -> None:
    write_pages(report, tmp_path / "out")
    tags = Tags()
    tags.feed((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert {"table", "svg"} <= tags.found
    assert not {"img", "script"} & tags.found
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    # Every row of a table has as many cells as its head, whatever is in the name.
    for block in re.split(r"\n\n", markdown):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1
    assert table


def test_the_same_figures_give_the_same_pictures(report: Report, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_pages(report, tmp_path / name)
    for picture in ("confusion.svg", "reliability.svg", "risk-coverage.svg"):
        assert (tmp_path / "one" / picture).read_bytes() == (tmp_path / "two" / picture).read_bytes()


def test_a_folder_that_cannot_be_made_is_named(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot write the report"):
        write_pages(report, tmp_path / "file" / "out")
