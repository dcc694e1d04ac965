"""kill -9 at every step of a delivery: a small campaign. `python -m tests.faults.alerts` is the large one."""

from pathlib import Path

import pytest

from tests.faults.alerts import POINTS, campaign


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_notifier_forgets_nothing_and_repeats_only_what_nobody_can_know(tmp_path: Path, point: str) -> None:
    found = campaign("slack", point, 5, 1, tmp_path)
    assert found.kills == 1
    assert (found.lost, found.unlabelled, found.pending, found.strange) == (0, 0, 0, 0)
    assert found.visible == (1 if point in ("in the service", "outbox.after_send") else 0)


@pytest.mark.parametrize("kind", ["slack_bot", "email"])
@pytest.mark.parametrize("point", ["in the service", "outbox.after_send"])
def test_where_the_channel_can_be_asked_or_joins_by_id_nothing_is_seen_twice(
    tmp_path: Path, kind: str, point: str
) -> None:
    found = campaign(kind, point, 4, 1, tmp_path)
    assert found.kills == 1
    assert (found.lost, found.visible, found.pending, found.strange) == (0, 0, 0, 0)
