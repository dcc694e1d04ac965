"""Make a text readable and harmless without changing what it says.

HTML becomes text, mojibake is repaired (ftfy), Unicode is composed (NFC), and characters that only deceive or disturb
are taken out: controls, bidirectional overrides, zero-width and filler characters, stacked accents. Emoji sequences,
full-width punctuation and line breaks stay. Everything is capped first, so every step is linear in the cap.
"""

import re
import unicodedata
from typing import NamedTuple

from ftfy import TextFixerConfig, fix_text
from selectolax.lexbor import LexborHTMLParser

from opinionwatch.pipeline.contracts import Flag

HTML_RATIO = 20
"""Characters of HTML looked at for each character of text that may be kept."""
MAX_TAGS = 5_000
"""More tags than this are cut off: the parser needs quadratic time for deep nesting (40,000 open divs: 2 s)."""
SLACK = 64
"""Characters kept beyond the cap until personal data is masked, so that the cut does not halve a number."""

_FTFY = TextFixerConfig(
    unescape_html="auto",
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    normalization="NFC",
    explain=False,
)
# Characters that broken text is made of. Plain ASCII, CJK, emoji and typographic quotes alone are never broken.
_SUSPECT = re.compile(r"[&\x1b\x80-\u1fff\u20a0-\u25ff\ufffd]")
_BLOCKS = "p,br,div,li,tr,h1,h2,h3,h4,h5,h6,blockquote,section,article,pre,dd,dt"
_UNREADABLE = ["script", "style", "noscript", "template", "svg", "iframe", "object", "head"]

_LINE_BREAK = re.compile(r"[\x0b\x0c\x85\u2028\u2029]")
_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x9f"  # controls
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"  # zero width, bidirectional
    "\u2800\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff"  # blank letters, selectors, specials
    "\ud800-\udfff\U000e0000-\U000e0fff"  # surrogates, tags
    "]+"
)
# Hidden within Latin or Chinese words, or turning the direction of reading; elsewhere such characters have honest uses.
_LETTER = "[0-9A-Za-z\u4e00-\u9fff]"
_EVASION = re.compile(f"(?<={_LETTER})[\u200b-\u200d\u2060\ufeff\u034f]+(?={_LETTER})|[\u202d\u202e]")
_JOINED = "\u0600-\u06ff\u0750-\u077f\u0900-\u0dff\u1000-\u109f"
_EMOJI = "\u2190-\u21ff\u2300-\u2bff\u3030\u303d\U0001f000-\U0001faff"
_JOINER = re.compile(
    f"(?<![{_JOINED}{_EMOJI}\ufe0f])\u200d|\u200d(?![{_JOINED}{_EMOJI}])|(?<![{_JOINED}])\u200c|\u200c(?![{_JOINED}])"
)
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STACKED = re.compile(f"([{_MARKS}]{{3}})[{_MARKS}]+")
_BLANKS = re.compile(r"[^\S\n]+")
_BLANK_ENDS = re.compile(r" ?\n ?")
_BLANK_LINES = re.compile(r"\n{3,}")


class Cleaned(NamedTuple):
    """A readable text and what had to be done to it."""

    text: str
    flags: tuple[Flag, ...]


def clean(text: str, *, html: bool, limit: int) -> Cleaned:
    """At most `limit + SLACK` characters of `text`, readable. `truncated` is flagged only where something was cut."""
    flags: list[Flag] = []
    if html and ("<" in text or "&" in text):
        source = _cap_html(text, limit)
        if len(source) < len(text):
            flags.append("truncated")
        text = html_to_text(source)
        flags.append("html")
    if len(text) > limit + SLACK:
        flags.append("truncated")
        text = text[: limit + SLACK]
    shown, repaired, evasive = _repair(text)
    if repaired:
        flags.append("repaired")
    if evasive:
        flags.append("obfuscated")
    return Cleaned(shown, tuple(dict.fromkeys(flags)))


def html_to_text(source: str) -> str:
    """The readable text of an HTML fragment; blocks start new lines, scripts and styles are gone."""
    tree = LexborHTMLParser(source)
    tree.strip_tags(_UNREADABLE, recursive=True)
    if tree.body is None:
        return ""
    for node in tree.body.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    return tree.body.text()


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def _cap_html(source: str, limit: int) -> str:
    source = source[: limit * HTML_RATIO]
    if source.count("<") <= MAX_TAGS:
        return source
    for count, tag in enumerate(re.finditer("<", source)):
        if count == MAX_TAGS:
            return source[: tag.start()]
    return source


def _repair(text: str) -> tuple[str, bool, bool]:
    """The readable text, whether more than blanks was changed, and whether letters were hidden on purpose."""
    # Weibo signs its posts with a zero-width space; nothing is broken about that.
    given = text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\u200b\ufeff \n")
    if _SUSPECT.search(text):
        text = fix_text(text, _FTFY)
    # Only now: before the repair, U+0085 may be half of a broken letter.
    text = _LINE_BREAK.sub("\n", unicodedata.normalize("NFC", text))
    evasive = _EVASION.search(given) is not None
    if not text.isprintable():  # false for controls and format characters, and for line breaks
        text = _HIDDEN.sub("", text)
        if "\u200d" in text or "\u200c" in text:
            text = _JOINER.sub("", text)
    text = _STACKED.sub(r"\1", text)
    repaired = text != given or "\ufffd" in text
    text = _BLANKS.sub(" ", text)
    if "\n" in text:
        text = _BLANK_LINES.sub("\n\n", _BLANK_ENDS.sub("\n", text))
    return text.strip(), repaired, evasive
