"""Services that refuse: 300 alerts against 429, 4xx, 5xx, lost answers and refused recipients, by a seeded plan.

The oracle is outside: the stub knows what it took, a second channel what it was told instead. Nothing may be lost, only
what lost its answer may come twice and must say so, and a service that asked for a pause must have had it. Hours of
waiting are a clock that is put forward.

    python -m tests.faults.refusals --alerts 300 --seeds 3
"""

import argparse
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.alerts.route import Route
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import Channel, ManualClock
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.deliver import alerts, channel, said
from tests.alerts.sample import OPENED
from tests.alerts.slack_stub import Answer, Request, slack_stub
from tests.alerts.smtp_stub import smtp_stub
from tests.faults.alerts import ID

STEP = timedelta(seconds=20)
MOST_STEPS = 20_000
HOOK = (
    [Answer()] * 11
    + [Answer(429, "slow down", {"Retry-After": str(after)}) for after in (1, 30, 90)]
    + [Answer(500, "oops"), Answer(503, "later"), Answer(drop=True), Answer(404, "no_service"), Answer(403, "no")]
)
MAIL = ["250 OK"] * 11 + ["421 busy", "450 later", "451 local error", "452 full", "drop", "550 no", "554 spam"]
RECIPIENT = [""] * 14 + ["450 greylisted", "451 later", "550 unknown"]


Arrived = tuple[str, list[str]]
"""A text, and who got it."""


class Instead:
    """The fallback. It keeps what it is told.

    Delivery: to a list.
    """

    name = "instead"

    def __init__(self) -> None:
        self.ids: list[str] = []

    def notify(self, message: Message) -> None:
        """Keep its id."""
        self.ids.append(message.alert_id)


@dataclass
class Verdict:
    """What the oracle found. `lost`, `unlabelled`, `hasty` and `pending` must be 0."""

    answered: Counter[str]
    told: int = 0
    instead: int = 0
    lost: int = 0
    twice: int = 0
    unlabelled: int = 0
    hasty: int = 0
    """Requests within a pause that the service had asked for."""
    pending: int = 0

    @property
    def faults(self) -> int:
        """What is wrong."""
        return self.lost + self.unlabelled + self.hasty + self.pending


def hook(count: int, seed: int, path: Path) -> Verdict:
    """Slack's incoming web hook."""
    dice, clock, verdict = random.Random(seed), ManualClock(OPENED + timedelta(days=30)), Verdict(Counter())
    texts: list[str] = []
    pause = [datetime.min.replace(tzinfo=OPENED.tzinfo)]

    def usually(request: Request) -> Answer:
        answer = dice.choice(HOOK)
        verdict.answered["lost answer" if answer.drop else str(answer.status)] += 1
        verdict.hasty += clock() < pause[0]
        if answer.status == 429:
            pause[0] = clock() + timedelta(seconds=int(answer.headers["Retry-After"]))
        if answer.status == 200:  # also where the answer is lost on its way
            texts.append(request.body.decode())
        return answer

    with slack_stub(usually=usually) as stub:
        made = channel("slack", f'{{"url": "{stub.url}", "allow_loopback": true}}')
        return _delivered(made, count, path, clock, verdict, lambda: [(text, ["team"]) for text in texts])


def mail(count: int, seed: int, path: Path) -> Verdict:
    """A mail server with two recipients."""
    dice, clock, verdict = random.Random(seed), ManualClock(OPENED + timedelta(days=30)), Verdict(Counter())
    with smtp_stub() as stub:
        stub.data = [dice.choice(MAIL) for _ in range(40 * count)]
        names = ("b@desk.example", "c@desk.example")
        stub.rcpt = {name: [dice.choice(RECIPIENT) for _ in range(40 * count)] for name in names}
        planned = list(stub.data)
        settings = (
            f'{{"host": "127.0.0.1", "port": {stub.port}, "security": "none", "sender": "a@watch.example", '
            f'"recipients": ["{names[0]}", "{names[1]}"]}}'
        )

        def texts() -> list[Arrived]:
            bodies = [str(next(one.iter_parts()).get_content()) for one in stub.mails]
            return list(zip(bodies, stub.recipients, strict=True))

        found = _delivered(channel("email", settings), count, path, clock, verdict, texts)
        verdict.answered.update(planned[: len(planned) - len(stub.data)])
        return found


def _delivered(
    made: Channel, count: int, path: Path, clock: ManualClock, verdict: Verdict, texts: Callable[[], list[Arrived]]
) -> Verdict:
    store = SqliteStore(path)
    with store.transaction():
        routed = Route(["channel"])(alerts(count), OPENED)
        store.write([one.model_copy(update={"fallback": "instead"}) for one in routed])
    store.close()
    instead = Instead()
    outbox = SqliteOutbox(path)
    deliverer = Deliverer(outbox, {"channel": made, "instead": instead}, said, clock)
    ever = clock() + timedelta(days=400)
    for _ in range(MOST_STEPS):
        deliverer.deliver_due()
        if not outbox.due(ever, 1):
            break
        clock.now += STEP
    verdict.pending = len(outbox.due(ever, 10_000))
    outbox.close()
    arrived = texts()
    got = Counter((found, one) for text, people in arrived for found in ID.findall(text)[:1] for one in people)
    everybody = {one for _, people in arrived for one in people}
    expected = {alert.id for alert in alerts(count)} - set(instead.ids)
    verdict.told, verdict.instead = len({name for name, _ in got}), len(set(instead.ids))
    verdict.lost = sum((name, one) not in got for name in expected for one in everybody)
    again = [key for key, times in got.items() if times > 1]
    verdict.twice = len(again)
    marked = [(" ".join(text.split()), people) for text, people in arrived]
    verdict.unlabelled = sum(
        not any("sent again" in text for text, people in marked if name in text and one in people)
        for name, one in again
    )
    return verdict


SERVICES = {"slack": hook, "email": mail}


def main() -> int:
    """Run all and print a table; 1 when something is wrong."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--alerts", type=int, default=300)
    given.add_argument("--seeds", type=int, default=3)
    chosen = given.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began, wrong = time.monotonic(), 0
    print(f"{'channel':8} seed told instead lost twice unlabelled hasty pending  answers")  # noqa: T201 - a table
    with TemporaryDirectory(prefix="opinionwatch-refusals-") as folder:
        for kind, run in SERVICES.items():
            for seed in range(chosen.seeds):
                found = run(chosen.alerts, seed, Path(folder) / f"{kind}-{seed}.db")
                wrong += found.faults
                print(  # noqa: T201 - a table
                    f"{kind:8} {seed:4} {found.told:4} {found.instead:7} {found.lost:4} {found.twice:5} "
                    f"{found.unlabelled:10} {found.hasty:5} {found.pending:7}  {dict(sorted(found.answered.items()))}",
                    flush=True,
                )
    print(f"{wrong} faults in {time.monotonic() - began:.0f} s")  # noqa: T201 - a table
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
