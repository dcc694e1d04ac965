"""The page alone: on either store, and gone within seconds when it is told to stop."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.store_elastic import ElasticStore
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.elastic import cluster
from tests.pipeline.sample import document, mention, scored

PROGRAM = Path(sys.executable).parent / "opinionwatch"
CONFIG = "web: {port: 0}\nwatchlists: [{id: lumora, names: [Lumora, 流墨]}]\n"


@contextmanager
def page(folder: Path) -> Iterator[str]:
    """The command at work; it ends with 0 and without a word."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        [PROGRAM, "web"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout
        assert daemon.stderr
        try:
            assert select.select([daemon.stdout], [], [], 90)[0], "no word within a minute and a half"
            found = re.search(r"http://127\.0\.0\.1:\d+", daemon.stdout.readline())
            assert found
            yield found[0]
        finally:
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(60)
        assert (code, daemon.stderr.read()) == (0, "")


def fetched(address: str) -> bytes:
    """One page."""
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - our own page
        return bytes(answer.read())


def judged(url: str, whole: ScoredDocument) -> None:
    """The document is there, on the page and in the API."""
    [found] = json.loads(fetched(f"{url}/api/documents?text=BATTERY"))["items"]
    assert ScoredDocument.model_validate(found) == whole
    for path in ("/", "/watchlists/lumora", "/feed", "/health", "/silences"):
        assert b"opinionwatch" in fetched(url + path), path


def test_the_page_on_sqlite(tmp_path: Path) -> None:
    (tmp_path / "opinionwatch.yaml").write_text(CONFIG + "data_dir: data\n", encoding="utf-8")
    store = SqliteStore(tmp_path / "data" / "opinionwatch.db")
    whole = scored(document(1))
    with store.transaction():
        store.admit([whole.document])
        store.write([whole, mention(whole)])
    store.close()
    with page(tmp_path) as url:
        judged(url, whole)


def test_the_page_on_elasticsearch(tmp_path: Path, services: dict[str, str]) -> None:
    with cluster(services["elasticsearch"]) as given:
        (tmp_path / "opinionwatch.yaml").write_text(
            f"{CONFIG}store: elasticsearch\n"
            f"elasticsearch: {{hosts: ['{services['elasticsearch']}'], prefix: {given.settings.prefix}}}\n",
            encoding="utf-8",
        )
        store = ElasticStore(given.client, given.settings)
        whole = scored(document(1))
        store.admit([whole.document])
        store.write([whole, mention(whole)])
        store.close()
        given.refresh()
        with page(tmp_path) as url:
            judged(url, whole)


def test_a_page_without_its_store_says_which_one_is_missing(tmp_path: Path) -> None:
    (tmp_path / "opinionwatch.yaml").write_text(CONFIG, encoding="utf-8")
    ended = subprocess.run([PROGRAM, "web"], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 1
    assert "there is no store at" in " ".join(ended.stderr.split())
