"""Times that cannot be, and posts that come too late, through the whole plan: no false alert, no crash."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.ports import Item, Page
from tests.pipeline.rig import BEGIN, Rig, pages, post

DAYS, FLOOD = 3, 600
TURN = BEGIN + timedelta(days=DAYS)
END = TURN + timedelta(hours=6)


SYLLABLES = ("ba", "ko", "ri", "mu", "te", "lo", "sa", "ne", "fi", "du", "ge", "po")


def said(dice: random.Random, mood: str) -> str:
    """A text that is no near-copy of another one."""
    words = ["".join(dice.choices(SYLLABLES, k=3)) for _ in range(9)]
    return f"{' '.join(words[:4])} the Lumora battery is {mood} {' '.join(words[4:])}"


def calm() -> list[Item]:
    """Three days and six hours without a crisis, in order of arrival: one in seven is negative."""
    dice = random.Random(3)
    moments = sorted(BEGIN + timedelta(seconds=dice.uniform(0, (END - BEGIN).total_seconds())) for _ in range(900))
    return [
        post(n, said(dice, "awful" if dice.random() < 1 / 7 else "great"), at, author=f"calm-{n}", source="forum")
        for n, at in enumerate(moments)
    ]


def flood(published: Callable[[datetime, int], datetime]) -> list[Item]:
    """Within two hours, furious posts by as many people as there are posts."""

    dice = random.Random(4)
    moments = [TURN + timedelta(hours=1, seconds=12 * n) for n in range(FLOOD)]
    return [
        post(
            60_000 + n,
            said(dice, "awful"),
            at,
            author=f"furious-{n}",
            source="forum",
            published_at=published(at, n).isoformat(),
        )
        for n, at in enumerate(moments)
    ]


def alarms(folder: Path, more: list[Item]) -> list[str]:
    """Kinds of the negative alarms that were raised."""
    items = sorted([*calm(), *more], key=lambda item: item.arrived_at or BEGIN)
    rig = Rig(folder)
    rig.play(pages(items, [200] * (len(items) // 200)))
    rig.finish()
    archive = SqliteArchive(rig.path)
    assert archive.now() is not None
    assert sum(row.accepted for row in archive.ledger()) >= len(more)
    assert all(row.gap == row.pending == 0 for row in archive.ledger())
    return [one.kind for one in archive.episodes() if one.kind in ("crisis", "tone shift")]


def test_the_flood_raises_an_alarm_when_it_is_of_now(tmp_path: Path) -> None:
    assert alarms(tmp_path, flood(lambda at, _: at))
    assert not alarms(tmp_path / "calm", [])


@pytest.mark.parametrize(
    "published",
    [
        pytest.param(lambda at, _: at - timedelta(days=2), id="two days late"),
        pytest.param(lambda at, n: at - timedelta(hours=13 + n % 40), id="hours and days late"),
        pytest.param(lambda _, n: datetime(2099, 1, 1, tzinfo=UTC) + timedelta(seconds=n), id="from 2099"),
        pytest.param(lambda at, n: at + timedelta(days=2 + n % 400), id="from next week to next year"),
        pytest.param(lambda _, n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=n), id="epoch 0"),
        pytest.param(lambda _, n: datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=n), id="year 1"),
    ],
)
def test_what_is_late_or_of_no_possible_time_raises_none(
    tmp_path: Path, published: Callable[[datetime, int], datetime]
) -> None:
    assert alarms(tmp_path, flood(published)) == []


def test_a_clock_that_is_off_by_a_time_zone_hides_no_crisis(tmp_path: Path) -> None:
    assert alarms(tmp_path, flood(lambda at, _: at + timedelta(hours=8)))


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400), timedelta(hours=1), timedelta(hours=-1)])
def test_a_wall_clock_that_jumps_and_comes_back_raises_no_alarm_and_stops_nothing(
    tmp_path: Path, jump: timedelta
) -> None:
    rig = Rig(tmp_path, live=True)
    number, dice = 0, random.Random(6)
    for step in range(60):
        rig.clock.now += timedelta(minutes=5)
        if step in (20, 40):
            rig.clock.now += jump if step == 20 else -jump
        now = rig.clock.now
        for _ in range(4):
            number += 1
            mood = "awful" if number % 5 == 0 else "great"
            item = post(number, said(dice, mood), author=f"a-{number}", published_at=now.isoformat())
            rig.play([Page([item], str(number))])
    archive = SqliteArchive(rig.path)
    assert [one.kind for one in archive.episodes() if one.kind in ("crisis", "tone shift")] == []
    assert sum(row.indexed for row in archive.ledger()) == number
    rig.die()
