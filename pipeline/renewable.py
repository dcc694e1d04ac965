"""Scorers that may be another model from batch to batch, and how each of their versions errs."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from opinionwatch.pipeline.contracts import Confusion
from opinionwatch.pipeline.ports import Measured, Scorer


@runtime_checkable
class Renewable(Protocol):
    """A scorer whose `version` may change between batches, and only there."""

    confusions: Mapping[str, Mapping[str, Confusion]]
    """How each version errs that is or was in use, by language tag; grows."""

    def renew(self) -> None:
        """Called between batches: take up another model, if there is one. Quick."""
        ...


def confusions(reader: Scorer | None) -> Mapping[str, Mapping[str, Confusion]]:
    """How a scorer errs, by version and language; empty where nobody has counted."""
    if isinstance(reader, Renewable):
        return reader.confusions
    return {reader.version: reader.confusion} if isinstance(reader, Measured) else {}
