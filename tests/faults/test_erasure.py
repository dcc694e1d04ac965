"""Erasure reaches every byte on disk, and stays."""

from pathlib import Path

from tests.faults.erasure import campaign
from tests.faults.erasure_story import SHOWN, people


def test_nothing_of_an_erased_person_is_left_anywhere_and_nothing_comes_back(tmp_path: Path) -> None:
    verdict = campaign(tmp_path / "data", 700)
    held = {"table documents", "table episodes", "table deliveries", "snapshot trend", "opinionwatch.db"}
    assert held | SHOWN <= verdict.before.keys(), "what is to be erased has got everywhere first"
    assert verdict.planted > people(700)
    assert (verdict.after, verdict.replayed) == ({}, {})
    assert (verdict.dropped, verdict.gap) == (verdict.planted, 0)
