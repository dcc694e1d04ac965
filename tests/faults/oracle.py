"""The oracle of the daemon campaign, in a process of its own: says what must come, and at the end what came.

It shares no reading code with the program: it scrolls through the indices and reads the topics itself, and recounts the
windows from the documents that lie there. What windows, episodes and alerts must be is said by the embedded engine,
which reads the same feed in one process that nobody disturbs.

    python -m tests.faults.oracle expect FOLDER     before
    python -m tests.faults.oracle judge FOLDER      after; everything it prints must be 0
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan
from kafka import KafkaConsumer, TopicPartition
from pydantic import BaseModel

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Window
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.settings import load
from tests.faults.documents import BRANDS, Documents, deliveries

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
COUNTS = ("posts", "voices", "negative", "positive", "unsure", "negative_voices", "sure_voices")
Key = tuple[str, str, str, str]
"""Watchlist, source, aspect, and the start of the five minutes."""


class Expected(BaseModel):
    """What the undisturbed run says."""

    documents: int
    now: datetime
    """The end of its last closed tick."""
    windows: dict[str, tuple[int, ...]]
    episodes: dict[str, str]
    alerts: list[str]


class Found(BaseModel):
    """The verdict. All of `faults` must be 0."""

    faults: dict[str, int]
    replays: int
    alerts: int
    windows: int
    repeats: int
    """Messages that said of themselves that they may be repetitions."""


def expect(folder: Path) -> Expected:
    """Run the same feed undisturbed, in one process."""
    chosen = load(folder / "same.yaml")
    Engine(chosen, "http://127.0.0.1").run(Event(), until_exhausted=True)
    archive = SqliteArchive(chosen.store_path)
    windows = [each for name in BRANDS for each in archive.windows(name.lower(), *EVER)]
    return Expected(
        documents=sum(row.accepted for row in archive.ledger()),
        now=archive.now() or EVER[0],
        windows={"|".join(_key_of(each)): tuple(getattr(each, name) for name in COUNTS) for each in windows},
        episodes={each.id: each.model_dump_json() for each in archive.episodes(limit=1000)},
        alerts=sorted({each.alert.id for each in archive.deliveries(limit=1000)}),
    )


def _key_of(window: Window) -> Key:
    return window.watchlist, window.source, window.aspect, window.start.strftime("%Y-%m-%dT%H:%M")


class Oracle:
    """Looks into the index and the topics of one campaign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.want = Expected.model_validate_json((folder / "expected.json").read_text())
        self.documents = Documents(self.want.documents)
        chosen = load(folder / "cluster" / "opinionwatch.yaml")
        self.kafka, self.prefix = chosen.kafka, chosen.elasticsearch.prefix
        self.client = Elasticsearch(list(chosen.elasticsearch.hosts), request_timeout=60)
        self.client.indices.refresh(index=f"{self.prefix}-*")

    def all(self, kind: str) -> Iterator[dict[str, object]]:
        """Every record of a kind, by scrolling."""
        for hit in scan(self.client, index=f"{self.prefix}-{kind}*", size=2000):
            yield hit["_source"]

    def topic(self, name: str) -> list[bytes]:
        """Every record of a topic with one partition."""
        place = TopicPartition(f"{self.kafka.prefix}.{name}", 0)
        consumer = KafkaConsumer(
            bootstrap_servers=list(self.kafka.servers), isolation_level="read_committed", enable_auto_commit=False
        )
        found: list[bytes] = []
        try:
            consumer.assign([place])
            consumer.seek_to_beginning(place)
            end = consumer.end_offsets([place])[place]
            while consumer.position(place) < end:
                found += [one.value or b"" for one in consumer.poll(1000).get(place, [])]
        finally:
            consumer.close()
        return found

    def judge(self) -> Found:
        """Compare everything that was issued with everything that is there."""
        told: list[list[str]] = json.loads((self.folder / "told.json").read_text())
        alerts = Counter(alert for alert, _ in told)
        faults = self.records() | self._windows() | self._episodes()
        faults["alerts not told"] = len(set(self.want.alerts) - alerts.keys())
        faults["alerts told twice"] = alerts.total() - len(alerts)
        faults["alerts of nobody"] = len(alerts.keys() - set(self.want.alerts))
        return Found(
            faults=faults,
            replays=self.replays(),
            alerts=len(self.want.alerts),
            windows=len(self.want.windows),
            repeats=sum("sent again" in text for _, text in told),
        )

    def records(self) -> dict[str, int]:
        """What became of every document."""
        numbers = range(self.want.documents)
        want = {outcome: {f"d{n}" for n in numbers if self.documents.expected(n) == outcome}
                for outcome in ("indexed", "dead", "dropped")}  # fmt: skip
        indexed: Counter[str] = Counter()
        corrupted = 0
        for each in self.all("documents"):
            name = str(each["document.native_id"])
            indexed[name] += 1
            corrupted += each["message"] != self.documents.text(int(name[1:]))
        dead = Counter(_name_in(str(each["record"]["raw"])) for each in self.all("deadletters"))  # type: ignore[index]  # JSON
        logged = {_name_in(next(iter(json.loads(row).values()))["raw"]) for value in self.topic("deadletters")
                  for row in value.splitlines()}  # fmt: skip
        states = Counter(str(each["ledger.state"]) for each in self.all("ledger"))
        return {
            "lost": len(want["indexed"] - indexed.keys()) + len(want["dead"] - dead.keys()),
            "lost from the dead letters' log": len(want["dead"] - logged),
            "lost drops": abs(states["dropped"] - len(want["dropped"])),
            "visible duplicates": indexed.total() - len(indexed) + dead.total() - len(dead),
            "indexed and dead": len(indexed.keys() & (dead.keys() | logged)),
            "spurious or misfiled": len(indexed.keys() - want["indexed"]) + len((dead.keys() | logged) - want["dead"]),
            "corrupted": corrupted,
            "accepted wrongly": abs(states["accepted"] - self.want.documents) + states["duplicate"],
        }

    def _windows(self) -> dict[str, int]:
        there = {
            (str(each["watchlist.id"]), str(each["event.provider"]), str(each["aspect.name"]),
             str(each["@timestamp"])[:16]): tuple(int(str(each[f"window.{name}"])) for name in COUNTS)
            for each in self.all("windows")
        }  # fmt: skip
        same = {tuple(key.split("|")): counts for key, counts in self.want.windows.items()}
        recounted = self._recount()
        shown = {key: dict(zip(COUNTS, counts, strict=True)) for key, counts in there.items()}
        words = ("posts", "negative", "positive", "unsure")
        return {
            "windows unlike a recount of the index": sum(
                any(shown.get(key, {}).get(word, 0) != recounted[*key, word] for word in words)
                for key in shown.keys() | {(a, b, c, d) for a, b, c, d, _ in recounted}
            ),
            "windows unlike the undisturbed run": len(set(there.items()) ^ set(same.items())),
        }

    def _recount(self) -> Counter[tuple[str, str, str, str, str]]:
        """Windows by their definition, over the documents that lie in the index, without the tick that is not over."""
        found: Counter[tuple[str, str, str, str, str]] = Counter()
        for each in self.all("documents"):
            if datetime.fromisoformat(str(each["event.created"])) >= self.want.now:
                continue
            told = {match[0]: match[3] for match in each.get("document.matches", ()) if len(match) > 3}  # type: ignore[attr-defined]  # JSON
            whole = {"label": each["sentiment.label"], "unsure": each["sentiment.unsure"]}
            when = datetime.fromisoformat(str(each["@timestamp"]))
            start = when.replace(minute=when.minute // 5 * 5).strftime("%Y-%m-%dT%H:%M")
            for watchlist, aspect, _ in each.get("document.mentions", ()):  # type: ignore[attr-defined]  # JSON
                key = str(watchlist), str(each["event.provider"]), str(aspect), start
                said = told.get(watchlist, whole)
                found.update([(*key, "posts"), (*key, "unsure" if said["unsure"] else str(said["label"]))])
        return Counter({key: count for key, count in found.items() if key[-1] != "neutral"})

    def _episodes(self) -> dict[str, int]:
        there = {str(each["event.id"]): each["record"] for each in self.all("episodes")}
        same = {name: json.loads(body) for name, body in self.want.episodes.items()}
        return {"episodes unlike the undisturbed run": sum(there.get(one) != same.get(one) for one in {*there, *same})}

    def replays(self) -> int:
        """Pages that the feed handed over again, and batches that a worker's successor began again."""
        delivered = sum(end - first for first, end in deliveries(self.folder / "delivered.log"))
        trials = [json.loads(value) for value in self.topic("cursors") if b'"tries"' in value]
        begun_again = [trial for trial in trials if trial["tries"] > 1 and trial["document"] is None]
        return delivered - self.want.documents + len(begun_again)


def _name_in(raw: str) -> str:
    """A malformed line has no readable id: the oracle knows it by its number in the raw bytes."""
    return "d" + raw.split('"d')[1].split('"')[0]


def main(what: str, folder: Path) -> int:
    """Write `expected.json`, or print the verdict."""
    if what == "expect":
        (folder / "expected.json").write_text(expect(folder).model_dump_json())
    else:
        sys.stdout.write(Oracle(folder).judge().model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
