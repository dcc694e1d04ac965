"""The project's own annotated sentences: `domain<TAB>label<TAB>text with marks`, one a line.

A mark is `[surface|tags]`. `a1` names aspect 1; `o1-` is an opinion term about aspect 1 that is negative (`=` neutral,
`+` positive); `o0+` has only an implied aspect; `o1+,o2-` links one opinion term to two aspects.
An aspect without opinion terms is spoken of neutrally. Lines that start with `#` and empty lines are comments.
"""

import re
from collections.abc import Iterable, Iterator

from opinionwatch.models.examples import LABELS, BadRow, Example, Link, Span, targets_of

_MARK = re.compile(r"\[([^\[\]|]+)\|([^\[\]|]+)\]")
_ASPECT = re.compile(r"a([1-9]\d*)")
_OPINION = re.compile(r"o(\d+)([-=+])")
_POLARITY = {"-": 0, "=": 1, "+": 2}
_EVEN = 1


def read_written(lines: Iterable[str], file: str, lang: str) -> Iterator[Example | BadRow]:
    """Every sentence as an example, every malformed line as a bad row with its number."""
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.rstrip("\n").split("\t")
        if len(fields) != 3:
            yield BadRow(file, number, f"expected domain, label and text, found {len(fields)} fields")
        elif fields[1] not in LABELS:
            yield BadRow(file, number, f"unknown label '{fields[1]}'")
        else:
            try:
                yield parse_marked(fields[2].strip(), LABELS.index(fields[1]), file, lang)
            except ValueError as error:
                yield BadRow(file, number, str(error))


def parse_marked(marked: str, label: int, source: str, lang: str) -> Example:
    """Take the marks out of a sentence. Raises ValueError that says which mark is wrong."""
    text, end = "", 0
    aspects: dict[int, Span] = {}
    terms: list[tuple[Span, list[tuple[int, int]]]] = []
    for mark in _MARK.finditer(marked):
        text += marked[end : mark.start()]
        span = (len(text), len(text) + len(mark[1]))
        text += mark[1]
        end = mark.end()
        tags = [tag.strip() for tag in mark[2].split(",")]
        if (aspect := _ASPECT.fullmatch(tags[0])) and len(tags) == 1:
            aspects[int(aspect[1])] = span
        else:
            terms.append((span, [_target(tag) for tag in tags]))
    text += marked[end:]
    if "|" in text or "]" in text:
        raise ValueError("a mark is not closed")
    links = tuple(_links(aspects, terms))
    return Example(
        text=text,
        source=source,
        lang=lang,
        label=label,
        aspects=tuple(aspects.values()),
        opinions=tuple(span for span, _ in terms),
        links=links,
        targets=(
            *targets_of(links),
            *((span, _EVEN) for span in aspects.values() if all(span != link[0] for link in links)),
        ),
    )


def _target(tag: str) -> tuple[int, int]:
    match = _OPINION.fullmatch(tag)
    if match is None:
        raise ValueError(f"unknown tag '{tag}'")
    return int(match[1]), _POLARITY[match[2]]


def _links(aspects: dict[int, Span], terms: list[tuple[Span, list[tuple[int, int]]]]) -> Iterator[Link]:
    for span, targets in terms:
        for number, polarity in targets:
            if number and number not in aspects:
                raise ValueError(f"opinion points to aspect {number}, which is not marked")
            yield (aspects[number] if number else None, span, polarity)
