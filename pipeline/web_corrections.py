"""Corrections from the page and the API: what a document really says, stored with who and when."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.corrections import Correction, of_document
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.web_forms import form
from opinionwatch.pipeline.web_page import Pages
from opinionwatch.pipeline.web_query import Query, wrong
from opinionwatch.pipeline.web_site import Site


class NewCorrection(Query):
    """What a document really says."""

    label: Annotated[Label, Field(description="The sentiment that is right.")]
    watchlist: Annotated[
        str | None,
        Field(max_length=64, description="Id of a watchlist that it mentions: towards that; null: of the whole text."),
    ] = None
    by: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), Field(description="Who says so.")
    ]
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), Field(description="Why.")] = ""


def correct(site: Site, document_id: str, given: NewCorrection, via: Literal["page", "api"]) -> Correction:
    """Store a correction; the same one again is the first one. Raises HTTPException 404 for a document or a watchlist
    that there is not, also where none are kept, and 400 for a watchlist that the document does not mention.
    """
    if site.corrections is None:
        raise HTTPException(404, "corrections are not kept here")
    scored, at = site.document(document_id), datetime.now(UTC)
    if given.watchlist is not None:
        site.watched(given.watchlist)
    try:
        made = of_document(scored, given.label, given.by, via, at, given.comment, given.watchlist)
    except RejectedError as error:
        raise HTTPException(400, error.detail) from error
    if site.corrections.add([made]):
        return made
    return next(each for each in reversed(site.corrections.all()) if each.id == made.id)


class CorrectionViews:
    """The form on a document's page."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> Sequence[Route]:
        """Where it is sent."""
        return [Route("/documents/{id}/correction", self.add, methods=["POST"])]

    async def add(self, request: Request) -> Response:
        """Store a correction from the form, then show the document again."""
        fields = {key: value for key, value in (await form(request)).items() if value.strip()}
        fields.setdefault("by", self._pages.tongue(request)("anonymous"))
        try:
            given = NewCorrection.model_validate(fields)
        except ValidationError as error:
            raise HTTPException(400, wrong(error, NewCorrection)) from error
        document_id = request.path_params["id"]
        await run_in_threadpool(correct, self._pages.site, document_id, given, "page")
        return RedirectResponse(f"/documents/{document_id}?done=correction_stored", 303)
