"""Reads labelled files of any size, line by line: what is true of each row, and what could not be read and why.

* JSON lines (also .gz): `text` with `label`, `triplets`, `targets`, `aspects`, or several of them. Spans of triplets
  count tokens where the row has `tokens`, else characters; targets are names that stand in the text, each with a
  sentiment. Aspects are such names by their span in characters; those of two sentiments, or of another than negative,
  neutral and positive, are not asked for.
* `.tsv` or `.csv` with a header that names a text and a label: `text` or `sentence`, `label` or `tone`, perhaps `lang`
  and `slice`. A row is one line.
* `.tsv` without one: three columns are sentences with marks (`marks`), four are `slice, lang, label, text`; a line that
  begins with # is a remark.
"""

import csv
import gzip
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NamedTuple, cast

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from opinionwatch.models.examples import LABELS, BadRow, Link, Span
from opinionwatch.models.marks import read_written
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.read import language
from opinionwatch.pipeline.submission import load

LONGEST_LINE = 8 * 1024 * 1024
_TEXT, _LABEL = ("text", "sentence"), ("label", "tone")
_Polarity = Annotated[Literal[0, 1, 2], BeforeValidator(lambda name: LABELS.index(name) if name in LABELS else name)]


class Labelled(NamedTuple):
    """A text and what is true of it."""

    text: str
    lang: str
    label: int | None = None
    """Index in LABELS."""
    links: tuple[Link, ...] | None = None
    """In characters of the text; None where the row says nothing about opinions."""
    targets: tuple[tuple[str, int], ...] | None = None
    """Names that stand in the text, each with the sentiment towards it as an index in LABELS."""
    slice: str | None = None
    """The kind of difficulty it stands for, where the file says so."""
    line: int = 0
    """Counted from 1."""


class Skipped(NamedTuple):
    """A row that is not measured: its line, counted from 1, and why."""

    line: int
    reason: str


class _Triplet(BaseModel):
    aspect_span: Span | None
    opinion_span: Span | None
    """None where no word says it: such a triplet cannot be found, and is not asked for."""
    sentiment: _Polarity


class _Name(BaseModel):
    target: str = Field(min_length=1)
    sentiment: _Polarity


class _Aspect(BaseModel):
    span: Span | None = None
    """None where no word says it."""
    sentiment: str | None = None


class _Text(BaseModel):
    text: str


class _Row(_Text):
    label: str | None = None
    lang: str | None = None
    slice: str | None = None
    tokens: list[str] | None = None
    triplets: list[_Triplet] | None = None
    targets: list[_Name] | None = None
    aspects: list[_Aspect] | None = None


def names_of(files: Sequence[Path]) -> list[str]:
    """What files are called in a report: their names, with the folder where two have the same.

    >>> names_of([Path("a/dev.jsonl"), Path("b/dev.jsonl"), Path("b/more.jsonl")])
    ['a/dev.jsonl', 'b/dev.jsonl', 'more.jsonl']
    """
    counts = Counter(file.name for file in set(files))
    return [file.name if counts[file.name] == 1 else str(file) for file in files]


def read_labelled(path: Path, limit: int | None = None) -> Iterator[Labelled | Skipped]:
    """Every row of a file, at most the first `limit`. Raises SettingsError when the file cannot be read."""
    with _opened(path) as file:
        yield from islice(_rows(_lines(file), path.name.removesuffix(".gz")), limit)


def read_texts(path: Path, limit: int | None = None) -> Iterator[str]:
    """The texts of the first `limit` JSON lines, whether they have labels or not; lines without one are passed over."""
    with _opened(path) as file:
        for line in islice(_lines(file), limit):
            with suppress(RejectedError, ValueError):
                yield _Text.model_validate(load(line, LONGEST_LINE)).text


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines; of one that is too long only as much as tells that it is."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE + 1)


def _rows(lines: Iterator[bytes], name: str) -> Iterator[Labelled | Skipped]:
    parse: Callable[[bytes], Labelled] = _from_json
    first, remarks = 1, False
    if name.endswith((".tsv", ".csv")):
        separator = "," if name.endswith(".csv") else "\t"
        head = next(lines, b"")
        columns = _columns(head, separator)
        if set(_TEXT) & set(columns) and set(_LABEL) & set(columns):
            parse, first = partial(_from_named, columns, separator), 2
        else:
            parse, lines, remarks = partial(_from_unnamed, name), chain([head], lines), True
    for number, line in enumerate(lines, start=first):
        # Below a header a row that begins with # is a post with a hashtag, elsewhere it is a remark.
        if not line.strip() or (remarks and line.startswith(b"#")):
            continue
        if len(line) > LONGEST_LINE:
            yield Skipped(number, "too_large")
            continue
        try:
            yield parse(line)._replace(line=number)
        except UnicodeDecodeError:
            yield Skipped(number, "bad_encoding")
        except RejectedError as error:
            yield Skipped(number, error.reason)
        except ValidationError as error:
            yield Skipped(number, f"invalid field {'.'.join(map(str, error.errors()[0]['loc'][:1]))}")
        except (ValueError, csv.Error) as error:
            yield Skipped(number, str(error))


def _columns(head: bytes, separator: str) -> list[str]:
    """The names in a header; none where the first line is no header, which is then read, and refused, as a row."""
    with suppress(UnicodeDecodeError, ValueError, csv.Error):
        return _cells(head, separator)
    return []


def _cells(line: bytes, separator: str) -> list[str]:
    text = line.decode("utf-8-sig").rstrip("\r\n")
    if separator != ",":
        return text.split(separator)
    if text.count('"') % 2:
        raise ValueError("a quotation mark that is not closed in its line")
    return next(csv.reader([text]), [])


def _from_named(columns: Sequence[str], separator: str, line: bytes) -> Labelled:
    cells = _cells(line, separator)
    if len(cells) != len(columns):
        raise ValueError(f"not {len(columns)} columns")
    row = dict(zip(columns, cells, strict=True))
    text = next(row[name] for name in _TEXT if name in row)
    label = next(row[name] for name in _LABEL if name in row)
    return Labelled(text, row.get("lang") or language(text).tag, _label(label), slice=row.get("slice"))


def _from_unnamed(name: str, line: bytes) -> Labelled:
    cells = _cells(line, "\t")
    if len(cells) == 4:
        return Labelled(cells[3], cells[1], _label(cells[2]), slice=cells[0])
    lang = name.removesuffix(".tsv").split("_")[0]
    [example] = read_written(["\t".join(cells)], name, lang)
    if isinstance(example, BadRow):
        raise ValueError(example.reason)  # noqa: TRY004, it is the row that is wrong
    lang = lang if lang in ("en", "zh") else language(example.text).tag
    return Labelled(example.text, lang, example.label, example.links)


def _from_json(line: bytes) -> Labelled:
    row = _Row.model_validate(load(line, LONGEST_LINE))
    named = {**_of_aspects(row.text, row.aspects or ()), **dict(_named(row.text, row.targets or ()))}
    # A text that is good for one name and bad for another has no label of its own.
    unlabelled = row.label is None or (row.label == "mixed" and named)
    label = None if unlabelled else _label(str(row.label))
    if label is None and row.triplets is None and not named:
        raise ValueError("neither label, triplets, targets nor aspects with a sentiment")
    links = None if row.triplets is None else tuple(_links(row, row.triplets))
    return Labelled(row.text, row.lang or language(row.text).tag, label, links, tuple(named.items()) or None, row.slice)


def _label(name: str) -> int:
    if name not in LABELS:
        raise ValueError(f"label '{name[:30]}'")
    return LABELS.index(name)


def _named(text: str, targets: Sequence[_Name]) -> Iterator[tuple[str, int]]:
    for name, polarity in {each.target: each.sentiment for each in targets}.items():
        if name not in text:
            raise ValueError(f"the name '{name[:30]}' is not in the text")
        yield name, polarity


def _of_aspects(text: str, aspects: Sequence[_Aspect]) -> dict[str, int]:
    told: defaultdict[str, set[str | None]] = defaultdict(set)
    for aspect in aspects:
        if aspect.span is not None:
            first, last = _characters(aspect.span, _each_character(text))
            told[text[first:last]].add(aspect.sentiment)
    single = ((name, moods.pop()) for name, moods in told.items() if len(moods) == 1)
    return {name: LABELS.index(mood) for name, mood in single if mood in LABELS}


def _links(row: _Row, triplets: Sequence[_Triplet]) -> Iterator[Link]:
    places = _places(row.text, row.tokens) if row.tokens is not None else _each_character(row.text)
    for triplet in triplets:
        if triplet.opinion_span is not None:
            aspect = None if triplet.aspect_span is None else _characters(triplet.aspect_span, places)
            yield aspect, _characters(triplet.opinion_span, places), triplet.sentiment


def _each_character(text: str) -> list[Span]:
    return [(at, at + 1) for at in range(len(text))]


def _places(text: str, tokens: Sequence[str]) -> list[Span]:
    places: list[Span] = []
    at = 0
    for token in tokens:
        start = text.find(token, at)
        if start < 0:
            raise ValueError("tokens that are not in the text")
        at = start + len(token)
        places.append((start, at))
    return places


def _characters(span: Span, places: Sequence[Span]) -> Span:
    first, last = span
    if not 0 <= first < last <= len(places):
        raise ValueError("a span outside the text")
    return places[first][0], places[last - 1][1]
