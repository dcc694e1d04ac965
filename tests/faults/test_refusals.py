"""Services that refuse lose nothing: a small campaign. `python -m tests.faults.refusals` is the large one."""

from pathlib import Path

import pytest

from tests.faults.refusals import SERVICES


@pytest.mark.parametrize("kind", SERVICES)
def test_whatever_a_service_answers_every_alert_is_told_there_or_instead(tmp_path: Path, kind: str) -> None:
    found = SERVICES[kind](12, 5, tmp_path / "store.db")
    assert (found.lost, found.unlabelled, found.hasty, found.pending) == (0, 0, 0, 0)
    assert found.told + found.instead >= 12
    assert sum(found.answered.values()) > 12, "something was refused"
