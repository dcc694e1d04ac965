"""Daemons are killed, stopped and joined at random progress on real services; an oracle finds everything once."""

from collections.abc import Mapping
from pathlib import Path

from tests.faults.daemon_campaign import DaemonCampaign, Plan


def test_nothing_is_lost_or_doubled_when_daemons_of_every_role_are_killed(
    tmp_path: Path, services: Mapping[str, str]
) -> None:
    plan = Plan(documents=2_000, kills=4, terms=2, rebalances=2, seed=20261126)
    verdict = DaemonCampaign(tmp_path, services, plan).run()
    assert verdict.faults == dict.fromkeys(verdict.faults, 0), verdict.lines()
    assert verdict.found.replays > 0, "a kill test that saw no replay proves nothing"
    assert verdict.found.alerts > 0, "alerts that nobody expects cannot be lost"
    assert verdict.fired["rebalance seen"] == 2
    assert verdict.slowest_exit_s <= 30
