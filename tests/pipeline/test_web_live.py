"""The page being served: on a thread, telling its readers of changes, and gone when it is told to stop."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from queue import Queue
from threading import Thread
from time import monotonic

import httpx2
import pytest

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.web import Serving, build, serve
from tests.pipeline.web_client import open_store, sample
from tests.pipeline.web_sample import NOW, WATCHLISTS

FREE = Web(port=0)


def serving(folder: Path) -> Serving:
    app = build(open_store(folder), watchlists=WATCHLISTS, settings=FREE, lang="en")
    told: list[str] = []
    running = serve(app, FREE, told.append)
    assert told == [running.url]
    return running


def events(url: str, into: "Queue[str]") -> None:
    with httpx2.stream("GET", f"{url}/live", timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data:"):
                into.put(line)
    into.put("ended")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path) as page:
        yield page


def test_a_change_in_the_store_reaches_every_open_page(tmp_path: Path) -> None:
    with serving(tmp_path) as page:
        readers = [Queue[str]() for _ in range(3)]
        for reader in readers:
            Thread(target=events, args=(page.url, reader), daemon=True).start()
        for reader in readers:
            event = reader.get(timeout=10)
            assert '"now":"2026-03-08T16:30:00+00:00"' in event and 'escalated"]' in event
        store = SqliteStore(tmp_path / "own.db")
        with store.transaction():
            store.save_progress(NOW + timedelta(minutes=5))
        store.close()
        for reader in readers:
            while '"now":"2026-03-08T16:35:00+00:00"' not in reader.get(timeout=10):
                pass


def test_open_streams_do_not_keep_the_page_from_stopping(tmp_path: Path) -> None:
    page = serving(tmp_path)
    readers = [Queue[str]() for _ in range(5)]
    for reader in readers:
        Thread(target=events, args=(page.url, reader), daemon=True).start()
    for reader in readers:
        reader.get(timeout=10)
    begun = monotonic()
    page.stop()
    assert monotonic() - begun < 5
    assert not page.alive
    for reader in readers:
        assert "ended" in (reader.get(timeout=5), *([reader.get(timeout=5)] if reader.qsize() else []))
    page.stop()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(page.url)


def test_there_are_only_so_many_streams(running: Serving) -> None:
    from opinionwatch.pipeline import web_live

    readers = [Queue[str]() for _ in range(web_live.MOST_READERS)]
    for reader in readers:
        Thread(target=events, args=(running.url, reader), daemon=True).start()
    for reader in readers:
        reader.get(timeout=20)
    answer = httpx2.get(f"{running.url}/live")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert httpx2.get(f"{running.url}/healthz").text == "ok\n"


def test_a_port_in_use_is_named_with_the_cure(tmp_path: Path) -> None:
    app = build(sample(), watchlists=WATCHLISTS, settings=FREE, lang="en")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"web.port: cannot listen on 127.0.0.1:{port} .*0 for a free one"):
            serve(app, Web(port=port), lambda _: None)


def test_an_unguarded_page_is_not_served_to_others() -> None:
    app = build(sample(), watchlists=WATCHLISTS, settings=FREE, lang="en")
    with pytest.raises(SettingsError, match=r"web\.token_file"):
        serve(app, Web(host="0.0.0.0", port=0), lambda _: None)  # noqa: S104 - refused
