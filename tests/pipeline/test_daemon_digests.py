"""Digests from the notify daemons, on a real Kafka and a real Elasticsearch: one mail each, whoever is killed."""

import signal
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline import stores
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.contracts_digest import NOTE, Told
from tests.alerts.smtp_stub import SmtpStub, smtp_stub
from tests.pipeline.daemons import Daemons

NOW = datetime.now(UTC)
FAR = NOW + timedelta(days=3, hours=12)
"""Neither digest's next time in the calendar comes while this runs."""
DIGESTS = [
    {"name": "daily", "channel": "desk", "zone": "UTC", "at": f"{FAR:%H}:00"},
    {"name": "weekly", "channel": "desk", "zone": "UTC", "at": f"{FAR:%H}:00", "every": "week",
     "weekday": f"{FAR:%a}".lower()},
]  # fmt: skip


@pytest.fixture
def mail() -> Iterator[SmtpStub]:
    """A mail server on this machine."""
    with smtp_stub() as stub:
        yield stub


@pytest.fixture
def daemons(tmp_path: Path, services: Mapping[str, str], mail: SmtpStub) -> Iterator[Daemons]:
    """Daemons that owe two digests; whatever is started is ended with the test."""
    desk = {
        "name": "desk", "kind": "email", "host": "127.0.0.1", "port": mail.port, "security": "none",
        "sender": "a@watch.example", "recipients": ["b@desk.example"],
    }  # fmt: skip
    found = Daemons(
        tmp_path / "cluster",
        services,
        watchlists=[{"id": "lumora", "names": ["Lumora"]}],
        channels=[desk],
        notify={"digests": DIGESTS},
    )
    found.prepared()
    try:
        yield found
    finally:
        found.kill()


def owe(daemons: Daemons, name: str) -> None:
    """The last time this one was told is three weeks ago."""
    past = NOW - timedelta(weeks=3)
    with stores.outbox(daemons.settings) as outbox:
        outbox.keep(f"{NOTE}{name}", Told(told_until=past, tried_until=past).model_dump_json())


def is_told(daemons: Daemons, name: str) -> bool:
    """Whether there is nothing more to send of it."""
    with stores.outbox(daemons.settings) as outbox:
        note = outbox.note(f"{NOTE}{name}")
    told = None if note is None else Told.model_validate_json(note)
    return told is not None and told.state == "waiting" and told.told_until > NOW - timedelta(weeks=2)


def test_a_digest_comes_once_though_notifiers_are_killed_before_and_after_it(daemons: Daemons, mail: SmtpStub) -> None:
    owe(daemons, "daily")
    first = daemons.start("notify", OPINIONWATCH_FAILPOINT="digest.before_send=kill:1")
    assert first.wait(120) == -signal.SIGKILL
    assert mail.mails == []
    lives = [daemons.start("notify"), daemons.start("notify")]
    daemons.until(lambda: is_told(daemons, "daily"))
    for life in lives:
        life.kill()
        life.wait()
    owe(daemons, "weekly")
    daemons.start("notify")
    daemons.until(lambda: is_told(daemons, "weekly"))
    daemons.end()
    daily, weekly = mail.mails
    assert "Daily digest" in daily["Subject"]
    assert "Weekly digest" in weekly["Subject"]
    assert daily["Message-ID"] != weekly["Message-ID"]
    assert {"daily", "weekly"} <= set(archive_of(daemons.settings).notes(NOTE))
