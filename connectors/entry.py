"""One text as a connector found it."""

import json
from typing import NamedTuple

import orjson


class Entry(NamedTuple):
    """One text in the fields of a `Submission`."""

    native_id: str
    text: str
    title: str | None = None
    author: str | None = None
    url: str | None = None
    published_at: str | None = None
    lang: str | None = None
    html: bool = False
    source: str | None = None
    edited_at: str | None = None
    deleted: bool = False
    likes: int | None = None
    reposts: int | None = None
    replies: int | None = None

    def body(self) -> bytes:
        """JSON of a submission; what is not there is left out.

        It never fails: half a character (a lone surrogate) and a figure beyond 64 bits are handed on as they are, and
        `submission` says what becomes of them.
        """
        told = {name: value for name, value in self._asdict().items() if value is not None}
        if not self.deleted:
            del told["deleted"]
        try:
            return orjson.dumps(told)
        except orjson.JSONEncodeError:
            return json.dumps(told).encode("ascii")
