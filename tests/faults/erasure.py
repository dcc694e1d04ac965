"""Erasure: plant people's posts in a story, let everything happen with them, erase them, look at every byte on disk.

python tests/faults/erasure.py [--documents 10000]
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import zlib
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import orjson

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.ports import Item
from tests.pipeline.rig import Rig, pages, rows, story

PEOPLE = 12
SECRETS = ("Wilhelmina{n}", "wilhelmina{n}", "zanzibarquux{n}", "奇异词壹贰叁{n}")
"""What only one person says, and what he is called; `zanzibarquux` and the Chinese become terms of explanations."""


@dataclass(frozen=True)
class Verdict:
    """What was found, where, and how long it took."""

    documents: int
    planted: int
    before: dict[str, int]
    """Places that held planted bytes before the erasure."""
    after: dict[str, int]
    """The same after it; must be empty."""
    replayed: dict[str, int]
    """The same after every record was delivered again by another life; must be empty."""
    dropped: int
    gap: int
    erase_s: float


def planted(items: list[Item]) -> list[Item]:
    """The story with a sixth of its negative posts said by a few people, one dead letter each among them."""
    dice = random.Random(11)
    found: list[Item] = []
    for number, item in enumerate(items):
        try:
            body = orjson.loads(item.body)
        except orjson.JSONDecodeError:
            found.append(item)
            continue
        cross = any(word in body.get("text", "") for word in ("awful", "太差"))
        if cross and dice.random() < 1 / 6:
            n = number % PEOPLE
            said = f"My Lumora 流墨 overheats, the battery is awful, 电池发烫 zanzibarquux{n} 奇异词壹贰叁{n} "
            body = {
                **body,
                "native_id": f"wilhelmina{n}-{number}",
                "author": f"Wilhelmina{n}",
                "text": said + " ".join(f"{dice.choice('abcdefgh')}{dice.randrange(9999)}" for _ in range(12)),
                "url": f"https://people.example/wilhelmina{n}",
            }
        found.append(replace(item, body=orjson.dumps(body)))
    last = items[-1].arrived_at
    for n in range(PEOPLE):
        broken = {
            "native_id": f"wilhelmina{n}-dead",
            "author": f"Wilhelmina{n}",
            "text": f"zanzibarquux{n}",
            "title": 1,
        }
        found.append(Item(orjson.dumps(broken), last))
    return found


def places(folder: Path) -> dict[str, int]:
    """Every file of the data folder, and the unpacked snapshot, with how often planted bytes stand in it."""
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, state in rows(folder / "opinionwatch.db", "SELECT name, state FROM snapshots"):
        assert isinstance(state, bytes)
        contents[f"snapshot {name}"] = zlib.decompress(state)
    needles = [secret.format(n=n).encode() for secret in SECRETS for n in range(PEOPLE)]
    counts = {name: sum(content.count(needle) for needle in needles) for name, content in contents.items()}
    return {name: count for name, count in counts.items() if count}


def campaign(folder: Path, documents: int) -> Verdict:
    """One story of about `documents`, erased while a runtime is at work, then delivered again."""
    days = 2
    items = planted(story(days=days, an_hour=max(1, (documents - 150) // (24 * days))))
    first = len(items) * 3 // 4
    rig = Rig(folder)
    rig.play(pages(items[:first], [400] * (first // 400)))
    rig.runtime.save()
    rig.play(pages(items[first:], [400] * ((len(items) - first) // 400)))
    rig.replaying = []
    rig.runtime.save()
    with closing(sqlite3.connect(rig.path)) as other:
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")
    before = places(folder) | tables(folder)
    authors = [
        name for n in range(PEOPLE) for name in wiring.pseudonyms(rig.settings, f"Wilhelmina{n}", [rig.feed.kind])
    ]
    with rig.store.transaction():
        rig.store.erasures.request(authors, (), datetime.now(UTC) + timedelta(days=3650))
    began = perf_counter()
    rig.play([])
    rig.play([])
    erase_s = perf_counter() - began
    after = places(folder) | tables(folder)
    rig.die()
    again = Rig(folder)
    again.play(pages(items, [400] * (len(items) // 400)))
    again.finish()
    archive = SqliteArchive(again.path)
    return Verdict(
        documents=sum(row.accepted for row in archive.ledger()),
        planted=len({name for item in items if (name := named(item))}),
        before=before,
        after=after,
        replayed=places(folder) | tables(folder),
        dropped=archive.dropped().get("erased", 0),
        gap=sum(abs(row.gap) for row in archive.ledger()) + archive.misfiled(),
        erase_s=erase_s,
    )


def named(item: Item) -> str | None:
    """The native id of a planted item."""
    try:
        name: str = orjson.loads(item.body)["native_id"]
    except orjson.JSONDecodeError:
        return None
    return name if name.startswith("wilhelmina") else None


def tables(folder: Path) -> dict[str, int]:
    """Which tables hold planted bytes."""
    found = {}
    for table in ("documents", "episodes", "deliveries", "deadletters"):
        bodies = b"".join(bytes(body) for (body,) in rows(folder / "opinionwatch.db", f"SELECT body FROM {table}"))  # type: ignore[call-overload]  # BLOBs
        count = sum(bodies.count(secret.format(n=n).encode()) for secret in SECRETS for n in range(PEOPLE))
        if count:
            found[f"table {table}"] = count
    return found


def main() -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict = campaign(Path(folder) / "data", given.documents)
    table = [
        ("documents, of them planted", f"{verdict.documents:,}, {verdict.planted:,}"),
        ("places that held planted bytes before", ", ".join(sorted(verdict.before))),
        ("planted bytes found after the erasure", str(sum(verdict.after.values()))),
        ("… after everything was delivered again", str(sum(verdict.replayed.values()))),
        ("dropped (erased), gap of the audit", f"{verdict.dropped:,}, {verdict.gap}"),
        ("seconds to erase", f"{verdict.erase_s:.1f}"),
    ]
    sys.stdout.write("| | |\n|---|---|\n" + "".join(f"| {what} | {value} |\n" for what, value in table))
    return 1 if verdict.after or verdict.replayed or verdict.gap else 0


if __name__ == "__main__":
    sys.exit(main())
