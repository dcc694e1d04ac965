import io
import sys

import pytest

from opinionwatch.alerts.message import render
from opinionwatch.alerts.terminal import Terminal
from opinionwatch.alerts.words import Lang
from opinionwatch.pipeline.contracts_trend import Alert, Message
from opinionwatch.pipeline.errors import RetryableError
from tests.alerts.sample import crisis, exemplar


def said(alert: Alert, lang: Lang = "en") -> Message:
    return render(alert, lang=lang, public_url="http://127.0.0.1:8765", watchlist_name="Lumora")


def flat(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_the_panel_answers_everything_in_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal("terminal", Terminal.Settings(stream="stdout"))
    terminal.notify(said(crisis()))
    terminal.notify(said(crisis(), "zh"))
    shown = flat(capsys.readouterr().out)
    for text in ("turned negative", "once in 120 weeks", "dead by noon", "半天就没电了", "舆论转为负面", crisis().id):
        assert text in shown


def test_the_dashboard_stands_beside_the_page_where_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal("terminal", Terminal.Settings(stream="stdout", width=300))
    terminal.notify(said(crisis()))
    assert "Kibana" not in capsys.readouterr().out
    terminal.notify(said(crisis()).model_copy(update={"dashboard": "https://kibana.example/d"}))
    assert "Explore it in Kibana: https://kibana.example/d" in flat(capsys.readouterr().out)


def test_it_writes_to_standard_error_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal("terminal", Terminal.Settings()).notify(said(crisis()))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Lumora" in captured.err


def test_markup_and_control_characters_of_a_post_are_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "[bold red]big[/] [link=http://x]y[/link] \x1b]8;;http://evil\x07click\x1b[2J\r\u202eesrever :boom:"
    Terminal("terminal", Terminal.Settings(stream="stdout")).notify(said(crisis(exemplars=[exemplar(evil)])))
    out = capsys.readouterr().out
    assert "[bold red]big[/] [link=http://x]y[/link]" in flat(out)
    assert ":boom:" in out
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(out)


def test_a_terminal_without_chinese_still_gets_the_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    Terminal("terminal", Terminal.Settings()).notify(said(crisis(), "zh"))
    assert b"Lumora" in raw.getvalue()


def test_a_closed_terminal_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(RetryableError, match="stderr is closed"):
        Terminal("terminal", Terminal.Settings()).notify(said(crisis()))
