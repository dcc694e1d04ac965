"""Commands that look at sources before they run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Page
from tests.pipeline.command import Command

POSTS = [
    {"native_id": "1", "text": "The Lumora battery is awful", "author": "anna", "published_at": "2026-03-02T08:00:00Z"},
    {"native_id": "2", "text": "流墨手机很好用"},
    {"native_id": "3", "text": "nothing about anybody"},
    {"native_id": "4", "text": "Lumora Foods opens a shop"},
    {"native_id": "5", "text": "Vega at night"},
    {"native_id": "6"},
    {"native_id": "7", "text": "Lumora \x1b[31mred"},
]
WHOLE = """
watchlists:
  - {id: lumora, names: [Lumora, 流墨], exclude: [Lumora Foods]}
  - {id: vega, names: [{term: Vega, context: [car, 汽车]}]}
sources:
  - {name: posts, kind: jsonl, path: posts.jsonl}
  - {name: pushed, kind: webhook, secrets: [whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA]}
  - {name: gone, kind: jsonl, path: gone.jsonl}
  - {name: feed, kind: rss, url: "https://nowhere.invalid/feed?key=s3cret", interval_s: 60}
  - {name: account, kind: "tests.pipeline.test_cli_source:Account", balance: 12}
"""


class Account:
    """A service one has an account with.

    Delivery: none; it only lets itself
    be checked.

    Terms: Pay first.
    """

    kind = "tests.pipeline.test_cli_source:Account"
    interval_s: float | None = None
    replays = False

    class Settings(BaseModel):
        """Its settings."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        balance: int

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.instance = name, "account"
        self._balance = settings.balance

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Nothing."""
        del cursor
        return iter(())

    def check(self) -> str:
        """How much is left."""
        if self._balance <= 0:
            raise RetryableError("the token is not accepted: make a new one at https://x.example/tokens?for=me")
        return f"{self._balance} left"

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def config(command: Command) -> Path:
    del command
    Path("posts.jsonl").write_text("".join(json.dumps(post) + "\n" for post in POSTS), encoding="utf-8")
    path = Path("opinionwatch.yaml")
    path.write_text(WHOLE, encoding="utf-8")
    return path


def test_try_shows_each_document_with_its_end_and_the_clause(command: Command, config: Path) -> None:
    ended = command("source", "try", "posts", "-c", config)
    assert (ended.code, ended.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ended.out.splitlines() if line.startswith("│")]
    told = {row[5] or row[1]: row for row in rows}
    assert told["The Lumora battery is awful"][:4] == ["matched", "lumora: name: Lumora", "2026-03-02 08:00", "en"]
    assert len(told["The Lumora battery is awful"][4]) == 16
    assert told["流墨手机很好用"][:2] == ["matched", "lumora: name: 流墨"]
    neither = "lumora: name: none stands there; vega: name: none stands there"
    assert told["nothing about anybody"][:2] == ["dropped", neither]
    assert told["Lumora Foods opens a shop"][1].startswith("lumora: exclude: Lumora Foods; ")
    assert told["Vega at night"][1].endswith("vega: name: Vega, without any of its context")
    assert any(row[0] == "dead" and row[1].startswith("missing_field: text") for row in rows)
    assert "\x1b" not in ended.out and "anna" not in ended.out
    assert "7 documents in" in ended.said and "no more" in ended.said
    assert "Delivery: at least once from a file" in ended.said


def test_try_stores_nothing_and_reads_no_more_than_it_was_asked(command: Command, config: Path) -> None:
    before = sorted(Path.cwd().rglob("*"))
    ended = command("source", "try", "posts", "-n", 2, "-c", config)
    assert (ended.code, sorted(Path.cwd().rglob("*"))) == (0, before)
    assert "2 documents in" in ended.said and "more are there" in ended.said


def test_try_says_why_there_is_nothing(command: Command, config: Path) -> None:
    ended = command("source", "try", "gone", "-c", config)
    assert ended.code == 1
    assert "cannot open gone.jsonl: No such file or directory" in ended.said
    told = command("source", "try", "pushed", "-c", config)
    assert told.code == 2
    assert "it is told, not asked" in told.said and "/hooks/pushed" in told.said


def test_check_looks_at_every_source_and_ends_with_1_when_one_would_not_work(command: Command, config: Path) -> None:
    ended = command("source", "check", "-c", config, "--seconds", 20)
    assert (ended.code, ended.err) == (1, "")
    said = dict(line.split(" ", 1) for line in (line[5:] for line in ended.out.splitlines()))
    assert ended.out.count("ok   ") == 3 and ended.out.count("BAD ") == 2
    assert said["posts"].startswith("(jsonl): answers after ")
    assert said["pushed"] == "(webhook): is told at /hooks/pushed; its secrets can be read"
    assert said["gone"].startswith("(jsonl): refused for ever: cannot open gone.jsonl")
    assert said["feed"].startswith("(rss): https://nowhere.invalid/feed: ")
    assert "it cannot be reached: look at the address, at DNS and at the firewall" in said["feed"]
    assert said["account"].endswith("12 left")
    assert "s3cret" not in ended.out


def test_check_of_one_source_asks_the_source_itself_where_it_can_be_asked(command: Command, config: Path) -> None:
    assert command("source", "check", "account", "-c", config).code == 0
    config.write_text(WHOLE.replace("balance: 12", "balance: 0"), encoding="utf-8")
    ended = command("source", "check", "account", "-c", config)
    assert ended.code == 1
    assert "the token is not accepted: make a new one at https://x.example/tokens" in ended.said
    assert "for=me" not in ended.out


def test_list_shows_pace_and_promises(command: Command, config: Path) -> None:
    ended = command("source", "list", "-c", config)
    assert (ended.code, ended.err) == (0, "")
    assert "every 60 s" in ended.out and "never: it tells us" in ended.out
    assert "gaps" in ended.out
    assert "only lets itself" not in ended.said, "a few words of a paragraph do in a table of many columns"
    assert "s3cret" not in ended.out
    kinds = command("source", "list", "--kinds", "-c", config)
    assert all(kind in kinds.out for kind in ("jsonl", "csv", "rss", "webhook", "demo"))


def test_schema_is_that_of_the_kind(command: Command, config: Path) -> None:
    by_name, by_kind = (command("source", "schema", name, "-c", config) for name in ("feed", "rss"))
    assert by_name.out == by_kind.out
    assert json.loads(by_name.out)["properties"]["url"]["description"]
    assert "balance" in json.loads(command("source", "schema", "account", "-c", config).out)["properties"]


@pytest.mark.parametrize(
    ("typed", "cure"),
    [
        ("try pots", "did you mean 'posts'?"),
        ("check pots", "did you mean 'posts'?"),
        ("schema rs", "did you mean 'rss'?"),
    ],
)
def test_a_misspelt_source_is_named_with_the_nearest(command: Command, config: Path, typed: str, cure: str) -> None:
    ended = command("source", *typed.split(), "-c", config)
    assert (ended.code, ended.out) == (2, "")
    assert cure in ended.said


def test_without_sources_one_is_told_where_to_begin(command: Command) -> None:
    for typed in ("list", "check"):
        ended = command("source", typed)
        assert ended.code == 2
        assert "opinionwatch source list --kinds" in ended.said
