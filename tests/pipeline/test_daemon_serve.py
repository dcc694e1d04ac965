"""The scoring service's life: it may be idle for ever and busy for ever, and does not hang for long."""

import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Queue
from threading import Event, Thread

from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.daemon_life import Life
from opinionwatch.pipeline.daemon_serve import serve
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.settings_serve import Serve
from opinionwatch.pipeline.watchdog import WEDGED, Watchdog
from tests.pipeline.rig import Words

PATIENCE_S = 2.0


class Hanging(Words):
    """Hangs on one text until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = Event()

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """Wait where it says so."""
        if any("hang" in passage.text for passage in passages):
            assert self.go.wait(60)
        return super().score(passages)


@contextmanager
def serving(scorer: Hanging) -> Iterator[tuple[str, "Queue[int]"]]:
    """A service under a watchdog that only notes the code it would end the process with; yields both."""
    codes: Queue[int] = Queue()
    urls: Queue[str] = Queue()
    dog = Watchdog(PATIENCE_S, codes.put)
    life = Life(Event(), dog, Metrics())
    settings = Settings(serve=Serve(port=0))
    thread = Thread(target=serve, args=(settings, life, urls.put, lambda _: scorer))
    dog.start(3 * PATIENCE_S)
    thread.start()
    try:
        yield urls.get(timeout=30), codes
    finally:
        scorer.go.set()
        life.stop.set()
        thread.join(60)
        dog.close()


def ask(url: str, text: str) -> bytes:
    """One text's reading."""
    body = json.dumps({"texts": [text]}).encode()
    request = urllib.request.Request(f"{url}/api/score", body, {"content-type": "application/json"})  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - ours
        return bytes(answer.read())


def test_a_service_that_is_idle_is_not_ended_and_one_whose_pass_hangs_is() -> None:
    scorer = Hanging()
    with serving(scorer) as (url, codes):
        assert not Event().wait(4 * PATIENCE_S), "longer than a start may take without a sign of life"
        assert codes.empty()
        assert b"negative" in ask(url, "awful")
        caller = Thread(target=ask, args=(url, "hang"))
        caller.start()
        assert codes.get(timeout=10 * PATIENCE_S) == WEDGED
        scorer.go.set()
        caller.join(60)
