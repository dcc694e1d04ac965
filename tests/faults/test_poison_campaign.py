"""Hostile records of every class through the daemon: all accounted for by reason, no healthy one touched."""

from pathlib import Path

from tests.faults.poisoning import run


def test_every_class_of_poison_ends_as_declared_and_the_daemon_lives(tmp_path: Path) -> None:
    verdict = run(tmp_path, poison=120, healthy=300, seed=20261124)
    assert verdict.classes >= 40
    assert verdict.faults == dict.fromkeys(verdict.faults, 0)
