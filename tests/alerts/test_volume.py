"""The volume channel: loud for its hour, or not."""

import numpy as np

from opinionwatch.alerts.detect_grid import F64
from opinionwatch.alerts.detect_settings import VolumeSettings
from opinionwatch.alerts.volume import VolumeChannel

SETTINGS = VolumeSettings()
FIRST = 2016 * 2600
ROWS = np.arange(2)


def speak(channel: VolumeChannel, rate: F64, start: int, seed: int = 3) -> tuple[F64, F64]:
    """Poisson posts at this rate a tick; surprise and ratio [tick, watchlist]."""
    chance = np.random.default_rng(seed)
    steps = [
        channel.step(start + tick, ROWS, chance.poisson(mean, 2).astype(np.float64)) for tick, mean in enumerate(rate)
    ]
    return np.array([surprise for surprise, _ in steps]), np.array([ratio for _, ratio in steps])


def daily(days: int) -> F64:
    """A rate with a strong daily rhythm."""
    hour = np.arange(days * 288) / 12 % 24
    rate: F64 = 2.0 * np.exp(1.2 * np.cos(2 * np.pi * (hour - 20) / 24))
    return rate


def test_a_daily_rhythm_is_no_surge_once_it_is_known() -> None:
    surprise, _ = speak(VolumeChannel(2, SETTINGS), daily(14), FIRST)
    assert not (surprise[7 * 288 :] >= SETTINGS.flag_at).any()


def test_three_times_the_usual_volume_is_flagged_within_two_hours() -> None:
    channel = VolumeChannel(2, SETTINGS)
    speak(channel, daily(8), FIRST)
    surprise, ratio = speak(channel, 3 * daily(9)[8 * 288 :][:48], FIRST + 8 * 288)
    assert (surprise[:24].max(axis=0) >= SETTINGS.flag_at).all()
    assert (np.abs(ratio[24] - 3) < 1.2).all()


def test_a_surge_is_not_learned_as_normal_within_hours() -> None:
    channel = VolumeChannel(2, SETTINGS)
    rate = np.full(8 * 288, 2.0)
    speak(channel, rate, FIRST)
    surprise, _ = speak(channel, np.full(72, 12.0), FIRST + len(rate))
    assert (surprise[-1] >= SETTINGS.flag_at).all()


def test_the_first_day_flags_nothing() -> None:
    surprise, ratio = speak(VolumeChannel(2, SETTINGS), np.linspace(0, 30, 280), FIRST)
    assert not surprise.any()
    assert (ratio == 1).all()


def test_quiet_hours_are_learned_also_when_nobody_looks() -> None:
    watched, left = VolumeChannel(2, SETTINGS), VolumeChannel(2, SETTINGS)
    for channel in (watched, left):
        speak(channel, np.full(2 * 288, 2.0), FIRST)
    for tick in range(FIRST + 2 * 288, FIRST + 3 * 288):
        watched.step(tick, ROWS, np.zeros(2))
    after = FIRST + 3 * 288
    now, later = (channel.step(after, ROWS, np.full(2, 40.0)) for channel in (watched, left))
    assert (now[0] == later[0]).all()
    assert (now[1] == later[1]).all()
