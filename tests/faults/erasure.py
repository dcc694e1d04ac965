"""Erasure: plant people's posts in a story, let everything happen with them, erase them, look at every byte on disk.

python tests/faults/erasure.py [--documents 10000]
"""

import argparse
import sqlite3
import sys
import tempfile
import zlib
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from tests.faults.erasure_story import SHOWN, count, named, people, shown, told
from tests.pipeline.rig import Rig, pages, rows


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


def places(folder: Path) -> dict[str, int]:
    """Every file of the data folder, and the unpacked snapshot, with how often planted bytes stand in it."""
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, state in rows(folder / "opinionwatch.db", "SELECT name, state FROM snapshots"):
        assert isinstance(state, bytes)
        contents[f"snapshot {name}"] = zlib.decompress(state)
    return {name: found for name, content in contents.items() if (found := count(content))}


def campaign(folder: Path, documents: int) -> Verdict:
    """One story of about `documents`, erased while a runtime is at work, then delivered again."""
    items = told(documents)
    first = len(items) * 3 // 4
    rig = Rig(folder)
    rig.play(pages(items[:first], [400] * (first // 400)))
    rig.runtime.save()
    rig.play(pages(items[first:], [400] * ((len(items) - first) // 400)))
    rig.replaying = []
    rig.runtime.save()
    with closing(sqlite3.connect(rig.path)) as other:
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")
    before = everywhere(rig)
    authors = [
        name
        for n in range(people(documents))
        for name in wiring.pseudonyms(rig.settings, f"Wilhelmina{n}", [rig.feed.kind])
    ]
    with rig.store.transaction():
        rig.store.erasures.request(authors, (), datetime.now(UTC) + timedelta(days=3650))
    began = perf_counter()
    rig.play([])
    rig.play([])
    erase_s = perf_counter() - began
    after = everywhere(rig)
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
        replayed=everywhere(again),
        dropped=archive.dropped().get("erased", 0),
        gap=sum(abs(row.gap) for row in archive.ledger()) + archive.misfiled(),
        erase_s=erase_s,
    )


def everywhere(rig: Rig) -> dict[str, int]:
    """Files, tables, and what people get to see."""
    found = places(rig.path.parent) | shown(rig.settings, SqliteArchive(rig.path))
    for table in ("documents", "episodes", "deliveries", "deadletters"):
        bodies = b"".join(bytes(body) for (body,) in rows(rig.path, f"SELECT body FROM {table}"))  # type: ignore[call-overload]  # BLOBs
        found |= {f"table {table}": number for number in [count(bodies)] if number}
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
    untold = SHOWN - verdict.before.keys()
    if untold:
        sys.stdout.write(f"the proof covers too little: nothing planted got to {', '.join(sorted(untold))}\n")
    return 1 if verdict.after or verdict.replayed or verdict.gap or untold else 0


if __name__ == "__main__":
    sys.exit(main())
