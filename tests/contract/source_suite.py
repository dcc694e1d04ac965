"""What every source must do, whatever it reads from. A new kind needs one `World` here, and the suite does the rest."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import cast

from pydantic import BaseModel

from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.pipeline.ports import Item, Page, Source
from opinionwatch.pipeline.registry import options, resolve
from tests.connectors.imitation import Imitation

PAGE_ITEMS = 1_000
"""No page of any source holds more items."""
PAGE_BYTES = 16 * 2**20
COUNT = 1_234
"""Records in a world that can choose."""


@dataclass(frozen=True)
class Making:
    """A way to make a source, as often as one likes, and the service it asks, if it is an imitation."""

    kind: str
    given: Mapping[str, object]
    service: Imitation | None = None

    def __call__(self) -> Source:
        """A new source of the same settings."""
        return build(self.kind, **self.given)


Make = Callable[[], Source]
World = Callable[[Path], AbstractContextManager[Make]]
"""Prepares something to read in a folder of its own; gives a way to make the source, as often as one likes."""


def build(kind: str, **given: object) -> Source:
    """A source of the registry, as the settings would make it."""
    source = resolve(CONNECTORS, kind, kind)
    settings: type[BaseModel] = source.__dict__["Settings"]
    return cast(Source, source("name", options(settings, given, f"sources.{kind}")))


def collect(pages: Iterator[Page], count: int | None = None) -> list[Page]:
    """Some pages, or all of them."""
    return list(islice(pages, count))


def items(pages: Sequence[Page]) -> list[Item]:
    """The items of pages."""
    return [item for page in pages for item in page.items]


def rows() -> list[dict[str, str]]:
    """Submissions in two languages."""
    return [
        {"native_id": str(n), "text": f"text {n}, 电池 {n}", "published_at": f"2025-03-{1 + n % 28:02}T00:00:00Z"}
        for n in range(COUNT)
    ]


@contextmanager
def jsonl(folder: Path) -> Iterator[Make]:
    """JSON lines."""
    path = folder / "posts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    yield Making("jsonl", {"path": str(path)})


@contextmanager
def jsonl_packed(folder: Path) -> Iterator[Make]:
    """JSON lines in a gzip file."""
    path = folder / "posts.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows()).encode()))
    yield Making("jsonl", {"path": str(path)})


@contextmanager
def jsonl_replayed(folder: Path) -> Iterator[Make]:
    """JSON lines, replayed as fast as possible."""
    path = folder / "posts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    yield Making("jsonl", {"path": str(path), "replay": {"speed": 0}})


@contextmanager
def table(folder: Path) -> Iterator[Make]:
    """A table in another encoding, with records of several lines."""
    path = folder / "posts.csv"
    lines = [f'{row["native_id"]},"{row["text"]}\nnext"\n' for row in rows()]
    path.write_bytes("native_id,text\n".encode("gb18030") + "".join(lines).encode("gb18030"))
    yield Making("csv", {"path": str(path), "encoding": "gb18030"})


@contextmanager
def feed(folder: Path) -> Iterator[Make]:
    """A feed on a server."""
    del folder
    entries = "".join(f"<item><guid>{row['native_id']}</guid><title>{row['text']}</title></item>" for row in rows())
    body = f"<rss><channel>{entries}</channel></rss>".encode()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            same = self.headers["If-None-Match"] == '"1"'
            self.send_response(304 if same else 200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", "0" if same else str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if same else body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name the base class gives it
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/feed"
            yield Making("rss", {"url": address, "allow_hosts": ["127.0.0.1"]})
        finally:
            server.shutdown()
            thread.join(10)


@contextmanager
def demo(folder: Path) -> Iterator[Make]:
    """The demo."""
    del folder
    yield Making("demo", {})


@contextmanager
def push(folder: Path) -> Iterator[Make]:
    """A webhook: nothing to fetch."""
    del folder
    yield lambda: build("webhook", secrets=["s" * 32])


PULLED: dict[str, tuple[World, ...]] = {
    "jsonl": (jsonl, jsonl_packed, jsonl_replayed),
    "csv": (table,),
    "rss": (feed,),
    "demo": (demo,),
}
"""Kinds that are asked, with worlds to ask them in."""
PUSHED: dict[str, tuple[World, ...]] = {"webhook": (push,)}
"""Kinds that are told."""
