"""Settings of the trend hop. An analyst chooses a false-alarm budget; the rest has good reasons not to be touched."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.pipeline.contracts import Confusion
from opinionwatch.pipeline.ticks import TICKS_PER_WEEK


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def bound(per_week: float) -> float:
    """The threshold of the bound mode: E[M] after t ticks is at most t, so ln M >= ln(2016 / f) has at most f alarms a
    watchlist-week, whatever the feed.

    >>> round(bound(0.1), 2)
    9.91
    """
    return math.log(TICKS_PER_WEEK / per_week)


class DetectorSettings(_Settings):
    """How sure the detector must be before it raises an alarm, and what it needs to judge at all."""

    false_alarms_per_week: Annotated[
        float,
        Field(gt=0, le=10, description="False alarms you accept a week; fewer alarm later and surer."),
    ] = 0.1
    budget_for: Annotated[
        Literal["each", "all"],
        Field(description="Whether each watchlist has that budget, or all of them share it."),
    ] = "each"
    threshold_from: Annotated[
        Literal["calibration", "bound"],
        Field(
            description="calibration: from your own history as `opinionwatch calibrate` found it, where there is "
            "enough of it, else the bound; bound: a limit that holds for any history, with later alarms."
        ),
    ] = "calibration"
    min_authors: Annotated[
        int,
        Field(ge=1, le=1000, description="Distinct authors of negative voices within `authors_h` that an alarm needs."),
    ] = 5
    authors_h: Annotated[float, Field(gt=0, le=2, description="Hours in which those authors are counted.")] = 2.0
    min_voices: Annotated[
        int, Field(ge=1, description="Voices a watchlist must have been learned from before it is judged.")
    ] = 60
    evidence_h: Annotated[
        float, Field(gt=0, le=24, description="Mentions later than this many hours only teach the baseline.")
    ] = 6.0
    max_sources: Annotated[
        int, Field(ge=1, le=256, description="Sources told apart per watchlist; further ones count as one.")
    ] = 32
    max_aspects: Annotated[
        int, Field(ge=1, le=256, description="Aspects told apart per watchlist; further ones count as one.")
    ] = 64

    @property
    def threshold(self) -> float:
        """The bound of the budget, which is one watchlist's here.

        >>> round(DetectorSettings(false_alarms_per_week=0.1).threshold, 2)
        9.91
        """
        return bound(self.false_alarms_per_week)

    def shared(self, watchlists: int) -> "DetectorSettings":
        """The same with each watchlist's part of a budget for all of them.

        >>> DetectorSettings(false_alarms_per_week=2, budget_for="all").shared(10).false_alarms_per_week
        0.2
        """
        if self.budget_for == "each":
            return self
        part = self.false_alarms_per_week / max(watchlists, 1)
        return self.model_copy(update={"false_alarms_per_week": part, "budget_for": "each"})


class VolumeSettings(_Settings):
    """When a watchlist is unusually loud. That is context: volume by itself never raises a negative alert."""

    flag_at: Annotated[
        float, Field(gt=0, description="Nats by which posts must exceed what the hour of the week explains.")
    ] = 9.0
    min_ratio: Annotated[float, Field(gt=1, description="Posts over expected posts, at least, to be a surge.")] = 1.5
    min_posts: Annotated[int, Field(ge=1, description="Posts in the window, at least, to be a surge.")] = 10
    learn_h: Annotated[int, Field(ge=1, description="Hours of history before a surge can be flagged.")] = 24


class EpisodeSettings(_Settings):
    """The life of an episode."""

    resolve_margin: Annotated[
        float, Field(ge=0, description="It resolves when the score stays this far below the threshold …")
    ] = 2.0
    resolve_h: Annotated[float, Field(gt=0, description="… for this many hours.")] = 1.0
    escalate_h: Annotated[float, Field(gt=0, description="At most one escalation in this many hours.")] = 1.0
    cooldown_h: Annotated[
        float, Field(ge=0, description="An alarm within this many hours of the end re-opens the old episode.")
    ] = 6.0
    max_h: Annotated[
        float, Field(gt=0, le=720, description="After this many hours the new mood is taken as the normal one.")
    ] = 72.0
    critical_impact: Annotated[
        float, Field(gt=0, description="Odds ratio times excess negative voices from which an episode is critical.")
    ] = 100.0
    alert_on_info: Annotated[
        bool, Field(description="Whether volume surges and source mixes are told to people, and not only shown.")
    ] = False


class TrendSettings(_Settings):
    """All settings of the trend hop."""

    detector: DetectorSettings = DetectorSettings()
    volume: VolumeSettings = VolumeSettings()
    episodes: EpisodeSettings = EpisodeSettings()
    confusion: Annotated[
        dict[str, Confusion],
        Field(
            description="How your scorer errs, by language tag (`other`: all others), where its artefact does not say; "
            "the shares people see are corrected by it."
        ),
    ] = {}
    reviews: Annotated[
        tuple[str, ...],
        Field(
            description="Sources of reviews, ratings or survey answers, where different people use the same words: "
            "there every text is a voice of its own. Elsewhere a near-copy is a repost and no voice."
        ),
    ] = ()
    window_memory_h: Annotated[
        int, Field(ge=26, le=24 * 31, description="Mentions older than this when accepted are in no window.")
    ] = 192
