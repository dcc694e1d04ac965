"""Daemons are killed and stopped at random progress on real services; an oracle outside finds everything once."""

from collections.abc import Mapping
from pathlib import Path

from tests.faults.daemon_campaign import DaemonCampaign


def test_nothing_is_lost_or_doubled_when_daemons_of_every_role_are_killed(
    tmp_path: Path, services: Mapping[str, str]
) -> None:
    campaign = DaemonCampaign(tmp_path, services, documents=2_000, seed=20261126)
    try:
        verdict = campaign.run(kills=6, terms=2)
    finally:
        campaign.daemons.kill()
    assert verdict.faults == dict.fromkeys(verdict.faults, 0), campaign.daemons.said()
    assert verdict.replays > 0, "a kill test that saw no replay proves nothing"
    assert verdict.slowest_exit_s <= 30
