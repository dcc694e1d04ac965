"""From a source's bytes to a `Submission`: the one place where foreign JSON is judged.

Guards run from the cheap to the dear: size, encoding, nesting, syntax, fields. Each is linear in the bytes and none
recurses. What is wrong in a way that cannot be put right raises RejectedError with a reason of the closed list:

    too_large         more bytes than `Limits.record_bytes`
    bad_encoding      not UTF-8 (a byte order mark is fine)
    too_deep          nested deeper than `MAX_DEPTH`
    malformed_json    syntax, truncation, NaN or Infinity, a key that stands twice
    not_an_object     a list, a string, a number
    missing_field     no `native_id` or no `text`
    invalid_field     a field of ours of the wrong type, too long, or a time that is none

What can be put right is: lone surrogates become U+FFFD in texts and escapes in the native id, numbers as native id or
author become text, a figure that is none is left out, times are read as ISO 8601, RFC 2822 or epoch seconds to
nanoseconds, times out of the calendar become its first or last moment (the accept stage flags them). Fields that are
not ours are ignored.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from pydantic import ValidationError

from opinionwatch.pipeline.contracts import Submission
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.moments import moment
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import Limits

MAX_DEPTH = 100
"""Deeper JSON is refused; deep reply trees of real services stay below 60."""
MAX_DIGITS = 64
"""Longer integers are refused: turning digits into a number takes quadratic time."""
MAX_FIGURE = 10**12
"""More likes than this are none."""
MAX_ID_CHARS = 1024
"""Longer native ids are refused."""

# An unclosed string runs to the end, so that no quote is looked at twice.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = np.zeros(256, dtype=np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def parse(item: Item, limits: Limits) -> Submission:
    """Read one item. Raises RejectedError; see the module's docstring for the reasons."""
    record = load(item.body, limits.record_bytes)
    return read(record, item.fields)


def load(body: bytes, limit: int) -> dict[str, object]:
    """The JSON object in `body`. Raises RejectedError."""
    if len(body) > limit:
        raise RejectedError("too_large", f"{len(body)} bytes; the limit is {limit}")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RejectedError("bad_encoding", f"not UTF-8 at byte {error.start}") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise RejectedError("too_deep", f"nested deeper than {MAX_DEPTH}")
    try:
        record = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise RejectedError("malformed_json", f"{error.msg} at character {error.pos}") from error
    if not isinstance(record, dict):
        raise RejectedError("not_an_object", f"a JSON {_kind(record)}, not an object")
    return record


def native_id(record: Mapping[str, object], fields: tuple[tuple[str, str], ...] = ()) -> str:
    """The record's own id, printable. Raises RejectedError when there is none."""
    given = _find(record, "native_id", fields)
    if given is None or given == "":
        raise RejectedError("missing_field", "native_id: every text needs its source's own id")
    text = _text(_number_as_text(given), "native_id")
    if len(text) > MAX_ID_CHARS:
        raise RejectedError("invalid_field", f"native_id: {len(text)} characters; the limit is {MAX_ID_CHARS}")
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def read(record: Mapping[str, object], fields: tuple[tuple[str, str], ...] = ()) -> Submission:
    """The submission in a JSON object, by the names in `fields` or by our own. Raises RejectedError."""
    values: dict[str, object] = {"native_id": native_id(record, fields)}
    mapped = {name for name, _ in fields}
    for name in _OPTIONAL:
        given = _find(record, name, fields)
        if given is None:
            continue
        try:
            values[name] = _READERS[name](given, name)
        except RejectedError:
            # In a foreign record a field that merely bears one of our names is not ours to judge.
            if not fields or name in mapped or name == "text":
                raise
    if values.get("deleted"):
        values.setdefault("text", "")
    if "text" not in values:
        raise RejectedError("missing_field", "text: there is nothing to read")
    try:
        return Submission.model_validate(values)
    except ValidationError as error:
        mistake = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in mistake["loc"])
        raise RejectedError("invalid_field", f"{place}: {mistake['msg']}") from error


def _depth(text: str) -> int:
    """How deep brackets outside strings are nested, without recursion."""
    marks = np.frombuffer(_STRING.sub("", text).encode("latin-1", "replace"), dtype=np.uint8)
    return int(np.cumsum(_STEPS[marks], dtype=np.int64).max(initial=0))


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise RejectedError("malformed_json", "a key stands twice in one object")
    return record


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise RejectedError("invalid_field", f"an integer of {len(digits)} digits; the limit is {MAX_DIGITS}")
    return int(digits)


def _no_constant(name: str) -> object:
    raise RejectedError("malformed_json", f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_constant=_no_constant)


def _find(record: Mapping[str, object], name: str, fields: tuple[tuple[str, str], ...]) -> object:
    """The value of one of our fields: at its mapped path, else under its own name."""
    for field, path in fields:
        if field == name:
            return _dig(record, path)
    return record.get(name)


def _dig(record: Mapping[str, object], path: str) -> object:
    """Follow a dotted path through objects and, by number, lists. A key that contains the dots wins."""
    if path in record:
        return record[path]
    here: object = record
    for part in path.split("."):
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            return None
    return here


def _number_as_text(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise RejectedError("invalid_field", f"{name}: a JSON {_kind(value)}, not a string")
    return value if value.isascii() else _SURROGATE.sub("\ufffd", value) if name != "native_id" else value


def _name(value: object, name: str) -> str | None:
    return _text(_number_as_text(value), name) or None


def _time(value: object, name: str) -> datetime | None:
    try:
        return moment(value)
    except ValueError as error:
        raise RejectedError("invalid_field", f"{name}: {error}") from error


def _flag(value: object, name: str) -> bool:
    if isinstance(value, str) and value.lower() in ("", "0", "1", "false", "true", "no", "yes"):
        return value.lower() in ("1", "true", "yes")
    if not isinstance(value, bool):
        raise RejectedError("invalid_field", f"{name}: a JSON {_kind(value)}, not true or false")
    return value


def _figure(value: object, name: str) -> int | None:
    """A count. One that is negative, absurd or no number says nothing, and is no reason to lose a text."""
    del name
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value) if len(str(value)) <= MAX_DIGITS else math.nan
    except ValueError:
        return None
    return int(number) if 0 <= number <= MAX_FIGURE else None


_READERS = {
    "text": _text,
    "title": _text,
    "author": _name,
    "url": _name,
    "published_at": _time,
    "lang": _name,
    "source": _name,
    "html": _flag,
    "edited_at": lambda value, name: None if value is False else _time(value, name),
    "deleted": lambda value, _: str(value).lower() in ("1", "1.0", "true", "yes"),
    "likes": _figure,
    "reposts": _figure,
    "replies": _figure,
}
_OPTIONAL = tuple(_READERS)


def _kind(value: object) -> str:
    kinds = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "null")
