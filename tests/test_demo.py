"""The newcomer's first minute, as a newcomer runs it: exactly the crisis is found, and nothing is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "opinionwatch"


@pytest.mark.parametrize("scorer", ["neural", "lexicon"])
def test_the_demo_finds_exactly_the_crisis_and_says_why(scorer: str, tmp_path: Path) -> None:
    demo = subprocess.run(
        [str(COMMAND), "demo", "--once", "--scorer", scorer, "--data-dir", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Lumora" in demo.stdout
    assert "audit: no gap" in demo.stdout
    assert "Traceback" not in demo.stderr
