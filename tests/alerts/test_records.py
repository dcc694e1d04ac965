"""The production detectors on records of counts."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pytest
from pydantic import ValidationError

from opinionwatch.alerts.records import AlertRecord, Counting, FeedRecord
from opinionwatch.pipeline.ticks import TICK_S, TICKS_PER_DAY

START = 1_700_438_400
RISE = 5 * TICKS_PER_DAY


def feed(days: float, seed: int = 3, topics: tuple[str, ...] = ("kite", "lumora")) -> Iterator[FeedRecord]:
    """Two topics that speak alike; the battery of one turns sour on the sixth day."""
    chance = np.random.default_rng(seed)
    for tick in range(round(days * TICKS_PER_DAY)):
        for topic in topics:
            cells, terms = [], {"slow": 1.0}
            for source in ("forum", "news"):
                for aspect in ("battery", "price"):
                    sour = topic == "lumora" and aspect == "battery" and tick >= RISE
                    n = int(chance.poisson(0.8))
                    k = int(chance.binomial(n, 0.75 if sour else 0.2))
                    cells.append((source, aspect, n, k, n - k))
                    if sour and k:
                        terms["overheats"] = float(k)
            bucket = START + tick * TICK_S
            yield FeedRecord(
                id=f"{topic}.{tick}", topic=topic, bucket=bucket, arrive=bucket + TICK_S + 5, cells=cells, terms=terms
            )


def answers(records: list[FeedRecord]) -> list[AlertRecord]:
    """All ticks, one after the other."""
    counting = Counting()
    return [
        alert
        for tick, group in groupby(records, key=lambda record: record.tick)
        for alert in counting.fold(tick, group)
    ]


@pytest.fixture(scope="module")
def found() -> list[AlertRecord]:
    """What the whole feed brings."""
    return answers(list(feed(6)))


def test_only_the_topic_that_turned_is_named_with_its_aspect_and_its_word(found: list[AlertRecord]) -> None:
    sure = [alert for alert in found if alert.kind == "negative" and alert.score >= 9.91]
    assert {alert.topic for alert in sure} == {"lumora"}
    assert sure[0].top_aspects[0] == "battery"
    assert sure[-1].top_terms[0] == "overheats"
    assert int(sure[0].after_id.split(".")[1]) - RISE < 24


def test_records_that_come_twice_count_once(found: list[AlertRecord]) -> None:
    doubled = [record for record in feed(6) for _ in range(2)]
    assert answers(doubled) == found


def test_what_is_answered_so_far_does_not_depend_on_what_comes_later(found: list[AlertRecord]) -> None:
    half = answers(list(feed(5.5)))
    assert half == found[: len(half)]
    assert half


def test_more_of_the_same_share_is_volume_and_not_negative() -> None:
    def louder() -> Iterator[FeedRecord]:
        for record in feed(6, topics=("kite",)):
            factor = 8 if record.bucket >= START + RISE * TICK_S else 1
            cells = [(s, a, n * factor, k * factor, p * factor) for s, a, n, k, p in record.cells]
            yield record.model_copy(update={"cells": cells})

    assert {alert.kind for alert in answers(list(louder())) if alert.score >= 9.91} == {"volume"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"cells": [["forum", "price", 1, 2, 0]]},
        {"cells": [["forum", "price", -1, 0, 0]]},
        {"cells": [["forum", "price", 1, 0]]},
        {"bucket": -5},
        {"arrive": "soon"},
        {"topic": ""},
    ],
)
def test_impossible_records_are_refused(wrong: dict[str, object]) -> None:
    given = {"id": "1", "topic": "kite", "bucket": START, "arrive": START + 305, "cells": [], **wrong}
    with pytest.raises(ValidationError):
        FeedRecord.model_validate(given)
