"""What reaches the terminal: nothing a stranger wrote can steer it, and long work shows that it goes on."""

import io
import subprocess
import sys
import unicodedata
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from opinionwatch.pipeline import console, progress
from opinionwatch.pipeline.console import patient, plain
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.rig import settings
from tests.pipeline.sample import NOON, document


@given(st.text())
def test_plain_text_steers_no_terminal_and_is_one_line(text: str) -> None:
    shown = plain(text)
    assert all(unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in shown)
    assert not set(shown) & set("\x00\x07\x1b\r\n\x7f\x9b\u200b\u202e\u2028\u2066\ufeff")
    shown.encode()


def test_lines_stay_lines_where_they_are_wanted() -> None:
    assert plain("a\nb\tc", keep_lines=True) == "a\nb\\tc"
    assert plain("流墨 \U0001f525") == "流墨 \U0001f525"


def test_a_complaint_is_not_read_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=written, soft_wrap=True))
    console.complain("[bold]sources[/] \x1b]0;title\x07")
    assert written.getvalue() == "opinionwatch: [bold]sources[/] \\x1b]0;title\\x07\n"


def test_a_log_line_is_one_line_of_json_whatever_is_in_it() -> None:
    program = (
        "import structlog; from opinionwatch.pipeline.console import quiet_logs; quiet_logs(); "
        "log = structlog.get_logger('x'); log.info('unheard'); log.warning('two\\nlines', post='\\x1b[31m\\u202e')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert '"event": "two\\nlines"' in line
    assert line.isascii()


def test_what_is_not_there_yet_is_waited_for_as_long_as_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    away = [RetryableError("no answer from the broker", after_s=0.01) for _ in range(3)]

    def work() -> str:
        if away:
            raise away.pop()
        return "made"

    with pytest.raises(RetryableError, match="no answer"):
        patient(work, 0)
    assert len(away) == 2
    assert capsys.readouterr().err == ""
    assert patient(work, 10) == "made"
    assert capsys.readouterr().err.count("no answer from the broker; trying again") == 2


def test_long_work_shows_what_has_been_read_on_a_terminal_and_nothing_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(settings(tmp_path).store_path)
    with store.transaction():
        store.admit([document(number) for number in range(1234)])
        store.save_progress(NOON)
    for terminal in (True, False):
        written = io.StringIO()
        monkeypatch.setattr(progress, "err", Console(file=written, force_terminal=terminal, width=120))
        deadline = monotonic() + 10
        with progress.watching(settings(tmp_path)):
            while terminal and "1,234 documents, 2026-03-08 12:00" not in written.getvalue():
                assert monotonic() < deadline
        assert bool(written.getvalue()) is terminal
    store.close()
