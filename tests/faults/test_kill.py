"""The daemon is killed again and again; an oracle outside it finds everything once, and where it belongs."""

from pathlib import Path

from tests.faults.campaign import Campaign


def test_nothing_is_lost_or_doubled_by_kills_and_stops_at_random_progress(tmp_path: Path) -> None:
    verdict = Campaign(tmp_path, documents=10_000, seed=20261124).run(kills=5, terms=2)
    assert verdict.faults == dict.fromkeys(verdict.faults, 0)
    assert verdict.replays > 0, "a kill test that saw no replay proves nothing"
    assert verdict.slowest_exit_s <= 30
