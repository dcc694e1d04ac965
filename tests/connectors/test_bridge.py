"""Bridges: recipes, the access code, what is made of a platform's posts."""

import hashlib
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.bridge_recipes import recipes
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.ports import Source
from tests.connectors.bridges import RssHub
from tests.connectors.imitation import FAULTS, Imitation, imitating
from tests.connectors.reading_services import bodies, ids
from tests.contract.source_suite import build


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask one host faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def source(service: Imitation, **given: object) -> Source:
    return build("bridge", url=service.url, allow_hosts=["127.0.0.1"], **given)


def test_a_recipe_makes_the_address_and_says_language_and_platform() -> None:
    hub = RssHub(3)
    with imitating(hub) as service:
        polled = source(service, recipe="weibo_keyword", params={"keyword": "流墨/电池"})
        pages = list(polled.fetch(None))
        assert list(polled.fetch(pages[-1].cursor)) == []
        hub.count = 4
        assert ids(polled.fetch(pages[-1].cursor)) == ["https://weibo.com/1/4"]
    assert hub.paths[0] == "/weibo/keyword/流墨/电池"
    assert service.asked[0].path.count("/") == 3, "a slash in a parameter is no slash of the path"
    assert polled.instance == "weibo"
    assert bodies(pages)[0] == {
        "native_id": "https://weibo.com/1/1",
        "text": "<p>流墨 1 的电池太差了，客服也不回复<br>#流墨#</p>",
        "author": "用户1",
        "url": "https://weibo.com/1/1",
        "published_at": "2026-03-01T08:00:00+00:00",
        "lang": "zh",
        "html": True,
        "source": "weibo",
    }


def test_the_same_post_found_by_two_recipes_is_one_document() -> None:
    with imitating(RssHub(2)) as service:
        one = source(service, recipe="weibo_keyword", params={"keyword": "a"})
        two = source(service, recipe="weibo_user", params={"uid": "1"})
        assert (one.kind, one.instance, ids(one.fetch(None))) == (two.kind, two.instance, ids(two.fetch(None)))


def test_the_access_key_is_sent_as_a_code_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    code = hashlib.md5(b"/zhihu/topic/5s3cret", usedforsecurity=False).hexdigest()
    hub = RssHub(1, code=code)
    with imitating(hub) as service:
        told = {"recipe": "zhihu_topic", "params": {"topic": "5"}}
        polled = source(service, access_key_file=tmp_path / "key", **told)
        assert len(ids(polled.fetch(None))) == 1
        assert "s3cret" not in repr(service.asked)
        with pytest.raises(RetryableError, match="403"):
            list(source(service, **told).fetch(None))
        hub.code = "another"
        with pytest.raises(RetryableError, match="403") as caught:
            list(polled.fetch(None))
    assert code not in str(caught.value)


def test_a_bridge_of_ones_own_needs_a_path_and_a_platform() -> None:
    with imitating(RssHub(1)) as service:
        polled = source(service, path="?action=display&bridge=Tieba", platform="tieba", lang="zh-Hans")
        assert bodies(polled.fetch(None))[0]["lang"] == "zh-Hans"
    assert (polled.instance, service.asked[0].query["bridge"]) == ("tieba", "Tieba")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "either a recipe or a path"),
        ({"recipe": "weibo_keyword", "path": "/x"}, "either a recipe or a path"),
        ({"recipe": "weibo_keywords"}, "did you mean 'weibo_keyword'"),
        ({"recipe": "weibo_keyword"}, "asks for: keyword"),
        ({"recipe": "news_36kr", "params": {"x": "1"}}, "asks for: none"),
        ({"path": "/x"}, "platform"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_cure(given: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        build("bridge", url="https://rsshub.example", **given)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_day_of_the_bridge_is_an_error_to_retry_and_nothing_is_lost(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with imitating(RssHub(250)) as service:
        told = {"recipe": "weibo_keyword", "params": {"keyword": "流墨"}, "allow_hosts": ["127.0.0.1"]}
        polled = build("bridge", url=service.url, **told)
        first = next(polled.fetch(None))
        monkeypatch.setattr(Hosts, "pause", lambda *_: None)
        service.faults.append(FAULTS[fault])
        with pytest.raises(RetryableError) as caught:
            list(polled.fetch(first.cursor))
        assert len(str(caught.value)) < 500
        rest = list(polled.fetch(first.cursor))
    assert len(set(ids([first, *rest]))) == 250


def test_every_recipe_is_whole_and_the_promised_platforms_are_there() -> None:
    assert {recipe.platform for recipe in recipes().values()} >= {
        "weibo",
        "zhihu",
        "bilibili",
        "xueqiu",
        "tieba",
        "36kr",
    }
    for recipe in recipes().values():
        assert recipe.path.startswith("/")
        assert recipe.path.format(**dict.fromkeys(recipe.parameters, "x"))
