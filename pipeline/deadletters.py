"""Dead letters that go round again: from the letter back to what the plan can take."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from opinionwatch.pipeline.accept import Arrival
from opinionwatch.pipeline.contracts import DeadLetter, Document
from opinionwatch.pipeline.ports import Item


def again(letter: DeadLetter, now: datetime) -> Arrival | Document | DeadLetter:
    """What to feed a redriven letter as: a document if it got that far, else the record it came as.

    It is accepted `now`, for the ticks of its first acceptance are closed. A letter from the accept stage goes through
    it again with its (masked) bytes. The letter itself comes back where nothing is left of the record to try: a line
    of a log that could not be read keeps no bytes.
    """
    if letter.stage == "accept":
        headers = tuple((name, value.encode()) for name, value in letter.headers)
        item = Item(body=letter.raw.encode(), arrived_at=now, fields=letter.fields, headers=headers)
        return Arrival(letter.source, letter.source_kind, letter.instance, item)
    try:
        return Document.model_validate_json(letter.raw).model_copy(update={"accepted_at": now})
    except ValidationError:
        return letter


def tried(letter: DeadLetter, before: Mapping[str, DeadLetter]) -> DeadLetter:
    """A new dead letter, or one that has been there before: as old as it was then, and one attempt more."""
    first = before.get(letter.id)
    if first is None:
        return letter
    return letter.model_copy(update={"accepted_at": first.accepted_at, "attempts": first.attempts + 1})
