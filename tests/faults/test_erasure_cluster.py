"""Erasure in the cluster reaches every byte of its topics and indices, and stays."""

from pathlib import Path

from tests.faults.erasure import PEOPLE
from tests.faults.erasure_cluster import campaign


def test_nothing_of_an_erased_person_is_left_in_topics_and_indices_and_nothing_comes_back(tmp_path: Path) -> None:
    verdict = campaign(tmp_path / "data", 700, kills=0)
    held = {name.partition("/")[0] for name in verdict.before}
    assert {"data", "kafka", "elasticsearch"} <= held
    assert held & {"trend state 0", "trend state 1"}, "what is to be erased has got everywhere first"
    assert verdict.planted > 2 * PEOPLE
    assert verdict.erased == verdict.planted
    assert (verdict.after, verdict.changed, verdict.again) == ({}, [], {})
    assert (verdict.dropped, verdict.gap) == (verdict.planted, 0)
