"""Push, over a real HTTP server."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Event, Thread

import pytest

from opinionwatch.connectors.webhook import Webhook
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.signature import Verifier
from tests.connectors.pushing import ONE, OTHER, SECRET, Desk, Sender, listening, listening_all


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def sender(desk: Desk) -> Iterator[Sender]:
    with listening(desk, body_bytes=1000) as sender:
        yield sender


def test_an_object_an_array_and_lines_are_taken_as_the_bytes_they_are(sender: Sender, desk: Desk) -> None:
    odd = b'[ {"native_id": "2", "n": 1e999, "n": NaN} ,\n\t"str", 12345678901234567890123, {"t":"\xff"} ]'
    assert sender.post(ONE)[:2] == (200, {"accepted": 1})
    assert sender.post(odd)[:2] == (200, {"accepted": 4})
    assert sender.post(ONE + b"\n\n{broken\r\n")[:2] == (200, {"accepted": 2})
    assert [item.body for item in desk.items] == [
        ONE, b'{"native_id": "2", "n": 1e999, "n": NaN}', b'"str"', b"12345678901234567890123", b'{"t":"\xff"}',
        ONE, b"{broken",
    ]  # fmt: skip


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_both_active_secrets_are_believed(sender: Sender, secret: str) -> None:
    assert sender.post(ONE, sender.headers(ONE, secret))[0] == 200


def test_one_of_several_signatures_is_enough(sender: Sender) -> None:
    headers = sender.headers(ONE)
    headers["webhook-signature"] = "v1,AAAA v2,zzz " + headers["webhook-signature"]
    assert sender.post(ONE, headers)[0] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_signature": None},
        {"webhook_signature": ""},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1,é".encode().decode("latin-1")},
        {"webhook_signature": "v1," + "A" * 44},
        {"webhook_id": "a.b"},
        {"webhook_id": "a" * 200},
        {"webhook_timestamp": "1"},
        {"webhook_timestamp": "-5"},
        {"webhook_timestamp": "1e9"},
        {"webhook_timestamp": "9" * 4000},
    ],
)
def test_what_is_not_signed_rightly_is_not_taken(sender: Sender, desk: Desk, changes: dict[str, str | None]) -> None:
    assert sender.post(ONE, **changes)[0] == 401
    assert desk.items == []


@pytest.mark.parametrize("seconds", [-400, 400])
def test_what_was_signed_too_long_ago_or_in_the_future_is_not_taken(sender: Sender, desk: Desk, seconds: int) -> None:
    assert sender.post(ONE, webhook_timestamp=str(int(time.time()) + seconds))[0] == 401
    assert desk.items == []


def test_another_secret_or_another_body_is_not_believed(sender: Sender, desk: Desk) -> None:
    assert sender.post(ONE, sender.headers(ONE, "x" * 32))[0] == 401
    assert sender.post(ONE.replace(b"hi", b"ho"), sender.headers(ONE))[0] == 401
    assert sender.post(json.dumps(json.loads(ONE), indent=1).encode(), sender.headers(ONE))[0] == 401
    assert desk.items == []


def test_a_header_that_stands_twice_is_not_believed(sender: Sender) -> None:
    headers = sender.headers(ONE)
    connection = http.client.HTTPConnection("127.0.0.1", sender.port, timeout=20)
    connection.putrequest("POST", "/hooks/push")
    for name, value in [*headers.items(), ("webhook-id", headers["webhook-id"]), ("Content-Length", str(len(ONE)))]:
        connection.putheader(name, value)
    connection.endheaders(ONE)
    assert connection.getresponse().status == 401
    connection.close()


def test_a_repetition_is_answered_and_not_taken_again(sender: Sender, desk: Desk) -> None:
    headers = sender.headers(ONE)
    assert sender.post(ONE, headers)[1] == {"accepted": 1}
    assert sender.post(ONE, headers)[:2] == (200, {"accepted": 0, "duplicate": True})
    other = ONE.replace(b"hi", b"ho")
    assert sender.post(other, sender.headers(other, webhook_id=headers["webhook-id"]))[0] == 409
    assert len(desk.items) == 1


def test_what_is_no_json_is_said_so(sender: Sender, desk: Desk) -> None:
    assert sender.post(b"hello")[0] == 400
    assert desk.items == []


def test_lines_that_say_they_are_lines_are_taken_one_by_one(sender: Sender, desk: Desk) -> None:
    assert sender.post(b"nonsense\n" + ONE, content_type="application/x-ndjson; charset=utf-8")[1] == {"accepted": 2}


def test_a_body_that_is_too_long_is_refused_announced_or_chunked(sender: Sender, desk: Desk) -> None:
    long = b'{"text": "' + b"x" * 5000 + b'"}'
    assert sender.post(long)[0] == 413
    chunked = sender.headers(long) | {"Transfer-Encoding": "chunked"}
    assert sender.raw((long[n : n + 100] for n in range(0, len(long), 100)), chunked)[0] == 413
    short = sender.headers(ONE) | {"Transfer-Encoding": "chunked"}
    assert sender.raw(iter([ONE[:5], ONE[5:]]), short)[0] == 200
    assert sender.post(ONE, content_encoding="gzip")[0] == 415
    assert [item.body for item in desk.items] == [ONE]


def test_only_post_is_known(sender: Sender) -> None:
    assert sender.raw(b"", {}, "GET")[0] == 405


def test_a_body_that_drips_is_given_up(desk: Desk) -> None:
    with listening(desk, timeout_s=0.3) as sender, socket.create_connection(("127.0.0.1", sender.port)) as slow:
        lines = [f"{name}: {value}" for name, value in {**sender.headers(ONE), "Content-Length": "100"}.items()]
        slow.sendall("\r\n".join(["POST /hooks/push HTTP/1.1", "Host: x", *lines, "", "{"]).encode())
        slow.settimeout(10)
        assert b" 408 " in slow.recv(200)
    assert desk.items == []


def test_taken_is_said_only_after_it_is_durable(desk: Desk) -> None:
    promise: Future[None] = Future()
    desk.durable = lambda: promise
    answers: list[int] = []
    with listening(desk) as sender:
        thread = Thread(target=lambda: answers.append(sender.post(ONE)[0]))
        thread.start()
        while not desk.items:
            Event().wait(0.01)
        assert answers == []
        promise.set_result(None)
        thread.join(10)
    assert answers == [200]


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (RetryableError("disk full", 17.2), "18"),
        (RetryableError("locked"), "5"),
        (FatalError("stopped"), "5"),
        (KeyError("bug"), "5"),
    ],
)
def test_what_is_not_stored_is_to_be_sent_again_and_then_taken(desk: Desk, error: Exception, after: str) -> None:
    broken: Future[None] = Future()
    broken.set_exception(error)
    desk.durable = lambda: broken
    with listening(desk) as sender:
        headers = sender.headers(ONE)
        status, answer, retry_after = sender.post(ONE, headers)
        assert (status, retry_after) == (503, after)
        assert str(error) not in json.dumps(answer)
        desk.durable = Desk.at_once
        assert sender.post(ONE, headers)[:2] == (200, {"accepted": 1})


def test_a_full_intake_is_said_at_once(desk: Desk) -> None:
    def full() -> "Future[None]":
        raise RetryableError("no room", after_s=3)

    desk.durable = full
    with listening(desk) as sender:
        assert sender.post(ONE)[::2] == (503, "3")


def test_a_promise_that_is_not_kept_in_time_is_no_promise_and_may_still_be_kept(desk: Desk) -> None:
    promise: Future[None] = Future()
    desk.durable = lambda: promise
    with listening(desk, timeout_s=0.2) as sender:
        assert sender.post(ONE)[0] == 503
        assert not promise.cancelled()
        promise.set_result(None)


def test_more_requests_than_it_works_on_at_once_are_sent_away(desk: Desk) -> None:
    promise: Future[None] = Future()
    desk.durable = lambda: promise
    first: list[int] = []
    with listening(desk, at_once=2) as sender:
        threads = [Thread(target=lambda: first.append(sender.post(ONE)[0])) for _ in range(2)]
        for thread in threads:
            thread.start()
        while len(desk.items) < 2:
            Event().wait(0.01)
        assert sender.post(ONE)[::2] == (503, "5")
        promise.set_result(None)
        for thread in threads:
            thread.join(10)
    assert first == [200, 200]


def test_renames_travel_with_the_items(desk: Desk) -> None:
    with listening(desk, fields={"text": "body"}) as sender:
        sender.post(b'{"body": 1}')
    assert desk.items[0].fields == (("text", "body"),)


def test_what_says_where_a_request_came_from_travels_with_the_items_and_its_signature_does_not(
    sender: Sender, desk: Desk
) -> None:
    told = {
        "user-agent": "shop/2",
        "content-type": "application/json",
        "cookie": "s3cret",
        "x-forwarded-for": "10.9.8.7",
    }
    given = sender.headers(ONE) | told
    assert sender.post(ONE, given)[0] == 200
    kept = dict(desk.items[0].headers)
    assert kept == {
        name: given[name].encode() for name in ("content-type", "user-agent", "webhook-id", "webhook-timestamp")
    }


def test_secrets_come_from_files_and_show_in_nothing(tmp_path: Path, desk: Desk) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    with listening(desk, secrets=[], secret_files=[str(file)]) as sender:
        assert sender.post(ONE)[0] == 200
    settings = Webhook.Settings.model_validate({"secrets": [SECRET]})
    assert SECRET not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()
    with pytest.raises(SettingsError, match="without a secret"):
        Verifier([], time.time)


def test_several_at_once_have_secrets_mappings_and_memories_of_their_own() -> None:
    desk = Desk()
    told = {
        "reviews": {"secrets": [SECRET], "fields": {"native_id": "review.id", "text": "review.body"}},
        "tickets": {"secrets": [OTHER], "fields": {"native_id": "ticket", "text": "comment.plain_body"}},
    }
    review = b'{"review": {"id": 7, "body": "awful"}}'
    ticket = b'{"ticket": "T7", "comment": {"plain_body": "it broke"}}'
    with listening_all(desk, told) as port:
        reviews, tickets = Sender(port, "reviews"), Sender(port, "tickets")
        one, two = {"webhook_id": "msg_1"}, {"webhook_id": "msg_1"}
        assert reviews.post(review, reviews.headers(review, SECRET, **one))[0] == 200
        assert tickets.post(ticket, tickets.headers(ticket, OTHER, **two))[0] == 200, "its ids are its own"
        assert tickets.post(review, tickets.headers(review, SECRET))[0] == 401, "the neighbour's secret is not its own"
        assert reviews.post(review, reviews.headers(review, SECRET, **one))[1] == {"accepted": 0, "duplicate": True}
    assert {name: [item.body for item in items] for name, items in desk.by.items()} == {
        "reviews": [review],
        "tickets": [ticket],
    }
    assert {name: dict(items[0].fields) for name, items in desk.by.items()} == {
        name: settings["fields"] for name, settings in told.items()
    }
