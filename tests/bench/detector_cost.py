"""Cost of the share detector: CPU seconds of one tick in which every series speaks, and bytes of state a series.

.venv/bin/python tests/bench/detector_cost.py [--watchlists 2500]
"""

import argparse
import sys
import time

import numpy as np

from opinionwatch.alerts.detect import ShareDetector
from opinionwatch.alerts.detect_baseline import Cells
from opinionwatch.alerts.detect_grid import Grid
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR

SOURCES, ASPECTS = 5, 8


def main() -> None:
    """Two hours of ticks, the second one measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchlists", type=int, default=2500)
    watchlists = parser.parse_args().watchlists
    grid = Grid(SOURCES + 1, ASPECTS + 1)
    cells = np.array(
        [
            (grid.row(f"w{row}"), *grid.cell(row, f"s{source}", f"a{aspect}"))
            for row in range(watchlists)
            if grid.row(f"w{row}") == row
            for source in range(SOURCES)
            for aspect in range(ASPECTS)
        ]
    )
    detector, rows = ShareDetector(grid.sizes, 60), np.arange(watchlists)
    row, source, aspect = cells.T
    none = Cells(row[:0], source[:0], aspect[:0], np.zeros(0), np.zeros(0))
    chance, seconds = np.random.default_rng(1), []
    for tick in range(2 * TICKS_PER_HOUR):
        n = chance.poisson(1.0, len(cells)) + 1
        k = chance.binomial(n, 0.2)
        spoken = Cells(row, source, aspect, n.astype(np.float64), k.astype(np.float64))
        start = time.process_time()
        detector.step(tick, rows, spoken, none, grid.counts(rows))
        seconds.append(time.process_time() - start)
    measured = sorted(seconds[TICKS_PER_HOUR:])
    size = sum(array.nbytes for array in detector.save().values())
    sys.stdout.write(
        f"{len(cells)} series: {measured[len(measured) // 2]:.3f} s a tick (median), {measured[-1]:.3f} s in the tick "
        f"that opens an hour; {size / len(cells):.0f} bytes of state a series, spare capacity included\n"
    )


if __name__ == "__main__":
    main()
