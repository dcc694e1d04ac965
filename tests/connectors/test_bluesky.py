"""Bluesky's stream: cursors, breaks, deletions, gaps, bad days."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from opinionwatch.connectors import bluesky, gathering
from opinionwatch.connectors import jetstream as stream
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.ports import HistorySource, Page, Source
from tests.connectors.jetstream import BEGIN_US, STEP_US, Jetstream, jetstream, post, refusal
from tests.connectors.reading_services import bodies, ids
from tests.contract.source_suite import build


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages wait less long."""
    monkeypatch.setattr(gathering, "PAGE_S", 0.1)


def source(host: Jetstream, **given: object) -> Source:
    return build("bluesky", url=host.url, allow_hosts=["127.0.0.1"], **given)


def history(host: Jetstream) -> HistorySource:
    found = source(host)
    assert isinstance(found, HistorySource)
    return found


def until(pages: Iterator[Page], count: int) -> list[Page]:
    """Pages until so many posts are there."""
    taken: list[Page] = []
    for page in pages:
        taken.append(page)
        if len(ids(taken)) >= count:
            break
    return taken


def uris(numbers: range) -> set[str]:
    return {f"at://did:plc:{n % 7}/app.bsky.feed.post/k{n}" for n in numbers}


def test_posts_come_as_they_are_written_and_other_events_do_not() -> None:
    events = [post(1), {**post(2), "commit": {"collection": "app.bsky.feed.like", "rkey": "l"}}, post(3, lang="zh-CN")]
    events.append({"did": "did:plc:1", "time_us": BEGIN_US + 10**6, "kind": "identity"})
    with jetstream(events) as host:
        streamed = source(host)
        found = bodies(until(streamed.fetch(None), 2))
        streamed.close()
    assert host.asked == [{"wantedCollections": ["app.bsky.feed.post"]}]
    assert found == [
        {
            "native_id": "at://did:plc:1/app.bsky.feed.post/k1",
            "text": "post 1 电池",
            "author": "did:plc:1",
            "url": "https://bsky.app/profile/did:plc:1/post/k1",
            "published_at": "1770000000",
            "lang": "en",
            "html": False,
        },
        {
            "native_id": "at://did:plc:3/app.bsky.feed.post/k3",
            "text": "post 3 电池",
            "author": "did:plc:3",
            "url": "https://bsky.app/profile/did:plc:3/post/k3",
            "published_at": "1770000000",
            "lang": "zh-CN",
            "html": False,
        },
    ]


def test_only_the_languages_of_the_settings() -> None:
    with jetstream([post(1), post(2, lang="zh-Hans"), post(3, lang="ZH"), post(4, lang="de")]) as host:
        found = ids(until(source(host, langs=["zh", "de"]).fetch(None), 3))
    assert set(found) == uris(range(2, 5))


def test_a_stream_that_breaks_at_random_a_hundred_times_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "REWIND_US", 10 * STEP_US)
    dice = random.Random(5)
    with jetstream([post(number) for number in range(3_000)]) as host:
        host.breaks.extend(dice.randrange(1, 80) for _ in range(100))
        found: list[str] = []
        cursor = None
        lives = 0
        while len(set(found)) < 3_000:
            lives += 1
            try:
                for page in source(host).fetch(cursor):
                    found += ids([page])
                    cursor = page.cursor
                    if len(set(found)) == 3_000:
                        break
            except RetryableError:
                continue
    assert lives > 100
    assert set(found) == uris(range(3_000))
    assert len(found) > len(set(found)), "it went back a little each time"


def test_a_post_that_is_deleted_before_its_page_is_full_is_handed_on_as_a_deletion_only() -> None:
    with jetstream([post(1), post(2), post(1, operation="delete"), post(3)]) as host:
        found = bodies(until(source(host).fetch(None), 3))
    gone = [body for body in found if body.get("deleted")]
    assert gone == [{"native_id": min(uris(range(1, 2))), "text": "", "html": False, "deleted": True}]
    assert {str(body["native_id"]) for body in found} == uris(range(1, 4))


def test_a_deletion_is_handed_on_whatever_the_language_and_an_update_is_an_edit_of_its_moment() -> None:
    with jetstream(
        [post(1, lang="de"), post(1, operation="delete"), post(2, "now better", operation="update")]
    ) as host:
        deleted, edited = bodies(until(source(host, langs=["en"]).fetch(None), 2))
    assert deleted["deleted"] is True
    assert (edited["text"], edited["edited_at"]) == ("now better", str((BEGIN_US + 2 * STEP_US) / 1_000_000))


def test_reconnecting_goes_back_a_little_and_further_on_another_host() -> None:
    with jetstream([post(1)]) as host:
        page = until(source(host).fetch(None), 1)[-1]
        for cursor in (page.cursor, page.cursor.replace("127.0.0.1", "127.0.0.2")):
            until(source(host).fetch(cursor), 1)
    begins = [int(query["cursor"][0]) for query in host.asked[1:]]
    at = BEGIN_US + STEP_US
    assert begins == [at - 5_000_000, at - 60_000_000]


def test_the_recorded_gap_is_exactly_what_the_host_no_longer_had() -> None:
    with jetstream([post(number) for number in range(50)]) as host:
        before = until(source(host).fetch(None), 50)
        host.events = [post(number) for number in range(200)]
        host.kept_from = 73
        after = until(source(host).fetch(before[-1].cursor), 127)
    [gap] = [gap for page in [*before, *after] for gap in page.missed]
    assert (gap.since, gap.until) == tuple(
        datetime.fromtimestamp((BEGIN_US + STEP_US * number) / 1_000_000, UTC) for number in (49, 73)
    )
    assert set(ids([*before, *after])) == uris(range(200)) - uris(range(50, 73))


def test_a_short_break_is_no_gap() -> None:
    with jetstream([post(number) for number in range(100)]) as host:
        page = until(source(host).fetch(None), 50)[-1]
        again = until(source(host).fetch(page.cursor), 1)
    assert [gap for page in again for gap in page.missed] == []


def test_a_stream_without_anything_for_us_still_moves_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SAVE_S", 0.1)
    with jetstream([post(number, lang="de") for number in range(20)]) as host:
        page = next(source(host, langs=["zh"]).fetch(None))
        last = host.events[-1]["time_us"]
    assert list(page.items) == []
    assert BEGIN_US < json.loads(page.cursor)["time_us"] <= int(str(last))


def test_a_post_claims_no_time_after_it_was_seen() -> None:
    future = post(1)
    assert isinstance(future["commit"], dict)
    future["commit"]["record"]["createdAt"] = "2099-01-01T00:00:00Z"
    with jetstream([future]) as host:
        (found,) = bodies(until(source(host).fetch(None), 1))
    assert found["published_at"] == str((BEGIN_US + STEP_US) // 1_000_000)


@pytest.mark.parametrize(
    "message", ["nonsense", "[" * 100_000, b"\xff\x00", "null", "5", '{"commit": 5}', '{"did": {}}']
)
def test_a_nonsensical_message_is_an_error_or_no_post_and_the_rest_still_comes(message: str | bytes) -> None:
    with jetstream([post(1), post(2)]) as host:
        host.first.append(message)
        found: list[str] = []
        for _ in range(2):
            try:
                found += ids(until(source(host).fetch(None), 2))
            except RetryableError:
                continue
            break
    assert set(found) == uris(range(1, 3))


def test_a_message_beyond_all_measure_ends_the_connection_and_not_the_program() -> None:
    with jetstream([post(1)]) as host:
        host.first.append("x" * 5_000_000)
        with pytest.raises(RetryableError, match="broke off"):
            until(source(host).fetch(None), 1)


def test_a_refused_handshake_is_retried_when_the_host_says() -> None:
    with jetstream([post(1)]) as host:
        host.refusals.extend([refusal(429, Retry_After="9"), refusal(500), refusal(302, Location="ws://10.0.0.1/")])
        waits = []
        for _ in range(3):
            with pytest.raises(RetryableError) as caught:
                next(source(host).fetch(None))
            waits.append(caught.value.after_s)
        assert waits == [9, None, None]
        assert ids(until(source(host).fetch(None), 1))


def test_a_silent_stream_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bluesky, "SILENT_S", 0.2)
    with jetstream([]) as host, pytest.raises(RetryableError, match="silent"):
        next(source(host).fetch(None))


def test_closing_ends_a_stream_in_which_nothing_happens() -> None:
    with jetstream([]) as host:
        streamed = source(host)
        streamed.close()
        assert list(streamed.fetch(None)) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/", "wss://"),
        ("ws://127.0.0.1:9/", "allow_hosts"),
        ("ws://[::ffff:10.0.0.1]:8080/", "open internet"),
        ("ws://me:pw@example.org/", "name or password"),
    ],
)
def test_an_address_that_may_not_be_asked_is_refused_for_ever(url: str, reason: str) -> None:
    with pytest.raises(FatalError, match=reason) as caught:
        next(build("bluesky", url=url).fetch(None))
    assert "pw" not in str(caught.value)


def test_a_cursor_of_another_kind_is_refused() -> None:
    with pytest.raises(FatalError, match="cursor"):
        next(build("bluesky").fetch('{"offset": 3}'))


def test_history_is_what_the_host_still_has_up_to_the_moment_it_was_asked_for() -> None:
    later_us = int(datetime.now(UTC).timestamp() * 1_000_000) + 3_600_000_000
    events = [post(n) for n in range(40)]
    after = [{**post(n), "time_us": later_us + n} for n in (40, 41)]
    since = datetime.fromtimestamp((BEGIN_US + 10 * STEP_US) / 1_000_000, UTC)
    with jetstream([*events, *after]) as host:
        pages = list(history(host).backfill(since, None))
        again = list(history(host).backfill(since, pages[0].cursor))
    # It goes back five seconds, as a stream that was cut does, and ends with the first event of a later time.
    assert set(ids(pages)) == uris(range(41))
    assert host.asked[0]["cursor"] == [str(BEGIN_US + 10 * STEP_US - stream.REWIND_US)]
    assert pages[-1].share == 1.0
    assert set(ids(again)) <= uris(range(41))


def test_history_that_the_host_has_dropped_is_recorded_as_a_gap() -> None:
    later_us = int(datetime.now(UTC).timestamp() * 1_000_000) + 3_600_000_000
    since = datetime.fromtimestamp(BEGIN_US / 1_000_000 - 3600, UTC)
    with jetstream([post(1), {**post(2), "time_us": later_us}]) as host:
        pages = list(history(host).backfill(since, None))
    assert len(ids(pages)) == 2
    assert [missed.since for page in pages for missed in page.missed] == [since]
