"""Other ways to write the same post: so that a model does not learn a text by its spelling.

English and Chinese alike: letters that are lost, doubled or swapped, words left out or swapped, punctuation and emoji
that come and go, and the case (Wei and Zou, EDA: Easy Data Augmentation, EMNLP 2019; Belinkov and Bisk, Synthetic and
Natural Noise Both Break Neural Machine Translation, ICLR 2018). Words that turn a meaning round are never touched.
"""

import random
import re
from collections.abc import Callable, Sequence

_UNIT = re.compile(r"[A-Za-z'’]+|[\u3400-\u9fff]|\s+|.", re.DOTALL)
_TURNS = frozenset(
    ("no", "not", "never", "nor", "none", "without", "hardly", "barely", "but", "cannot", *tuple("不没無无未别非但"))
)
_ENDS = re.compile(r"[.!?。！？…~～]+\s*$")
_EMOJI = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff\ufe0f\u200d]+")
_MARKS = ("", ".", "!", "!!", "...", "。", "！", "…", "~")
SHORTEST = 4
"""Units; shorter texts stay as they are."""
SHARE = 0.1
"""Of the units that a change touches."""


def augment(text: str, dice: random.Random) -> str:
    """One change of one kind; the same dice give the same text.

    >>> augment("the battery is not good at all", random.Random(4)) != "the battery is not good at all"
    True
    """
    units = _UNIT.findall(text)
    if len(units) < SHORTEST:
        return text
    return dice.choice(_CHANGES)(units, dice)


def _word(unit: str) -> bool:
    bare = unit.lower()
    return unit[0].isalnum() and bare not in _TURNS and not bare.endswith(("n't", "n’t"))


def _picked(units: Sequence[str], dice: random.Random) -> list[int]:
    places = [at for at, unit in enumerate(units) if _word(unit)]
    return sorted(dice.sample(places, min(len(places), max(1, int(SHARE * len(places))))))


def _typo(units: list[str], dice: random.Random) -> str:
    changed = list(units)
    for at in _picked(units, dice):
        word = units[at]
        if len(word) < SHORTEST:
            continue
        place = dice.randrange(1, len(word) - 1)
        swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        changed[at] = dice.choice(
            (word[:place] + word[place + 1 :], word[:place] + word[place] * 2 + word[place + 1 :], swapped)
        )
    return "".join(changed)


def _dropped(units: list[str], dice: random.Random) -> str:
    gone = set(_picked(units, dice))
    return "".join(unit for at, unit in enumerate(units) if at not in gone)


def _swapped(units: list[str], dice: random.Random) -> str:
    changed = list(units)
    for at in _picked(units, dice):
        later = next((place for place in range(at + 1, min(at + 3, len(units))) if _word(units[place])), None)
        if later is not None:
            changed[at], changed[later] = changed[later], changed[at]
    return "".join(changed)


def _ended(units: list[str], dice: random.Random) -> str:
    return _ENDS.sub("", "".join(units)) + dice.choice(_MARKS)


def _without_emoji(units: list[str], dice: random.Random) -> str:
    """Leaves one out of several; the only one may carry the mood."""
    text = "".join(units)
    found = [*_EMOJI.finditer(text)]
    if len(found) < 2:
        return _cased(units, dice)
    one = dice.choice(found)
    return text[: one.start()] + text[one.end() :]


def _cased(units: list[str], dice: random.Random) -> str:
    text = "".join(units)
    return dice.choice((text.lower(), text.upper(), text.capitalize()))


_CHANGES: tuple[Callable[[list[str], random.Random], str], ...] = (
    _typo,
    _dropped,
    _swapped,
    _ended,
    _without_emoji,
    _cased,
)
