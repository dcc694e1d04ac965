"""A defect that one record brings out must cost that record, not its batch and not the process."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import structlog

from opinionwatch.pipeline.contracts import DeadLetter
from opinionwatch.pipeline.errors import OpinionwatchError, RejectedError

In = TypeVar("In")
Out = TypeVar("Out")
log = structlog.get_logger(__name__)


def isolated(
    hop: Callable[[Sequence[In], datetime], Sequence[Out]], bury: Callable[[In, RejectedError, datetime], DeadLetter]
) -> Callable[[Sequence[In], datetime], Sequence[Out | DeadLetter]]:
    """The same stateless hop, which finds a record that it cannot take by halving, and buries only that one.

    Costs log2(n) + 1 extra calls a poison record. RetryableError and FatalError pass through: they are about the
    world, not about a record.
    """

    def run(batch: Sequence[In], now: datetime) -> Sequence[Out | DeadLetter]:
        try:
            return hop(batch, now)
        except RejectedError as error:
            failure = error
        except OpinionwatchError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other records must go on
            failure = RejectedError("stage_failed", f"{type(error).__name__}: {error}"[:500])
        if len(batch) > 1:
            middle = len(batch) // 2
            return [*run(batch[:middle], now), *run(batch[middle:], now)]
        log.warning("record refused", reason=failure.reason)
        return [bury(batch[0], failure, now)]

    return run
