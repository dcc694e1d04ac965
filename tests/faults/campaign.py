"""Kill campaign: run the daemon, kill it at random progress again and again, and let an oracle judge what is left.

The oracle is outside the program: it wrote the documents and knows what must become of each, it reads the feed's own
log of deliveries (so it sees replays), and it reads the store with SQL of its own.

    make campaign runtime=embedded documents=100000 kills=40 terms=10 seed=7
    python -m tests.faults.campaign --documents 100000 --kills 40 --terms 10 --seed 7
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))

from tests.faults.documents import TREND, Documents, deliveries, watchlists  # noqa: E402 - run as a script, the tests' folder comes first

COMMAND = Path(sys.executable).parent / "opinionwatch"
LEXICON = {"kind": "lexicon"}


@dataclass
class Verdict:
    """What the oracle found. Everything in `faults` must be 0."""

    documents: int
    kills: int
    terms: int
    replays: int
    lives: int
    seconds: float
    slowest_exit_s: float
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """No fault, and the kills really hurt."""
        return not any(self.faults.values()) and self.replays > 0


class Campaign:
    """One run of the campaign in a scratch folder."""

    def __init__(
        self, folder: Path, documents: int, seed: int, *, scorer: Mapping[str, object] = LEXICON, **source: object
    ) -> None:
        """`source` goes into the feed's settings."""
        self.folder, self.documents, self.dice = folder, documents, random.Random(seed)
        self.issued = Documents(documents)
        self.issued.write(folder / "feed.jsonl")
        self.config = folder / "opinionwatch.yaml"
        self.config.write_text(
            json.dumps(
                {
                    "data_dir": str(folder / "data"),
                    "scorer": dict(scorer),
                    "web": {"port": 0},
                    "limits": {"deadletters_per_hour": documents},
                    "watchlists": watchlists(),
                    "trend": TREND,
                    "sources": [self.issued.source(folder, **source)],
                }
            )
        )

    def start(self, failpoint: str = "") -> subprocess.Popen[bytes]:
        """One life of the daemon."""
        environment = {**os.environ, "PYTHONPATH": str(HERE), "OPINIONWATCH_FAILPOINT": failpoint}
        with (self.folder / "stderr.log").open("ab") as errors:
            return subprocess.Popen(
                [str(COMMAND), "run", "-c", str(self.config)],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def deliveries(self) -> list[tuple[int, int]]:
        """Every page the feed handed over: first line number and the one after its last."""
        return deliveries(self.folder / "delivered.log")

    def wait(self, life: subprocess.Popen[bytes], reached: int, timeout_s: float) -> None:
        """Until the feed has handed over the line `reached`, or the process has ended."""
        deadline = time.monotonic() + timeout_s
        while life.poll() is None and max((end for _, end in self.deliveries()), default=0) < reached:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no progress to {reached} in {timeout_s} s; see {self.folder / 'stderr.log'}")
            time.sleep(0.02)

    def run(self, kills: int, terms: int) -> Verdict:
        """Kill and stop at random progress, let the last life finish, and judge."""
        began = time.monotonic()
        endings = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
        self.dice.shuffle(endings)
        slowest, lives, bad_exits = 0.0, 0, 0
        for index, ending in enumerate(endings):
            share = (index + self.dice.random()) / (len(endings) + 1)
            life = self.start()
            lives += 1
            self.wait(life, int(share * self.documents), 120)
            time.sleep(self.dice.uniform(0, 0.15))
            life.send_signal(ending)
            asked = time.monotonic()
            life.wait(60)
            if ending == signal.SIGTERM:
                slowest = max(slowest, time.monotonic() - asked)
                bad_exits += life.returncode != 0
        life = self.start()
        lives += 1
        self.wait(life, self.documents, 600)
        self.settled()
        life.send_signal(signal.SIGTERM)
        bad_exits += life.wait(60) != 0
        delivered = sum(end - first for first, end in self.deliveries())
        verdict = Verdict(
            self.documents, kills, terms, delivered - self.documents, lives, time.monotonic() - began, slowest
        )
        verdict.faults = {"bad exits": bad_exits, **self.judge()}
        return verdict

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """The oracle's own look into the store."""
        with sqlite3.connect(f"file:{self.folder / 'data' / 'opinionwatch.db'}?mode=ro", uri=True) as db:
            return db.execute(sql).fetchall()

    def settled(self, timeout_s: float = 120) -> None:
        """Until the ledger stops growing."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.query("SELECT count(*) FROM ledger")[0][0] == self.documents:
                return
            time.sleep(0.2)

    def judge(self) -> dict[str, int]:
        """Compare what is in the store with what the oracle issued. Everything must be 0."""
        numbers = range(self.documents)
        want = {outcome: {f"d{n}" for n in numbers if self.issued.expected(n) == outcome}
                for outcome in ("indexed", "dead")}  # fmt: skip
        indexed = [
            str(row[0])
            for row in self.query("SELECT json_extract(CAST(body AS TEXT), '$.document.native_id') FROM documents")
        ]
        texts = self.query(
            "SELECT json_extract(CAST(body AS TEXT), '$.document.native_id'), "
            "json_extract(CAST(body AS TEXT), '$.document.text') FROM documents"
        )
        # A malformed line has no readable id: the oracle knows it by its number in the raw bytes.
        dead = [
            "d" + str(row[0]).split('"d')[1].split('"')[0]
            for row in self.query("SELECT json_extract(CAST(body AS TEXT), '$.raw') FROM deadletters")
        ]
        dropped = self.query("SELECT count(*) FROM ledger WHERE state = 'dropped'")[0][0]
        issued = {f"d{n}": self.issued.text(n) for n in numbers if self.issued.expected(n) != "dead"}
        return {
            "lost": len(want["indexed"] - set(indexed)) + len(want["dead"] - set(dead)),
            "lost drops": abs(int(str(dropped)) - sum(self.issued.expected(n) == "dropped" for n in numbers)),
            "visible duplicates": sum(count - 1 for count in [*Counter(indexed).values(), *Counter(dead).values()]),
            "indexed and dead": len(set(indexed) & set(dead)),
            "spurious or misfiled": len(set(indexed) - want["indexed"]) + len(set(dead) - want["dead"]),
            "corrupted": sum(issued.get(str(native)) != text for native, text in texts),
            "ledger gap": self.ledger_gap(),
            "windows that differ from a recount": self.recount(),
        }

    def ledger_gap(self) -> int:
        """Ledger rows that do not say where their record is."""
        [(rows, pending)] = self.query("SELECT count(*), sum(state = 'pending') FROM ledger")
        return abs(int(str(rows)) - self.documents) + int(str(pending or 0))

    def recount(self) -> int:
        """Windows whose posts or moods differ from the oracle's own count over the documents index.

        Mentions of a tick that has not ended are in no window yet.
        """
        [(reached,)] = self.query("SELECT up_to FROM progress")
        counted: Counter[tuple[object, ...]] = Counter()
        rows = self.query(
            "SELECT m.watchlist, d.source, m.aspect, m.published_at, m.label, "
            "coalesce((SELECT json_extract(value, '$.sentiment.unsure') "
            "FROM json_each(CAST(d.body AS TEXT), '$.matches') "
            "WHERE json_extract(value, '$.watchlist') = m.watchlist), "
            "json_extract(CAST(d.body AS TEXT), '$.reading.sentiment.unsure')) "
            "FROM mentions m JOIN documents d ON d.id = m.document_id "
            f"WHERE d.accepted_at < '{_bucket(str(reached))}'"
        )
        for watchlist, source, aspect, published, label, unsure in rows:
            key = (watchlist, source, aspect, _bucket(str(published)))
            counted[*key, "posts"] += 1
            counted[*key, "unsure" if unsure else label] += 1
        stored: Counter[tuple[object, ...]] = Counter()
        for watchlist, source, aspect, start, posts, negative, positive, unsure in self.query(
            "SELECT watchlist, source, aspect, start, posts, negative, positive, unsure FROM windows"
        ):
            stored[watchlist, source, aspect, start, "posts"] = int(str(posts))
            stored[watchlist, source, aspect, start, "negative"] = int(str(negative))
            stored[watchlist, source, aspect, start, "positive"] = int(str(positive))
            stored[watchlist, source, aspect, start, "unsure"] = int(str(unsure))
        keys = {key for key in {*counted, *stored} if key[-1] != "neutral"}
        return sum(counted[key] != stored[key] for key in keys)


def _bucket(moment: str) -> str:
    """Start of the five minutes that a moment falls into."""
    when = datetime.fromisoformat(moment)
    return when.replace(minute=when.minute // 5 * 5, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def main() -> int:
    """Run a campaign and print the verdict as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--terms", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    folder = Path(mkdtemp(prefix="opinionwatch-campaign-"))
    verdict = Campaign(folder, given.documents, given.seed).run(given.kills, given.terms)
    sys.stdout.write(json.dumps({**vars(verdict), "seed": given.seed, "clean": verdict.clean}, indent=2) + "\n")
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
