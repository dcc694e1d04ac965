"""Silences: what the page and the API let people write. They count in pipeline time, as alerts do."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.contracts_trend import Silence
from opinionwatch.pipeline.web_forms import form
from opinionwatch.pipeline.web_page import Pages
from opinionwatch.pipeline.web_query import Query, wrong
from opinionwatch.pipeline.web_site import Site

HOURS = (1, 4, 12, 24, 72, 168)
SHOWN = 200


class NewSilence(Query):
    """A wish not to be told. It begins now, in pipeline time."""

    watchlist: Annotated[str | None, Field(max_length=200, description="Id of a watchlist; null for all.")] = None
    hours: Annotated[float, Field(gt=0, le=24 * 90, allow_inf_nan=False, description="For how long.")]
    comment: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), Field(description="Why.")
    ]
    created_by: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), Field(description="Who.")
    ]


def add(site: Site, wish: NewSilence) -> Silence:
    """Store a silence; the same wish at the same pipeline time is the same silence.

    Raises HTTPException 404 for an unknown watchlist.
    """
    if wish.watchlist is not None:
        site.watched(wish.watchlist)
    now = site.now() or datetime.now(UTC)
    ends_at = now + timedelta(hours=wish.hours)
    silence = Silence(
        id=content_id(wish.watchlist or "", now.isoformat(), ends_at.isoformat(), wish.created_by, wish.comment),
        watchlist=wish.watchlist,
        starts_at=now,
        ends_at=ends_at,
        created_by=wish.created_by,
        comment=wish.comment,
    )
    site.archive.add_silence(silence)
    return silence


def end(site: Site, silence_id: str) -> Silence:
    """End a silence now; one that has ended stays as it is. Raises HTTPException 404 for an unknown one."""
    silence = next((one for one in site.archive.silences() if one.id == silence_id), None)
    if silence is None:
        raise HTTPException(404, "no silence of that id")
    now = site.now() or datetime.now(UTC)
    if now < silence.ends_at:
        silence = silence.model_copy(update={"ends_at": now, "starts_at": min(now, silence.starts_at)})
        site.archive.add_silence(silence)
    return silence


class SilenceViews:
    """The page about silences, and the two forms that lead to it."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._site = pages.site

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/silences", self.silences, methods=["GET"], name="silences"),
            Route("/silences", self.add, methods=["POST"]),
            Route("/silences/{id}/end", self.end, methods=["POST"]),
        ]

    def silences(self, request: Request) -> Response:
        """All silences, and a form for another."""
        return self._pages.page(
            request,
            "silences.html",
            silences=self._site.archive.silences()[:SHOWN],
            watchlists=self._site.watchlists,
            done=request.query_params.get("done"),
        )

    async def add(self, request: Request) -> Response:
        """Store a silence from a form, then show them all."""
        fields = {key: value for key, value in (await form(request)).items() if value.strip()}
        fields.setdefault("created_by", self._pages.tongue(request)("anonymous"))
        try:
            wish = NewSilence.model_validate(fields)
        except ValidationError as error:
            raise HTTPException(400, wrong(error, NewSilence)) from error
        await run_in_threadpool(add, self._site, wish)
        return RedirectResponse("/silences?done=silence_stored", 303)

    async def end(self, request: Request) -> Response:
        """End a silence from a form, then show them all."""
        await form(request)
        await run_in_threadpool(end, self._site, request.path_params["id"])
        return RedirectResponse("/silences?done=silence_ended", 303)
