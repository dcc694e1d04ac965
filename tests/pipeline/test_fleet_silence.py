"""A source falls silent: told as what it is in both runtimes, and nobody takes it for a change of mood."""

import random
from datetime import timedelta
from functools import cache
from pathlib import Path

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.ports import Item
from tests.pipeline.fleet import Fleet
from tests.pipeline.rig import BEGIN, CALM, CROSS, Rig, pages, post

DAY = timedelta(days=1)
SILENT = (BEGIN + 4 * DAY, BEGIN + 4 * DAY + timedelta(hours=12))
TURN = BEGIN + 4 * DAY + timedelta(hours=18)
END = TURN + timedelta(hours=3)
SHARES = {"forum": 0.04, "microblog": 0.5}
"""Of negative posts: without the forum, the share of all of them is twice as high."""


@cache
def outage() -> list[Item]:
    """Four calm weekdays, then the calm place says nothing for twelve hours, comes back, and there people turn."""
    dice = random.Random(11)
    items = list[Item]()
    for number in range(round((END - BEGIN) / timedelta(minutes=5))):
        at = BEGIN + number * timedelta(minutes=5)
        for place, share in SHARES.items():
            if place == "forum" and SILENT[0] <= at < SILENT[1]:
                continue
            bad = dice.random() < (0.9 if place == "forum" and at >= TURN else share)
            text = dice.choice(CROSS if bad else CALM).format("battery", n=10 * number + len(place))
            words = " ".join(dice.sample([f"w{n}" for n in range(400)], 9))
            items.append(
                post(len(items), f"{text} {words}", at, source=place, author=f"author-{dice.randrange(10**6)}")
            )
    return items


def judged(path: Path) -> list[Episode]:
    """The episodes, oldest first."""
    return sorted(SqliteArchive(path).episodes(), key=lambda episode: episode.opened_at)


def test_a_silence_is_one_episode_in_both_runtimes_and_moves_no_baseline(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "embedded")
    rig.play(pages(outage(), [100] * 100))
    rig.finish()
    fleet = Fleet(tmp_path / "daemons", random.Random(1))
    for page in pages(outage(), [61] * 100):
        fleet.intake.submit(fleet.feed, page).result(timeout=0)
    fleet.replaying = []
    fleet.intake.beat()
    fleet.drain()
    found = judged(rig.path)
    assert found == judged(fleet.settings.store_path)
    [silence] = [episode for episode in found if episode.kind == "no data"]
    told = [each.alert for each in SqliteArchive(rig.path).deliveries(silence.id) if each.alert.event == "opened"]
    assert [[source.name for source in alert.episode.explanation.signal.sources] for alert in told] == [["forum"]]
    assert SILENT[0] < silence.opened_at < SILENT[1]
    assert silence.resolved_at is not None
    assert abs(silence.resolved_at - SILENT[1]) < timedelta(hours=3)
    [turn] = [episode for episode in found if episode.kind in ("crisis", "tone shift")]
    assert turn.opened_at > TURN, "neither the silence nor its end is a change of mood, and a real one is still told"
    assert turn.explanation.signal.sources[0].name == "forum"
    rest = [episode for episode in found if episode not in (silence, turn)]
    assert {(episode.kind, episode.severity) for episode in rest} <= {("source mix", "info")}
