"""Many feeds polled from one process, some hostile: documents a second, CPU, memory, and how the schedule keeps.

python tests/bench/feeds.py [--feeds 500] [--hostile 20] [--interval 30] [--seconds 120]
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from statistics import mean, quantiles
from threading import Event, Lock
from typing import cast

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.rss import Rss
from opinionwatch.connectors.schedule import Schedule
from opinionwatch.pipeline.console import quiet_logs
from opinionwatch.pipeline.ports import Page, Source

ENTRIES = 20
"""Of a feed; half of them are new at each poll."""


class Feeds(BaseHTTPRequestHandler):
    """Any number of feeds by path; those under /hostile/ drip for ever."""

    polls: dict[str, int] = {}  # noqa: RUF012 - one server, one table

    def do_GET(self) -> None:
        """One feed."""
        if self.path.startswith("/hostile/"):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"<")
                    time.sleep(0.5)
            except OSError:
                return
        count = self.polls[self.path] = self.polls.get(self.path, 0) + 1
        first = count * ENTRIES // 2
        items = "".join(
            f"<item><guid>{self.path}-{n}</guid><title>Entry {n}</title><description>{'A text of some words. ' * 20}"
            f"</description></item>"
            for n in range(first, first + ENTRIES)
        )
        body = f"<rss><channel>{items}</channel></rss>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name the base class gives it
        """Quiet."""


class Shelf:
    """An intake that is durable at once: what is measured is the polling."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.cursors: dict[str, str] = {}
        self.at: dict[str, list[float]] = {}
        self.items = 0

    def submit(self, source: Source, page: Page) -> "Future[None]":
        """Keep the cursor."""
        with self._lock:
            self.cursors[source.name] = page.cursor
            self.at.setdefault(source.name, []).append(time.monotonic())
            self.items += len(page.items)
        durable: Future[None] = Future()
        durable.set_result(None)
        return durable


def measure(base: str, feeds: int, hostile: int, interval_s: float, seconds: float) -> dict[str, str]:
    """Poll for a while after one interval of warming up."""
    vars(http)["SHARED"] = Hosts(per_s=100_000, burst=100_000)  # all feeds lie on one host here
    shelf = Shelf()
    schedule = Schedule(
        [_feed(f"hostile-{n}", f"{base}/hostile/{n}", interval_s) for n in range(hostile)]
        + [_feed(f"feed-{n}", f"{base}/{n}", interval_s) for n in range(feeds)],
        shelf,
        lambda source: shelf.cursors.get(source.name),
    )
    schedule.start()
    Event().wait(interval_s)
    items, began, cpu = shelf.items, time.monotonic(), _cpu_s()
    Event().wait(seconds)
    took, used, brought = time.monotonic() - began, _cpu_s() - cpu, shelf.items - items
    schedule.stop(20)
    gaps = [after - before for at in shelf.at.values() for before, after in pairwise(at)]
    kept = sum(abs(gap - interval_s) <= 0.1 * interval_s + 0.5 for gap in gaps) / len(gaps)
    cuts = quantiles(gaps, n=100)
    return {
        "feeds, hostile ones besides": f"{feeds}, {hostile}",
        "documents a second": f"{brought / took:,.0f}",
        "polls a second": f"{len(gaps) / (took + interval_s):.1f}",
        "CPU": f"{used / took:.0%} of one core",
        "resident memory at the peak": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
        "interval asked for": f"{interval_s:g} s ± 10 % of jitter",
        "interval kept: mean, p1, p99": f"{mean(gaps):.1f} s, {cuts[0]:.1f} s, {cuts[-1]:.1f} s",
        "polls within 10 % of the interval (and half a second)": f"{kept:.1%}",
    }


def _feed(name: str, url: str, interval_s: float) -> Source:
    settings = Rss.Settings(url=url, interval_s=interval_s, timeout_s=10, allow_hosts=("127.0.0.1",))
    return cast(Source, Rss(name, settings))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _serve() -> None:
    """The server's own process: its CPU time is not the poller's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Feeds)
    server.daemon_threads = True
    sys.stdout.write(json.dumps(server.server_port) + "\n")
    sys.stdout.flush()
    server.serve_forever()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=500)
    parser.add_argument("--hostile", type=int, default=20)
    parser.add_argument("--interval", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        _serve()
        return 0
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    quiet_logs()
    try:
        assert server.stdout is not None
        base = f"http://127.0.0.1:{int(server.stdout.readline())}"
        figures = measure(base, given.feeds, given.hostile, given.interval, given.seconds)
    finally:
        server.kill()
        server.wait(10)
    sys.stdout.write("| | |\n|---|---|\n" + "".join(f"| {what} | {value} |\n" for what, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
