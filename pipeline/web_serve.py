"""Runs the page beside a pipeline: uvicorn on a thread of its own."""

import socket
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from threading import Thread
from time import monotonic, sleep
from types import TracebackType
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

from opinionwatch.pipeline.errors import FatalError, SettingsError
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web_access import Guarded, check_exposure
from opinionwatch.pipeline.web_live import Live

START_S = 10.0
STOP_S = 5.0
ANSWER_S = 5.0


class Serving:
    """A page that is being served. A context manager: leaving it stops the page."""

    def __init__(self, url: str, server: uvicorn.Server, thread: Thread, live: Live | None) -> None:
        self.url = url
        self._server = server
        self._thread = thread
        self._live = live

    @property
    def alive(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def answers(self, within_s: float = ANSWER_S) -> bool:
        """Whether it says anything at all when it is asked; one whose event loop hangs does not."""
        address = urlsplit(self.url)
        asked = HTTPConnection(address.hostname or "", address.port, timeout=within_s)
        try:
            asked.request("GET", "/healthz")
            return asked.getresponse().status > 0
        except (OSError, HTTPException):
            return False
        finally:
            asked.close()

    def stop(self) -> None:
        """Stop within 5 s, open live streams included. More than once is fine."""
        if self._live is not None:
            self._live.stop()
        self._server.should_exit = True
        self._thread.join(STOP_S)

    def __enter__(self) -> "Serving":
        """Nothing more to do: it serves already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def serve(app: Starlette, settings: Web, ready: Callable[[str], None]) -> Serving:
    """Serve `app` on a thread and call `ready` with its address once it answers. Port 0 picks a free one.

    Raises SettingsError when the address cannot be used or would expose an unguarded page, FatalError when the page
    does not come up.
    """
    check_exposure(settings)
    serving = started(app, settings)
    ready(serving.url)
    return serving


def started(app: Starlette, address: Guarded, what: str = "web.port") -> Serving:
    """Serve any `app` on a thread; `what` is the setting that names the port.

    Raises SettingsError when the address cannot be used, FatalError when it does not come up.
    """
    listener = _listen(address, what)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=256,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="opinionwatch-web", daemon=True)
    thread.start()
    begun = monotonic()
    while not server.started:
        if not thread.is_alive() or monotonic() - begun > START_S:
            server.should_exit = True
            raise FatalError("the page did not come up")
        sleep(0.01)
    live: Live | None = getattr(app.state, "live", None)
    return Serving(_url(address.host, listener.getsockname()[1]), server, thread, live)


def _listen(settings: Guarded, what: str) -> socket.socket:
    host = settings.host.strip("[]")
    try:
        return socket.create_server(
            (host, settings.port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
    except OSError as error:
        raise SettingsError(
            f"{what}: cannot listen on {host}:{settings.port} ({error.strerror}); set another, or 0 for a free one"
        ) from error


def _url(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
