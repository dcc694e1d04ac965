"""Foreign JSON, of which nothing is believed: what is absent or of another type than it should be is None."""

import json
import math
import re
from typing import Self

import orjson

from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.moments import moment

_SHOWN = 60
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""An escape in JSON: both halves of a UTF-16 pair, one half alone (the group), or any other."""


def loads(body: bytes) -> object:
    """JSON of somebody who may cut texts by their UTF-16 length: half a character becomes U+FFFD, as in a submission.

    Raises JSONDecodeError when it is no JSON otherwise.

    >>> loads(rb'["great \\ud83d", "\\ud83d\\ude00"]')
    ['great �', '😀']
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return orjson.loads(_ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body))


def dumps(value: object) -> bytes:
    """JSON of what was read as JSON. Raises ValueError when it is nested too deeply: more can be read than written."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        pass
    try:
        return json.dumps(value).encode("ascii")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


class Found:
    """A place in foreign JSON, followed by dotted paths.

    >>> post = Found.read(b'{"id": 7, "user": {"name": "ann"}, "tags": ["a"]}', "example.org")
    >>> post.text("id"), post.text("user.name"), post.text("user.age"), [tag.text() for tag in post.each("tags")]
    ('7', 'ann', None, ['a'])
    """

    def __init__(self, value: object, whose: str) -> None:
        self._value = value
        self._whose = whose

    @classmethod
    def read(cls, body: bytes, whose: str) -> Self:
        """Parse an answer. Raises RetryableError when it is no JSON: cut off, a web page, too deep."""
        try:
            return cls(loads(body), whose)
        except orjson.JSONDecodeError as error:
            raise RetryableError(f"{whose}: the answer is not JSON: {str(error)[:_SHOWN]}") from error

    def at(self, path: str) -> "Found":
        """What is there; None inside when nothing is."""
        here = self._value
        for part in path.split(".") if path else ():
            if isinstance(here, dict):
                here = here.get(part)
            elif isinstance(here, list) and part.isdecimal() and int(part[:9]) < len(here):
                here = here[int(part)]
            else:
                here = None
        return Found(here, self._whose)

    def text(self, path: str = "") -> str | None:
        """A string that is not empty; a number as it would be written."""
        value = self.at(path)._value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        return value if isinstance(value, str) and value else None

    def number(self, path: str = "") -> float | None:
        """A finite number, also one that is written as a string."""
        value = self.at(path)._value
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        except (ValueError, OverflowError):
            return None
        return number if number is not None and math.isfinite(number) else None

    def count(self, path: str) -> int | None:
        """A number of something; None when there is none, or when it is below zero."""
        number = self.number(path)
        return int(number) if number is not None and number >= 0 else None

    def seconds(self, path: str = "") -> int | None:
        """A moment in any usual spelling, as whole seconds since 1970."""
        value = self.at(path)._value
        try:
            found = moment(value)
        except ValueError:
            return None
        return int(found.timestamp()) if found else None

    def flag(self, path: str) -> bool:
        """Whether it is true."""
        return self.at(path)._value is True

    def there(self, path: str) -> bool:
        """Whether there is anything but null."""
        return self.at(path)._value is not None

    def each(self, path: str = "") -> list["Found"]:
        """The elements of a list; none when it is no list."""
        value = self.at(path)._value
        return [Found(element, self._whose) for element in value] if isinstance(value, list) else []

    def keys(self, path: str = "") -> list[str]:
        """The names in an object; none when it is no object."""
        value = self.at(path)._value
        return list(value) if isinstance(value, dict) else []

    def list(self, path: str = "") -> "list[Found]":
        """The elements of a list that has to be there. Raises RetryableError when it is not: an answer of another
        shape must never be taken for "nothing new".
        """
        if not isinstance(self.at(path)._value, list):
            raise RetryableError(f"{self._whose}: the answer has no list {path or 'at its top'}")
        return self.each(path)

    def value(self) -> object:
        """As it is."""
        return self._value

    def raw(self, path: str = "") -> bytes:
        """The JSON that is there; null for what is nested so deeply that it cannot be written."""
        value = self.at(path)._value
        try:
            return dumps(value)
        except ValueError:
            return b"null"

    def demand(self, path: str) -> "Found":
        """An object that has to be there, with something in it. Raises RetryableError when it is not."""
        if not self.keys(path):
            raise RetryableError(f"{self._whose}: the answer has no object {path}")
        return self.at(path)

    def need(self, path: str) -> str:
        """A text that has to be there. Raises RetryableError when it is not."""
        found = self.text(path)
        if found is None:
            raise RetryableError(f"{self._whose}: the answer has no {path}")
        return found
