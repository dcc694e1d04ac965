"""`opinionwatch detect`: counts in, alerts or scores out; `opinionwatch calibrate`: a threshold from one's history."""

import json
from pathlib import Path

import numpy as np
import pytest

from opinionwatch.pipeline import curves
from opinionwatch.pipeline.contracts_trend import Window
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.ticks import TICKS_PER_DAY, start_of
from tests.alerts.test_records import answers, feed
from tests.pipeline.command import Command, lines

TICK = 19_800 * TICKS_PER_DAY


def test_records_are_answered_as_the_production_code_answers_them(command: Command) -> None:
    records = list(feed(5.5))
    stdin = "\n".join(record.model_dump_json() for record in records).encode()
    ended = command("detect", "--records", "-", stdin=stdin)
    assert (ended.code, ended.err) == (0, "")
    assert [json.loads(line) for line in lines(ended.out)] == [alert.model_dump() for alert in answers(records)]


def test_a_series_is_answered_row_by_row(command: Command) -> None:
    rows = [f"2015-02-26 {hour:02d}:{minute:02d}:53,{hour}" for hour in range(24) for minute in range(2, 60, 5)]
    ended = command("detect", "--series", "-", stdin="\n".join(["timestamp,value", *rows]).encode())
    assert ended.code == 0
    head, *answered = lines(ended.out)
    assert head == "timestamp,value,score"
    assert [line.rsplit(",", 1)[0] for line in answered] == rows
    assert all(0 <= float(line.rsplit(",", 1)[1]) <= 1 for line in answered)


def test_a_series_may_have_no_header_and_count_seconds(command: Command) -> None:
    ended = command("detect", "--series", "-", stdin=b"\xef\xbb\xbf1700000000,4\r\n\r\n1700000300,5\r\n")
    assert [line.split(",")[:2] for line in lines(ended.out)[1:]] == [["1700000000", "4"], ["1700000300", "5"]]


def test_files_are_read_by_name(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("timestamp,value\n2024-01-01T00:00:00Z,4\n")
    assert "2024-01-01T00:00:00Z,4,0.0" in command("detect", "--series", file).out


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        ([], b"", 2, "name one of --records FILE and --series FILE"),
        (["--records", "-", "--series", "-"], b"", 2, "name one of"),
        (["--records", "/nowhere/feed"], b"", 2, "cannot read /nowhere/feed"),
        (["--records", "-"], b"\nnot json\n", 1, "line 2"),
        (["--records", "-"], b'{"id": 1}\n', 1, "line 1.topic: Field required"),
        (["--series", "-"], b"2024-01-01,1\n2024-01-02,many\n", 1, "line 2: the value must be a count"),
        (["--series", "-"], b"2024-01-01,-1\n2024-01-02,-2", 1, "line 1: the value must be a count"),
        (["--series", "-"], b"2024-01-02,1\n2024-01-01,1\n", 1, "line 2: time goes back"),
        (["--series", "-"], b"timestamp,value\nyesterday,1\n", 1, "line 2: not a time"),
        (["--series", "-"], b"timestamp,value\n,1\n", 1, "line 2: the timestamp must be a time since"),
        (["--series", "-"], b"a,b\n1\n", 1, "line 2: a row is timestamp,value"),
        (["--records", "-"], b"x" * (9 * 1024 * 1024), 1, "line 1: longer than"),
    ],
)
def test_mistakes_are_named_with_their_line(
    command: Command, arguments: list[str], stdin: bytes, code: int, said: str
) -> None:
    ended = command("detect", *arguments, stdin=stdin)
    assert ended.code == code
    assert said in ended.said


@pytest.mark.parametrize("what", ["--records", "--series"])
def test_nothing_in_is_nothing_out(command: Command, what: str) -> None:
    ended = command("detect", what, "-")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def fill(days: int, watchlists: int = 2) -> None:
    """A store with quiet windows, and its settings."""
    names = ", ".join(f"{{id: w{number}, names: [n{number}]}}" for number in range(watchlists))
    Path("opinionwatch.yaml").write_text(
        f"data_dir: data\nwatchlists: [{names}]\ntrend: {{detector: {{false_alarms_per_week: 1}}}}\n"
    )
    chance = np.random.default_rng(4)
    store = SqliteStore(Path("data/opinionwatch.db"))
    with store.transaction():
        store.write(
            Window(
                watchlist=f"w{number}", source="news", aspect="price", start=start_of(TICK + tick), posts=4, voices=4,
                negative=k, positive=0, unsure=0, negative_voices=k, sure_voices=4,
            )
            for number in range(watchlists)
            for tick in range(0, days * TICKS_PER_DAY, 8)
            for k in [int(chance.binomial(4, 0.2))]
        )  # fmt: skip
    store.close()


def test_calibrate_finds_a_threshold_below_the_bound_and_keeps_it_for_the_next_start(command: Command) -> None:
    fill(15)
    dry = command("calibrate", "--dry-run")
    assert (dry.code, curves.load(Path("data"))) == (0, ())
    ended = command("calibrate")
    assert ended.code == 0
    assert "budget: 1 false alarms per watchlist-week; the bound is 7.61 nats" in ended.said
    [kept] = curves.load(Path("data"))
    found = kept.threshold(1)
    assert found is not None
    assert f"calibrated: {found:.2f} nats" in ended.said
    assert 5 <= found < 7.61


def test_calibrate_says_when_history_is_too_short(command: Command) -> None:
    fill(5)
    ended = command("calibrate")
    assert ended.code == 1
    assert "the history is too short for this budget: the bound stays in use" in ended.said
    assert curves.load(Path("data")) == ()
