"""A notifier's life, to be killed from outside: `python -m tests.alerts.deliver STORE KIND SETTINGS [ALERTS]`.

With a number of alerts it first decides them, in one transaction, as the runtime does; then it delivers what is due.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from opinionwatch.alerts.message import render
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.alerts.registry import CHANNELS
from opinionwatch.alerts.route import Route
from opinionwatch.pipeline.contracts_trend import Alert, Message
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import Channel
from opinionwatch.pipeline.registry import options, resolve
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.sample import OPENED, crisis


def alerts(count: int) -> list[Alert]:
    """So many alerts, the same in every life."""
    return [crisis(at=OPENED + timedelta(minutes=5 * number)) for number in range(count)]


def said(alert: Alert, repeat: bool) -> Message:
    """In English."""
    return render(alert, lang="en", public_url="https://watch.example", watchlist_name="Lumora", repeat=repeat)


def decide(path: Path, count: int) -> None:
    """Put them into the outbox; deciding again changes nothing."""
    store = SqliteStore(path)
    with store.transaction():
        store.write(Route(["channel"])(alerts(count), OPENED))
        failpoint("batch.before_commit")
    store.close()


def channel(kind: str, settings: str) -> Channel:
    """A channel of the registry."""
    found = resolve(CHANNELS, kind, "channel")
    chosen = options(found.Settings, cast(dict[str, object], json.loads(settings)), "channel")  # type: ignore[attr-defined]  # every registered class has one
    return cast(Channel, found("channel", chosen))


if __name__ == "__main__":
    path, kind, settings, *count = sys.argv[1:]
    if count:
        decide(Path(path), int(count[0]))
    outbox = SqliteOutbox(Path(path))
    Deliverer(
        outbox, {"channel": channel(kind, settings)}, said, lambda: datetime.now(UTC), patience_s=900
    ).deliver_due()
    outbox.close()
