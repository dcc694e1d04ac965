"""kill -9 at every step of a delivery, against a web hook that remembers everything."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.alerts.route import Route
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.sample import OPENED, crisis
from tests.alerts.slack_stub import slack_stub

ALERTS = [crisis(at=OPENED + timedelta(minutes=5 * number)) for number in range(5)]
ROOT = Path(__file__).parents[2]


def life(store: Path, url: str, failpoint: str = "") -> int:
    """Run a notifier to its end; returns its exit status."""
    environment = {**os.environ, "OPINIONWATCH_FAILPOINT": failpoint}
    command = [sys.executable, "-m", "tests.alerts.deliver", str(store), url]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=120).returncode


@pytest.mark.parametrize(
    ("point", "repeated"),
    [
        ("outbox.before_sending", 0),
        ("outbox.before_send", 0),
        ("outbox.after_send", 1),
        ("outbox.after_sent", 0),
    ],
)
def test_a_killed_notifier_forgets_nothing_and_repeats_only_what_it_cannot_know(
    tmp_path: Path, point: str, repeated: int
) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    with store.transaction():
        store.write(Route(["slack"])(ALERTS, OPENED))
    store.close()
    with slack_stub() as stub:
        assert life(path, stub.url, f"{point}=kill:3") == -9
        killed_after = len(stub.received)
        assert life(path, stub.url) == 0
    bodies = [body.decode() for body in stub.received]
    ids = [re.findall(r"Alert ([0-9a-f]{32})", body) for body in bodies]
    assert sorted({found for one in ids for found in one}) == sorted(alert.id for alert in ALERTS)
    assert len(bodies) == len(ALERTS) + repeated
    if repeated:
        assert ids[killed_after] == ids[killed_after - 1]
        assert "sent again" in bodies[killed_after]
    outbox = SqliteOutbox(path)
    assert outbox.due(OPENED + timedelta(days=1), 100) == []
    outbox.close()
