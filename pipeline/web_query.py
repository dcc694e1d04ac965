"""What may be asked in an address: query models of the page and the API, and words for what is wrong with one."""

from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.contracts import Label, Utc
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.web_trend import Range

Name = Annotated[str, StringConstraints(max_length=200)]


class Query(BaseModel):
    """Base of all queries. A field left empty, as forms send it, was not asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


Asked = TypeVar("Asked", bound=Query)


class Nothing(Query):
    """No conditions."""


class One(Query):
    """One thing by its id."""

    id: Annotated[Name, Field(description="Its id.")]


class Documents(Query):
    """Which documents; all conditions must hold."""

    watchlist: Annotated[Name | None, Field(description="Id of a watchlist.")] = None
    source: Annotated[Name | None, Field(description="Where it was said.")] = None
    language: Annotated[Name | None, Field(description="Language of the text, a BCP-47 primary tag.")] = None
    label: Annotated[Label | None, Field(description="Sentiment, sure or not; with a watchlist, towards it.")] = None
    aspect: Annotated[Name | None, Field(description="An aspect that an opinion in it is about.")] = None
    since: Annotated[Utc | None, Field(description="Event time from here on, with offset.")] = None
    until: Annotated[Utc | None, Field(description="Event time before this, with offset.")] = None
    text: Annotated[Name | None, Field(description="Case-insensitive part of the text.")] = None
    order: Annotated[
        Literal["newest", "engagement"], Field(description="Newest first, or those most liked, shared and answered.")
    ] = "newest"
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 50

    def conditions(self) -> DocumentQuery:
        """The same as the archive understands it."""
        return DocumentQuery(
            watchlist=self.watchlist,
            source=self.source,
            lang=self.language,
            label=self.label,
            aspect=self.aspect,
            since=self.since,
            until=self.until,
            text=self.text,
            engaged=self.order == "engagement",
            limit=self.limit,
        )


class Windows(Query):
    """Windows of one watchlist; the last 24 hours of pipeline time unless asked otherwise."""

    watchlist: Annotated[Name, Field(description="Id of a watchlist.")]
    since: Annotated[Utc | None, Field(description="Window start from here on, with offset.")] = None
    until: Annotated[Utc | None, Field(description="Window start before this; at most 31 days later.")] = None


class Series(Query):
    """A chart's worth of one watchlist."""

    watchlist: Annotated[Name, Field(description="Id of a watchlist.")]
    range: Annotated[Range, Field(description="How far back from pipeline time; `all` is 92 days at most.")] = "24h"


class Episodes(Query):
    """Which episodes, newest first."""

    watchlist: Annotated[Name | None, Field(description="Id of a watchlist.")] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 100


class Deliveries(Query):
    """Which deliveries, newest first."""

    episode: Annotated[Name | None, Field(description="Id of an episode.")] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 200


class DeadLetters(Query):
    """Which dead letters, newest first."""

    reason: Annotated[Name | None, Field(description="One of the closed list of reasons.")] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 100


def asked(model: type[Asked], request: Request, beside: Iterable[str] = ()) -> Asked:
    """The query of a request, path parameters included. Raises HTTPException 400 that names what is wrong.

    `beside` are parameters that are somebody else's, such as the page's own language.
    """
    given = {key: value for key, value in request.query_params.items() if value != "" and key not in set(beside)}
    given.update(request.path_params)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise HTTPException(400, wrong(error, model)) from error


def wrong(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong, one sentence a mistake, without repeating what was sent."""
    sentences = []
    for mistake in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(part) for part in mistake["loc"])
        message = mistake["msg"]
        if mistake["type"] == "extra_forbidden":
            message = f"unknown parameter; {nearest(place, model.model_fields)}" if model.model_fields else "unknown"
        sentences.append(f"{place[:80]}: {message}" if place else message)
    return "; ".join(sentences[:5])
