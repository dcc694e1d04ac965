"""A notifier's life, to be killed from outside: `python -m tests.alerts.deliver STORE WEB_HOOK`."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from opinionwatch.alerts.message import render
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.alerts.slack import Slack
from opinionwatch.pipeline.contracts_trend import Alert, Message
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox


def said(alert: Alert, repeat: bool) -> Message:
    """In English."""
    return render(alert, lang="en", public_url="https://watch.example", watchlist_name="Lumora", repeat=repeat)


if __name__ == "__main__":
    channel = Slack("slack", Slack.Settings(url=SecretStr(sys.argv[2]), allow_loopback=True))
    outbox = SqliteOutbox(Path(sys.argv[1]))
    Deliverer(outbox, {"slack": channel}, said, lambda: datetime.now(UTC)).deliver_due()
    outbox.close()
