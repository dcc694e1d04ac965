"""What each open service has of its own: its fields, its paging, its limits."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.ports import HistorySource
from tests.connectors.imitation import Told, imitating
from tests.connectors.reading_services import bodies, ids, source
from tests.connectors.services import (
    AppStoreFeed,
    DiscourseForum,
    HackerNewsSearch,
    MastodonServer,
    StackExchangeSite,
    iso,
    when,
)


@pytest.fixture(autouse=True)
def hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask one host faster than is polite, but keep its pauses."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000, patience_s=0.5))


def test_hacker_news_brings_stories_and_comments_beyond_the_thousand_hits_of_one_question() -> None:
    with imitating(HackerNewsSearch(2_500)) as service:
        found = bodies(source("hackernews", service).fetch(None))
    assert {str(body["native_id"]) for body in found} == {str(number) for number in range(1, 2_501)}
    by_id = {body["native_id"]: body for body in found}
    assert by_id["5"] == {
        "native_id": "5",
        "text": "<p>comment 5&#x27;s text",
        "author": "user0",
        "url": "https://news.ycombinator.com/item?id=5",
        "published_at": str(when(5)),
        "html": True,
    }
    assert by_id["8"]["title"] == "story 8"
    assert all(request.number("hitsPerPage", 0) <= 1000 for request in service.asked)


def test_hacker_news_asks_for_what_the_settings_say() -> None:
    with imitating(HackerNewsSearch(10)) as service:
        list(source("hackernews", service, query="lumora phone", what=["comment"]).fetch(None))
    assert service.asked[0].query["query"] == "lumora phone"
    assert service.asked[0].query["tags"] == "(comment)"


def test_mastodon_leaves_out_boosts_and_those_who_do_not_want_to_be_found() -> None:
    class Mixed(MastodonServer):
        @staticmethod
        def status(number: int, tag: str) -> dict[str, object]:
            status = MastodonServer.status(number, tag)
            if number == 3:
                return {**status, "reblog": {"id": "9"}}
            return {**status, "account": {"acct": "shy", "noindex": True}} if number == 4 else status

    with imitating(Mixed(6)) as service:
        found = bodies(source("mastodon", service, hashtags=["#Lumora"]).fetch(None))
    assert [str(body["url"]).rpartition("/")[2] for body in found] == ["1", "2", "5", "6"]
    assert found[0]["author"] == "user1@social.example"
    assert found[0]["lang"] == "de"
    assert found[0]["published_at"] == iso(1)
    assert service.asked[0].path == "/api/v1/timelines/tag/lumora"


def test_a_mastodon_post_seen_through_two_servers_is_one_document() -> None:
    with imitating(MastodonServer(3)) as one, imitating(MastodonServer(3)) as two:
        first, second = (source("mastodon", service, hashtags=["a"]) for service in (one, two))
        assert (first.instance, ids(first.fetch(None))) == (second.instance, ids(second.fetch(None)))


def test_a_mastodon_post_comes_again_when_it_was_edited_and_only_then() -> None:
    class Changing(MastodonServer):
        @staticmethod
        def status(number: int, tag: str) -> dict[str, object]:
            return {**MastodonServer.status(number, tag), **changes.get(number, {})}

    changes: dict[int, dict[str, object]] = {2: {"favourites_count": 5, "reblogs_count": 0, "replies_count": 1}}
    with imitating(Changing(3)) as service:
        pages = list(source("mastodon", service, hashtags=["a"]).fetch(None))
        found = {str(body["native_id"])[-1]: body for body in bodies(pages)}
        assert [found["2"].get(name) for name in ("likes", "reposts", "replies", "edited_at")] == [5, 0, 1, None]
        changes[3] = {"content": "edited", "edited_at": "2026-03-01T00:00:00.000Z"}
        [again] = bodies(source("mastodon", service, hashtags=["a"]).fetch(pages[-1].cursor))
    assert (again["native_id"], again["text"], again["edited_at"]) == (
        found["3"]["native_id"], "edited", "2026-03-01T00:00:00.000Z",
    )  # fmt: skip


def test_mastodon_stops_asking_when_the_server_has_had_enough() -> None:
    def answer(asked: object) -> Told:
        return Told({"error": "Too many requests"}, 429, {"Retry-After": "120"})

    with imitating(answer) as service:
        polled = source("mastodon", service, hashtags=["a"])
        for _ in range(3):
            with pytest.raises(RetryableError) as caught:
                list(polled.fetch(None))
            assert caught.value.after_s is not None and caught.value.after_s > 100
        assert len(service.asked) == 1, "the host's pause is kept by all who ask it"


def test_a_token_comes_from_a_file_and_is_sent_and_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\nrest\n")
    (tmp_path / "empty").write_text("\n")
    with imitating(MastodonServer(3, token="s3cret")) as service:
        assert ids(source("mastodon", service, hashtags=["a"], token_file=tmp_path / "token").fetch(None))
        with pytest.raises(RetryableError, match="401"):
            list(source("mastodon", service, hashtags=["a"]).fetch(None))
        for wrong in ("empty", "missing"):
            with pytest.raises(SettingsError, match="token_file"):
                source("mastodon", service, hashtags=["a"], token_file=tmp_path / wrong)


@pytest.mark.parametrize("windows", [True, False], ids=["windows of ids", "the newest below an id"])
def test_discourse_reads_every_post_of_old_and_of_new_forums(windows: bool) -> None:
    forum = DiscourseForum(400, gone={*range(100, 300), 17})
    forum.windows = windows
    with imitating(forum) as service:
        found = ids(source("discourse", service).fetch(None))
    assert sorted(map(int, found)) == [number for number in range(1, 401) if number not in forum.gone]


def test_discourse_walks_past_a_topic_that_was_split_and_brings_all_that_is_older() -> None:
    forum = DiscourseForum(400, changed={380: {"created_at": "2020-01-01T00:00:00Z"}})
    with imitating(forum) as service:
        since = datetime.fromtimestamp(when(1) - 1, UTC)
        forums = source("discourse", service)
        assert isinstance(forums, HistorySource)
        assert len(ids(forums.backfill(since, None))) == 399
        *_, last = forums.fetch(None)
        forum.count, forum.changed[590] = 600, forum.changed[380]
        more = list(source("discourse", service).fetch(last.cursor))
        assert sorted(map(int, ids(more))) == [number for number in range(401, 601) if number != 590]


def test_discourse_leaves_out_hidden_posts_and_titles_only_first_ones() -> None:
    class Hidden(DiscourseForum):
        @staticmethod
        def post(number: int) -> dict[str, object]:
            return {**DiscourseForum.post(number), "hidden": number == 2}

    with imitating(Hidden(5)) as service:
        found = {body["native_id"]: body for body in bodies(source("discourse", service).fetch(None))}
    assert sorted(map(str, found)) == ["1", "3", "4", "5"]
    assert found["4"]["title"] == "topic 1"
    assert "title" not in found["5"]
    assert found["4"]["url"] == f"{service.url}/t/1/1"


def test_stack_exchange_waits_as_the_answer_says_and_loses_nothing() -> None:
    site = StackExchangeSite(500)
    site.backoff = 30
    with imitating(site) as service:
        pages = source("stackexchange", service, site="stackoverflow", what=["questions"]).fetch(None)
        first = next(pages)
        with pytest.raises(RetryableError) as caught:
            next(pages)
        assert caught.value.after_s is not None and 20 < caught.value.after_s <= 30
        site.backoff = 0
    assert len(first.items) == 100


def test_stack_exchange_waits_as_the_answer_says_although_it_was_the_last_when_the_next_poll_comes_too_soon() -> None:
    site = StackExchangeSite(4)
    site.backoff = 90
    with imitating(site) as service:
        pages = source("stackexchange", service, site="stackoverflow", interval_s=60).fetch(None)
        assert next(pages).items
        with pytest.raises(RetryableError) as caught:
            next(pages)
    assert caught.value.after_s is not None and 60 < caught.value.after_s <= 90


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("too many requests from this IP, more requests available in 17524 seconds", 17_524, 17_524),
        ("too many requests from this IP", 1, 86_500),
        ("Violation of backoff parameter", 60, 60),
    ],
)
def test_stack_exchange_rests_as_long_as_a_refusal_says_or_until_the_next_day(said: str, least: int, most: int) -> None:
    def answer(asked: object) -> Told:
        return Told({"error_id": 502, "error_name": "throttle_violation", "error_message": said}, 400)

    with imitating(answer) as service, pytest.raises(RetryableError, match="answered 400") as caught:
        list(source("stackexchange", service, site="superuser").fetch(None))
    assert caught.value.after_s is not None and least <= caught.value.after_s <= most


def test_stack_exchange_sends_its_key_and_never_shows_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k3y\n")
    with imitating(StackExchangeSite(3)) as service:
        polled = source("stackexchange", service, site="superuser", key_file=tmp_path / "key")
        found = bodies(polled.fetch(None))
        assert service.asked[0].query["key"] == "k3y"
        service.faults.append(Told(b"", 500))
        with pytest.raises(RetryableError) as caught:
            list(polled.fetch(None))
    assert "k3y" not in str(caught.value)
    assert {body["native_id"]: body["author"] for body in found} == {"a1": "Jürgen", "q2": "Jürgen", "a3": "Jürgen"}


def test_the_app_store_gives_every_country_and_copes_with_one_bare_review_and_with_none() -> None:
    for count in (0, 1, 7):
        with imitating(AppStoreFeed(count)) as service:
            found = bodies(source("appstore", service, app=5, countries=["us", "cn"]).fetch(None))
        assert len(found) == 2 * count
        assert {body["source"] for body in found} == ({"App Store US", "App Store CN"} if count else set())
    assert found[-1]["text"] == "评价 7"


def test_the_app_store_is_never_asked_for_an_eleventh_page() -> None:
    with imitating(AppStoreFeed(900)) as service:
        assert len(ids(source("appstore", service, app=5).fetch(None))) == 500
        assert len(service.asked) == 10
