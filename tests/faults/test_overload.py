"""Overload, and a broker that goes away at full load: memory has a bound, senders are told to wait, nothing is lost."""

from pathlib import Path

from tests.faults.overload import Overload
from tests.services.pair import running


def test_overload_and_a_broker_that_is_gone_cost_time_and_nothing_else(tmp_path: Path) -> None:
    with running() as services:
        test = Overload(tmp_path, services, "lexicon", connect_s=2, delivery_s=3)
        try:
            figures = test.run(seconds=5, outage=8, warm=1_500)
        finally:
            test.daemons.kill()
    assert figures.faults(long=False) == [], figures
    assert figures.offered_per_s > figures.capacity_per_s, "it was an overload"
