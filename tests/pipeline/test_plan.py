"""The plan is data: whole, connected, and known to the wiring stage by stage."""

from dataclasses import FrozenInstanceError
from itertools import pairwise

import pytest

from opinionwatch.pipeline.plan import PLAN, hop


def test_every_hop_reads_what_the_one_before_it_writes() -> None:
    assert [each.name for each in PLAN] == ["ingest", "score", "trend", "notify"]
    assert all(later.reads == earlier.writes for earlier, later in pairwise(PLAN))
    assert (PLAN[0].reads, PLAN[-1].writes) == ("sources", "deliveries")


def test_personal_data_is_masked_before_the_first_log() -> None:
    assert hop("ingest").stages == ("accept",)


def test_only_the_trend_hop_has_a_memory_and_it_is_kept_by_watchlist() -> None:
    assert [each.name for each in PLAN if each.stateful] == ["trend"]
    assert hop("trend").keyed_by == "watchlist"


def test_the_plan_cannot_be_changed_by_who_executes_it() -> None:
    with pytest.raises(FrozenInstanceError):
        hop("trend").stateful = False  # type: ignore[misc]  # the point of the test


def test_no_stage_stands_in_two_hops() -> None:
    names = [stage for each in PLAN for stage in each.stages]
    assert len(names) == len(set(names))
