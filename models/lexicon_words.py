"""The lexicon's data: what each word, phrase, character run and emoji means, found at any place by its longest entry.

Three files beside this one hold the entries (`lexicon_en.tsv`, `lexicon_zh.tsv`, `lexicon_emoji.tsv`), the aspect terms
are those of `opinionwatch.pipeline.aspects`. An entry of Latin words is found word by word, everything else character
by character. Both are looked up in one table, so texts that mix languages need no switch.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import NamedTuple

from opinionwatch.pipeline.aspects import built_in

WORD = r"[a-z0-9_]+(?:['’*][a-z0-9_]+)*"
_WORD = re.compile(WORD)
_WORDS_ONLY = re.compile(rf"{WORD}(?:[ -]{WORD})*")
_TABLES = (("lexicon_en.tsv", ","), ("lexicon_zh.tsv", ","), ("lexicon_emoji.tsv", None))


class Entry(NamedTuple):
    """What an entry does. A word may do several things: `damn` makes a good thing better, and alone is a curse."""

    mood: float = 0.0
    """-3 (as bad as it gets) to +3."""
    negates: bool = False
    boost: float = 1.0
    """Factor on the mood next to it."""
    follows: bool = False
    """Whether the boosted mood stands before it (好吃极了)."""
    turns: bool = False
    """Contrast: what comes after weighs more than what came before."""
    concedes: float = 1.0
    """Factor on the rest of its clause."""
    irony: bool = False
    aspect: bool = False


class Phrase(NamedTuple):
    """What must follow a first word, and what the whole then means."""

    rest: tuple[str, ...]
    entry: Entry


class Words(NamedTuple):
    """The tables. Everything in them is lower-case and simplified Chinese."""

    phrases: dict[str, tuple[Phrase, ...]]
    """By first word, the longest first; a single word has an empty rest."""
    runs: dict[str, Entry]
    lengths: dict[str, tuple[int, ...]]
    """By their first two characters, the lengths of the longer runs, the longest first."""
    starts: frozenset[str]
    """First characters of runs."""
    simplify: dict[int, int]
    """Traditional to simplified characters, one to one."""
    digest: str
    """Changes with the data and with the rules."""


@cache
def words() -> Words:
    """Read the tables; once a process."""
    entries: dict[str, Entry] = {}
    simplify: dict[int, int] = {}
    for name, separator in _TABLES:
        for role, found in _lines(name, separator):
            if role == "simplify":
                simplify |= {ord(pair[0]): ord(pair[1]) for pair in found}
                continue
            for text in found:
                entries[text] = _add(entries.get(text, Entry()), role)
    for term in (term for terms in built_in().values() for term in terms):
        entries.setdefault(term.lower(), Entry(aspect=True))
    phrases: dict[str, list[Phrase]] = {}
    runs: dict[str, Entry] = {}
    for text, entry in _inflected(entries).items():
        if _WORDS_ONLY.fullmatch(text):
            first, *rest = _WORD.findall(text)
            phrases.setdefault(first, []).append(Phrase(tuple(rest), entry))
        else:
            runs[text] = entry
    lengths: dict[str, set[int]] = {}
    for run in runs:
        if len(run) > 1:
            lengths.setdefault(run[:2], set()).add(len(run))
    return Words(
        {first: tuple(sorted(found, key=lambda each: -len(each.rest))) for first, found in phrases.items()},
        runs,
        {first: tuple(sorted(found, reverse=True)) for first, found in lengths.items()},
        frozenset(run[0] for run in runs),
        simplify,
        _digest(),
    )


def _lines(name: str, separator: str | None) -> Iterator[tuple[str, list[str]]]:
    """Role and entries of every line of a table."""
    text = files("opinionwatch.models").joinpath(name).read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("# "):
            role, _, listed = line.partition("\t")
            parts = listed.split() if role == "simplify" else listed.split(separator)
            yield role, [part.strip().lower() for part in parts if part.strip()]


def _add(entry: Entry, role: str) -> Entry:
    """The entry with one more role."""
    name, _, number = role.partition(" ")
    match name:
        case "not":
            return entry._replace(negates=True)
        case "boost":
            return entry._replace(boost=float(number))
        case "after":
            return entry._replace(boost=float(number), follows=True)
        case "but":
            return entry._replace(turns=True)
        case "though":
            return entry._replace(concedes=float(number))
        case "aspect":
            return entry._replace(aspect=True)
        case "irony":
            return entry._replace(irony=True)
        case _:
            return entry._replace(mood=float(name))


def _inflected(entries: dict[str, Entry]) -> dict[str, Entry]:
    """The entries and the regular forms of English words among them; what is written out stands as it is written."""
    forms: dict[str, Entry] = {}
    for text, entry in entries.items():
        if text.isascii() and text.isalpha() and len(text) > 2 and (entry.aspect or entry.mood):
            forms |= dict.fromkeys(_forms(text, entry.aspect), entry)
    return forms | entries


def _forms(word: str, noun: bool) -> Iterable[str]:
    y = word[-1] == "y" and word[-2] not in "aeiou"
    stem = word[:-1] if word[-1] in "ey" else word
    yield word[:-1] + "ies" if y else word + ("es" if word.endswith(("s", "sh", "ch", "x", "z")) else "s")
    if noun:
        return
    soft = word[:-1] + "i" if y else stem
    yield from (soft + "ed", soft + "er", soft + "est", (word if y else stem) + "ing")
    yield soft + "ly" if y else word + "ly"
    if word[-1] not in "aeiouwxy" and word[-2] in "aeiou" and word[-3] not in "aeiou":
        yield from (word + word[-1] + ending for ending in ("ed", "ing", "er", "est"))


def _digest() -> str:
    """Of every file that has a say in the answers: tables, rules, aspects."""
    digest = blake2b(digest_size=6)
    here = [each for each in files("opinionwatch.models").iterdir() if each.name.startswith("lexicon")]
    taxonomy = files("opinionwatch.pipeline").joinpath("aspects.yaml")
    for part in (*sorted(here, key=lambda each: each.name), taxonomy):
        digest.update(part.name.encode() + part.read_bytes())
    return digest.hexdigest()
