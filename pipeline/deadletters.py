"""Dead letters that go round again: from the letter back to what the plan can take."""

import orjson

from opinionwatch.pipeline.accept import Arrival
from opinionwatch.pipeline.contracts import DeadLetter, Document
from opinionwatch.pipeline.ports import Item


def again(letter: DeadLetter) -> Arrival | Document:
    """What to feed a redriven letter as: a document if it got that far, else the record it came as.

    A letter from the accept stage goes through it again with its (masked) bytes.
    """
    if letter.stage == "accept":
        item = Item(body=letter.raw.encode(), arrived_at=letter.accepted_at, fields=letter.fields)
        return Arrival(letter.source, letter.source_kind, letter.instance, item)
    return Document.model_validate(orjson.loads(letter.raw))
