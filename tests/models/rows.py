"""Hand-written training rows."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path


def write_rows(path: Path, rows: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)


def sentiment_rows() -> list[object]:
    good = ["the screen is great", "battery is fast", "味道很好", "great service"]
    bad = ["the screen is awful", "battery is slow", "味道很差", "awful service"]
    plain = ["the screen and the battery", "service is the service", "电池和屏幕", "味道一般"]
    labelled = [(good, "positive"), (bad, "negative"), (plain, "neutral")]
    return [
        {"text": text, "label": label, "lang": "en" if text.isascii() else "zh", "topic": "phones"}
        for texts, label in labelled
        for text in texts
    ]


def triplet_rows() -> list[object]:
    return [
        {
            "text": "味道很好，服务差",
            "tokens": list("味道很好，服务差"),
            "triplets": [
                {"aspect_span": [0, 2], "opinion_span": [2, 4], "sentiment": "positive"},
                {"aspect_span": [5, 7], "opinion_span": [7, 8], "sentiment": "negative"},
            ],
            "lang": "zh",
        },
        {
            "text": "很好",
            "tokens": list("很好"),
            "triplets": [{"aspect_span": None, "opinion_span": [0, 2], "sentiment": "positive"}],
            "lang": "zh",
        },
    ]
