"""A clock that jumps and comes back changes nothing; one that was set is believed after a while."""

from datetime import timedelta

import pytest

from opinionwatch.pipeline.ports import ManualClock
from opinionwatch.pipeline.steady import PATIENCE_S, TOLERANCE, SteadyClock, since_boot
from tests.pipeline.sample import NOON


class World:
    """A wall clock and the time that really goes by."""

    def __init__(self) -> None:
        self.wall, self.passed = ManualClock(NOON), 0.0
        self.clock = SteadyClock(self.wall, lambda: self.passed)
        assert self.clock() == NOON

    def wait(self, seconds: float) -> None:
        self.passed += seconds
        self.wall.now += timedelta(seconds=seconds)


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(hours=-3), timedelta(minutes=3)])
def test_a_jump_that_is_taken_back_was_never_there(jump: timedelta) -> None:
    world = World()
    world.wall.now += jump
    for _ in range(5):
        world.wait(60)
        assert world.clock() == world.wall.now - jump
    world.wall.now -= jump
    world.wait(60)
    assert world.clock() == NOON + timedelta(seconds=360)


def test_a_clock_that_was_set_is_believed_when_it_stays() -> None:
    world = World()
    world.wall.now += timedelta(hours=1)
    world.wait(1)
    assert world.clock() == NOON + timedelta(seconds=1)
    world.wait(PATIENCE_S)
    assert world.clock() == world.wall.now
    world.wait(5)
    assert world.clock() == world.wall.now


def test_two_jumps_have_their_patience_each() -> None:
    world = World()
    for _ in range(2):
        world.wall.now += timedelta(hours=1)
        world.wait(PATIENCE_S - 1)
        assert world.clock() == world.wall.now - timedelta(hours=1)
        world.wall.now -= timedelta(hours=1)
        world.wait(1)
        assert world.clock() == world.wall.now


def test_small_corrections_and_long_waits_are_believed_at_once() -> None:
    world = World()
    world.wall.now += TOLERANCE
    assert world.clock() == world.wall.now
    world.wait(86_400 * 3)
    assert world.clock() == world.wall.now


def test_time_since_boot_goes_on() -> None:
    assert since_boot() <= since_boot()
