"""A life in which a digest is due, to be killed from outside: `python -m tests.pipeline.digest_life FOLDER PORT`."""

import sys
from datetime import timedelta
from pathlib import Path

from opinionwatch.alerts.digest_settings import DigestSettings
from opinionwatch.alerts.email_smtp import Email
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.digests import Digests, Maker
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import ManualClock
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.sample import OPENED
from tests.pipeline.rig import settings

if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    given = settings(folder)
    SqliteStore(given.store_path).close()
    clock = ManualClock(OPENED)
    mail = Email(
        "mail",
        Email.Settings(
            host="127.0.0.1", port=port, security="none", sender="a@watch.example", recipients=("b@desk.example",)
        ),
    )
    daily = DigestSettings(name="morning", channel="mail")
    outbox = SqliteOutbox(given.store_path)
    maker = Maker(given, SqliteArchive(given.store_path), lambda: "https://watch.example")
    digests = Digests([daily], {"mail": mail}, maker, outbox, clock)
    digests.look("morning")
    clock.now += timedelta(days=1)
    digests.look("morning")
    outbox.close()
