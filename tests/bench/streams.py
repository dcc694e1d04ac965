"""Replay recorded streams with known incidents through the whole plan, and compare the alerts with the truth.

    python tests/bench/streams.py ../shared/data/dev --scorer neural
    python tests/bench/streams.py ../shared/data/dev --scorer labels   # a perfect classifier

The rows carry their topic in a field, not in the text; it is given as the title, and the watchlists are the topics. An
episode counts as finding a window when it opens between the window's start and two hours after its end (as in the
detector benchmark); one that opens elsewhere is false. "true share" is counted on the labels: before the window, in it,
and how many nats a test that knew the share before could gain from the rise (an alarm at one in ten weeks takes 9.9; a
window with fewer is a peak of posts and not of the negative share, and a volume surge is the right thing to tell).
"""

import argparse
import gzip
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Reading, Sentiment
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.demo_run import negative
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.settings import Settings

STREAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "stream_zh_semisynthetic_brands": (
        "stream_zh_semisynthetic_brands.truth.json",
        ("semisynth_online_shopping", "semisynth_waimai_10k"),
    ),
    "stream_en_airline_feb16_20": ("stream_en_airline_feb16_20.truth_proxy.json", ()),
}
"""Its truth, and which of its sources are reviews. The Chinese stream is made of reviews, drawn again and again from
116 to 744 distinct texts a topic: by the rule for posts, most of them would be reposts.
"""
GRACE = timedelta(hours=2)


@dataclass(frozen=True)
class Incident:
    """A window of the truth file."""

    topic: str
    kind: str
    start: datetime
    end: datetime
    should_alert: bool


class LabelScorer:
    """A perfect classifier: looks the text up in the labelled rows."""

    version = "labels"

    def __init__(self, rows: Sequence[dict[str, str]]) -> None:
        self._labels = {_key(row["topic"] + row["text"])[:200]: row["label"] for row in rows}

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """The rows' own labels; neutral where a text is not found."""
        return [self._reading(self._labels.get(_key(passage.text)[:200], "neutral")) for passage in passages]

    def _reading(self, label: str) -> Reading:
        chances = {name: 0.98 if name == label else 0.01 for name in ("negative", "neutral", "positive")}
        return Reading(sentiment=Sentiment.model_validate({**chances, "label": label, "unsure": False}))


def _key(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def incidents(path: Path) -> list[Incident]:
    """The windows of a truth file, in either of its two shapes."""
    found = json.loads(path.read_text())
    windows = found if isinstance(found, list) else found["windows"]
    return [
        Incident(
            window["topic"],
            window.get("kind", "negative peak"),
            datetime.fromisoformat(window["start"]),
            datetime.fromisoformat(window["end"]),
            window.get("should_alert", True),
        )
        for window in windows
    ]


def replay(
    file: Path,
    rows: Sequence[dict[str, str]],
    scorer: str,
    folder: Path,
    per_week: float,
    reviews: Sequence[str] = (),
) -> list[Episode]:
    """All episodes of a replay of the file, as fast as possible."""
    topics = sorted({row["topic"] for row in rows})
    settings = Settings.model_validate(
        {
            "data_dir": folder,
            "scorer": {"kind": "lexicon" if scorer == "labels" else scorer},
            "watchlists": [
                {"id": f"t{number}", "name": topic, "names": [topic]} for number, topic in enumerate(topics)
            ],
            "trend": {"detector": {"false_alarms_per_week": per_week}, "reviews": list(reviews)},
            "sources": [
                {
                    "name": "replay",
                    "kind": "jsonl",
                    "path": str(file),
                    "replay": {},
                    "fields": {"native_id": "id", "text": "text", "title": "topic", "published_at": "created_at"},
                }
            ],
        }
    )

    def chosen(given: Settings) -> Scorer:
        return LabelScorer(rows) if scorer == "labels" else wiring.scorer(given)

    Engine(settings, "", {}, chosen).run(Event(), until_exhausted=True)
    names = {f"t{number}": topic for number, topic in enumerate(topics)}
    episodes = SqliteArchive(settings.store_path).episodes(limit=1000)
    return [episode.model_copy(update={"watchlist": names[episode.watchlist]}) for episode in episodes]


def true_share(rows: Sequence[dict[str, str]], incident: Incident) -> str:
    """What the labels say about a window: share before and in it, and the nats of the rise."""
    before, inside = [0, 0], [0, 0]
    for row in rows:
        at = datetime.fromisoformat(row["created_at"])
        if row["topic"] == incident.topic and at < incident.end:
            counts = before if at < incident.start else inside
            counts[0] += 1
            counts[1] += row["label"] == "negative"
    usual, share = (before[1] + 2) / (before[0] + 10), inside[1] / max(inside[0], 1)
    nats = 0.0
    if usual < share:
        rest = (1 - share) * math.log((1 - share) / (1 - usual)) if share < 1 else 0.0
        nats = inside[0] * (share * math.log(share / usual) + rest)
    return f"{usual:.0%} → {share:.0%} of {inside[0]}, {nats:.1f} nats"


def table(name: str, truth: Sequence[Incident], episodes: Sequence[Episode], rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table: every incident, and every alarm that belongs to none."""
    lines = [f"### {name}", "", "| topic | incident | should alert | true share | verdict | delay |"]
    lines.append("|---|---|---|---|---|---|")
    surges = [episode for episode in episodes if episode.kind == "volume surge"]
    alarms = sorted(negative(episodes), key=lambda episode: episode.opened_at)
    used: set[str] = set()
    for incident in truth:
        hits = [
            alarm
            for alarm in alarms
            if alarm.watchlist == incident.topic and incident.start <= alarm.opened_at <= incident.end + GRACE
        ]
        used |= {hit.id for hit in hits}
        told = any(
            surge.watchlist == incident.topic
            and surge.opened_at <= incident.end
            and incident.start <= (surge.resolved_at or incident.end)
            for surge in surges
        )
        quiet = "quiet" if not incident.should_alert else "**missed**"
        quiet += ", shown as volume surge" if told else ""
        verdict = ("found" if incident.should_alert else "**fooled**") if hits else quiet
        delay = f"{(hits[0].opened_at - incident.start).total_seconds() / 60:.0f} min" if hits else ""
        period = f"{incident.kind} {incident.start:%m-%d %H:%M} – {incident.end:%m-%d %H:%M}"
        cells = (incident.topic, period, str(incident.should_alert), true_share(rows, incident), verdict, delay)
        lines.append(f"| {' | '.join(cells)} |")
    for alarm in alarms:
        if alarm.id not in used:
            signal = alarm.explanation.signal
            shares = f"{signal.share_before.value:.0%} → {signal.share_now.value:.0%}"
            lines.append(f"| {alarm.watchlist} | alarm {alarm.opened_at:%m-%d %H:%M}, {shares} | – | | false | |")
    return "\n".join(lines)


def main() -> int:
    """Replay every stream that is there and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scorer", default="neural")
    parser.add_argument("--per-week", type=float, default=0.1, help="false-alarm budget per watchlist and week")
    given = parser.parse_args()
    for name, (truth, reviews) in STREAMS.items():
        file = given.folder / f"{name}.jsonl.gz"
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(entry) for entry in lines]
        with tempfile.TemporaryDirectory(prefix="opinionwatch-") as folder:
            episodes = replay(file, rows, given.scorer, Path(folder), given.per_week, reviews)
        sys.stdout.write(
            table(f"{name}, scorer {given.scorer}", incidents(given.folder / truth), episodes, rows) + "\n\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
