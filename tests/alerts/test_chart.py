import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest

from opinionwatch.alerts.chart import chart, wilson
from opinionwatch.pipeline.contracts_trend import Window
from tests.alerts.sample import OPENED, windows


def test_the_chart_is_a_small_png_of_the_declared_size() -> None:
    drawn = chart(windows(48), OPENED)
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", drawn[16:24]) == (720, 320)
    assert len(drawn) < 60_000


def test_the_same_windows_in_any_order_give_the_same_picture() -> None:
    rows = windows()
    assert chart(rows, OPENED) == chart(rows[::-1], OPENED)


@pytest.mark.parametrize("rows", [[], windows(1)[:1], windows(24 * 20)[::97]])
def test_no_window_one_window_and_three_sparse_weeks_can_be_drawn(rows: list[Window]) -> None:
    assert 1_000 < len(chart(rows, OPENED + timedelta(days=1))) < 60_000


def test_windows_nobody_was_sure_in_leave_the_share_open() -> None:
    unsure = [window.model_copy(update={"sure_voices": 0, "negative_voices": 0}) for window in windows(2)]
    assert chart(unsure, OPENED) != chart(windows(2), OPENED)


def test_channels_may_draw_at_the_same_time() -> None:
    with ThreadPoolExecutor(3) as pool:
        drawn = list(pool.map(lambda _: chart(windows(), OPENED), range(6)))
    assert set(drawn) == {chart(windows(), OPENED)}


def test_the_interval_is_wilsons() -> None:
    low, share, high = wilson(np.array([5.0, 0.0]), np.array([10.0, 10.0]))
    assert share.tolist() == [0.5, 0.0]
    assert low == pytest.approx([0.2366, 0.0], abs=1e-4)
    assert high == pytest.approx([0.7634, 0.2775], abs=1e-4)
