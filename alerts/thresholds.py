"""Which threshold holds at which tick: the bound, or what a calibration found, from the moment that it applies from.

A calibration never changes what was decided before it, so the log and the calibrations beside it give the same alarms
whenever they are read again.
"""

from bisect import bisect_right
from collections.abc import Sequence

from opinionwatch.alerts.calibration import Curve
from opinionwatch.alerts.detect_settings import DetectorSettings
from opinionwatch.pipeline.ticks import tick_of


class Thresholds:
    """The thresholds of one tenant over time."""

    def __init__(self, settings: DetectorSettings, curves: Sequence[Curve] = ()) -> None:
        self._bound = settings.threshold
        chosen = curves if settings.threshold_from == "calibration" else ()
        self._steps = sorted(
            (tick_of(curve.applies_from), found)
            for curve in chosen
            if curve.applies_from is not None and (found := curve.threshold(settings.false_alarms_per_week)) is not None
        )

    def at(self, tick: int) -> float:
        """The threshold on ln M at this tick."""
        place = bisect_right(self._steps, tick, key=lambda step: step[0])
        return self._steps[place - 1][1] if place else self._bound
