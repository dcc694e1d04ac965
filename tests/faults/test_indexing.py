"""A cluster that is busy, away, full and unwilling: nothing is lost or doubled, and only what it must refuse dies."""

from tests.faults.elastic_proxy import Plan, proxy
from tests.faults.indexing import Indexing, choosy


def test_only_what_the_index_must_refuse_is_dead_and_nothing_is_committed_while_it_refuses_us(
    services: dict[str, str],
) -> None:
    address = services["elasticsearch"]
    plan = Plan(seed=20261126, unavailable=0.1, dropped=0.1, cut_off=0.1, too_few=0.1)
    with choosy(address) as given, proxy(address, plan) as between:
        verdict = Indexing(given, between, documents=1_500).run(denied_s=2, blocked_s=2)
    assert verdict.faults == dict.fromkeys(verdict.faults, 0)
    never = {name for name in ("busy item", "unavailable", "dropped", "cut off", "too few items", "denied")
             if not verdict.fired.get(name)}  # fmt: skip
    assert never == set(), "a fault that never happened proves nothing"
    assert verdict.replays > 0
