"""Commands on the detector: run it on counts from elsewhere (benchmarks, other people's feeds), calibrate it."""

import csv
import math
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from pydantic import ValidationError

from opinionwatch.alerts.calibration import Curve
from opinionwatch.alerts.records import Counting, FeedRecord
from opinionwatch.alerts.series import Series
from opinionwatch.pipeline import curves, wiring
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.console import ConfigOption, err, out, settings
from opinionwatch.pipeline.errors import FatalError, SettingsError
from opinionwatch.pipeline.log_records import Calibrated, encode
from opinionwatch.pipeline.moments import moment
from opinionwatch.pipeline.registry import explain
from opinionwatch.pipeline.settings_kafka import Kafka

LONGEST_LINE = 8 * 1024 * 1024
MOST = 10.0**12
EARLIEST_YEAR = 1971


def detect(
    records: Annotated[
        str | None, typer.Option(help="File of count records as JSON lines, one a bucket; - reads standard input.")
    ] = None,
    series: Annotated[
        str | None, typer.Option(help="CSV file with the columns timestamp,value; - reads standard input.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run the production detectors on counts: records give alerts (JSON lines), a series gives a score a row.

    A record is {"id", "topic", "bucket", "arrive", "cells": [[source, aspect, documents, negative, positive], …],
    "terms": {term: count}}, times in s; a tick of 5 minutes is answered when the first record after it is read. A
    series is answered row by row with timestamp,value,score; the score (0 … 1) says how unusually high the count is.

    Example: opinionwatch detect --series - < counts.csv
    """
    if (records is None) == (series is None):
        raise SettingsError("name one of --records FILE and --series FILE; - reads standard input")
    with _opened(records or series or "-") as lines:
        if records is not None:
            _records(lines, config)
        else:
            _series(lines)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise SettingsError(f"cannot read {name}: {error.strerror}") from error
    with closing(stream):
        yield stream


def _records(lines: BinaryIO, config: Path | None) -> None:
    counting = Counting(wiring.trend_settings(settings(config)))
    reached = 0

    def decided(record: FeedRecord) -> int:
        """The tick a record is decided in: its own, or the open one when it comes after that has begun."""
        nonlocal reached
        reached = max(reached, record.tick)
        return reached

    for tick, group in groupby(_read(lines), key=decided):
        for alert in counting.fold(tick, group):
            sys.stdout.write(alert.model_dump_json() + "\n")
        sys.stdout.flush()


def _read(lines: BinaryIO) -> Iterator[FeedRecord]:
    for number, line in enumerate(_lines(lines), 1):
        if not line.strip():
            continue
        try:
            yield FeedRecord.model_validate_json(line)
        except ValidationError as error:
            raise FatalError(explain(error, FeedRecord, f"line {number}")) from error


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise FatalError(f"line {number}: longer than {LONGEST_LINE} bytes")
        yield line


def _series(lines: BinaryIO) -> None:
    text = (
        line.decode("utf-8-sig" if number == 0 else "utf-8", "replace") for number, line in enumerate(_lines(lines))
    )
    rows = csv.reader(text)
    first = next(rows, None)
    if first is None:
        return
    has_head = len(first) >= 2 and not _is_number(first[1])
    answer = csv.writer(sys.stdout, lineterminator="\n")
    answer.writerow(["timestamp", "value", "score"])
    detector, last = Series(), -math.inf
    for row in rows if has_head else chain([first], rows):
        if not row:
            continue
        at, value = _point(row, rows.line_num)
        if at < last:
            raise FatalError(f"line {rows.line_num}: time goes back; sort the rows by timestamp")
        last = at
        answer.writerow([row[0], row[1], f"{detector.step(at, value):.6f}"])
        sys.stdout.flush()


def _point(row: list[str], number: int) -> tuple[float, float]:
    if len(row) < 2:
        raise FatalError(f"line {number}: a row is timestamp,value")
    if not _is_number(row[1]) or not 0 <= float(row[1]) <= MOST:
        raise FatalError(f"line {number}: the value must be a count, 0 or more")
    given: object = float(row[0]) if _is_number(row[0]) else row[0].strip()
    try:
        at = moment(given)
    except ValueError as error:
        raise FatalError(f"line {number}: {error}") from error
    if at is None or at.year < EARLIEST_YEAR:
        raise FatalError(f"line {number}: the timestamp must be a time since {EARLIEST_YEAR}")
    return at.timestamp(), float(row[1])


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def calibrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be used, and keep nothing.")] = False,
    config: ConfigOption = None,
) -> None:
    """Find the threshold that keeps your false-alarm budget on your own last fortnight; a new start uses it.

    Exits 1 when the history is too short, and the bound goes on to be used.   Example: opinionwatch calibrate --dry-run
    """
    chosen = settings(config)
    detector = wiring.trend_settings(chosen).detector
    names = [watchlist.id for watchlist in wiring.watchlists(chosen)]
    curve = curves.found(archive_of(chosen), names, detector.min_voices)
    budget, limit = detector.false_alarms_per_week, detector.threshold
    threshold = None if curve is None else curve.threshold(budget)
    out.print(f"budget: {budget:g} false alarms per watchlist-week; the bound is {limit:.2f} nats")
    if curve is not None:
        out.print(
            f"replayed: {curve.replayed_weeks:.0f} watchlist-weeks from {curve.days} quiet days of {curve.watchlists} "
            f"watchlists; at the bound {curve.rate(limit):.3f} alarms per watchlist-week"
        )
    if curve is None or threshold is None:
        err.print("the history is too short for this budget: the bound stays in use")
        raise typer.Exit(1)
    out.print(f"calibrated: {threshold:.2f} nats, {curve.rate(threshold):.3f} alarms per watchlist-week in the replay")
    if detector.threshold_from == "bound":
        err.print("trend.detector.threshold_from is `bound`, so this is not used")
    if dry_run:
        return
    if chosen.store == "elasticsearch":
        _into_the_log(chosen.kafka, curve)
        out.print("kept: the trend workers use it from their next tick on")
        return
    curves.add(chosen.data_dir, curve)
    out.print("kept: the next start of `opinionwatch run` uses it")


def _into_the_log(kafka: Kafka, curve: Curve) -> None:
    """Every partition of the mentions log decides by it from that place on, whoever reads it."""
    from opinionwatch.pipeline.kafka_log import KafkaLog  # what speaks to Kafka takes a while to load
    from opinionwatch.pipeline.log import Entry

    told = encode(Calibrated(curve=curve.model_dump_json()))
    log = KafkaLog(kafka)
    try:
        log.append([Entry("mentions", partition, told) for partition in range(kafka.mentions_partitions)])
    finally:
        log.close()


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(detect)
    app.command()(calibrate)
