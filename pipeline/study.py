"""What watchlists make of given texts: per clause what it finds, which names it misses, which names are ambiguous."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from opinionwatch.pipeline.candidates import FUNCTION, Candidate, Cooccurring
from opinionwatch.pipeline.terms import Term, Terms, bare
from opinionwatch.pipeline.trial import Trial
from opinionwatch.pipeline.watchlists import CASE, Name, Watchlist

LOWER_SHARE = 0.2
"""A name of which so many are written in lower case is a word of the language, too."""
EMBEDDED_SHARE = 0.3
OVERLAP_SHARE = 0.3
FEW = 3
"""Fewer texts than this prove nothing."""


@dataclass
class Clause:
    """One term of a watchlist: what it is for, where it stands, and what it does."""

    role: str
    """`name`, `context`, `must`, `any` or `exclude`."""
    text: str
    stands: int = 0
    """Texts it stands in."""
    matched: int = 0
    """Those of them that the watchlist matches; of an `exclude`, those that it keeps out."""
    example: str = ""


@dataclass
class Study:
    """What one watchlist makes of the texts."""

    watchlist: Watchlist
    clauses: list[Clause]
    texts: int = 0
    matched: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def study(watchlists: Sequence[Watchlist], trials: Iterable[Trial], candidates: int = 10) -> list[Study]:
    """One study a watchlist; texts that would be dead letters are left out."""
    readers = [_Reader(watchlist) for watchlist in watchlists]
    for trial in trials:
        if trial.read is None or trial.document is None:
            continue
        wanted = {match.watchlist for match in trial.matches}
        for reader in readers:
            reader.add(trial.read.folded.text, trial.document.text, wanted)
    return [reader.study(candidates) for reader in readers]


class _Reader:
    def __init__(self, watchlist: Watchlist) -> None:
        self._clauses = list(_clauses(watchlist))
        self._terms = Terms(watchlist.term(clause.text) for clause in self._clauses)
        self._study = Study(watchlist, self._clauses)
        self._beside = Cooccurring(clause.text.removeprefix(CASE) for clause in self._clauses)
        self._lower: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._longer: dict[str, Counter[str]] = {}
        self._shared: Counter[str] = Counter()
        self._no_context: Counter[str] = Counter()

    def add(self, folded: str, shown: str, wanted: set[str]) -> None:
        """Count one text."""
        watchlist = self._study.watchlist
        matched = watchlist.id in wanted
        self._study.texts += 1
        self._study.matched += matched
        self._shared.update(wanted - {watchlist.id} if matched else ())
        self._beside.add(shown, matched=matched)
        cased = bare(folded)
        for number, spans in self._terms.find(folded).items():
            clause = self._clauses[number]
            clause.stands += 1
            counts = matched if clause.role != "exclude" else not matched
            clause.matched += counts
            clause.example = clause.example or (shown if counts else "")
            if clause.role == "name":
                self._no_context[clause.text] += not matched
                self._see_spelling(clause.text, cased, spans)

    def _see_spelling(self, name: str, cased: str, spans: Sequence[tuple[int, int]]) -> None:
        plain = name.removeprefix(CASE)
        for start, end in spans:
            if cased[start - 1 : start] in ("@", "#"):  # handles and tags are written as one likes
                continue
            self._written[name] += 1
            self._lower[name] += plain != plain.lower() and cased[start:end] == plain.lower()
            if not plain.isascii():
                for longer in (cased[start - 1 : end] if start else "", cased[start : end + 1]):
                    beside = longer.replace(cased[start:end], "", 1)
                    if beside.isalpha() and not beside.isascii() and beside not in FUNCTION:
                        self._longer.setdefault(name, Counter())[longer] += 1

    def study(self, candidates: int) -> Study:
        """What was found."""
        self._study.candidates = self._beside.best(candidates)
        self._study.warnings = [*self._names(), *self._overlaps(), *self._idle()]
        return self._study

    def _names(self) -> Iterator[str]:
        contexts = {name.term for name in self._study.watchlist.names if isinstance(name, Name)}
        for clause in self._clauses:
            if clause.role != "name" or clause.text in contexts:
                continue
            plain, written = clause.text.removeprefix(CASE), self._written[clause.text]
            cure = f"give it context: {{term: {plain}, context: [...]}}"
            if len(plain) < (3 if plain.isascii() else 2):
                yield f"name '{plain}' is very short and will stand for many things; {cure}"
            lower = self._lower[clause.text]
            if lower >= max(FEW, LOWER_SHARE * written) and clause.text == plain:
                yield (
                    f"name '{plain}' is also a word: {lower} of {written} times it is written '{plain.lower()}'; write "
                    f"'{CASE}{plain}', or {cure}"
                )
            for longer, count in self._longer.get(clause.text, Counter()).most_common(2):
                if count >= max(FEW, EMBEDDED_SHARE * written):
                    yield (
                        f"name '{plain}' stands in '{longer}' {count} of {written} times: if that is something else, "
                        f"exclude it, or {cure}"
                    )

    def _overlaps(self) -> Iterator[str]:
        for other, count in self._shared.most_common(3):
            if count >= max(FEW, OVERLAP_SHARE * self._study.matched):
                yield f"{count} of its {self._study.matched} texts belong to '{other}', too: an alert will come twice"

    def _idle(self) -> Iterator[str]:
        for clause in self._clauses:
            if clause.role == "name" and not clause.stands:
                yield f"name '{clause.text}' stands in none of these texts"
            elif clause.role == "name" and not clause.matched:
                yield f"name '{clause.text}' stands in {clause.stands} texts, and other clauses keep all of them out"


def _clauses(watchlist: Watchlist) -> Iterator[Clause]:
    seen: set[tuple[str, Term]] = set()
    given = [("name", name.term if isinstance(name, Name) else name) for name in watchlist.names]
    given += [("context", word) for name in watchlist.names if isinstance(name, Name) for word in name.context]
    given += [("must", term) for term in watchlist.must]
    given += [("any", term) for term in watchlist.any]
    given += [("exclude", term) for term in watchlist.exclude]
    for role, text in given:
        if (role, watchlist.term(text)) not in seen:
            seen.add((role, watchlist.term(text)))
            yield Clause(role, text)
