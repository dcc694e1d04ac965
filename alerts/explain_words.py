"""The terms of one text that an explanation may name: opinion and aspect terms, English words, Chinese 2- and 3-grams.

Chinese is written without spaces, so instead of a dictionary every run of characters gives its 2- and 3-grams; those
with a function character in them say nothing and are left out. What the scorer has marked as an aspect or opinion term
is taken whole, and the characters it stands on give no n-grams.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from opinionwatch.pipeline.contracts import Mention, OpinionTerm
from opinionwatch.pipeline.contracts_trend import Term

MAX_CHARS = 2_000
"""Of a text that is looked at."""
MAX_TERM = 24
MARKED = 1.25
"""How much stronger a term counts that the scorer has marked as an aspect or opinion."""

_WORD = re.compile(r"[a-z][a-z'’-]+")
_CJK = re.compile(r"[㐀-䶿一-鿿]{2,}")
_SPACE = re.compile(r"\s+")
_FUNCTION_CHARS = frozenset(
    "的了是在我你他她它们这那有和就不都也很要说去到会着没看好自上下个之与及或而但因为所以如果吗吧呢啊呀哦嗯么什怎还又再"
    "让给把被对从向以于其此每各将已更最太只可能得地过来出起用想跟等才像比真一二三两几多少"
)
_COMMON = """
    a about after again all also am an and any are as at be because been before being but by can cannot can't could
    did didn't do does doesn't doing don don't down each even ever every few for from further get gets getting go goes
    going got had has hasn't have haven't having he her here hers him his how i i'd i'll i'm i've if in into is isn't it
    it's its itself just let like made make many may me might more most much must my myself no nor not now of off on
    once one only or other our out over own please quite rather really s same say says she should since so some still
    such t than that that's the their them then there there's these they they're thing things this those though through
    to today too until up upon us very was wasn't way we well were weren't what when where which while who why will with
    won't would wouldn't yes yet you you're your yours http https www com
"""
_STOPWORDS = frozenset(_COMMON.split())


def terms_of(mention: Mention) -> set[str]:
    """The distinct terms of a mention, lower case.

    A term counts once a text, however often the text repeats it.
    """
    text = mention.text[:MAX_CHARS]
    terms: set[str] = set()
    hidden: list[tuple[int, int]] = []
    for opinion in mention.reading.opinions:
        for term, span in ((opinion.aspect, opinion.aspect_span), (opinion.opinion, opinion.opinion_span)):
            named = _SPACE.sub(" ", term or "").strip().lower()
            if 1 < len(named) <= MAX_TERM and named not in _STOPWORDS:
                terms.add(named)
                if span is not None:
                    hidden.append(span)
    rest = list(text)
    for start, end in hidden:
        rest[start:end] = " " * len(rest[start:end])
    return terms | set(_words("".join(rest).lower()))


def _words(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        if 2 < len(word) <= MAX_TERM and word not in _STOPWORDS:
            yield word.removesuffix("'s").removesuffix("’s")
    for run in _CJK.findall(text):
        for size in (2, 3):
            for start in range(len(run) - size + 1):
                gram = run[start : start + size]
                if _FUNCTION_CHARS.isdisjoint(gram):
                    yield gram


def choose(ranked: Sequence[Term], voices: Sequence[tuple[str, Collection[OpinionTerm]]], limit: int) -> list[Term]:
    """The terms worth naming, of those that stand out: strongest first, no two that are pieces of each other.

    `voices` are texts of the finding with what the scorer marked in them. Marked terms go first when about as strong;
    an n-gram that stands between the same neighbours wherever it is said is a piece of a longer word and left out.
    """
    marked = {
        term.strip().lower()
        for _, opinions in voices
        for opinion in opinions
        for term in (opinion.aspect, opinion.opinion)
        if term
    }
    texts = [text.lower() for text, _ in voices]
    by_worth = sorted(ranked, key=lambda found: -found.z * (MARKED if found.term in marked else 1.0))
    chosen: list[Term] = []
    for found in by_worth:
        if len(chosen) == limit:
            break
        if any(_overlap(found.term, other.term) for other in chosen):
            continue
        if found.term in marked or not (_CJK.fullmatch(found.term) and _is_piece(found.term, texts)):
            chosen.append(found)
    return chosen


def _is_piece(gram: str, texts: Sequence[str]) -> bool:
    """Whether the gram always has the same Chinese character before it, or always the same after it."""
    before: list[str] = []
    after: list[str] = []
    for text in texts:
        place = text.find(gram)
        while place >= 0:
            end = place + len(gram)
            before.append(text[place - 1 : place])
            after.append(text[end : end + 1])
            place = text.find(gram, place + 1)
    return any(len(side) > 1 and len(set(side)) == 1 and _joins(side[0]) for side in (before, after))


def _joins(char: str) -> bool:
    """Whether a neighbour may belong to the same word: a Chinese character with a meaning of its own."""
    return len(char) == 1 and "㐀" <= char <= "鿿" and char not in _FUNCTION_CHARS


def _overlap(one: str, other: str) -> bool:
    """Whether two terms are pieces of each other: contained, or (n-grams) the end of one is the start of the other."""
    if one in other or other in one:
        return True
    if one.isascii() or other.isascii():
        return False
    return any(one[-size:] == other[:size] or other[-size:] == one[:size] for size in (1, 2))
