"""A scorer of somebody else that finds everything neutral."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from opinionwatch.pipeline.contracts import Reading, Sentiment
from opinionwatch.pipeline.ports import Passage


class Mute:
    """Neutral, always."""

    class Settings(BaseModel):
        """None."""

        model_config = ConfigDict(frozen=True, extra="forbid")

    version = "mute-1"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        mood = Sentiment(label="neutral", negative=0.1, neutral=0.8, positive=0.1, unsure=False)
        return [Reading(sentiment=mood, opinions=()) for _ in passages]
