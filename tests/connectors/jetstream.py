"""Bluesky's Jetstream, imitated: events from a cursor on, and connections that break."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Event, Thread
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

BEGIN_US = 1_770_000_000_000_000
STEP_US = 20_000


def post(number: int, text: str | None = None, lang: str = "en", operation: str = "create") -> dict[str, object]:
    """An event of a post."""
    record = {"$type": "app.bsky.feed.post", "createdAt": "2026-02-02T02:40:00.000Z", "langs": [lang]}
    record["text"] = text or f"post {number} 电池"
    commit: dict[str, object] = {"rev": "r", "collection": "app.bsky.feed.post", "rkey": f"k{number}"}
    commit["operation"] = operation
    return {
        "did": f"did:plc:{number % 7}",
        "time_us": BEGIN_US + STEP_US * number,
        "kind": "commit",
        "commit": commit | ({"record": record, "cid": "c"} if operation != "delete" else {}),
    }


class Jetstream:
    """A host with events; it keeps those from `kept_from` on."""

    def __init__(self, events: list[dict[str, object]]) -> None:
        self.events = events
        self.kept_from = 0
        self.breaks: deque[int] = deque()
        """After so many events of a connection it breaks, once for each entry."""
        self.refusals: deque[Response] = deque()
        """What the next handshakes are answered."""
        self.first: deque[str | bytes] = deque()
        """Messages that come before the events of the next connection."""
        self.asked: list[dict[str, list[str]]] = []
        self.done = Event()
        self.url = ""

    def handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse, if it is to be."""
        del connection, request
        return self.refusals.popleft() if self.refusals else None

    def talk(self, connection: ServerConnection) -> None:
        """One connection."""
        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query)
        self.asked.append(query)
        since = int(query.get("cursor", ["0"])[0])
        left = self.breaks.popleft() if self.breaks else None
        try:
            while self.first:
                connection.send(self.first.popleft())
            for event in self.events[self.kept_from :]:
                if int(str(event["time_us"])) < since:
                    continue
                if left == 0:
                    connection.socket.close()
                    return
                connection.send(json.dumps(event, ensure_ascii=False))
                left = None if left is None else left - 1
            self.done.wait(30)
        except (ConnectionClosed, OSError):
            return


def refusal(status: int, **headers: str) -> Response:
    """A handshake that is not accepted."""
    told = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return Response(status, HTTPStatus(status).phrase, told, b"no")


@contextmanager
def jetstream(events: list[dict[str, object]]) -> Iterator[Jetstream]:
    """Run a host for a while."""
    host = Jetstream(events)
    with serve(host.talk, "127.0.0.1", 0, process_request=host.handshake, compression=None) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        host.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/subscribe"
        try:
            yield host
        finally:
            host.done.set()
            server.shutdown()
            thread.join(10)
