"""Digests as they run: by whoever owns the outbox, across restarts and kills, and with a word where they cannot."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from opinionwatch.alerts.digest_settings import DigestSettings
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_digest import Digest
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.digests import Digests, Maker, chosen, last_period
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.errors import RejectedError, RetryableError, SettingsError
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.outbox_fenced import FencedOutbox, NotingOutbox
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import ManualClock
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.sample import OPENED, crisis, windows
from tests.alerts.smtp_stub import smtp_stub
from tests.pipeline.rig import settings
from tests.pipeline.sample import delivery
from tests.pipeline.test_engine import URL, words

ROOT = Path(__file__).parents[2]
MORNING = OPENED.replace(hour=7, minute=0) + timedelta(days=1)
"""08:00 in Berlin on the day after the crisis began."""
DAILY = {"name": "morning", "channel": "mail", "zone": "Europe/Berlin"}


class Shelf:
    """A channel that keeps digests, or fails as it is told.

    Delivery: to a list.
    """

    name = "mail"

    def __init__(self) -> None:
        self.got: list[Digest] = []
        self.failures: list[Exception] = []
        self.came = Event()

    def notify(self, message: Message) -> None:
        """Not asked for here."""

    def digest(self, digest: Digest) -> None:
        """Keep it."""
        if self.failures:
            raise self.failures.pop(0)
        self.got.append(digest)
        self.came.set()


class World:
    """A store with a story in it, a digest, and lives that share them."""

    def __init__(self, folder: Path) -> None:
        self.settings = settings(folder, channels=[{"name": "mail", "kind": "terminal"}], notify={"digests": [DAILY]})
        self.clock, self.channel = ManualClock(MORNING - timedelta(hours=1)), Shelf()
        store = SqliteStore(self.settings.store_path)
        with store.transaction():
            store.write([*windows(), crisis().episode, delivery(1, state="failed")])
        store.close()
        self.outbox = SqliteOutbox(self.settings.store_path)

    def life(self, outbox: NotingOutbox | None = None) -> Digests:
        maker = Maker(self.settings, SqliteArchive(self.settings.store_path), lambda: URL)
        one = DigestSettings.model_validate(DAILY)
        return Digests([one], {"mail": self.channel}, maker, outbox or self.outbox, self.clock)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.outbox.close()


def test_it_comes_once_at_its_time_whatever_restarts_between(world: World) -> None:
    world.life().look("morning")
    assert world.channel.got == []
    world.clock.now = MORNING
    for _ in range(3):
        life = world.life()
        life.look("morning")
        life.look("morning")
    [made] = world.channel.got
    assert (made.at, made.repeat) == (MORNING, False)
    section = made.sections[0]
    assert section.stories[0].link == f"{URL}/episodes/{crisis().episode.id}"
    assert section.chart_png is not None


def test_two_days_off_are_one_digest_and_the_next_one_is_of_a_day(world: World) -> None:
    world.life().look("morning")
    for days in (2, 3):
        world.clock.now = MORNING + timedelta(days=days)
        world.life().look("morning")
    assert [one.at for one in world.channel.got] == [MORNING + timedelta(days=2), MORNING + timedelta(days=3)]
    assert [len(one.sections[0].stories) if one.sections else 0 for one in world.channel.got] == [1, 1]


def test_what_may_pass_is_tried_again_and_what_is_refused_is_noted(world: World) -> None:
    life = world.life()
    life.look("morning")
    world.clock.now = MORNING
    world.channel.failures = [RetryableError("450 busy", after_s=120), RejectedError("channel_refused", "550 no")]
    life.look("morning")
    assert (life.told("morning").state, life.told("morning").detail) == ("pending", "450 busy")
    life.look("morning")
    assert len(world.channel.failures) == 1
    world.clock.now = MORNING + timedelta(seconds=121)
    life.look("morning")
    assert "550 no; the next digest tells it, too" in world.life().told("morning").detail
    assert "550 no" in SqliteArchive(world.settings.store_path).notes("digest/")["morning"]
    world.clock.now = MORNING + timedelta(days=1)
    world.life().look("morning")
    assert [one.at for one in world.channel.got] == [MORNING + timedelta(days=1)]


def test_a_notifier_that_was_replaced_sends_no_digest(world: World) -> None:
    log = MemoryLog()
    sleeper = FencedOutbox(world.outbox, log.owned("notify"))
    owner = FencedOutbox(world.outbox, log.owned("notify"))
    world.life(owner).look("morning")
    world.clock.now = MORNING
    world.life(sleeper).look("morning")
    assert world.channel.got == []
    assert sleeper.fenced.is_set()
    world.life(owner).look("morning")
    assert len(world.channel.got) == 1


def test_the_calendar_itself_calls_and_ends_at_once(world: World) -> None:
    world.life().look("morning")
    world.clock.now = MORNING
    life = world.life()
    life.start()
    assert world.channel.came.wait(10)
    life.stop()
    life.stop()


def test_a_digest_to_a_channel_that_cannot_take_it_is_refused_with_what_to_write(tmp_path: Path) -> None:
    given: dict[str, object] = {"notify": {"digests": [DAILY]}, "channels": [{"name": "mail", "kind": "terminal"}]}
    with pytest.raises(SettingsError, match="'mail' is no e-mail channel; add one of kind `email`"):
        Engine(settings(tmp_path, **given), URL, {}, words)
    with pytest.raises(SettingsError, match=r"digests\.morning: no channel 'mail' in channels"):
        Engine(settings(tmp_path, notify={"digests": [DAILY]}), URL, {}, words)


def test_the_engine_sends_it_by_mail(tmp_path: Path) -> None:
    with smtp_stub() as stub:
        mail = {
            "name": "mail", "kind": "email", "host": "127.0.0.1", "port": stub.port, "security": "none",
            "sender": "a@watch.example", "recipients": ["b@desk.example"],
        }  # fmt: skip
        given = settings(tmp_path, channels=[mail], notify={"digests": [DAILY]})
        came, stop = Event(), Event()
        stub.taken = came.set
        _owed(given)
        engine = Engine(given, URL, {}, words, sources=[])
        running = Thread(target=engine.run, args=(stop,))
        running.start()
        assert came.wait(30)
        stop.set()
        running.join(30)
        assert not running.is_alive()
        [sent] = stub.mails
    assert sent["Subject"] == "[opinionwatch] Daily digest: all calm"


def _owed(given: Settings) -> None:
    """A life before this one was on a day ago."""
    SqliteStore(given.store_path).close()
    outbox = SqliteOutbox(given.store_path)
    archive = SqliteArchive(given.store_path)
    channel = Shelf()
    yesterday = last_period(DigestSettings.model_validate(DAILY), "UTC", MORNING)[0]
    maker = Maker(given, archive, lambda: URL)
    Digests(chosen(given, {"mail": channel}), {"mail": channel}, maker, outbox, ManualClock(yesterday)).look("morning")
    outbox.close()


@pytest.mark.parametrize(("point", "mails"), [("digest.before_send", 1), ("digest.after_send", 2)])
def test_a_kill_at_any_step_forgets_nothing_and_a_repetition_is_the_same_mail(
    tmp_path: Path, point: str, mails: int
) -> None:
    with smtp_stub() as stub:
        codes = [
            subprocess.run(
                [sys.executable, "-m", "tests.pipeline.digest_life", str(tmp_path), str(stub.port)],
                env={"OPINIONWATCH_FAILPOINT": wish},
                cwd=ROOT,
                check=False,
            ).returncode
            for wish in (f"{point}=kill:1", "", "")
        ]
        assert codes == [-9, 0, 0]
        assert len(stub.mails) == mails
        assert len({mail["Message-ID"] for mail in stub.mails}) == 1
