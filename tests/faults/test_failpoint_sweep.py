"""A few failpoints of every role in real daemons; `python -m tests.faults.failpoint_sweep` visits all of them."""

from collections.abc import Mapping
from pathlib import Path

from opinionwatch.pipeline.failpoints import ACTIONS, FAILPOINTS
from tests.faults.failpoint_cases import CASES, ELSEWHERE, Case
from tests.faults.failpoint_sweep import Sweep

SOME = (
    Case("notify.polled", 3, "raise"),
    Case("notify.written", 1, "kill"),
    Case("notify.committed", 3, "term"),
    Case("index.written", 3, "kill"),
    Case("worker.done", 1, "hang"),
    Case("trend.told", 3, "kill"),
    Case("log.sent", 3, "kill"),
)


def test_what_breaks_at_a_boundary_of_a_real_daemon_is_taken_up_by_its_next_life(
    tmp_path: Path, services: Mapping[str, str]
) -> None:
    verdict = Sweep(tmp_path, services, SOME).run()
    assert verdict.wrong == []
    assert verdict.faults == dict.fromkeys(verdict.faults, 0)
    assert verdict.fired == len(SOME)


def test_the_whole_sweep_visits_every_point_with_every_action_before_and_after() -> None:
    swept = set(FAILPOINTS) - set(ELSEWHERE)
    assert {case.point for case in CASES} == swept
    assert len(swept) >= 40
    for point in swept:
        assert {case.action for case in CASES if case.point == point} == set(ACTIONS)
    assert set(SOME) <= set(CASES)
