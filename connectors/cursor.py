"""Cursors: what a source has to remember between two pages, as JSON of its own."""

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from opinionwatch.pipeline.errors import FatalError


class Cursor(BaseModel):
    """Base of the cursors: frozen, and nothing in them that we did not write ourselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    whose: ClassVar[str]
    """In words for people: Bluesky, a feed."""

    @classmethod
    def read(cls, cursor: str | None) -> Self | None:
        """What a stored cursor says; None before the first. Raises FatalError when it is none of ours."""
        try:
            return None if cursor is None else cls.model_validate_json(cursor)
        except ValidationError as error:
            raise FatalError(
                f"the stored cursor is not one of {cls.whose}; give the source a new name to start anew"
            ) from error
