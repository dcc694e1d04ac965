"""What the doctor looks at, and that one bad finding keeps it from none of the others."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.doctor import Finding, examine
from opinionwatch.pipeline.elastic_setup import set_up
from opinionwatch.pipeline.ports import Passage
from tests.pipeline.elastic import cluster
from tests.pipeline.rig import settings
from tests.pipeline.sample import reading

LOOKED_AT = ["python", "store", "page", "scorer", "sources", "watchlists", "channels"]


class Cheerful:
    """A scorer that likes everything."""

    version = "cheerful"

    class Settings(BaseModel):
        """Nothing to set."""

    def __init__(self, _: Settings) -> None: ...

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """All is well."""
        return [reading("positive") for _ in passages]


def looked(folder: Path, **more: object) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(settings(folder, **{"web": {"port": 0}, **more}))}


def test_a_machine_that_will_do_has_no_bad_finding(tmp_path: Path) -> None:
    found = looked(tmp_path / "not" / "yet")
    assert list(found) == LOOKED_AT
    assert [finding.what for finding in found.values() if not finding.ok] == []
    assert "电池太差了" in found["scorer"].detail
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    ("more", "what", "said"),
    [
        ({"scorer": {"kind": "lexikon"}}, "scorer", "did you mean 'lexicon'?"),
        ({"scorer": {"kind": f"{__name__}:Cheerful"}}, "scorer", "both should be negative: try another scorer"),
        ({"sources": [{"name": "a", "kind": "rrs"}]}, "sources", "did you mean 'rss'?"),
        ({"watchlists": [{"id": "a"}, {"id": "a"}]}, "watchlists", "used twice"),
        ({"channels": [{"name": "a", "kind": "slack"}]}, "channels", "channels.a.url"),
        ({"web": {"port": 0, "host": "203.0.113.7"}}, "page", "203.0.113.7:0: "),
        ({"web": {"port": 0, "host": "no such host"}}, "page", "no such host:0: "),
    ],
)
def test_a_bad_finding_names_the_cure_and_the_others_are_looked_at_all_the_same(
    tmp_path: Path, more: dict[str, object], what: str, said: str
) -> None:
    found = looked(tmp_path, **more)
    assert list(found) == LOOKED_AT
    assert [finding.what for finding in found.values() if not finding.ok] == [what]
    assert said in found[what].detail


def test_where_the_store_is_elasticsearch_the_cluster_is_looked_at(tmp_path: Path, services: dict[str, str]) -> None:
    with cluster(services["elasticsearch"], made=False) as given:
        section = {"hosts": given.settings.hosts, "prefix": given.settings.prefix}
        more: dict[str, object] = {"store": "elasticsearch", "elasticsearch": section}
        before = looked(tmp_path, **more)["elasticsearch"]
        assert (before.ok, "opinionwatch index setup" in before.detail) == (False, True)
        assert all(step.ok for step in set_up(given.client, given.settings))
        assert looked(tmp_path, **more)["elasticsearch"].ok
    away: dict[str, object] = {"store": "elasticsearch", "elasticsearch": {"hosts": ["http://127.0.0.1:9"]}}
    assert "cannot be reached" in looked(tmp_path, **away)["elasticsearch"].detail


def test_a_disk_that_is_almost_full_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: whole._replace(free=1000))
    assert not looked(tmp_path)["store"].ok
