"""Daemons whose cluster is away for longer than their watchdog is patient."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from opinionwatch.connectors.demo import watchlists
from opinionwatch.pipeline.archives import archive_of
from tests.faults.elastic_proxy import Plan, proxy
from tests.pipeline.daemons import Daemons
from tests.services.server import free_port

CALM = Plan(busy_items=0, unavailable=0, dropped=0, cut_off=0, too_few=0)
PATIENCE_S = 8.0


def test_a_worker_waits_for_an_elasticsearch_that_is_long_away_and_is_neither_ended_nor_blames_a_document(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    feed, port = tmp_path / "feed.jsonl", free_port()
    feed.write_text("".join(json.dumps({"native_id": str(n), "text": f"Lumora is slow {n}"}) + "\n" for n in range(3)))
    daemons = Daemons(
        tmp_path / "cluster", {"kafka": services["kafka"], "elasticsearch": f"http://127.0.0.1:{port}"},
        watchlists=list(watchlists()), sources=[{"name": "feed", "kind": "jsonl", "path": str(feed)}],
        monitor={"port": 0, "patience_s": PATIENCE_S},
    )  # fmt: skip
    try:
        with proxy(services["elasticsearch"], CALM, port):
            daemons.prepared()
        worker = daemons.start("score")
        assert daemons.command("ingest", "--once").returncode == 0
        said = daemons.folder / "score.err"
        daemons.until(lambda: "writing again" in said.read_text(), 60)
        waiting = monotonic()
        daemons.until(lambda: monotonic() - waiting > 1.5 * PATIENCE_S)
        assert worker.poll() is None
        with proxy(services["elasticsearch"], CALM, port):
            archive = archive_of(daemons.settings)
            daemons.until(lambda: len(list(archive.every_document())) == 3, 60)
            assert archive.deadletters() == []
            daemons.end()
    finally:
        daemons.kill()
