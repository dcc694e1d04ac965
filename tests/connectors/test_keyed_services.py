"""Services that want a key: signing in, quotas, what a day may cost."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from opinionwatch.connectors.x import X
from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.ports import Page, Source
from tests.connectors.imitation import Imitation, imitating
from tests.connectors.keyed_services import RedditApi, XApi, YouTubeApi
from tests.connectors.reading_services import bodies, ids, source
from tests.contract.source_suite import build

pytestmark = pytest.mark.usefixtures("hasty")


def reddit(service: Imitation, key: Path, **given: object) -> Source:
    token_url = f"{service.url}/api/v1/access_token"
    given = {"subreddits": ["Lumora"], "client_id": "app", "secret_file": key, "token_url": token_url, **given}
    return source("reddit", service, **given)


def youtube(service: Imitation, key: Path, **given: object) -> Source:
    return source("youtube", service, key_file=key, **given)


def x(service: Imitation, key: Path, **given: object) -> X:
    found = build("x", url=service.url, allow_hosts=["127.0.0.1"], token_file=key, query="lumora", **given)
    assert isinstance(found, X)
    return found


def until_error(pages: Iterator[Page], taken: list[Page]) -> RetryableError | None:
    try:
        taken.extend(iter(lambda: next(pages, None), None))
    except RetryableError as error:
        return error
    return None


def test_reddit_signs_in_once_and_again_when_its_token_is_revoked(key: Path) -> None:
    api = RedditApi(450)
    with imitating(api) as service:
        pages = reddit(service, key, what=["new"]).fetch(None)
        first = next(pages)
        api.token = "another"
        rest = list(pages)
        asked = [request.path for request in service.asked]
    assert sorted(ids([first, *rest])) == sorted(f"t3_{n}" for n in range(2, 451, 2))
    assert asked.count("/api/v1/access_token") == 2
    assert set(asked) == {"/api/v1/access_token", "/r/lumora/new"}


def test_reddit_with_a_wrong_secret_is_an_error_that_does_not_show_it(key: Path) -> None:
    api = RedditApi(5)
    api.secret = "another"
    with imitating(api) as service, pytest.raises(RetryableError, match="401") as caught:
        list(reddit(service, key).fetch(None))
    assert "s3cret" not in str(caught.value)


def test_reddit_hands_on_what_was_removed_as_deletions_and_edits_as_later_versions(key: Path) -> None:
    class Removed(RedditApi):
        @staticmethod
        def thing(kind: str, number: int) -> dict[str, object]:
            thing = RedditApi.thing(kind, number)
            changed: dict[int, dict[str, object]] = {
                2: {"removed_by_category": "moderator"},
                3: {"body": "[deleted]"},
                4: {"edited": 1_900_000_000.0, "score": 7, "num_comments": 2},
                5: {"edited": False, "score": -3},
            }
            return {**thing, **changed.get(number, {})}

    with imitating(Removed(6)) as service:
        all_of_them = bodies(reddit(service, key).fetch(None))
    found = [body for body in all_of_them if not body.get("deleted")]
    assert sorted(str(body["native_id"]) for body in all_of_them if body not in found) == ["t1_3", "t3_2"]
    assert sorted(str(body["native_id"]) for body in found) == ["t1_1", "t1_5", "t3_4", "t3_6"]
    assert {body["source"] for body in found} == {"r/lumora"}
    assert found[0]["url"] == "https://www.reddit.com/r/lumora/comments/4/x/"
    assert (found[0]["edited_at"], found[0]["likes"], found[0]["replies"]) == ("1900000000.0", 7, 2)
    assert all("edited_at" not in body and "likes" not in body for body in found[1:])


def test_youtube_brings_replies_with_their_threads(key: Path) -> None:
    api = YouTubeApi(120)
    api.key = "s3cret"
    with imitating(api) as service:
        found = bodies(youtube(service, key, videos=["v1"]).fetch(None))
    assert len(found) == 120 + 12
    assert {body["author"] for body in found} == {f"UC{n}" for n in range(5)}
    assert all(str(body["url"]).startswith("https://www.youtube.com/watch?v=v1&lc=v1-") for body in found)


def test_youtube_rests_until_the_quota_is_new_and_then_goes_on(key: Path) -> None:
    api = YouTubeApi(250)
    api.key = "s3cret"
    with imitating(api) as service:
        taken: list[Page] = []
        pages = youtube(service, key, videos=["v1"]).fetch(None)
        taken.append(next(pages))
        api.spent = True
        error = until_error(pages, taken)
        assert error is not None and error.after_s is not None and 0 < error.after_s <= 90_100
        assert "quota" in str(error) and "s3cret" not in str(error)
        api.spent = False
        taken += youtube(service, key, videos=["v1"]).fetch(taken[-1].cursor)
    assert len(set(ids(taken))) == len(ids(taken)) == 275


def test_youtube_goes_on_with_the_others_when_the_comments_of_one_video_are_closed(key: Path) -> None:
    api = YouTubeApi(5)
    api.key, api.shut = "s3cret", "v2"
    with imitating(api) as service:
        assert len(ids(youtube(service, key, videos=["v1", "v2", "v3"]).fetch(None))) == 10


def test_youtube_begins_at_the_top_when_its_place_is_no_longer_known(key: Path) -> None:
    api = YouTubeApi(250)
    api.key = "s3cret"
    with imitating(api) as service:
        first = next(youtube(service, key, videos=["v1"]).fetch(None))
        cursor = first.cursor.replace('"older":"p100"', '"older":"stale"')
        assert cursor != first.cursor
        rest = list(youtube(service, key, videos=["v1"]).fetch(cursor))
    assert set(ids([first, *rest])) >= {f"v1-{n}" for n in range(1, 251)}


def test_youtube_needs_something_to_ask_for(key: Path) -> None:
    with pytest.raises(SettingsError, match="at least one video or channel"):
        build("youtube", key_file=key)


def test_x_never_reads_more_a_day_than_was_allowed_however_often_it_is_killed(key: Path) -> None:
    api = XApi(1_000, token="s3cret")
    with imitating(api) as service:
        taken: list[Page] = []
        for life in range(40):
            pages = x(service, key, reads_per_day=250).fetch(taken[-1].cursor if taken else None)
            # Killed after the question was asked and before its answer was stored, or one step later.
            until_error(islice(pages, 1 + life % 2), taken)
            until_error(islice(pages, 1), [])
        assert 100 <= api.billed <= 250


def test_x_reads_the_rest_the_next_day(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = XApi(400, token="s3cret")
    with imitating(api) as service:
        taken: list[Page] = []
        for day in range(1, 6):
            monkeypatch.setattr("opinionwatch.connectors.x.datetime", _at(day))
            cursor = taken[-1].cursor if taken else None
            error = until_error(x(service, key, reads_per_day=150).fetch(cursor), taken)
            if error is not None:
                assert "150 reads, 0.75 USD" in str(error)
                assert error.after_s is not None and 0 < error.after_s < 86_400
    assert sorted(ids(taken)) == [api.id_of(number) for number in range(1, 401)]
    assert api.billed == 400


def test_x_asks_only_for_what_is_newer_than_the_last_poll(key: Path) -> None:
    api = XApi(120, token="s3cret")
    with imitating(api) as service:
        pages = list(x(service, key, reads_per_day=1000).fetch(None))
        api.count = 130
        more = list(x(service, key, reads_per_day=1000).fetch(pages[-1].cursor))
    assert sorted(ids(more)) == [api.id_of(number) for number in range(121, 131)]
    assert bodies(more)[0] == {
        "native_id": api.id_of(121),
        "text": "帖子 121",
        "author": "7",
        "url": f"https://x.com/i/web/status/{api.id_of(121)}",
        "published_at": "2025-02-19T21:34:00Z",
        "lang": "zh",
        "html": False,
    }


def test_x_another_query_starts_anew_but_what_was_spent_stays_spent(key: Path) -> None:
    api = XApi(120, token="s3cret")
    with imitating(api) as service:
        pages = list(x(service, key, reads_per_day=130).fetch(None))
        other = build("x", url=service.url, allow_hosts=["127.0.0.1"], token_file=key, query="corvo", reads_per_day=130)
        taken: list[Page] = []
        until_error(other.fetch(pages[-1].cursor), taken)
        assert len(ids(taken)) == 10
        assert api.billed == 130


def test_x_says_what_a_day_may_cost_without_reading_a_post(key: Path) -> None:
    api = XApi(120, token="s3cret")
    with imitating(api) as service:
        assert "2,000 reads, 10.00 USD" in x(service, key, reads_per_day=2_000).check()
    assert api.billed == 0


def _at(day: int) -> type[datetime]:
    class Then(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Then":
            del tz
            return cls(2026, 3, day, 12, tzinfo=UTC)

    return Then
