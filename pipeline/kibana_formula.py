"""The arithmetic of a chart's value: read once, checked, and turned into what Lens keeps of it.

A value is a formula over aggregations, in the words of Kibana's own formula language: `sum(window.posts)`, `count()`,
`count(kql='sentiment.label : negative')`, `sum(a) / sum(b)`, `sqrt(…)`. Two words are ours and are written out before
Kibana sees them: `wilson_low(k, n)` and `wilson_high(k, n)`, the ends of the 95 % Wilson interval of k out of n
(Wilson 1927; Brown, Cai, DasGupta 2001 on why not the textbook one).

Lens stores a formula as its text, one hidden column an aggregation, and the syntax tree over them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from opinionwatch.pipeline.errors import SettingsError

Aggregation = Literal["count", "sum", "average", "min", "max", "median", "unique_count"]
AGGREGATIONS: frozenset[str] = frozenset(get_args(Aggregation))
_MATH = frozenset({"sqrt", "abs", "square"})
_INTERVALS = frozenset({"wilson_low", "wilson_high"})
_OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
_TOKEN = re.compile(r"\s*(?:\d+(?:\.\d+)?|kql=|@?[a-z_][\w.]*|'[^']*'|[-+*/(),])")
Z = 1.96
"""Standard normal quantile of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One aggregation. `field` is empty for `count()`, `kql` where nothing is left out."""

    of: Aggregation
    field: str = ""
    kql: str = ""

    @property
    def text(self) -> str:
        """As it stands in a formula."""
        condition = f"kql='{self.kql}'" if self.kql else ""
        return f"{self.of}({', '.join(part for part in (self.field, condition) if part)})"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of Kibana's arithmetic over its arguments."""

    name: str
    args: tuple["Node", ...]


Node = Ask | Call | float


def read(text: str) -> Node:
    """The tree of a formula. Raises SettingsError that says where it cannot be read.

    >>> read("sum(window.posts)")
    Ask(of='sum', field='window.posts', kql='')
    >>> written(read("1 + 2 * count()"))
    '(1 + (2 * count()))'
    """
    reader = _Reader(text)
    node = reader.sum()
    reader.expect("")
    return node


def written(node: Node) -> str:
    """The formula as Kibana reads it."""
    if isinstance(node, Ask):
        return node.text
    if isinstance(node, float):
        return f"{node:g}"
    for sign, name in _OPERATORS.items():
        if node.name == name:
            return f"({written(node.args[0])} {sign} {written(node.args[1])})"
    return f"{node.name}({', '.join(map(written, node.args))})"


def asks(node: Node) -> list[Ask]:
    """Its aggregations, each once, in order of appearance."""
    return list(dict.fromkeys(_asks(node)))


def _asks(node: Node) -> Iterator[Ask]:
    if isinstance(node, Ask):
        yield node
    elif isinstance(node, Call):
        for arg in node.args:
            yield from _asks(arg)


def _call(name: str, *args: Node) -> Call:
    return Call(name, args)


def wilson(k: Node, n: Node, sign: Literal["add", "subtract"]) -> Node:
    """One end of the Wilson interval of k out of n; Kibana shows nothing where n is 0."""
    share = _call("divide", k, n)
    spread = _call(
        "sqrt",
        _call(
            "add",
            _call("divide", _call("multiply", share, _call("subtract", 1.0, share)), n),
            _call("divide", Z * Z / 4, _call("multiply", n, n)),
        ),
    )
    centre = _call("add", share, _call("divide", Z * Z / 2, n))
    return _call(
        "divide",
        _call(sign, centre, _call("multiply", Z, spread)),
        _call("add", 1.0, _call("divide", Z * Z, n)),
    )


class _Reader:
    """Recursive descent over one formula."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = list(self._cut())
        self._at = 0

    def sum(self) -> Node:
        """Terms with + and -."""
        node = self._product()
        while self._next() in ("+", "-"):
            node = _call(_OPERATORS[self._take()], node, self._product())
        return node

    def expect(self, word: str) -> None:
        """Take this word, or complain."""
        if self._take() != word:
            raise self._mistake(f"expected `{word or 'the end'}`")

    def _product(self) -> Node:
        node = self._factor()
        while self._next() in ("*", "/"):
            node = _call(_OPERATORS[self._take()], node, self._factor())
        return node

    def _factor(self) -> Node:
        word = self._take()
        if word == "(":
            node = self.sum()
            self.expect(")")
            return node
        if word[:1].isdigit():
            return float(word)
        if word not in AGGREGATIONS | _MATH | _INTERVALS:
            raise self._mistake(f"there is no `{word}`" if word else "expected a value")
        self.expect("(")
        if word in AGGREGATIONS:
            return self._ask(word)
        args = [self.sum()]
        while self._next() == ",":
            self._take()
            args.append(self.sum())
        self.expect(")")
        if word in _INTERVALS and len(args) == 2:
            return wilson(args[0], args[1], "subtract" if word == "wilson_low" else "add")
        if word in _MATH and len(args) == 1:
            return Call(word, tuple(args))
        raise self._mistake(f"`{word}` does not take {len(args)} arguments")

    def _ask(self, of: str) -> Ask:
        field, kql = "", ""
        while (word := self._take()) != ")":
            if not word:
                raise self._mistake("expected `)`")
            if word.startswith("'"):
                kql = word[1:-1]
            elif word not in ("kql=", ","):
                field = word
        if bool(field) != (of != "count"):
            raise self._mistake(f"`{of}` takes {'no' if of == 'count' else 'a'} field")
        return Ask(of, field, kql)  # type: ignore[arg-type]  # looked up in AGGREGATIONS by the caller

    def _cut(self) -> Iterator[str]:
        at = 0
        while self._text[at:].strip():
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise self._mistake(f"`{self._text[at:].strip()[:12]}` is nothing a formula knows")
            yield found[0].strip()
            at = found.end()

    def _next(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _take(self) -> str:
        word = self._next()
        self._at += 1
        return word

    def _mistake(self, why: str) -> SettingsError:
        return SettingsError(f"formula `{self._text}`: {why}")
