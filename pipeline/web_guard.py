"""What every answer carries and every request must: security headers, a Host of ours, the token where one is set."""

from math import ceil
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opinionwatch.pipeline.web_access import SESSION_COOKIE, Access

HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
A_YEAR = "public, max-age=31536000, immutable"
OPEN_PATHS = ("/login", "/healthz", "/readyz")
"""Answer without a token: the door itself, and one word each for supervisors."""
OPEN_TREES = ("/static/", "/hooks/", "/answer/")
"""So do styles and scripts, which are public, and what checks a signature of its own: push sources, signed answers."""


class Guard:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on; dress the answer either way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        is_static = scope["path"].startswith("/static/")

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for key, value in HEADERS.items():
                    headers.setdefault(key, value)
                # Styles and scripts are asked for by version; everything else is of the moment, and private.
                headers.setdefault("cache-control", A_YEAR if is_static and message["status"] == 200 else "no-store")
            await send(message)

        refusal = self._refusal(HTTPConnection(scope))
        await (refusal or self._app)(scope, receive, dressed)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        path = request.url.path
        if not self._access.knows_host(request.headers.get("host", "")):
            return PlainTextResponse("this page does not go by that name; see web.public_url\n", 421)
        if not self._access.guarded or path in OPEN_PATHS or path.startswith(OPEN_TREES):
            return None
        if self._access.is_session(request.cookies.get(SESSION_COOKIE, "")):
            return None
        return self._without_session(request, path)

    def _without_session(self, request: HTTPConnection, path: str) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        client = request.client.host if request.client else ""
        if scheme.lower() == "bearer":
            wait_s = self._access.wait_s(client)
            if wait_s:
                return JSONResponse(
                    {"status": 429, "error": "too many wrong tokens"}, 429, {"retry-after": str(ceil(wait_s))}
                )
            if self._access.is_token(token.strip()):
                return None
            self._access.failed(client)
        elif request.scope["method"] in ("GET", "HEAD") and _wants_html(request.headers) and not _is_api(path):
            return RedirectResponse(f"/login?next={quote(path)}", 303)
        return JSONResponse(
            {"status": 401, "error": "a token is needed: Authorization: Bearer …"}, 401, {"www-authenticate": "Bearer"}
        )


def _is_api(path: str) -> bool:
    return path == "/live" or path.startswith("/api/")


def _wants_html(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "")
