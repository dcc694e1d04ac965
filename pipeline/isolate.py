"""A defect that one record brings out must cost that record, not its batch and not the process."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from opinionwatch.pipeline.contracts import DeadLetter
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError, RejectedError

In = TypeVar("In")
Out = TypeVar("Out")
WORLD = 32
"""When the first so many records of a batch all bring out a defect, it is not the records that are to blame."""


def isolated(
    hop: Callable[[Sequence[In], datetime], Sequence[Out]], bury: Callable[[In, RejectedError, datetime], DeadLetter]
) -> Callable[[Sequence[In], datetime], Sequence[Out | DeadLetter]]:
    """The same stateless hop, which finds a record that it cannot take by halving, and buries only that one.

    Finding it costs log2(n) + 1 extra calls. RetryableError and FatalError pass through: they are about the world, not
    about a record. Raises FatalError when a hop fails with a defect on each of the first `WORLD` records of a batch.
    """

    def run(batch: Sequence[In], now: datetime) -> Sequence[Out | DeadLetter]:
        outcome: list[Out | DeadLetter] = []
        buried = 0

        def attempt(part: Sequence[In]) -> RejectedError | None:
            try:
                outcome.extend(hop(part, now))
            except RejectedError as error:
                return error
            except OpinionwatchError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the other records must go on
                return RejectedError("stage_failed", f"{type(error).__name__}: {error}"[:500])
            return None

        rest = batch
        while rest and (failure := attempt(rest)):
            low = _poison(rest, attempt)
            # Alone it may do: what was too much together need not be a fault of any one.
            if len(rest) == 1 or (failure := attempt(rest[low : low + 1])):
                outcome.append(bury(rest[low], failure, now))
                buried += 1
                if buried == len(outcome) == WORLD and failure.reason == "stage_failed":
                    raise FatalError(
                        f"every record brings out a defect, nothing of the batch was taken: {failure.detail}"
                    )
            rest = rest[low + 1 :]
        return outcome

    return run


def _poison(rest: Sequence[In], attempt: Callable[[Sequence[In]], RejectedError | None]) -> int:
    """Where the first record stands that a failing part cannot do without; what stands before it is taken."""
    low, high = 0, len(rest)
    while high - low > 1:
        middle = (low + high) // 2
        if attempt(rest[low:middle]):
            high = middle
        else:
            low = middle
    return low
