"""Mastodon's stream: posts as they come, what breaks leave out, edits and deletions, bad days."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from opinionwatch.connectors import gathering, http
from opinionwatch.connectors.checking import checked
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.mastodon import Mastodon
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Page, Source
from tests.connectors.mastodon_streaming import Streaming, mastodon_streaming
from tests.connectors.reading_services import HISTORY_H, bodies, ids
from tests.connectors.services import MastodonServer
from tests.contract.source_suite import build


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite asks its own server faster than is polite, and waits less long."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))
    monkeypatch.setattr(gathering, "PAGE_S", 0.1)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("t0ken")
    return tmp_path / "token"


def source(server: Streaming, token: Path, **given: object) -> Source:
    assert server.rest is not None
    told = {"hashtags": ["#Lumora"], "history_h": HISTORY_H, "token_file": str(token), **given}
    return build("mastodon_stream", url=server.rest.url, allow_hosts=["127.0.0.1"], **told)


def uris(numbers: range) -> set[str]:
    return {f"https://social.example/users/u/statuses/{n}" for n in numbers}


def until(pages: Iterator[Page], wanted: set[str]) -> list[Page]:
    """Pages until all of these were there."""
    taken: list[Page] = []
    while not set(ids(taken)) >= wanted:
        taken.append(next(pages))
    return taken


def update(number: int, **changed: object) -> dict[str, object]:
    """An event with a status."""
    return {"event": "update", "payload": json.dumps({**MastodonServer.status(number, "lumora"), **changed})}


def test_what_stands_there_comes_over_rest_and_what_is_written_then_over_the_stream(token: Path) -> None:
    with mastodon_streaming(50, 80, "t0ken") as server:
        found = bodies(until(source(server, token).fetch(None), uris(range(1, 81))))
    assert {body["native_id"] for body in found} == uris(range(1, 81))
    last = next(body for body in found if str(body["native_id"]).endswith("/80"))
    assert (last["text"], last["author"], last["lang"]) == (
        "<p>post 80 on <a href='#'>#lumora</a></p>",
        "user0@social.example",
        "de",
    )


def test_a_stream_that_breaks_at_random_a_hundred_times_loses_nothing_of_what_was_written_meanwhile(
    token: Path,
) -> None:
    dice = random.Random(5)
    found: list[str] = []
    cursor = None
    with mastodon_streaming(5, 2_000, "t0ken") as server:
        server.burst = 4
        # More breaks than needed: a connection never tells more than is remembered (`late_s`) of what REST has shown.
        server.breaks.extend(dice.randrange(1, 25) for _ in range(200))
        while not set(found) >= uris(range(1, 2_001)):
            try:
                for page in source(server, token).fetch(cursor):
                    found += ids([page])
                    cursor = page.cursor
                    if set(found) >= uris(range(1, 2_001)):
                        break
            except RetryableError:
                continue
    assert server.lives > 100
    # At least once: what a break makes it hand on again bears the same ids, and the ledger drops it.
    assert set(found) == uris(range(1, 2_001))


def test_a_post_that_is_deleted_before_its_page_is_full_is_handed_on_as_a_deletion_only(
    token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "PAGE_S", 1.0)
    with mastodon_streaming(0, 0, "t0ken") as server:
        server.events.extend([update(7), {"event": "delete", "payload": "7"}, update(8)])
        first, second = bodies(until(source(server, token).fetch(None), uris(range(8, 9))))
    assert first == {"native_id": uris(range(7, 8)).pop(), "text": "", "html": False, "deleted": True}
    assert "deleted" not in second


def test_a_deletion_is_handed_on_after_the_post_and_one_of_a_post_that_nobody_saw_is_not(token: Path) -> None:
    with mastodon_streaming(0, 0, "t0ken") as server:
        server.events.extend([update(7), {"event": "delete", "payload": "6"}, update(8)])
        pages = source(server, token).fetch(None)
        found = bodies(until(pages, uris(range(7, 9))))
        assert not any("deleted" in body for body in found)
        server.events.extend([{"event": "delete", "payload": "7"}, update(9)])
        [gone] = [body for body in bodies(until(pages, uris(range(9, 10)))) if body.get("deleted")]
    assert gone["native_id"] == uris(range(7, 8)).pop()


def test_an_edit_comes_with_its_time_and_figures_of_engagement_come_with_the_post(token: Path) -> None:
    figures = {"favourites_count": 5, "reblogs_count": 2, "replies_count": 1}
    edited = {**update(7, edited_at="2026-03-01T00:00:00Z", **figures), "event": "status.update"}
    with mastodon_streaming(0, 0, "t0ken") as server:
        server.events.extend([edited, update(8)])
        first, second = bodies(until(source(server, token).fetch(None), uris(range(7, 9))))
    assert {name: first[name] for name in ("edited_at", "likes", "reposts", "replies")} == {
        "edited_at": "2026-03-01T00:00:00Z", "likes": 5, "reposts": 2, "replies": 1,
    }  # fmt: skip
    assert "edited_at" not in second


def test_an_edit_is_handed_on_again_under_the_same_id_and_a_repetition_is_not(token: Path) -> None:
    edited = {**update(7, content="<p>edited</p>", edited_at="2026-03-01T00:00:00Z"), "event": "status.update"}
    with mastodon_streaming(0, 0, "t0ken") as server:
        pages = source(server, token).fetch(None)
        server.events.append(update(7))
        taken = until(pages, uris(range(7, 8)))
    with mastodon_streaming(0, 0, "t0ken") as server:
        server.events.extend([update(7), edited, update(9)])
        found = bodies(until(source(server, token).fetch(taken[-1].cursor), uris(range(9, 10))))
    texts = [str(body["text"]) for body in found]
    assert "<p>edited</p>" in texts
    assert "<p>post 7 on <a href='#'>#lumora</a></p>" not in texts


def test_boosts_and_posts_of_those_who_do_not_want_to_be_found_are_left_out(token: Path) -> None:
    hidden = {"acct": "u", "noindex": True}
    with mastodon_streaming(0, 0, "t0ken") as server:
        server.events.extend([update(1, reblog={"id": "3"}), update(2, account=hidden), update(3)])
        assert ids(until(source(server, token).fetch(None), uris(range(3, 4)))) == list(uris(range(3, 4)))


@pytest.mark.parametrize(
    "event",
    [
        {"event": "update", "payload": "{half"},
        {"event": "update", "payload": "[" * 50_000},
        {"event": "update", "payload": None},
        {"event": "update"},
        {"event": "delete", "payload": {"id": 5}},
        {"event": "filters_changed"},
        {"event": 5, "payload": 5},
        {"error": "Unknown stream type", "status": 400},
    ],
)
def test_a_nonsensical_event_is_an_error_or_nothing_and_the_rest_still_comes(
    event: dict[str, object], token: Path
) -> None:
    with mastodon_streaming(0, 0, "t0ken") as server:
        server.events.extend([event, update(1)])
        found: list[str] = []
        for _ in range(2):
            try:
                found += ids(until(source(server, token).fetch(None), uris(range(1, 2))))
            except RetryableError:
                server.posts.count = 1  # over REST it is there, too
                continue
            break
    assert set(found) == uris(range(1, 2))


def test_after_a_long_silence_it_connects_anew_and_sees_what_the_stream_did_not_tell(token: Path) -> None:
    with mastodon_streaming(3, 3, "t0ken") as server:
        pages = source(server, token, interval_s=1).fetch(None)
        until(pages, uris(range(1, 4)))
        server.posts.count = server.upto = 5
        assert set(ids(until(pages, uris(range(4, 6))))) == uris(range(4, 6))
        assert server.lives >= 2


def test_a_check_asks_both_ways_and_a_refused_token_says_what_to_do(token: Path) -> None:
    with mastodon_streaming(3, 3, "t0ken") as server:
        fine = checked(source(server, token), 10)
        token.write_text("0ld")
        refused = checked(source(server, token), 10)
    away = checked(source(server, token), 10)
    assert (fine.works, refused.works, away.works) == (True, False, False)
    assert "127.0.0.1 streams; the service answers" in fine.words
    assert refused.words.endswith("renew the key or token and write it to its file") and "0ld" not in refused.words


def test_a_server_that_would_stream_our_token_unencrypted_is_not_told_it(
    token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mastodon, "streams_at", lambda _: "ws://social.example")
    secure = build("mastodon_stream", url="https://social.example", hashtags=["x"], token_file=str(token))
    with pytest.raises(RetryableError, match="unencrypted"):
        next(secure.fetch(None))
