"""How stages are put together: one after the other, or one record at a time.

A stage may end a record's journey with a `DeadLetter` or a `Drop`. Those are terminal: they leave the chain at once, no
later stage sees them, and they come out at its end beside the last stage's records.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from opinionwatch.pipeline.contracts import DeadLetter, Document, Drop
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.ports import Stage
from opinionwatch.pipeline.versions import program

In = TypeVar("In")
Out = TypeVar("Out")
RAW_CHARS = 4096
"""What a dead letter keeps of its record, in characters."""


def chain(*stages: Stage[Any, object]) -> Stage[Any, object]:
    """Run the stages one after the other; stop when nothing is left to do.

    The result holds the last stage's records in their order, then the terminal ones in the order they fell out. Each
    stage takes what the one before it gives; that is checked where the plan is built, hence `Any`.
    """

    def run(batch: Sequence[object], now: datetime) -> Sequence[object]:
        ended: list[object] = []
        going: Sequence[object] = batch
        for stage in stages:
            if not going:
                break
            outcome = stage(going, now)
            going = [record for record in outcome if not isinstance(record, DeadLetter | Drop)]
            if len(going) != len(outcome):
                ended += [record for record in outcome if isinstance(record, DeadLetter | Drop)]
        return [*going, *ended]

    return run


def each(
    work: Callable[[In, datetime], Out], bury: Callable[[In, RejectedError, datetime], DeadLetter]
) -> Callable[[Sequence[In], datetime], list[Out | DeadLetter]]:
    """Make a stage of a function of one record: a record it rejects is buried, its neighbours go on."""

    def run(batch: Sequence[In], now: datetime) -> list[Out | DeadLetter]:
        outcome: list[Out | DeadLetter] = []
        for record in batch:
            try:
                outcome.append(work(record, now))
            except RejectedError as error:
                outcome.append(bury(record, error, now))
        return outcome

    return run


def bury_document(document: Document, stage: str, error: RejectedError, scorer: str | None = None) -> DeadLetter:
    """The dead letter of a document that was already accepted: same id; the document itself is the record."""
    return DeadLetter(
        id=document.id,
        tenant=document.tenant,
        source=document.source,
        source_kind=document.source_kind,
        instance=document.instance,
        native_id=document.native_id,
        stage=stage,
        reason=error.reason,
        detail=error.detail,
        raw=document.model_dump_json(exclude_defaults=True),
        program=program(),
        scorer=scorer,
        accepted_at=document.accepted_at,
        version=document.version,
    )
