"""Alerts × crash points × channels: kill -9 at every step of a delivery, against stubs that remember everything.

The oracle is outside: the stubs know what arrived, the campaign knows which alerts there are. `visible` are messages
that a reader sees twice: for Slack's bot and e-mail by what is joined (a message is looked for before it is posted
again; mails of one Message-ID are one mail in the mailbox), for an incoming web hook every repetition, which must then
say so and carry the same id.

    python -m tests.faults.alerts --alerts 300 --kills 6
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from tests.alerts.deliver import alerts
from tests.alerts.sample import OPENED
from tests.alerts.slack_api_stub import CHANNEL, TOKEN, slack_api
from tests.alerts.slack_stub import Answer, Request, slack_stub
from tests.alerts.smtp_stub import smtp_stub

ROOT = Path(__file__).parents[2]
POINTS = (
    "batch.before_commit",
    "outbox.before_sending",
    "outbox.before_send",
    "in the service",
    "outbox.after_send",
    "outbox.after_sent",
)
"""Decided and not committed; before the intent; before the request; request taken and not answered; answered and not
marked; marked."""
ID = re.compile(r"Alert:? ?([0-9a-f]{32})")


@dataclass
class Service:
    """A stub in use."""

    settings: dict[str, object]
    arrived: Callable[[], list[str]]
    """Texts that readers have, in order; for the bot and mailboxes each once by its identity."""
    strikes: list[Callable[[], None]] = field(default_factory=list)
    """Called once each, when the service has taken a message and before it answers."""

    def taken(self) -> None:
        """Strike, if that is planned."""
        if self.strikes:
            self.strikes.pop()()


@contextmanager
def hook() -> Iterator[Service]:
    """Slack's incoming web hook: it cannot be asked what it has."""

    def usually(_: Request) -> Answer:
        service.taken()
        return Answer()

    with slack_stub(usually=usually) as stub:
        service = Service({"url": stub.url, "allow_loopback": True}, lambda: [body.decode() for body in stub.received])
        yield service


@contextmanager
def bot() -> Iterator[Service]:
    """Slack's Web API: it can."""
    with slack_api() as api:
        service = Service(
            {"token": TOKEN, "channel": CHANNEL, "api": api.api, "allow_loopback": True},
            lambda: [json.dumps(one["blocks"]) for one in api.messages],
        )
        api.posted = service.taken
        yield service


@contextmanager
def mailbox() -> Iterator[Service]:
    """A mail server, and a mailbox that shows one Message-ID once."""
    with smtp_stub() as stub:
        settings: dict[str, object] = {
            "host": "127.0.0.1", "port": stub.port, "security": "none", "sender": "a@watch.example",
            "recipients": ["b@desk.example"],
        }  # fmt: skip

        def arrived() -> list[str]:
            mails = {str(mail["Message-ID"]): mail for mail in stub.mails}
            return [str(next(mail.iter_parts()).get_content()) for mail in mails.values()]

        service = Service(settings, arrived)
        stub.taken = service.taken
        yield service


SERVICES: dict[str, Callable[[], AbstractContextManager[Service]]] = {"slack": hook, "slack_bot": bot, "email": mailbox}


@dataclass
class Verdict:
    """What the oracle found for one channel and point. All but `kills` must be 0, `repeated` where nobody can know."""

    kills: int = 0
    lost: int = 0
    visible: int = 0
    """Seen twice by readers."""
    unlabelled: int = 0
    """Seen twice without saying so."""
    pending: int = 0
    strange: int = 0


def campaign(kind: str, point: str, count: int, kills: int, folder: Path) -> Verdict:
    """Deliver `count` alerts with so many kills at one point, then to the end."""
    verdict = Verdict()
    store = folder / f"{kind}-{POINTS.index(point)}.db"
    with SERVICES[kind]() as service:
        for number in range(kills):
            verdict.kills += _life(store, kind, service, point, 1 + (number * 7) % 11, count) == -9
        assert _life(store, kind, service, "", 0, count) == 0
        texts = service.arrived()
    ids = [found for text in texts for found in ID.findall(text)[:1]]
    expected = {alert.id for alert in alerts(count)}
    verdict.lost = len(expected - set(ids))
    verdict.strange = len(set(ids) - expected) + len(texts) - len(ids)
    again = {one for one, times in Counter(ids).items() if times > 1}
    verdict.visible = len(ids) - len(set(ids))
    verdict.unlabelled = sum(
        not any("sent again" in " ".join(text.split()) for text in texts if one in text) for one in again
    )
    outbox = SqliteOutbox(store)
    verdict.pending = len(outbox.due(OPENED.replace(year=OPENED.year + 10), 10_000))
    outbox.close()
    return verdict


def _life(store: Path, kind: str, service: Service, point: str, at: int, count: int) -> int:
    """One process, killed at the `at`-th passage of the point; returns its exit status."""
    inside = point == "in the service"
    at = 1 if point == "batch.before_commit" else at
    environment = {**os.environ, "OPINIONWATCH_FAILPOINT": f"{point}=kill:{at}" if point and not inside else ""}
    command = [sys.executable, "-m", "tests.alerts.deliver", str(store), kind, json.dumps(service.settings), str(count)]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        if inside:
            service.strikes = [process.kill, *[lambda: None] * (at - 1)]
        return process.wait(300)


def main() -> int:
    """Run all and print a table; 1 when something is wrong."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--alerts", type=int, default=300)
    given.add_argument("--kills", type=int, default=6, help="per channel and point")
    chosen = given.parse_args()
    began, wrong = time.monotonic(), 0
    print(f"{'channel':10} {'point':22} kills lost seen_twice unlabelled pending strange")  # noqa: T201 - a table
    with TemporaryDirectory(prefix="opinionwatch-alerts-") as folder:
        for kind in SERVICES:
            for point in POINTS:
                found = campaign(kind, point, chosen.alerts, chosen.kills, Path(folder))
                wrong += found.lost + found.unlabelled + found.pending + found.strange
                wrong += found.visible if kind != "slack" else max(0, found.visible - found.kills)
                print(  # noqa: T201 - a table
                    f"{kind:10} {point:22} {found.kills:5} {found.lost:4} {found.visible:10} {found.unlabelled:10} "
                    f"{found.pending:7} {found.strange:7}",
                    flush=True,
                )
    print(f"{wrong} faults in {time.monotonic() - began:.0f} s")  # noqa: T201 - a table
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
