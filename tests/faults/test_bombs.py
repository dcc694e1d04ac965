"""Bombs of every kind end as one reasoned error and cost little memory."""

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.bombs import LIMIT_MB

ROOT = Path(__file__).resolve().parents[2]


def test_every_bomb_is_one_reasoned_error_within_its_memory() -> None:
    run = subprocess.run(
        [sys.executable, "tests/faults/bombs.py"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    costs = json.loads(run.stdout)
    assert len(costs) >= 15
    assert {name: size for name, (size, _) in costs.items() if size > LIMIT_MB} == {}
    assert [name for name, (_, reason) in costs.items() if not reason] == []
    assert "packed as 'br', which was not asked for" in costs["brotli"][1]
    assert "packed as 'br, gzip', which was not asked for" in costs["brotli in gzip"][1]
    assert run.returncode == 0
