"""Poison campaign: hostile records of every class among healthy ones through the daemon, judged from outside.

    python tests/faults/poisoning.py --poison 2400 --healthy 9600 --seed 7

Every record must be accounted for: dead with the reason its class declares, or indexed; no healthy one may be touched,
and the process must not end by itself.
"""

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from opinionwatch.pipeline.settings import Limits  # noqa: E402 - run as a script, the tests' folder comes first
from tests.pipeline.poison import BRAND, CLASSES, record  # noqa: E402 - as above

COMMAND = Path(sys.executable).parent / "opinionwatch"
LIMITS = Limits(record_bytes=262_144)
RENAMED = {"a number as native id", "a surrogate in the native id", "controls in the native id"}
"""Classes whose id is made printable: the oracle counts them, since it does not know them by name."""
UNWATCHED = {"punctuation only", "emoji only"}
"""Classes that name no brand: dropped by the watchlist rule."""


@dataclass
class Verdict:
    """What became of the records."""

    poison: int
    healthy: int
    classes: int
    seconds: float
    by_reason: dict[str, int]
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether everything ended where it must."""
        return not any(self.faults.values())


def run(folder: Path, poison: int, healthy: int, seed: int) -> Verdict:
    """Write the records, run the daemon over them, stop it, judge."""
    dice = random.Random(seed)
    records: list[tuple[str, str | None, bytes]] = []
    for number in range(poison):
        kind = CLASSES[number % len(CLASSES)]
        name = f"p{number}"
        records.append((name, kind.dead, kind.body(name, dice, LIMITS)))
    for number in range(healthy):
        text = f"{BRAND} is {dice.choice(['awful', 'great', 'here'])}, number {number} {dice.random():.9f}"
        records.append((f"h{number}", None, record(f"h{number}", text)))
    # Equal bytes without an id are one record, and blank lines are none.
    records = list({body.strip(): (name, dead, body) for name, dead, body in records if body.strip()}.values())
    dice.shuffle(records)
    feed = folder / "feed.jsonl"
    feed.write_bytes(b"".join(body + b"\n" for _, _, body in records))
    config = folder / "opinionwatch.yaml"
    settings = {
        "data_dir": str(folder / "data"),
        "scorer": {"kind": "lexicon"},
        "web": {"port": 0},
        "limits": {"record_bytes": LIMITS.record_bytes, "deadletters_per_hour": len(records)},
        "watchlists": [{"id": "brand", "name": BRAND, "names": [BRAND]}],
        "sources": [{"name": "feed", "kind": "jsonl", "path": str(feed)}],
    }
    config.write_text(json.dumps(settings))
    began = time.monotonic()
    with (folder / "stderr.log").open("wb") as log:
        life = subprocess.Popen([str(COMMAND), "run", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=log)
        store = folder / "data" / "opinionwatch.db"
        while (
            life.poll() is None and time.monotonic() - began < 120 + len(records) / 50 and _count(store) < len(records)
        ):
            time.sleep(0.2)
        seconds = time.monotonic() - began
        died = life.poll() is not None
        life.send_signal(signal.SIGTERM)
        code = life.wait(60)
    faults, by_reason = judge(store, [(name, dead) for name, dead, _ in records])
    trace = (folder / "stderr.log").read_bytes().count(b"Traceback")
    faults |= {"process ended by itself": int(died), "bad exit": int(code != 0), "tracebacks shown": trace}
    return Verdict(poison, healthy, len(CLASSES), round(seconds, 1), by_reason, faults)


def _count(store: Path) -> int:
    try:
        return int(_query(store, "SELECT count(*) FROM ledger")[0][0])
    except sqlite3.Error:
        return 0


def _query(store: Path, sql: str) -> list[tuple[str | int, ...]]:
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def judge(store: Path, issued: list[tuple[str, str | None]]) -> tuple[dict[str, int], dict[str, int]]:
    """Faults by kind (all must be 0), and the dead letters by reason."""
    name = "json_extract(CAST(body AS TEXT), '$.{}')"
    classes = {name: CLASSES[int(name[1:]) % len(CLASSES)].name for name, _ in issued if name.startswith("p")}
    indexed = {str(row[0]) for row in _query(store, f"SELECT {name.format('document.native_id')} FROM documents")}
    letters = _query(store, f"SELECT {name.format('native_id')}, reason FROM deadletters")
    dead = {str(row[0]): str(row[1]) for row in letters if row[0] is not None}
    by_reason = Counter(str(row[1]) for row in letters)
    wanted = Counter(reason for _, reason in issued if reason)
    healthy = [name for name, _ in issued if name.startswith("h")]
    live = {name for name, reason in issued if reason is None and classes.get(name) not in RENAMED | UNWATCHED}
    renamed = sum(kind in RENAMED for kind in classes.values())
    unwatched = sum(kind in UNWATCHED for kind in classes.values())
    dropped = int(_query(store, "SELECT count(*) FROM ledger WHERE state = 'dropped'")[0][0])
    return {
        "healthy lost": sum(name not in indexed for name in healthy),
        "healthy dead-lettered": sum(name in dead for name in healthy),
        "normalised lost": len(live - indexed),
        "indexed though it must not be": abs(len(indexed - live) - renamed),
        "dropped wrongly or not": abs(dropped - unwatched),
        "indexed and dead": len(indexed & set(dead)),
        "wrong reasons": sum((wanted - by_reason).values()) + sum((by_reason - wanted).values()),
    }, dict(by_reason)


def main() -> int:
    """Run the campaign and print the verdict as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--poison", type=int, default=2400)
    parser.add_argument("--healthy", type=int, default=9600)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    verdict = run(Path(mkdtemp(prefix="opinionwatch-poison-")), given.poison, given.healthy, given.seed)
    sys.stdout.write(json.dumps({**vars(verdict), "seed": given.seed, "clean": verdict.clean}, indent=2) + "\n")
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
