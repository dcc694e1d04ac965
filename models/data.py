"""Reads the rows a recipe names into examples. Bad rows are counted and listed, or stop the run (`strict`).

Sentiment rows are `{"text", "label", "lang"}`, opinion rows `{"text", "triplets"}` with token spans,
`{"text", "aspects"}` with character spans or `{"text", "targets"}` with names; the format is the data folder's README.
A row trains only what it knows: see `Example`.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from opinionwatch.models.examples import LABELS, BadRow, Example, Link, Span, targets_of
from opinionwatch.models.folded import folded
from opinionwatch.models.marks import read_written
from opinionwatch.models.recipe import OpinionSource, Recipe, SentimentSource
from opinionwatch.models.tokens import whole
from opinionwatch.models.weak import with_terms
from opinionwatch.pipeline.errors import SettingsError

WRITTEN = Path(__file__).parent / "written"
SHOWN = 30
"""Characters of what is wrong that a reason quotes."""
Text = Annotated[str, AfterValidator(whole)]
Polarity = Annotated[Literal[0, 1, 2], BeforeValidator(lambda name: LABELS.index(name) if name in LABELS else name)]


class _SentimentRow(BaseModel):
    text: Text
    label: str | None = None
    lang: str = "und"
    topic: str | None = None


class _Triplet(BaseModel):
    aspect_span: Span | None
    opinion_span: Span | None
    """None where no word says it; such a triplet teaches its aspect term only."""
    sentiment: Polarity


class _TripletRow(BaseModel):
    text: Text
    tokens: list[str]
    triplets: list[_Triplet]
    lang: str = "und"


class _Aspect(BaseModel):
    span: Span | None
    sentiment: str | None = None


class _AspectRow(BaseModel):
    text: Text
    aspects: list[_Aspect]
    lang: str = "und"


class _Name(BaseModel):
    target: str
    sentiment: Polarity


class _NamesRow(BaseModel):
    text: Text
    targets: list[_Name]
    lang: str = "und"


@dataclass
class Rows:
    """What was read: examples by use, bad rows, and the number and sha256 of every file for the run folder."""

    train: list[Example] = field(default_factory=list)
    dev: list[Example] = field(default_factory=list)
    validation: list[Example] = field(default_factory=list)
    """Rows of the training files that are kept from training."""
    bad: list[BadRow] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """Rows of each source that are trained on."""
    hashes: dict[str, str] = field(default_factory=dict)


def read_rows(recipe: Recipe, data: Path, *, strict: bool = False) -> Rows:
    """Everything a recipe trains and measures on, in a fixed order.

    `data` holds `train/<name>.jsonl.gz` and `dev/<name>.jsonl.gz`; a missing training file is a SettingsError, a
    missing dev file means the source is not measured, and a damaged one is a SettingsError. With `strict` the first bad
    row is one, too.
    """
    rows = Rows()
    for source in recipe.sources:
        if isinstance(source, OpinionSource) and source.kind == "written":
            train, dev = _split(_keep(_written(source.name, rows), rows, strict), recipe.held_out)
        else:
            train = [] if source.evaluate_only else _file(data / "train", source, rows, strict, required=True)
            if isinstance(source, SentimentSource):
                train, spare = _split(train, recipe.validation, salt="validation ")
                rows.validation += map(folded, spare)
            dev = _file(data / "dev", source, rows, strict, required=False)
        train = [folded(example) for example in _cap(train, None if recipe.uncapped else source.cap)]
        train = [with_terms(example) for example in train] if source.lexicon else train
        rows.counts[source.name] = len(train)
        rows.train += train * source.repeat
        rows.dev += map(folded, _cap(dev, recipe.dev_cap))
    kept_out = {example.text for example in rows.validation}  # another file may have the same text
    rows.train = [example for example in rows.train if example.text not in kept_out]
    return rows


def draw(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text: for splits and caps that never shift.

    >>> draw("battery") == draw("battery")
    True
    """
    return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=6).digest()) / 2**48


def _cap(examples: list[Example], cap: int | None) -> list[Example]:
    if cap is None or len(examples) <= cap:
        return examples
    return sorted(examples, key=lambda example: draw(example.text))[:cap]


def _split(examples: Iterable[Example], held_out: float, salt: str = "") -> tuple[list[Example], list[Example]]:
    train: list[Example] = []
    dev: list[Example] = []
    for example in examples:
        (dev if draw(salt + example.text) < held_out else train).append(example)
    return train, dev


def _file(
    folder: Path, source: SentimentSource | OpinionSource, rows: Rows, strict: bool, *, required: bool
) -> list[Example]:
    path = folder / f"{source.name}.jsonl.gz"
    if not path.exists():
        if required:
            raise SettingsError(f"the recipe names '{source.name}', but {path} is not there")
        return []
    try:
        rows.hashes[f"{folder.name}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
        with gzip.open(path) as lines:
            return list(_keep(_parse(lines, path.name, source), rows, strict))
    except (OSError, EOFError, zlib.error) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error


def _written(name: str, rows: Rows) -> Iterator[Example | BadRow]:
    path = WRITTEN / f"{name}.tsv"
    if not path.exists():
        raise SettingsError(f"the recipe names the written set '{name}', but {path} is not there")
    raw = path.read_bytes()
    rows.hashes[f"written/{path.name}"] = hashlib.sha256(raw).hexdigest()
    yield from read_written(raw.decode().splitlines(), name, name.split("_")[0])


def _keep(parsed: Iterable[Example | BadRow], rows: Rows, strict: bool) -> Iterator[Example]:
    for row in parsed:
        if isinstance(row, Example):
            yield row
            continue
        if strict:
            raise SettingsError(f"{row.file}:{row.line}: {row.reason}")
        rows.bad.append(row)


def _parse(lines: Iterable[bytes], file: str, source: SentimentSource | OpinionSource) -> Iterator[Example | BadRow]:
    for number, line in enumerate(lines, start=1):
        try:
            example = _example(json.loads(line), source)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            yield BadRow(file, number, f"{where}: {first['msg']}")
        except UnicodeDecodeError:
            yield BadRow(file, number, "bytes that are not UTF-8")
        except (ValueError, RecursionError) as error:
            yield BadRow(file, number, str(error))
        else:
            if example is not None:
                yield example


def _example(row: object, source: SentimentSource | OpinionSource) -> Example | None:
    if isinstance(source, SentimentSource):
        return _sentiment(_SentimentRow.model_validate(row), source)
    if source.kind == "aspects":
        return _aspects(_AspectRow.model_validate(row), source)
    if source.kind == "targets":
        return _names(_NamesRow.model_validate(row), source)
    return _triplets(_TripletRow.model_validate(row), source)


def _sentiment(row: _SentimentRow, source: SentimentSource) -> Example | None:
    if row.topic in source.without_topics or row.label == "mixed":
        return None
    if source.unlabelled:
        return Example(row.text, source.name, row.lang)
    if row.label is None:
        raise ValueError("no label")
    if row.label not in LABELS:
        raise ValueError(f"unknown label {row.label[:SHOWN]!r}")
    return Example(row.text, source.name, row.lang, label=LABELS.index(row.label), classes=source.classes)


def _aspects(row: _AspectRow, source: OpinionSource) -> Example:
    spans = tuple(_inside(aspect.span, row.text) for aspect in row.aspects if aspect.span is not None)
    told = ((a.span, LABELS.index(a.sentiment)) for a in row.aspects if a.span is not None and a.sentiment in LABELS)
    return Example(row.text, source.name, row.lang, aspects=spans, targets=tuple(told))


def _names(row: _NamesRow, source: OpinionSource) -> Example:
    """Names come without places: each is taken where it stands first."""
    targets = [(_first(name.target, row.text), name.sentiment) for name in row.targets]
    return Example(row.text, source.name, row.lang, targets=tuple(dict(targets).items()))


def _first(name: str, text: str) -> Span:
    start = text.find(name)
    if start < 0 or not name:
        raise ValueError(f"the name {name[:SHOWN]!r} is not in the text")
    return start, start + len(name)


def _triplets(row: _TripletRow, source: OpinionSource) -> Example | None:
    places = _token_places(row.text, row.tokens)
    links: list[Link] = []
    aspects: set[Span] = set()
    for triplet in row.triplets:
        aspect = None if triplet.aspect_span is None else _characters(triplet.aspect_span, places)
        if aspect is not None:
            aspects.add(aspect)
        if triplet.opinion_span is None:
            continue
        opinion = _characters(triplet.opinion_span, places)
        if source.drop_overlaps and aspect is not None and aspect[0] < opinion[1] and opinion[0] < aspect[1]:
            return None
        links.append((aspect, opinion, triplet.sentiment))
    return Example(
        row.text,
        source.name,
        row.lang,
        aspects=tuple(sorted(aspects)),
        opinions=tuple(sorted({opinion for _, opinion, _ in links})),
        links=tuple(dict.fromkeys(links)),
        targets=targets_of(links),
    )


def _token_places(text: str, tokens: list[str]) -> list[Span]:
    places: list[Span] = []
    at = 0
    for token in tokens:
        start = text.find(token, at)
        if start < 0:
            raise ValueError(f"token {token[:SHOWN]!r} is not in the text")
        at = start + len(token)
        places.append((start, at))
    return places


def _characters(span: Span, places: list[Span]) -> Span:
    first, last = span
    if not 0 <= first < last <= len(places):
        raise ValueError(f"span {first}-{last} is outside the {len(places)} tokens")
    return places[first][0], places[last - 1][1]


def _inside(span: Span, text: str) -> Span:
    if not 0 <= span[0] < span[1] <= len(text):
        raise ValueError(f"span {span[0]}-{span[1]} is outside the text of {len(text)} characters")
    return span
