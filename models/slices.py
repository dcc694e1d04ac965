"""Which kinds of difficulty a text has, read off the text itself; so that any file is measured by them.

What only people can tell (irony, comparison, rumour) is a slice where the file says so, in a column or field `slice`.
"""

import re

from opinionwatch.pipeline.fold import Folded

SHORT, LONG = {"zh": 15, "other": 50}, {"zh": 80, "other": 200}
"""Characters; a Chinese character says about as much as three Latin letters."""
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LATIN_WORD = re.compile(r"[A-Za-z]{3,}")
_EMOJI = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|nobody|neither|nor|cannot|without|hardly|barely|\w+n['’]t)\b"
    r"|不|没|無|无(?!论)|未(?!来)|别(?!人|的)|非(?!常)",
    re.IGNORECASE,
)


def slices_of(folded: Folded, lang: str) -> tuple[str, ...]:
    """The slices of a text: its length, and negation, emoji, mixed-language, obfuscated where they apply.

    >>> slices_of(Folded("这手机 is really not good 😡"), "zh")
    ('medium', 'negation', 'emoji', 'mixed-language')
    """
    text = folded.text
    size = "zh" if lang == "zh" else "other"
    length = "short" if len(text) <= SHORT[size] else "long" if len(text) > LONG[size] else "medium"
    checks = {
        "negation": _NEGATION.search(text) is not None,
        "emoji": _EMOJI.search(text) is not None,
        "mixed-language": len(_HAN.findall(text)) >= 2 and _LATIN_WORD.search(text) is not None,
        "obfuscated": folded.obfuscated,
    }
    return (length, *(name for name, holds in checks.items() if holds))
