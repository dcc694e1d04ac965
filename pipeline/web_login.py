"""The door: a form that gives a session for the token."""

from math import ceil

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from opinionwatch.pipeline.web_access import SESSION_COOKIE, SESSION_S, Access
from opinionwatch.pipeline.web_forms import form, set_cookie
from opinionwatch.pipeline.web_page import Pages


class Login:
    """Pages to come in and go out by. Without a token set there is no door, and they lead to the overview."""

    def __init__(self, pages: Pages, access: Access) -> None:
        self._pages = pages
        self._access = access

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/login", self.show, methods=["GET"], name="login"),
            Route("/login", self.enter, methods=["POST"]),
            Route("/logout", self.leave, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Ask for the token."""
        if not self._access.guarded:
            return RedirectResponse("/", 303)
        return self._pages.bare(request, "login.html", next=_inside(request.query_params.get("next", "")), wrong=False)

    async def enter(self, request: Request) -> Response:
        """Give a session for the token; after five wrong ones a minute's wait."""
        fields = await form(request)
        client = request.client.host if request.client else ""
        wait_s = self._access.wait_s(client)
        if wait_s:
            raise HTTPException(429, f"try again in {ceil(wait_s)} s", {"retry-after": str(ceil(wait_s))})
        goal = _inside(fields.get("next", ""))
        if not self._access.is_token(fields.get("token", "").strip()):
            self._access.failed(client)
            return self._pages.bare(request, "login.html", 403, next=goal, wrong=True)
        response = RedirectResponse(goal, 303)
        set_cookie(response, SESSION_COOKIE, self._access.session(), self._pages.site.web, max_age_s=SESSION_S)
        return response

    async def leave(self, request: Request) -> Response:
        """Forget the session."""
        await form(request)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return response


def _inside(path: str) -> str:
    """Where to go after logging in: only ever a path of ours.

    >>> [_inside(path) for path in ("/feed", "//evil.example", "https://evil.example", "/\\\\evil.example", "")]
    ['/feed', '/', '/', '/', '/']
    """
    return (
        path if path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable() else "/"
    )
