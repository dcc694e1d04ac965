"""What a scoring process keeps in memory."""

import subprocess
import sys

import pytest

from opinionwatch.pipeline import memory
from opinionwatch.pipeline.memory import ROOM, Settled, clean_gpu_mappings, resident

LIBRARY = "/venv/nvidia/cu13/lib/libcublasLt.so.13"
UNLOADED = """
import torch
from opinionwatch.pipeline.memory import resident, unload_gpu_pages
before = resident()
unload_gpu_pages()
print(before - resident())
print(float((torch.ones(300, 300) @ torch.ones(300, 300)).sum()), torch.cuda.is_available())
"""


def mapping(rights: str, path: str, anonymous: int, inode: int = 9, start: int = 0x7000) -> str:
    return (
        f"{start:x}-{start + 0x2000:x} {rights} 00000000 fe:00 {inode}    {path}\n"
        f"Size:                 8 kB\nRss:                  8 kB\nAnonymous:            {anonymous} kB\nVmFlags: rd\n"
    )


def test_only_clean_read_only_mappings_of_gpu_libraries_are_let_go() -> None:
    kept = [
        mapping("rw-p", LIBRARY, 0),
        mapping("r--p", LIBRARY, 4),
        mapping("r-xs", LIBRARY, 0),
        mapping("r-xp", "/usr/lib/libc.so.6", 0),
        mapping("r-xp", "/venv/torch/lib/libtorch_cpu.so", 0),
        mapping("r--p", "", 0, inode=0),
    ]
    assert clean_gpu_mappings("".join(kept)) == []
    gone = mapping("r-xp", LIBRARY, 0, start=0x9000) + mapping("r--p", "/t/lib/libtorch_cuda.so", 0, start=0xC000)
    assert clean_gpu_mappings("".join(kept) + gone + kept[0]) == [(0x9000, 0x2000), (0xC000, 0x2000)]


def test_a_process_computes_as_before_without_the_pages_it_let_go() -> None:
    done = subprocess.run([sys.executable, "-c", UNLOADED], capture_output=True, text=True, check=True)
    freed, computed = done.stdout.splitlines()
    assert int(freed) >= 0
    assert computed.split()[0] == "27000000.0"


def test_memory_is_looked_for_only_when_the_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100, 100 + ROOM, 101 + ROOM, 200, 200 + ROOM])
    trimmed: list[int] = []
    monkeypatch.setattr(memory, "resident", lambda: next(sizes))
    monkeypatch.setattr(memory, "give_back", lambda: trimmed.append(1))
    settled = Settled()
    settled.look()
    assert trimmed == []
    settled.look()
    assert trimmed == [1]
    settled.look()
    assert trimmed == [1]


def test_a_process_knows_its_size() -> None:
    assert resident() > 1 << 20
