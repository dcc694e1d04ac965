"""Erasure in the cluster: the planted story through a real Kafka and a real Elasticsearch, then every byte of theirs.

python tests/faults/erasure_cluster.py [--documents 10000] [--kills 3]
"""

import argparse
import random
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, perf_counter, sleep

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opinionwatch.pipeline import daemon_worker, kafka_admin, wiring
from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.contracts_trend import Alert, Delivery
from opinionwatch.pipeline.corrections import Corrections, of_document
from opinionwatch.pipeline.cursors import Cursors
from opinionwatch.pipeline.elastic_client import connect
from opinionwatch.pipeline.elastic_setup import set_up
from opinionwatch.pipeline.kafka_client import connection
from opinionwatch.pipeline.kafka_erasing import READ
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.log_intake import LogIntake
from opinionwatch.pipeline.log_records import decode
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.outbox_elastic import ElasticOutbox
from opinionwatch.pipeline.outbox_fenced import FencedOutbox
from opinionwatch.pipeline.ports import Item, ManualClock
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_elastic import ElasticStore
from opinionwatch.pipeline.topics import TopicName, partitions_of, topic_of
from opinionwatch.pipeline.trend_store import TrendStore
from opinionwatch.pipeline.trials import Trials
from opinionwatch.pipeline.work import Delivered, Work
from opinionwatch.pipeline.work_score import ScoreWork
from opinionwatch.pipeline.work_trend import TrendWork
from tests.faults.erasure_story import SHOWN, count, named, people, shown, told
from tests.pipeline.rig import TODAY, Feed, Words, pages, settings
from tests.services.elastic import ElasticSearch
from tests.services.kafka import Kafka

FREED_S = 120.0
BATCH = 300


class QuickKafka(Kafka):
    """A broker that looks often for what it may delete; as it comes it does so every five minutes."""

    def _properties(self, controller: int) -> str:
        quick = ("log.retention.check.interval.ms", "log.segment.delete.delay.ms", "log.initial.task.delay.ms")
        return super()._properties(controller) + "".join(f"{key}=1000\n" for key in quick)


@contextmanager
def own_services() -> Iterator[tuple[Kafka, ElasticSearch]]:
    """Both, with folders that nobody else writes to."""
    both = QuickKafka(), ElasticSearch()
    try:
        for service in both:
            service.start()
        for service in both:
            service.wait()
        yield both
    finally:
        for service in both:
            service.remove()


@dataclass
class Verdict:
    """What was found, where, and how long it took."""

    documents: int = 0
    planted: int = 0
    erased: int = 0
    killed: int = 0
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    """Planted bytes after the erasure, once the broker has freed its files; must be empty."""
    changed: list[str] = field(default_factory=list)
    """Topics whose configuration is not as it was."""
    again: dict[str, int] = field(default_factory=dict)
    """The same behind ingest, after every record was delivered again; must be empty."""
    dropped: int = 0
    gap: int = 0
    erase_s: float = 0.0


class Cluster:
    """The daemons' work, step by step in one process, on real services."""

    def __init__(self, folder: Path, kafka: Kafka, elastic: ElasticSearch) -> None:
        self.folders = {"data": folder, "kafka": kafka.folder / "data", "elasticsearch": elastic.folder / "data"}
        (folder / "pseudonym.key").write_bytes(b"the same authors in every folder")
        told = {
            "store": "elasticsearch",
            "kafka": {"servers": [kafka.address], "documents_partitions": 3, "mentions_partitions": 2},
            "elasticsearch": {"hosts": [elastic.address]},
        }
        self.settings: Settings = settings(folder, **told)
        self.config = folder.parent / "erase.yaml"
        lists = [{"id": "lumora", "names": ["Lumora", "流墨"]}]
        everything = {**told, "watchlists": lists, "scorer": {"kind": "lexicon"}, "data_dir": str(folder)}
        self.config.write_bytes(orjson.dumps(everything))
        self.kafka, self.clock = self.settings.kafka, ManualClock(TODAY)
        self.client = connect(self.settings.elasticsearch)
        kafka_admin.create(self.kafka)
        list(set_up(self.client, self.settings.elasticsearch))
        self.reader = KafkaReader(self.kafka)

    def tell(self, items: list[Item], ingest: str) -> None:
        """Everything through ingest, score, trend and notify; each has read its log to the end."""
        feed, log = Feed(), KafkaLog(self.kafka)
        owned = KafkaLog(self.kafka, owner=f"{self.kafka.prefix}.ingest.{ingest}")
        cursors = Cursors(ingest, owned, self.reader)
        replaying = [feed.name]
        accept = wiring.ingest_hop(self.settings)
        intake = LogIntake(self.kafka, log, cursors, accept, self.clock, replaying=lambda: replaying, live=False)
        for page in pages(items, [200] * (len(items) // 200)):
            intake.submit(feed, page).result(timeout=0)
        replaying.clear()
        intake.beat()
        store = ElasticStore(self.client, self.settings.elasticsearch)
        hop = wiring.score_hop(self.settings, Words())
        trials, limits = Trials(log, self.reader), self.settings.limits
        self._drain(ScoreWork(self.kafka, limits, hop, store, log, trials, self.clock, Metrics()))
        own = TrendStore(lambda part: KafkaLog(self.kafka, owner=f"{self.kafka.prefix}.trend.{part}"), self.reader)
        stage = daemon_worker.trend_of(self.settings)
        self._drain(TrendWork(self.kafka, stage, store, log, self.reader, own, self.clock, Metrics()))
        self._notify(store)
        for each in (owned, log, store):
            each.close()

    def _drain(self, work: Work) -> None:
        for number in range(partitions_of(self.kafka, work.reads)):
            stored = list(self.reader.stretch(work.reads, number, self._committed(work.reads, number)))
            for start in range(0, len(stored), BATCH):
                batch = stored[start : start + BATCH]
                work.take([Delivered(number, record.offset, record.value or b"") for record in batch])
            self._commit(work.reads, number)
        work.finish()

    def _notify(self, store: ElasticStore) -> None:
        entries = self.reader.stretch("alerts", 0, self._committed("alerts", 0))
        records = [record for entry in entries for record in decode(entry.value or b"")]
        alerts = [record for record in records if isinstance(record, Alert)]
        told = [Delivery(alert=alert, channel="here", state="pending", due_at=TODAY) for alert in alerts]
        store.write(told)
        owner = KafkaLog(self.kafka, owner=f"{self.kafka.prefix}.notify")
        FencedOutbox(ElasticOutbox(self.client, self.settings.elasticsearch), owner).save(*told)
        owner.close()
        self._commit("alerts", 0)

    @contextmanager
    def _group(self, topic: TopicName) -> Iterator[KafkaConsumer]:
        group = f"{self.kafka.prefix}.{READ[topic]}"
        consumer = KafkaConsumer(**connection(self.kafka), group_id=group, enable_auto_commit=False)
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)

    def _committed(self, topic: TopicName, partition: int) -> int | None:
        with self._group(topic) as consumer:
            found: int | None = consumer.committed(TopicPartition(topic_of(self.kafka, topic), partition))
            return found

    def _commit(self, topic: TopicName, partition: int) -> None:
        with self._group(topic) as consumer:
            place = TopicPartition(topic_of(self.kafka, topic), partition)
            consumer.assign([place])
            consumer.commit({place: OffsetAndMetadata(self.reader.ends(topic, partition)[1], "", -1)})

    def correct(self) -> None:
        """Somebody says of every document what it really means."""
        found = ElasticArchive(self.client, self.settings.elasticsearch).every_document()
        kept = [of_document(scored, "neutral", "ada", "command", TODAY) for scored in found]
        Corrections(self.settings.data_dir).add(kept)

    def erase(self, number: int, *, after_s: float | None = None) -> int:
        """So many people, by the command. `after_s`: it is killed after so many seconds of work. Returns how many
        documents it found; -1 when it was killed.
        """
        words = [word for n in range(number) for word in ("--author", f"Wilhelmina{n}")]
        program = [
            sys.executable,
            "-c",
            "from opinionwatch.pipeline.cli import main; main()",
            "erase",
            *words,
            "--config",
            str(self.config),
        ]
        try:
            done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=after_s)
        except subprocess.TimeoutExpired:
            return -1
        assert done.returncode == 0, done.stdout + done.stderr
        return int(done.stdout.split()[1])

    def places(self) -> dict[str, int]:
        """Every file of the product's topics and indices, the unpacked trend states, and what people get to see, with
        how often planted bytes stand in it.
        """
        contents: dict[str, bytes] = {}
        for name, folder in self.folders.items():
            for path in folder.rglob("*"):
                if path.is_file():
                    contents[f"{name}/{path.relative_to(folder)}"] = path.read_bytes()
        for number in range(self.kafka.mentions_partitions):
            saved = self.reader.latest("trend", number)
            pieces = sorted((key for key in saved if key.startswith(b"piece/")), key=lambda key: int(key[6:]))
            state = b"".join(saved[key] for key in pieces).partition(b"\n")[2]
            contents[f"trend state {number}"] = zlib.decompressobj().decompress(state) if state else b""
        found = {name: times for name, content in contents.items() if (times := count(content))}
        return found | shown(self.settings, ElasticArchive(self.client, self.settings.elasticsearch))

    def freed(self) -> dict[str, int]:
        """The same, once the broker has deleted the files it was told to delete, or patience has ended."""
        end = monotonic() + FREED_S
        while (found := self.places()) and monotonic() < end:
            sleep(1.0)
        return found


def campaign(folder: Path, documents: int, kills: int) -> Verdict:
    """One planted story of about `documents`; the erasure is begun, killed, and begun again until it ends; then all of
    the story is delivered once more under another ingest name.
    """
    items, number = told(documents), people(documents)
    verdict = Verdict(planted=len({name for item in items if (name := named(item))}))
    folder.mkdir(parents=True)
    dice = random.Random(documents)
    with own_services() as (kafka, elastic):
        cluster = Cluster(folder, kafka, elastic)
        cluster.tell(items, "one")
        cluster.correct()
        verdict.before = cluster.places()
        for turn in range(kills):  # farther into it each time, however fast this machine is
            verdict.killed += cluster.erase(number, after_s=dice.uniform(2.0, 4.0) * 2**turn) < 0
        began = perf_counter()
        verdict.erased = cluster.erase(number)
        verdict.erase_s = perf_counter() - began
        verdict.changed = [one.wanted.name for one in kafka_admin.check(cluster.kafka) if not one.right]
        verdict.after = cluster.freed()
        cluster.tell(items, "again")
        # What a source delivers a second time stands in the documents log until retention, and goes no further.
        log = topic_of(cluster.kafka, "documents")
        verdict.again = {name: count for name, count in cluster.places().items() if log not in name}
        archive = ElasticArchive(cluster.client, cluster.settings.elasticsearch)
        verdict.documents = sum(row.accepted for row in archive.ledger())
        verdict.dropped = archive.dropped().get("erased", 0)
        verdict.gap = sum(abs(row.gap) + row.pending for row in archive.ledger()) + archive.misfiled()
    return verdict


def main() -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict = campaign(Path(folder) / "data", given.documents, given.kills)
    table = [
        ("documents, of them planted", f"{verdict.documents:,}, {verdict.planted:,}"),
        ("files and views that held planted bytes before", str(len(verdict.before))),
        ("erasures that were killed before one ended", str(verdict.killed)),
        ("documents and dead letters that the last one found", f"{verdict.erased:,}"),
        ("planted bytes found after the erasure", str(sum(verdict.after.values()))),
        ("… behind ingest, after everything was delivered again", str(sum(verdict.again.values()))),
        ("dropped (erased), gap of the audit", f"{verdict.dropped:,}, {verdict.gap}"),
        ("topics that are not as they were", ", ".join(verdict.changed) or "none"),
        ("seconds to erase", f"{verdict.erase_s:.1f}"),
    ]
    sys.stdout.write("| | |\n|---|---|\n" + "".join(f"| {what} | {value} |\n" for what, value in table))
    found = verdict.after | verdict.again
    sys.stdout.write("".join(f"{name}: {count}\n" for name, count in sorted(found.items())))
    untold = SHOWN - verdict.before.keys()
    if untold:
        sys.stdout.write(f"the proof covers too little: nothing planted got to {', '.join(sorted(untold))}\n")
    return 1 if found or verdict.changed or verdict.gap or untold or verdict.killed < min(1, given.kills) else 0


if __name__ == "__main__":
    sys.exit(main())
