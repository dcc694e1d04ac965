"""A pushed body as records: one JSON object, an array of them, or JSON lines, each as the bytes it came in."""

import json
import re

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
"""Only finds where a value ends; what is in it is judged by the accept stage."""
_BLANKS = re.compile(r"[ \t\r\n]*")


def split(body: bytes, lines: bool = False) -> list[bytes]:
    """The records of a body; `lines`: it says itself that it is JSON lines. Raises ValueError when it is nothing of it.

    >>> split(b'[{"a": 1}, {"a": 2}]')
    [b'{"a": 1}', b'{"a": 2}']
    >>> split(b'{"a": 1}\\n{"a": \\n')
    [b'{"a": 1}', b'{"a":']
    """
    parts = [line.strip() for line in body.split(b"\n") if line.strip()]
    if not parts:
        raise ValueError("an empty body")
    if lines:
        return parts
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    start = _after_blanks(text, 0)
    if text[start] == "[":
        return _array(text, start)
    try:
        end = _after_blanks(text, _DECODER.raw_decode(text, start)[1])
    except (ValueError, RecursionError):
        end = 0
    if end == len(text):
        return [body.strip()]
    if len(parts) > 1 and all(part.startswith(b"{") for part in parts):
        return parts
    raise ValueError("neither a JSON object, nor an array of them, nor JSON lines")


def _array(text: str, start: int) -> list[bytes]:
    found: list[bytes] = []
    at = _after_blanks(text, start + 1)
    while text[at : at + 1] != "]":
        if found:
            if text[at : at + 1] != ",":
                raise ValueError(f"a broken JSON array: no comma at character {at}")
            at = _after_blanks(text, at + 1)
        try:
            end = _DECODER.raw_decode(text, at)[1]
        except (ValueError, RecursionError) as error:
            raise ValueError(f"a broken JSON array: {error}") from error
        found.append(text[at:end].encode("utf-8", "surrogateescape"))
        at = _after_blanks(text, end)
    if _after_blanks(text, at + 1) != len(text):
        raise ValueError("something follows the JSON array")
    return found


def _after_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at
