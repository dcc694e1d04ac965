"""Personal data in running text, masked before anything is written down.

    [email]   addresses, also with full-width characters
    [phone]   Chinese mobiles, landlines and hotlines, North American numbers, any valid number with a country code,
              and whatever stands after "call", "tel", 电话 and the like
    [id]      Chinese identity cards (GB 11643, ISO 7064 MOD 11-2), US social security numbers, passports and QQ
              accounts named so
    [card]    payment cards (ISO/IEC 7812: issuer range and Luhn digit)
    [iban]    bank accounts (ISO 13616: country length and MOD 97-10)

A number must pass its checksum or have the unmistakable shape of its kind, so prices, dates, order numbers, stock
codes and timestamps stay. Every pattern begins where no character of its kind stands before it, and repeats only
possessively or within small bounds: the time is linear in the text, whatever the text.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from opinionwatch.pipeline import pii_numbers as numbers

Check = Callable[[str], int]
"""How many characters of a candidate are what it looks like; 0: it is something else."""


class Rule(NamedTuple):
    """What one kind of personal data looks like (group 1 of the pattern), and how a candidate proves that it is one."""

    mask: str
    pattern: re.Pattern[str]
    check: Check = len


# One character for one, so that places in the narrow text are places in the given one.
_ZEROS = (0x660, 0x6F0, 0x966, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6)
_NARROW = {
    **{0xFF01 + at: 0x21 + at for at in range(94)},
    **{zero + digit: 0x30 + digit for zero in _ZEROS for digit in range(10)},
    **dict.fromkeys((0x3000, 0xA0, 0x2007, 0x202F), 0x20),
    **dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), 0x2D),
}
_WIDE = re.compile("[" + "".join(map(chr, _NARROW)) + "]")
_DIGITS = re.compile(r"[0-9](?:[ .()/-]{0,3}[0-9]){6}")


def mask(text: str) -> str:
    """The text with personal data replaced by `[email]`, `[phone]`, `[id]`, `[card]`, `[iban]`.

    >>> mask("call 13812345678 or write to li@example.com, order 20240304-881")
    'call [phone] or write to [email], order 20240304-881'
    """
    narrow = text.translate(_NARROW) if not text.isascii() and _WIDE.search(text) else text
    found: list[tuple[int, int, str]] = []
    if "@" in narrow:
        found += _find(_EMAIL, narrow)
    if _DIGITS.search(narrow):
        for rule in _NUMBERS:
            found += _find(rule, narrow)
    return _replace(text, found) if found else text


def _find(rule: Rule, text: str) -> list[tuple[int, int, str]]:
    found = []
    for match in rule.pattern.finditer(text):
        length = rule.check(match[1])
        if length:
            found.append((match.start(1), match.start(1) + length, rule.mask))
    return found


def _replace(text: str, found: list[tuple[int, int, str]]) -> str:
    """Where finds overlap the first one names them, and all that any of them covers goes."""
    pieces: list[str] = []
    at = 0
    for start, end, label in sorted(found, key=lambda find: find[0]):
        if start >= at:
            pieces += [text[at:start], label]
        at = max(at, end)
    return "".join([*pieces, text[at:]])


def _all(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts))


# Nothing that makes it part of a longer number, word or decimal may stand before or after a number …
_B = r"(?<![0-9A-Za-z_])(?<![0-9][.,/-])"
_E = r"(?![0-9A-Za-z_])(?![.,/-][0-9])"
# … but telephone numbers are glued to anything: `微信v13812345678`, `13812345678/13912345678`.
_PB = r"(?<![0-9])(?<![0-9]\.)"
_PE = r"(?![0-9])(?!\.[0-9])"
_SEP = r"[ .()/-]{0,2}"
_CUES = (
    r"(?:[Tt]el|TEL|[Pp]hone|[Cc]all(?: me)?(?: at)?|[Tt]ext me(?: at)?|[Mm]obile|[Ww]hats[Aa]pp"
    r"|电话|手机号码?|热线|座机|致电|联系方式)[^0-9A-Za-z]{0,6}"
)

_EMAIL = Rule(
    "[email]",
    _all(r"(?<![A-Za-z0-9._%+-])([A-Za-z0-9._%+-]++@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9])"),
)
_NUMBERS = (
    Rule(
        "[iban]",
        _all(r"(?<![0-9A-Za-z])([A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?![0-9A-Za-z])"),
        numbers.iban,
    ),
    Rule("[id]", _all(_B, r"([0-9]{6}[ -]?(?:18|19|20)[0-9]{6}[ -]?[0-9]{3}[0-9Xx])", _E), numbers.resident),
    Rule(
        "[card]",
        # Post ids in addresses look like cards, and one in ten has the right check digit.
        _all(
            r"(?<![/=])",
            _B,
            r"([0-9]{4}([ -])[0-9]{4}\2[0-9]{4}\2[0-9]{1,7}|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}|[0-9]{14,19})",
            _E,
        ),
        numbers.card,
    ),
    Rule("[id]", _all(_B, r"([0-9]{3}-[0-9]{2}-[0-9]{4})", _E), numbers.social_security),
    Rule(
        "[id]",
        _all(
            r"(?:护照|[Pp]assport)[^A-Za-z0-9]{0,12}(?:(?:no|No|NO|number|Number)[^A-Za-z0-9]{0,4})?",
            r"([A-Za-z]{1,2}[0-9]{7,8})(?![0-9A-Za-z])",
        ),
    ),
    Rule("[id]", _all(r"(?:QQ|[Qq]q)[群号交流:： ]{0,6}([1-9][0-9]{4,10})(?![0-9])")),
    Rule(
        "[phone]",
        _all(r"(?<![0-9A-Za-z_.+])((?:\+|00) ?\(?[0-9](?:", _SEP, r"[0-9]){7,14})(?![0-9])"),
        numbers.international,
    ),
    Rule("[phone]", _all(_PB, r"((?:86[ -]?)?1[3-9][0-9]([ -]?)[0-9]{4}\2[0-9]{4})", _PE)),
    Rule("[phone]", _all(_PB, r"(\(?0(?:10|2[0-9]|[3-9][0-9]{2})\)?[ -]?[2-8][0-9]{6,7}(?:-[0-9]{1,5})?)", _PE)),
    Rule("[phone]", _all(_PB, r"([48]00[ -](?:[0-9]{3}[ -]?[0-9]{4}|[0-9]{4}[ -]?[0-9]{3}))", _PE)),
    Rule(
        "[phone]",
        _all(_PB, r"((?:1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4})", _PE),
    ),
    Rule("[phone]", _all(_CUES, r"(\+?\(?[0-9](?:", _SEP, r"[0-9]){6,14})(?![0-9])"), numbers.called),
)
