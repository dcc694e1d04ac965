"""The second stage of the score hop: which watchlists a document belongs to, and by which clause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from opinionwatch.pipeline.contracts import Drop, Match, Span
from opinionwatch.pipeline.fold import Folded
from opinionwatch.pipeline.read import ReadDocument
from opinionwatch.pipeline.terms import Term, Terms
from opinionwatch.pipeline.watchlists import Name, Watchlist

MAX_SPANS = 50
"""Places that a match records."""


@dataclass(frozen=True, slots=True)
class MatchedDocument:
    """A read document that belongs to at least one watchlist. Lives only inside the score hop."""

    read: ReadDocument
    matches: tuple[Match, ...]
    targets: tuple[tuple[Span, ...], ...] = ()
    """Of each match, where the folded text names what is watched; left out where nobody is to say what is said of it.
    """


@dataclass(frozen=True, slots=True)
class _Named:
    """A name and the numbers of its term and of its context's terms."""

    text: str
    term: int
    context: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A watchlist in terms of the index."""

    watchlist: Watchlist
    names: tuple[_Named, ...]
    must: tuple[int, ...]
    any: tuple[int, ...]
    exclude: tuple[int, ...]


Found = Mapping[int, list[Span]]


class MatchStage:
    """A stage from `ReadDocument` to `MatchedDocument`, or `Drop` where no watchlist wants the document.

    All terms of all watchlists are found in one pass; only watchlists with a found term are looked at.
    """

    def __init__(self, watchlists: Sequence[Watchlist]) -> None:
        numbers: dict[Term, int] = {}
        self._rules = [_rule(watchlist, numbers) for watchlist in watchlists]
        self._terms = Terms(numbers)
        self._wanted_by: dict[int, list[int]] = {}
        for at, rule in enumerate(self._rules):
            # A document that has none of these cannot match.
            triggers = [name.term for name in rule.names] or rule.must[:1] or rule.any
            for term in dict.fromkeys(triggers):
                self._wanted_by.setdefault(term, []).append(at)

    def __call__(self, batch: Sequence[ReadDocument], now: datetime) -> list[MatchedDocument | Drop]:
        """Match a batch; the result has the batch's order."""
        del now
        return [self._match(read) for read in batch]

    def _match(self, read: ReadDocument) -> MatchedDocument | Drop:
        found = self.named(read.folded, read.language.tag)
        if found:
            return MatchedDocument(read, tuple(match for match, _ in found), tuple(places for _, places in found))
        document = read.document
        return Drop(
            id=document.id,
            source=document.source,
            accepted_at=document.accepted_at,
            rule="no-watchlist",
            version=document.version,
        )

    def matches(self, folded: Folded, lang: str) -> tuple[Match, ...]:
        """The watchlists that a text belongs to, in the order of the settings."""
        return tuple(match for match, _ in self.named(folded, lang))

    def named(self, folded: Folded, lang: str) -> list[tuple[Match, tuple[Span, ...]]]:
        """The matches, each with the places in the folded text that name what is watched."""
        found = self._terms.find(folded.text)
        wanted = sorted({at for term in found for at in self._wanted_by.get(term, ())})
        return [match for at in wanted if (match := _judge(self._rules[at], found, folded, lang))]

    def refusals(self, folded: Folded, lang: str) -> tuple[Match, ...]:
        """The watchlists that a text does not belong to; `clause` is the first one that keeps it out. For people who
        try a source or a watchlist: the plan itself only asks for `matches`.
        """
        found = self._terms.find(folded.text)
        refused = ((rule.watchlist.id, _why_not(rule, found, lang)) for rule in self._rules)
        return tuple(Match(watchlist=watchlist, clause=clause, spans=()) for watchlist, clause in refused if clause)


def _rule(watchlist: Watchlist, numbers: dict[Term, int]) -> _Rule:
    def number(text: str) -> int:
        return numbers.setdefault(watchlist.term(text), len(numbers))

    names = [(name.term, name.context) if isinstance(name, Name) else (name, ()) for name in watchlist.names]
    return _Rule(
        watchlist,
        tuple(_Named(text, number(text), tuple(map(number, context))) for text, context in names),
        tuple(map(number, watchlist.must)),
        tuple(map(number, watchlist.any)),
        tuple(map(number, watchlist.exclude)),
    )


def _judge(rule: _Rule, found: Found, folded: Folded, lang: str) -> tuple[Match, tuple[Span, ...]] | None:
    watchlist = rule.watchlist
    if _why_not(rule, found, lang):
        return None
    names = [name for name in rule.names if _stands(name, found)]
    some = [(text, term) for text, term in zip(watchlist.any, rule.any, strict=True) if term in found]
    clause = [f"name: {name.text}" for name in names[:1]]
    clause += [f"must: {text}" for text in watchlist.must]
    clause += [f"any: {text}" for text, _ in some[:1]]
    naming, beside = [name.term for name in names], [term for _, term in some]
    places = sorted({folded.span(*span) for term in (*naming, *rule.must, *beside) for span in found[term]})
    # Where there are no names, what is watched is what any or all of must say.
    named = sorted({span for term in naming or beside or rule.must for span in found[term]})
    match = Match(watchlist=watchlist.id, clause=" + ".join(clause), spans=tuple(places[:MAX_SPANS]))
    return match, tuple(named[:MAX_SPANS])


def _stands(name: _Named, found: Found) -> bool:
    return name.term in found and (not name.context or any(at in found for at in name.context))


def _why_not(rule: _Rule, found: Found, lang: str) -> str:
    """The first clause that keeps the document out; empty when none does."""
    watchlist = rule.watchlist
    if watchlist.lang and lang not in watchlist.lang:
        return f"lang: {lang} is none of {', '.join(watchlist.lang)}"
    if rule.names and not any(_stands(name, found) for name in rule.names):
        bare = [name.text for name in rule.names if name.term in found]
        return f"name: {bare[0]}, without any of its context" if bare else "name: none stands there"
    for text, term in zip(watchlist.must, rule.must, strict=True):
        if term not in found:
            return f"must: {text}"
    if rule.any and not any(term in found for term in rule.any):
        return "any: none stands there"
    barred = (text for text, term in zip(watchlist.exclude, rule.exclude, strict=True) if term in found)
    return next((f"exclude: {text}" for text in barred), "")
