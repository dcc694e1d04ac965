"""Texts become readable and harmless, and keep what they say."""

from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinionwatch.pipeline.clean import HTML_RATIO, MAX_TAGS, SLACK, Cleaned, clean

JOINERS = "\u200c\u200d"


def cleaned(text: str, *, html: bool = False, limit: int = 10_000) -> Cleaned:
    return clean(text, html=html, limit=limit)


@pytest.mark.parametrize(
    "text",
    [
        "plain words, nothing else",
        "全角标点，（保留）！“引号”…",
        "two\nlines\n\nand a paragraph",
        "👩\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 👍🏽 🇨🇳",
        "می\u200cخواهم क्\u200dष",
        "naïve café — “quotes” ’tis",
        "a < b && c > d",
        "مرحبا שלום привет γειά",
    ],
)
def test_readable_text_stays_as_it_is(text: str) -> None:
    assert cleaned(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a \t b\u3000c  ", "a b c"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("signed \u200b", "signed"),
    ],
)
def test_blanks_and_compositions_are_made_regular(text: str, shown: str) -> None:
    assert cleaned(text).text == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("isnâ€™t cafÃ©", "isn’t café"),
        ("a\0b\x01c\x7f", "abc"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("so\xadft", "soft"),
        ("e\u0301", "é"),
        ("a\u200d b\u200c", "a b"),
        ("Z\u0353\u0321\u0353\u0321\u0353\u0321!", "Z\u0321\u0321\u0321!"),
        ("\ud83dx", "x"),
        ("\ufffdx", "\ufffdx"),
        ("tag\U000e0041\U000e0042", "tag"),
        ("fish &amp; chips &#128545;", "fish & chips 😡"),
    ],
)
def test_what_disturbs_is_repaired_and_said_so(text: str, shown: str) -> None:
    assert cleaned(text) == (shown, ("repaired",))


@pytest.mark.parametrize("text", ["ba\u200bttery", "电\u2060池", "x \u202eyrettab", "a\ufeffb"])
def test_hidden_letters_are_called_obfuscated(text: str) -> None:
    assert "obfuscated" in cleaned(text).flags


def test_html_becomes_text_with_blocks_on_lines_of_their_own() -> None:
    source = "<h1>Title</h1><p>Hello <b>bat</b>tery &amp; co</p><ul><li>a<li>b</ul><br>end<script>x()</script>"
    assert cleaned(source, html=True) == ("Title\n\nHello battery & co\n\na\n\nb\n\nend", ("html",))


def test_html_is_only_read_as_such_where_it_is_declared() -> None:
    assert cleaned("<b>bold</b>").text == "<b>bold</b>"
    assert cleaned("no markup at all", html=True).flags == ()


@pytest.mark.parametrize("source", ["<style>p{}</style>", "<!-- x -->", "<svg><text>t</text></svg>", "<img alt=x>"])
def test_html_without_words_is_empty(source: str) -> None:
    assert cleaned(source, html=True).text == ""


def test_what_is_cut_is_said_to_be_truncated() -> None:
    assert cleaned("w" * 100, limit=100 - SLACK) == ("w" * 100, ())
    assert cleaned("w" * 101, limit=100 - SLACK) == ("w" * 100, ("truncated",))
    assert cleaned("<p>" + "w" * 10_000, html=True, limit=100).flags == ("truncated", "html")
    assert cleaned("<p>" + " " * 100 * HTML_RATIO + "w", html=True, limit=100).flags == ("truncated", "html")
    many = cleaned("<i>x</i>" * MAX_TAGS, html=True)
    assert many.flags == ("truncated", "html")
    assert many.text == "x" * (MAX_TAGS // 2)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=80), st.booleans())
def test_any_text_becomes_one_that_every_store_takes(text: str, html: bool) -> None:
    shown = cleaned(text, html=html).text
    shown.encode("utf-8")
    assert "\0" not in shown
    assert shown == shown.strip()
    assert all(
        char == "\n" or char.isprintable() or char in JOINERS or category(char) in ("Cn", "Co") for char in shown
    )
