"""The table of sources: what each kind was held to, and what came of it, taken from the tests that ran.

    python tests/bench/sources.py            run the suites, print the table (Markdown)
    python tests/bench/sources.py --collect  only count which tests there are, in seconds

A cell is the number of tests that passed, or names how many failed; **missing**: there should be a test and is none,
which is a failure of the run; `–`: there is nothing to test, for the reason below the table. Which test speaks for
which kind is read from its name: the suites put the kind into the parameters or the name, and a kind's own tests stand
in `tests/connectors/test_KIND.py`.
"""

import argparse
import ast
import os
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.pipeline.registry import resolve

ROOT = Path(__file__).resolve().parents[2]
COLUMNS: dict[str, str] = {
    "contract": r"tests/contract/test_sources\.py::",
    "kills": r"test_source_kills\.py::|kill|breaks_at_random|rotation|restart|whatever_happens|resuming_at_random"
    r"|only_after_it_is_durable|to_be_sent_again",
    "edits, deletions": r"edit|delet",
    "backfill": r"histor|backfill",
    "rate limit": r"too.many.requests|waits_as_the|waiting_as_long|says_how_long|rests_until|retried_when|sent_away",
    "hostile answers": r"bad_day|hostile|nonsens|_lies_|cannot_be_read|beyond_all_measure|not_signed|too_long|drips"
    r"|bomb|damage|stalls_the_reader|broken_rows|broken_lines|careless|holds_no_document|is_away",
    "check": r"test_checking\.py::|test_a_check_asks|test_check_says",
    "gaps": r"gap",
    "10,000 waiting": r"test_source_backlogs\.py::",
}
"""Column → pattern of the tests that belong to it."""
OWN = {
    "kafka": ("kafka_topic",),
    "elasticsearch": ("elastic_index",),
    "rss": ("rss", "feeds", "feed_edits"),
    "jsonl": ("jsonl", "follow", "stdin"),
}
"""Kinds whose own tests are named otherwise."""
FILES = ("csv", "folder", "jsonl")
NOTHING: dict[str, dict[str, tuple[str, ...]]] = {
    "edits, deletions": {"what it reads never changes": ("demo", "gdelt", "imap")},
    "rate limit": {
        "no service that limits requests": ("demo", "imap", "kafka", *FILES),
    },
    "hostile answers": {"a recording of our own": ("demo",)},
    "gaps": {
        "asked for as far back as wanted, or all is kept": (
            "demo",
            "discourse",
            "elasticsearch",
            "hackernews",
            "imap",
            "mastodon",
            "mastodon_stream",
            "stackexchange",
            "youtube",
        ),
        "it is told and asks nobody": ("webhook",),
    },
    "10,000 waiting": {"a recording of our own": ("demo",), "it is told: a bounded intake": ("webhook",)},
}
"""Column → reason → kinds of which there is nothing to test. What a kind cannot do at all (`backfill`, `check`) is seen
in its class.
"""
ABILITIES = {"backfill": "its docstring says why it brings no history", "check": "nobody to ask"}
"""Columns that hold for kinds with a method of that name, and why others have none."""
KEYED = ("reddit", "youtube", "x", "hackernews", "mastodon", "discourse", "stackexchange", "appstore")
"""Kinds whose own tests share files and begin with their name."""


class Outcomes:
    """A pytest plugin that remembers how each test ended."""

    def __init__(self) -> None:
        self.ended: dict[str, bool] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Only tests that the table shows are run; each is open until it has."""
        items[:] = [item for item in items if any(shown(item.nodeid, kind) for kind in CONNECTORS)]
        self.ended.update({item.nodeid: False for item in items})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed when its call has, and nothing around it failed."""
        if report.when == "call":
            self.ended[report.nodeid] = report.passed
        elif report.failed:
            self.ended[report.nodeid] = False


def speaks_for(test: str, kind: str) -> bool:
    """Whether a test is one of a kind.

    >>> speaks_for("tests/contract/test_sources.py::TestAsked::test_a_bad_day[null-reddit]", "reddit")
    True
    >>> speaks_for("tests/contract/test_sources.py::TestPulled::test_it[x-x_service]", "mastodon")
    False
    """
    path, _, name = test.partition("::")
    parameters = name.partition("[")[2].removesuffix("]")
    if path.startswith("tests/contract/") or path.endswith("test_checking.py"):
        return kind in re.split(r"-", parameters) or bool(re.search(rf"test_(a_)?{kind}_(?!stream)", name))
    if path in {f"tests/connectors/test_{own}.py" for own in OWN.get(kind, (kind,))}:
        return True
    spoken = name.rpartition("::")[2].removeprefix("test_").removeprefix("the_").removeprefix("a_")
    spoken = spoken.replace("hacker_news", "hackernews").replace("stack_exchange", "stackexchange")
    spoken = spoken.replace("app_store", "appstore")
    return kind in KEYED and (spoken.startswith(f"{kind}_") or kind in re.split(r"-", parameters))


def shown(test: str, kind: str) -> list[str]:
    """The columns in which a test counts for a kind."""
    return [column for column, pattern in COLUMNS.items() if re.search(pattern, test)] if speaks_for(test, kind) else []


def nothing(kind: str, column: str) -> str | None:
    """Why there is nothing to test of a kind; None: there is.

    >>> nothing("demo", "check"), nothing("reddit", "check")
    ('nobody to ask', None)
    """
    if column in ABILITIES:
        has = callable(getattr(resolve(CONNECTORS, kind, kind), column, None))
        return None if has else ABILITIES[column]
    return next((reason for reason, kinds in NOTHING.get(column, {}).items() if kind in kinds), None)


def missing(ended: Iterable[str]) -> list[tuple[str, str]]:
    """Kinds and columns for which there should be a test, and is none."""
    there = {(kind, column) for test in ended for kind in CONNECTORS for column in shown(test, kind)}
    wanted = ((kind, column) for kind in sorted(CONNECTORS) for column in COLUMNS if nothing(kind, column) is None)
    return [each for each in wanted if each not in there]


def table(ended: Mapping[str, bool], ran: bool) -> Iterable[str]:
    """The lines of the table."""
    yield "| source | lines | of them code | " + " | ".join(COLUMNS) + " |"
    yield "|---|---:|---:|" + "---:|" * len(COLUMNS)
    sizes = {kind: Size.of(where) for kind, where in CONNECTORS.items()}
    totals: Counter[str] = Counter()
    for kind, size in sorted(sizes.items()):
        cells = []
        for column in COLUMNS:
            tests = [test for test in ended if column in shown(test, kind)]
            failed = sum(not ended[test] for test in tests) if ran else 0
            totals[column] += len(tests)
            none = "**missing**" if nothing(kind, column) is None else "–"
            cells.append(f"**{failed} of {len(tests)} failed**" if failed else str(len(tests) or none))
        yield f"| `{kind}` | {size.lines} | {size.code} | " + " | ".join(cells) + " |"
    lines, code = (statistics.median(found) for found in zip(*map(astuple, sizes.values()), strict=True))
    yield f"| all | median {lines:g} | median {code:g} | " + " | ".join(map(str, totals.values())) + " |"
    yield ""
    for column in COLUMNS:
        why: dict[str, list[str]] = {}
        for kind in sorted(CONNECTORS):
            reason = nothing(kind, column)
            if reason is not None and not any(column in shown(test, kind) for test in ended):
                why.setdefault(reason, []).append(f"`{kind}`")
        for reason, kinds in why.items():
            yield f"- {column} –: {', '.join(kinds)}: {reason}."


@dataclass(frozen=True)
class Size:
    """Of the file behind an import string."""

    lines: int
    code: int
    """Lines without blank ones, comments and docstrings, which hold what the service's documentation says."""

    @classmethod
    def of(cls, where: str) -> "Size":
        """Read it."""
        spec = find_spec(where.partition(":")[0])
        assert spec is not None and spec.origin is not None
        text = Path(spec.origin).read_text("utf-8")
        said = {
            number
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        lines = [line.strip() for line in text.splitlines()]
        code = [n for n, line in enumerate(lines, 1) if line and not line.startswith("#") and n not in said]
        return cls(len(lines), len(code))


def main() -> int:
    """Run, and print. 1 when a test failed or is missing."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--collect", action="store_true", help="run nothing; count the tests")
    collect = asked.parse_args().collect
    outcomes = Outcomes()
    os.chdir(ROOT)
    suites = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests/contract").glob("test_*sourc*.py"))
    suites += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests/contract").glob("test_histories.py"))
    said = os.dup(1)
    os.dup2(2, 1)  # what pytest prints is no part of the table
    try:
        pytest.main(
            ["-q", "--no-header", *(["--collect-only"] if collect else []), *suites, "tests/connectors"], [outcomes]
        )
    finally:
        os.dup2(said, 1)
    sys.stdout.write("\n".join(table(outcomes.ended, ran=not collect)) + "\n")
    failed = [] if collect else [test for test, passed in outcomes.ended.items() if not passed]
    lacking = missing(outcomes.ended)
    sys.stdout.write(f"\n{len(outcomes.ended)} tests" + ("" if collect else f", {len(failed)} failed"))
    sys.stdout.write(f", {len(lacking)} missing.\n")
    return int(bool(failed or lacking))


if __name__ == "__main__":
    sys.exit(main())
