"""Looking at processes from outside: their own numbers over HTTP, processor time and memory from /proc."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def ready(port: int) -> bool:
    """Whether a daemon does its work."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def numbers(port: int) -> Mapping[tuple[str, str], float]:
    """What a daemon says about itself, by name and label (the one it has, or none)."""
    text = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, all its threads together; 0 when it is gone."""
    return sum(_spent(stat) for stat in _stats([Path(f"/proc/{pid}/stat")]))


def group_cpu_s(leader: int) -> float:
    """The same of a process and all that are in its group: a server that is started by a launcher."""
    return sum(_spent(stat) for stat in _stats(Path("/proc").glob("[0-9]*/stat")) if int(stat[2]) == leader)


def resident_mb(pid: int) -> float:
    """Resident memory of one process now; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
    except OSError:
        return 0.0


def _spent(stat: list[str]) -> float:
    return (int(stat[11]) + int(stat[12])) * TICK_S


def _stats(paths: Iterable[Path]) -> Iterator[list[str]]:
    """The fields after the name, `state` first; see proc(5)."""
    for path in paths:
        with suppress(OSError):  # it has just ended
            yield path.read_text().rpartition(")")[2].split()
