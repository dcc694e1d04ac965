"""Proofs that a number is somebody's: checksums, issuers, dates of birth, numbering plans.

Each function takes a candidate and answers how many of its characters are the thing, 0 when it is something else.
"""

import re
from datetime import date

import phonenumbers

_ISSUERS = re.compile(
    r"4[0-9]{15}(?:[0-9]{3})?|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12,15}"
    r"|35[0-9]{14}|62[0-9]{14,17}"
)
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
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
_SHORTEST_PHONE = 7


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1, annex B).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


def card(text: str) -> int:
    """A payment card: an issuer's range and length, and the Luhn digit."""
    digits = _digits(text)
    return len(text) if _ISSUERS.fullmatch(digits) and luhn(digits) else 0


def resident(text: str) -> int:
    """A Chinese identity card: region, date of birth and check character (GB 11643-1999)."""
    code = text.replace(" ", "").replace("-", "").upper()
    if len(code) != 18 or not "11" <= code[:2] <= "91" or not _is_date(code[6:14]):
        return 0
    total = sum(int(digit) * weight for digit, weight in zip(code, _RESIDENT_WEIGHTS, strict=False))
    return len(text) if code[17] == "10X98765432"[total % 11] else 0


def iban(text: str) -> int:
    """An account number: the length of its country and two check digits (ISO 13616, ISO 7064 MOD 97-10)."""
    length = _IBAN_LENGTHS.get(text[:2], 0)
    places = [at for at, char in enumerate(text) if char != " "][:length]
    if not length or len(places) < length:
        return 0
    code = "".join(text[at] for at in places)
    return places[-1] + 1 if int("".join(str(int(char, 36)) for char in code[4:] + code[:4])) % 97 == 1 else 0


def social_security(text: str) -> int:
    """A US social security number that may have been issued."""
    issued = text[:3] not in ("000", "666") and text[0] != "9" and text[4:6] != "00" and text[7:] != "0000"
    return len(text) if issued else 0


def international(text: str) -> int:
    """A number with its country code that is valid in that country; what is glued to its end does not count."""
    ends = [
        at for at in range(len(text), 0, -1) if at == len(text) or (text[at - 1].isdigit() and text[at] in " .()/-")
    ]
    for end in ends:
        digits = _digits(text[:end])
        if len(digits) > _SHORTEST_PHONE and _is_phone(digits.removeprefix("00")):
            return end
    return 0


def called(text: str) -> int:
    """A number after a word such as "call": any but a date and a round sum."""
    digits = _digits(text)
    return 0 if _is_date(digits) or digits.endswith("00000") else len(text)


def _is_phone(digits: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse("+" + digits, None))
    except phonenumbers.NumberParseException:
        return False


def _is_date(digits: str) -> bool:
    if len(digits) != 8 or not "1800" < digits[:4] < "2100":
        return False
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)
