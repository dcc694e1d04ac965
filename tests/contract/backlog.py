"""A process that drains so many items of one source, beside an event loop, and says what that cost.

python -m tests.contract.backlog SETTINGS.json COUNT

Prints a last line of JSON: `items` (different ones), `grown_mb` (resident memory at its peak, less what it was before
the first page), `stall_s` (the longest time that the event loop had no turn, in processor time of this process: so a
busy machine is not taken for a stall).
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from threading import Event, Thread

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from tests.contract.source_suite import build

TICK_S = 0.01


async def ticking(over: Event) -> float:
    """The longest time between two turns."""
    worst = 0.0
    while not over.is_set():
        began = time.process_time()
        await asyncio.sleep(TICK_S)
        worst = max(worst, time.process_time() - began)
    return worst


def resident_mb(what: str) -> float:
    """Memory of this program: VmRSS in use now, VmHWM at its peak. (`ru_maxrss` would begin with the parent's.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{what}:"))


def drain(settings: Path, count: int) -> dict[str, float]:
    """Read until there is no more, or so many different documents were there."""
    told = json.loads(settings.read_text())
    source = build(told["kind"], **told["given"])
    over, stalls = Event(), list[float]()
    loop = Thread(target=lambda: stalls.append(asyncio.run(ticking(over))))
    loop.start()
    before = resident_mb("VmRSS")
    seen: set[int] = set()
    for page in source.fetch(None):
        # Hashes, because what a test remembers is not the source's memory.
        seen.update(hash(item.body) for item in page.items)
        if len(seen) >= count and source.interval_s is None:
            break
    source.close()
    over.set()
    loop.join()
    grown = resident_mb("VmHWM") - before
    return {"items": len(seen), "grown_mb": round(grown, 1), "stall_s": round(stalls[0], 3)}


if __name__ == "__main__":
    vars(http)["SHARED"] = Hosts(per_s=10_000, burst=10_000)
    sys.stdout.write(json.dumps(drain(Path(sys.argv[1]), int(sys.argv[2]))) + "\n")
