"""A process that drains one source as the runtime would: a page and its cursor become durable in one write.

python -m tests.contract.draining SETTINGS.json JOURNAL
"""

import json
import os
import sys
from pathlib import Path

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.errors import RetryableError
from tests.contract.source_suite import build


def lines(journal: Path) -> list[dict[str, object]]:
    """What is durable; a line that a kill cut off is not."""
    whole = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    return [json.loads(line) for line in whole]


def drain(settings: Path, journal: Path) -> None:
    """Run to the end of the source, from the last durable cursor."""
    told = json.loads(settings.read_text())
    done = lines(journal)
    cursor = str(done[-1]["cursor"]) if done else None
    if journal.exists():
        cut = journal.read_bytes()
        journal.write_bytes(cut[: cut.rfind(b"\n") + 1])
    with journal.open("ab") as file:
        for page in build(told["kind"], **told["given"]).fetch(cursor):
            bodies = [item.body.decode() for item in page.items]
            file.write(json.dumps({"items": bodies, "cursor": page.cursor}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    vars(http)["SHARED"] = Hosts(per_s=10_000, burst=10_000)
    try:
        drain(Path(sys.argv[1]), Path(sys.argv[2]))
    except RetryableError as error:
        sys.exit(f"try again: {error}")
