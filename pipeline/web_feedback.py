"""Answers to an episode, from the page, the API, and the signed addresses in e-mails: acknowledge, real, not a crisis.

An answer is kept with its episode for good: it ends escalation, and says what the alarm was worth.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from opinionwatch.pipeline.answers import Answer, Answers
from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.contracts_trend import Feedback, Verb
from opinionwatch.pipeline.web_forms import form
from opinionwatch.pipeline.web_page import Pages
from opinionwatch.pipeline.web_query import Query, wrong
from opinionwatch.pipeline.web_site import Site


class NewFeedback(Query):
    """An answer to an episode."""

    verb: Annotated[Verb, Field(description="acknowledge: I take care of it; real or not_crisis: what it was worth.")]
    by: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), Field(description="Who.")
    ]
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), Field(description="Why.")] = ""


def answer(site: Site, episode_id: str, given: NewFeedback, via: Literal["page", "api", "slack"]) -> Feedback:
    """Store an answer; the same one by the same person again is the first one. Raises HTTPException 404."""
    episode = site.episode(episode_id)
    feedback = Feedback(
        id=content_id(episode.id, given.verb, given.by, via, given.comment),
        episode_id=episode.id,
        verb=given.verb,
        at=datetime.now(UTC),
        by=given.by,
        via=via,
        comment=given.comment,
    )
    if site.archive.add_feedback(feedback):
        return feedback
    return next(one for one in site.archive.feedback(episode.id, 1000) if one.id == feedback.id)


class FeedbackViews:
    """The form on an episode's page, and the page that a signed address opens."""

    def __init__(self, pages: Pages, answers: Answers | None) -> None:
        """`answers` reads signed addresses; without it there are none."""
        self._pages = pages
        self._site = pages.site
        self._answers = answers

    def routes(self) -> Sequence[Route]:
        """Where they are."""
        signed = Route("/answer/{token}", self.signed, methods=["GET", "POST"])
        return [Route("/episodes/{id}/feedback", self.add, methods=["POST"]), *([signed] if self._answers else [])]

    async def add(self, request: Request) -> Response:
        """Store an answer from the form, then show the episode again."""
        fields = {key: value for key, value in (await form(request)).items() if value.strip()}
        fields.setdefault("by", self._pages.tongue(request)("anonymous"))
        try:
            given = NewFeedback.model_validate(fields)
        except ValidationError as error:
            raise HTTPException(400, wrong(error, NewFeedback)) from error
        episode_id = request.path_params["id"]
        await run_in_threadpool(answer, self._site, episode_id, given, "page")
        return RedirectResponse(f"/episodes/{episode_id}?done=answer_stored", 303)

    async def signed(self, request: Request) -> Response:
        """Ask whether the answer is meant; take it when it comes back from our form. The signature is the access."""
        found = self._answers.read(request.path_params["token"], datetime.now(UTC)) if self._answers else None
        if found is None:
            raise HTTPException(404, "answer_unknown")
        if request.method != "POST":
            return await run_in_threadpool(self._asked, request, found)
        await form(request)
        return await run_in_threadpool(self._taken, request, found)

    def _asked(self, request: Request, found: Answer) -> Response:
        earlier = [one for one in self._site.archive.feedback(found.episode_id, 1000) if one.id == found.id]
        return self._shown(request, found, "used" if earlier else "asked")

    def _taken(self, request: Request, found: Answer) -> Response:
        self._site.episode(found.episode_id)
        new = self._site.archive.add_feedback(found.feedback(datetime.now(UTC)))
        return self._shown(request, found, "taken" if new else "used")

    def _shown(self, request: Request, found: Answer, state: str) -> Response:
        """A page without anything from the archive but the watchlist's name: its reader may have no token."""
        name = self._site.name(self._site.episode(found.episode_id).watchlist)
        status = 410 if state == "used" else 200
        return self._pages.bare(request, "answer.html", status, state=state, verb=found.verb, about=name)
