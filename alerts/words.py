"""The languages that alerts speak, and what an aspect is called in each."""

from collections.abc import Mapping
from typing import Literal

from opinionwatch.alerts.phrases import Words
from opinionwatch.alerts.words_en import EN
from opinionwatch.alerts.words_zh import ASPECTS, ZH

Lang = Literal["en", "zh"]
WORDS: Mapping[Lang, Words] = {"en": EN, "zh": ZH}


def aspect_name(aspect: str, lang: Lang) -> str:
    """The aspect in the reader's language where it is known, else as it is.

    >>> aspect_name("battery", "zh"), aspect_name("铰链", "zh"), aspect_name("battery", "en")
    ('电池', '铰链', 'battery')
    """
    return ASPECTS.get(aspect.casefold(), aspect) if lang == "zh" else aspect


def in_a_sentence(aspect: str, lang: Lang) -> str:
    """The aspect as it stands inside a sentence: English gives a known noun its article and quotes any other.

    >>> in_a_sentence("battery", "en"), in_a_sentence("flux drive", "en"), in_a_sentence("battery", "zh")
    ('the battery', '“flux drive”', '电池')
    """
    if lang == "en":
        return f"the {aspect}" if aspect.casefold() in ASPECTS else f"“{aspect}”"
    return aspect_name(aspect, lang)
