"""Bombs: what each costs in memory. Every one must end as one reasoned error, within 50 MB.

python tests/faults/bombs.py
"""

import gzip
import json
import re
import socket
import sys
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opinionwatch.connectors.feeds import read_feed
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.http import Client
from opinionwatch.pipeline import submission
from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import Limits

LIMIT_MB = 50
GIB = 2**30
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
XML = {
    "xml billion laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><rss><channel><title>&l11;</title></channel></rss>',
    "xml quadratic": f'<!DOCTYPE r [<!ENTITY a "{"x" * 60_000}">]><rss><channel>{"&a;" * 60_000}</channel></rss>',
    "xml external entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><channel>&x;</channel></rss>',
    "xml depth": "<rss><channel>" + "<a>" * 200_000,
    "xml attributes": "<rss " + " ".join(f'a{n}="x"' for n in range(200_000)) + "/>",
}
JSON = {
    "json depth": b'{"native_id": "1", "text": ' + b"[" * 1_000_000,
    "json depth objects": b'{"a":' * 500_000,
    "json digits": b'{"native_id": 1, "text": ' + b"9" * 4_000_000 + b"}",
    "json twice": b'{"native_id": "1", "text": "a", "text": "b"}',
}
BROTLI = zlib.decompress(
    b64decode(
        "eNo7//9/PYMKw6ONDkXv///8/5+/gcVBRqzh3V/7////M05g6DjMdGHv/+f//9szCDEURjDs+v7/z///7A5MCnzcDt//zf///z+DB8ORRMYX9/5//"
        "v9fnoGzwUKH4e7v+n///zMrMAq0sy6o/n8easkGhpJRS0YtGYqW2AMA8Weu3g=="
    )
)
"""One GiB of nothing in 809 bytes, made by Node's zlib. It is never unpacked: brotli is not offered, so a server that
sends it all the same is refused by the name of its coding, as RFC 9110 §12.5.3 lets us.
"""


def packed(layers: int) -> Iterator[bytes]:
    """One GiB of nothing, packed so often, in pieces: the whole is 1 MB after one layer."""
    packers = [zlib.compressobj(9, zlib.DEFLATED, 31) for _ in range(layers)]
    piece = bytes(2**20)
    for _ in range(GIB // len(piece)):
        yield _through(packers, piece)
    tail = b""
    for packer in packers:
        tail = packer.compress(tail) + packer.flush()
    yield tail


def _through(packers: list["zlib._Compress"], piece: bytes) -> bytes:
    for packer in packers:
        piece = packer.compress(piece)
    return piece


PACKED = {
    "gzip": ("gzip", b"".join(packed(1))),
    "gzip in gzip": ("gzip, gzip", b"".join(packed(2))),
    "deflate": ("deflate", zlib.compress(bytes(2**28), 9)),
    "gzip of members": ("gzip", gzip.compress(bytes(2**20)) * 2000),
    "brotli": ("br", BROTLI),
    "brotli in gzip": ("br, gzip", gzip.compress(BROTLI)),
    "zstandard": ("zstd", bytes.fromhex("28b52ffd") * 1000),
    "identity": ("identity", bytes(2**24)),
}


@contextmanager
def served(coding: str, body: bytes) -> Iterator[str]:
    """A server that answers everything with this."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Encoding", coding)
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name the base class gives it
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join(10)


def fetch(coding: str, body: bytes) -> object:
    """Ask for it as a source does."""
    with served(coding, body) as url:
        answer = Client(Guard(["127.0.0.1"]), hosts=Hosts(per_s=1000, burst=1000)).get(url)
    return read_feed(answer.body, answer.headers.get("content-type", ""))


def bombs() -> dict[str, Callable[[], object]]:
    """Name → what sets it off."""
    found: dict[str, Callable[[], object]] = {}
    for name, (coding, body) in PACKED.items():
        found[name] = partial(fetch, coding, body)
    for name, text in XML.items():
        found[name] = partial(read_feed, text.encode(), "application/xml")
    for name, body in JSON.items():
        found[name] = partial(submission.parse, Item(body), Limits())
    deep = b'{"version": "https://jsonfeed.org/version/1.1", "items": ' + b"[" * 500_000
    found["json feed depth"] = partial(read_feed, deep, "application/feed+json")
    return found


def memory_kb(what: str) -> int:
    """VmRSS (now) or VmHWM (peak since it was reset) of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found
    return int(found[1])


def cost(bomb: Callable[[], object]) -> tuple[float, str]:
    """Megabytes at the peak above what was there before, and the error."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = memory_kb("VmRSS")
    try:
        bomb()
    except (OpinionwatchError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
    else:
        reason = ""
    return max(0, memory_kb("VmHWM") - before) / 1024, reason


def main() -> int:
    """Print JSON: bomb → [MB, reason]."""
    socket.setdefaulttimeout(30)
    prepared = bombs()
    costs = {name: cost(bomb) for name, bomb in prepared.items()}
    sys.stdout.write(json.dumps(costs, indent=1) + "\n")
    return 1 if any(size > LIMIT_MB or not reason for size, reason in costs.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
