"""What people want watched: brands, products, stocks, policies, by name and context."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.registry import options
from opinionwatch.pipeline.terms import Term

CASE = "case:"
"""Prefix of a term whose case matters, e.g. `case:Seat`."""


def _says_something(text: str) -> str:
    if not fold(text.removeprefix(CASE)).text.strip():
        raise ValueError("a term is empty")
    return text


TermText = Annotated[str, Field(max_length=200), AfterValidator(_says_something)]


class Name(BaseModel):
    """A name that means something else in other company: it counts only where one of `context` stands too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    term: Annotated[TermText, Field(description="The ambiguous name, e.g. `Seat` or `小米`.")]
    context: Annotated[
        tuple[TermText, ...], Field(min_length=1, description="Words that settle it, e.g. `car`, `汽车`.")
    ]


class Watchlist(BaseModel):
    """One thing to watch.

    A document belongs to it when one of `names` stands in it, and all of `must`, and (if given) one of `any`, and none
    of `exclude`. Latin terms match whole words, also as #Hashtag, @mention and with 's; Chinese terms match anywhere.
    A term with white space is a phrase; a term that starts with `case:` must match in its case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Annotated[
        str, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$", description="Its identity; never change it.")
    ]
    name: Annotated[str, Field(max_length=120, description="What people read; the id if left out.")] = ""
    names: Annotated[
        tuple[TermText | Name, ...],
        Field(description="Names and aliases in every language. Left out beside `must` and `any` too: the name."),
    ] = ()
    must: Annotated[tuple[TermText, ...], Field(description="All of these must stand there too.")] = ()
    any: Annotated[tuple[TermText, ...], Field(description="At least one of these must stand there too.")] = ()
    exclude: Annotated[tuple[TermText, ...], Field(description="One of these, and the document is left out.")] = ()
    case_sensitive: Annotated[bool, Field(description="Whether case matters in all terms.")] = False
    lang: Annotated[
        tuple[str, ...], Field(description="Only documents in these languages, e.g. `[en, zh]`; empty: all.")
    ] = ()
    tags: Annotated[
        tuple[str, ...], Field(description="Your own words for routing alerts, e.g. `[team-eu, listed]`.")
    ] = ()
    aspects: Annotated[
        dict[str, tuple[TermText, ...]],
        Field(description="Aspects of your own, or more terms for a known one; they win over the built-in ones."),
    ] = {}

    @field_validator("names", "must", "any", "exclude", "lang", "tags", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        return [value] if isinstance(value, str | dict) else value

    @model_validator(mode="before")
    @classmethod
    def _names_fill_each_other(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        filled = {**data, "name": data.get("name") or data.get("id", "")}
        if not (data.get("names") or data.get("must") or data.get("any")):
            filled["names"] = [filled["name"]]
        return filled

    def term(self, text: str) -> Term:
        """One of this watchlist's terms as the index takes it."""
        bare = text.removeprefix(CASE)
        return Term(bare.strip(), self.case_sensitive or bare != text)


def watchlists(given: Sequence[Mapping[str, object]]) -> tuple[Watchlist, ...]:
    """Validate the settings' watchlists. Raises SettingsError that names the field and the cure."""
    found = tuple(options(Watchlist, one, f"watchlists.{at}") for at, one in enumerate(given))
    ids = [watchlist.id for watchlist in found]
    for name in ids:
        if ids.count(name) > 1:
            raise SettingsError(f"watchlists: the id '{name}' is used twice; ids must differ")
    return found
