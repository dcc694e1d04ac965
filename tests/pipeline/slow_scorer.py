"""A scorer of one's own, as settings name one: it takes its time, and quotes what it dies of."""

import time
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.ports import Passage
from tests.pipeline.rig import Torn


class SlowScorer(Torn):
    """Words, and what they say of a name, slowly."""

    class Settings(BaseModel):
        """How slowly."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        seconds: float = Field(0, description="a pass takes so long")

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._seconds = settings.seconds

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """Wait, then read; a text with `poison` is quoted in the error."""
        time.sleep(self._seconds)
        for passage in passages:
            if "poison" in passage.text:
                raise ValueError(f"cannot read {passage.text}")
        return super().score(passages)
