"""What a process keeps in memory, and what it can do about it; on Linux with glibc. Elsewhere nothing happens."""

import ctypes
import os
import re
from contextlib import suppress
from pathlib import Path

MAPS, COUNTS = Path("/proc/self/smaps"), Path("/proc/self/statm")
ROOM = 96 << 20
"""Bytes that the process may grow by before freed memory is looked for: to fetch it again costs a pass a twentieth."""
_GPU_ONLY = re.compile(r"/nvidia/|/lib(torch|c10)_cuda|/libtorch_nvshmem|/libcaffe2_nvrtc")
_DONTNEED = 4
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r-[x-]p) \S+ \S+ [1-9]\d* +(/.+)")


def resident() -> int:
    """Bytes of this process that are in memory, shared ones included; 0 where that is not told."""
    try:
        return int(COUNTS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def give_back() -> None:
    """Return freed memory to the operating system.

    Loading a model takes for a moment several times what the model keeps, and batches of ever new sizes leave gaps.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def unload_gpu_pages() -> int:
    """Let go of the pages of CUDA's libraries, which a PyTorch built for CUDA loads on any machine; returns the bytes.

    For a process that computes on the CPU. Only what is read-only and was never written to is let go, so it comes back
    from the file whenever it is touched after all.
    """
    let_go = 0
    with suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        for start, size in clean_gpu_mappings(MAPS.read_text()):
            if madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _DONTNEED) == 0:
                let_go += size
    return let_go


def clean_gpu_mappings(smaps: str) -> list[tuple[int, int]]:
    """Address and bytes of each mapping of a CUDA library that holds nothing but what is in its file."""
    found: list[tuple[int, int]] = []
    mapping: tuple[int, int] | None = None
    for line in smaps.splitlines():
        if "-" in line.split(" ", 1)[0]:
            told = _MAPPING.fullmatch(line)
            mapping = None
            if told is not None and _GPU_ONLY.search(told[4]):
                mapping = int(told[1], 16), int(told[2], 16) - int(told[1], 16)
        elif mapping is not None and line.startswith("Anonymous:"):
            if line.split()[1] == "0":
                found.append(mapping)
            mapping = None
    return found


class Settled:
    """Gives memory back whenever a process has grown by more than ROOM since it last did."""

    def __init__(self) -> None:
        self._least = resident()

    def look(self) -> None:
        """After a piece of work; takes microseconds unless there is something to do."""
        if resident() > self._least + ROOM:
            give_back()
            self._least = resident()
