"""The terms of one text that an explanation may name: opinion and aspect terms, English words, Chinese 2- and 3-grams.

Chinese is written without spaces, so instead of a dictionary every run of characters gives its 2- and 3-grams; those
with a function character in them say nothing and are left out. What the scorer has marked as an aspect or opinion term
is taken whole, and the characters it stands on give no n-grams.
"""

import re
from collections.abc import Iterator

from opinionwatch.pipeline.contracts import Mention

MAX_CHARS = 2_000
"""Of a text that is looked at."""
MAX_TERM = 24

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
