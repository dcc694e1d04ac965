"""Personal data in running text, masked before anything is written down.

    [email]   addresses, also with full-width characters
    [phone]   Chinese mobiles, landlines and hotlines, North American numbers, anything with a valid country code
    [id]      Chinese identity cards (GB 11643, ISO 7064 MOD 11-2), US social security numbers, passports named so
    [card]    payment cards (ISO/IEC 7812: issuer range and Luhn digit)
    [iban]    bank accounts (ISO 13616: country length and MOD 97-10)

A number must pass its checksum or have the unmistakable shape of its kind, so prices, dates, order numbers, stock
codes and timestamps stay. Every pattern starts where no character of its kind stands before it and repeats only
possessively or with small bounds: the time is linear in the text, whatever the text.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import phonenumbers

Check = Callable[[str], bool]


class Rule(NamedTuple):
    """What one kind of personal data looks like, and how a candidate proves that it is one."""

    mask: str
    pattern: re.Pattern[str]
    check: Check


# One character for one, so that places in the narrow text are places in the given one.
_NARROW = {0xFF01 + at: 0x21 + at for at in range(94)} | {0x3000: 0x20, 0xA0: 0x20, 0x2007: 0x20, 0x202F: 0x20}
_NARROW |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), 0x2D)
_NARROW |= {
    zero + digit: 0x30 + digit
    for zero in (0x660, 0x6F0, 0x966, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6)
    for digit in range(10)
}
_WIDE = re.compile(
    "[\xa0\u2007\u202f\u2010-\u2014\u2212\u3000\uff01-\uff5e\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\U0001d7ce-\U0001d7ff]"
)
_DIGITS = re.compile(r"\d(?:[ .()/-]{0,3}\d){6}")


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
    return [(*match.span(1), rule.mask) for match in rule.pattern.finditer(text) if rule.check(match[1])]


def _replace(text: str, found: list[tuple[int, int, str]]) -> str:
    """Of overlapping finds the one of the earlier rule stands; the others' remains go with it."""
    pieces: list[str] = []
    at = 0
    for start, end, label in sorted(found, key=lambda find: find[0]):
        if start >= at:
            pieces += [text[at:start], label]
        at = max(at, end)
    return "".join([*pieces, text[at:]])


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def _always(_: str) -> bool:
    return True


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1, annex B).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12,15}|35\d{14}|62\d{14,17}|9\d{15}"
)


def _card(text: str) -> bool:
    digits = _digits(text)
    return _ISSUERS.fullmatch(digits) is not None and len(set(digits)) > 1 and luhn(digits)


_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def _resident(text: str) -> bool:
    """Region, date of birth and check character (GB 11643-1999)."""
    code = text.replace(" ", "").replace("-", "").upper()
    check = "10X98765432"[sum(int(digit) * weight for digit, weight in zip(code, _WEIGHTS, strict=False)) % 11]
    if check != code[17] or not "11" <= code[:2] <= "91":
        return False
    try:
        date(int(code[6:10]), int(code[10:12]), int(code[12:14]))
    except ValueError:
        return False
    return True


_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
        22: "BG BH DE GB GE IE ME RS", 23: "AE GI IL IQ TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "PT", 26: "IS TR", 27: "FR GR IT MC SM", 28: "AL AZ BY CY DO GT HU LB PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU", 31: "MT SC", 32: "LC",
    }.items()
    for country in countries.split()
}  # fmt: skip


def _iban(text: str) -> bool:
    code = text.replace(" ", "")
    if len(code) != _IBAN_LENGTHS.get(code[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in code[4:] + code[:4])) % 97 == 1


def _social_security(text: str) -> bool:
    return text[:3] not in ("000", "666") and text[0] != "9" and text[4:6] != "00" and text[7:] != "0000"


def _international(text: str) -> bool:
    try:
        number = phonenumbers.parse("+" + _digits(text).removeprefix("00"), None)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(number) and len(_digits(text)) >= 8


def _all(*parts: str) -> re.Pattern[str]:
    """A pattern in pieces; blanks in it do not count."""
    return re.compile("".join(parts), re.VERBOSE)


# Nothing that would make it part of a longer number, word or decimal may stand before or after it.
_B = r"(?<![0-9A-Za-z_])(?<![0-9][.,/-])"
_E = r"(?![0-9A-Za-z_])(?![.,/-][0-9])"
_SEP = r"[ .()/-]{0,2}"
_CUES = "[Tt]el|TEL|[Pp]hone|[Cc]all|[Tt]ext|[Mm]obile|[Ww]hats[Aa]pp|电话|手机|热线|座机|致电"

_EMAIL = Rule(
    "[email]",
    _all(r"(?<![A-Za-z0-9._%+-])([A-Za-z0-9._%+-]++@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9])"),
    _always,
)
_NUMBERS = (
    Rule(
        "[iban]",
        _all(r"(?<![0-9A-Za-z])([A-Z]{2}\d\d(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?)(?![0-9A-Za-z])"),
        _iban,
    ),
    Rule("[id]", _all(_B, r"(\d{6}[ -]?(?:18|19|20)\d{6}[ -]?\d{3}[0-9Xx])", _E), _resident),
    Rule(
        "[card]",
        _all(_B, r"(\d{4}([ -]?)\d{4}\2\d{4}\2\d{1,7} | \d{4}[ -]\d{6}[ -]\d{4,5} | \d{13,19})", _E),
        _card,
    ),
    Rule("[id]", _all(_B, r"(\d{3}-\d{2}-\d{4})", _E), _social_security),
    Rule(
        "[id]",
        _all(
            r"(?:护照|[Pp]assport)[^A-Za-z0-9]{0,12}(?:(?:no|No|NO|number|Number)[^A-Za-z0-9]{0,4})?",
            r"([A-Za-z]{1,2}\d{7,8})(?![0-9A-Za-z])",
        ),
        _always,
    ),
    Rule("[phone]", _all(r"(?<![0-9A-Za-z_.+])((?:\+|00)[ ]?\d(?:", _SEP, r"\d){7,14})(?!\d)"), _international),
    Rule("[phone]", _all(_B, r"((?:86[ -]?)?1[3-9]\d([ -]?)\d{4}\2\d{4})", _E), _always),
    Rule("[phone]", _all(_B, r"(\(?0(?:10|2\d|[3-9]\d\d)\)?[ -]?[2-8]\d{6,7}(?:-\d{1,5})?)", _E), _always),
    Rule("[phone]", _all(_B, r"([48]00[ -]?(?:\d{3}[ -]?\d{4}|\d{4}[ -]?\d{3}))", _E), _always),
    Rule(
        "[phone]",
        _all(_B, r"((?:1[ .-]?)?(?:\([2-9]\d\d\)[ ]?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4})", _E),
        _always,
    ),
    Rule("[phone]", _all(rf"(?:{_CUES})[^0-9A-Za-z]{{0,6}}(\+?\(?\d(?:", _SEP, r"\d){6,14})(?!\d)"), _always),
)
