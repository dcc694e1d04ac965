"""Gaps of kinds whose window is not a service's: a followed file that was put away, a feed behind a bridge."""

import json
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from tests.connectors.bridges import RssHub
from tests.connectors.imitation import imitating
from tests.contract.source_suite import build, collect

HEAD = {"csv": "native_id,text\n", "jsonl": ""}


def rows(kind: str, *numbers: int) -> str:
    """Records of a file."""
    if kind == "csv":
        return "".join(f"{number},text {number}\n" for number in numbers)
    return "".join(f'{{"native_id": "{number}", "text": "text {number}"}}\n' for number in numbers)


@pytest.mark.parametrize("kind", HEAD)
def test_a_followed_file_that_is_gone_when_it_is_read_on_is_a_gap_and_the_new_one_is_read(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"posts.{kind}"
    path.write_text(HEAD[kind] + rows(kind, 1, 2))
    told = {"path": str(path), "follow": True}
    source = build(kind, **told)
    first = next(source.fetch(None))
    source.close()
    size = path.stat().st_size
    path.unlink()
    (tmp_path / "kept").write_text("so that its place on the disk is not given away again")
    path.write_text(HEAD[kind] + rows(kind, 7, 8, 9))
    source = build(kind, **told)
    page = next(source.fetch(first.cursor))
    source.close()
    assert [json.loads(item.body)["native_id"] for item in page.items] == ["7", "8", "9"]
    [missed] = page.missed
    assert f"read up to byte {size} is gone" in missed.detail


@pytest.mark.parametrize("kind", ["bridge"])
def test_a_feed_behind_a_bridge_that_turned_over_is_a_gap_and_one_that_did_not_is_none(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=1_000, burst=1_000))
    hub = RssHub(5)
    with imitating(hub) as service:
        told = {"url": service.url, "recipe": "news_36kr", "allow_hosts": ["127.0.0.1"]}
        [before] = collect(build(kind, **told).fetch(None))
        hub.count, hub.first = 9, 5
        [overlapping] = collect(build(kind, **told).fetch(before.cursor))
        hub.count, hub.first = 30, 21
        [after] = collect(build(kind, **told).fetch(overlapping.cursor))
    assert (list(before.missed), list(overlapping.missed)) == ([], [])
    [missed] = after.missed
    assert "none of the 10 entries" in missed.detail
