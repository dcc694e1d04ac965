"""A Mastodon server that also streams: REST shows what was written, the stream tells it to those who subscribed."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event, Thread

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.connectors.imitation import Asked, Imitation, Told, imitating
from tests.connectors.services import MastodonServer


class FromZero(MastodonServer):
    """A server whose first post has the number 0."""

    def newest_first(self) -> list[int]:
        """Numbers of the posts there are."""
        return list(range(self.count, -1, -1))


@dataclass
class Streaming:
    """What is still to be written, and how the stream behaves."""

    posts: MastodonServer
    upto: int
    """Posts that are written while somebody listens."""
    events: deque[dict[str, object]] = field(default_factory=deque)
    """Events that come after them."""
    breaks: deque[int] = field(default_factory=deque)
    """After so many events of a connection it breaks, once for each entry."""
    burst: int = 0
    """Posts written while nobody listens, after each break."""
    rest: Imitation | None = None
    url: str = ""
    lives: int = 0
    done: Event = field(default_factory=Event)

    def handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let in who has the token."""
        del connection
        right = request.headers.get("Authorization") == f"Bearer {self.posts.token}"
        return None if right else Response(401, HTTPStatus.UNAUTHORIZED.phrase, request.headers.copy(), b"no")

    def answer(self, asked: Asked) -> Told:
        """REST."""
        if asked.path == "/api/v2/instance":
            return Told({"domain": "social.example", "configuration": {"urls": {"streaming": self.url}}})
        return self.posts(asked)

    def talk(self, connection: ServerConnection) -> None:
        """One connection: tells what is written from the subscription on."""
        self.lives += 1
        left = self.breaks.popleft() if self.breaks else None
        try:
            asked = json.loads(connection.recv(10))
            if (asked["type"], asked["stream"]) != ("subscribe", "hashtag"):
                connection.send(json.dumps({"error": "Unknown stream type", "status": 400}))
            stream = ["hashtag", asked["tag"]]
            while self.posts.count < self.upto and left != 0:
                self.posts.count += 1
                status = self.posts.status(self.posts.count, asked["tag"])
                connection.send(json.dumps({"stream": stream, "event": "update", "payload": json.dumps(status)}))
                left = None if left is None else left - 1
            if left == 0:
                self.posts.count = min(self.upto, self.posts.count + self.burst)
                connection.socket.close()
                return
            while not self.done.wait(0.02):
                while self.events:
                    connection.send(json.dumps({"stream": stream, **self.events.popleft()}))
        except (ConnectionClosed, OSError, TimeoutError):
            return


@contextmanager
def mastodon_streaming(
    count: int, upto: int, token: str, posts: type[MastodonServer] = MastodonServer
) -> Iterator[Streaming]:
    """Run a server for a while."""
    server = Streaming(posts(count, token=token), upto)
    with (
        imitating(server.answer) as rest,
        serve(server.talk, "127.0.0.1", 0, process_request=server.handshake, compression=None) as stream,
    ):
        thread = Thread(target=stream.serve_forever)
        thread.start()
        server.rest, server.url = rest, f"ws://127.0.0.1:{stream.socket.getsockname()[1]}"
        try:
            yield server
        finally:
            server.done.set()
            stream.shutdown()
            thread.join(10)
