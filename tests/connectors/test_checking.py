"""`source check`: a real, cheap call of each service, and a clear word on what to do when it says no."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.checking import Verdict, checked
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.pipeline.ports import CheckableSource
from opinionwatch.pipeline.registry import resolve
from tests.connectors.bridges import RssHub
from tests.connectors.imitation import FAULTS, Told
from tests.connectors.jetstream import jetstream, post, refusal
from tests.connectors.mail_server import Mailbox, mail, mail_server
from tests.connectors.services import StackExchangeSite
from tests.contract.source_suite import Making, World, build
from tests.contract.source_worlds import ASKED, OTHERS, STREAMED, TOKEN, service

Worlds = Callable[[Path], AbstractContextManager[Making]]
RSS = service("rss", lambda: RssHub(50), history_h=None)
MORE = {"bridge": OTHERS["bridge"][0], "rss": RSS}
WORLDS = [pytest.param(world, id=kind) for kind, world in [*((kind, ASKED[kind][0]) for kind in ASKED), *MORE.items()]]
CHEAP = 2
"""Requests that a look may cost: one for a token, one for the question."""


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def verdict(make: Making, *faults: Told) -> Verdict:
    """What a check says while the service has bad moments."""
    assert make.service is not None
    make.service.faults.clear()
    make.service.faults.extend(faults)
    make.service.asked.clear()
    source = make()
    assert isinstance(source, CheckableSource)
    found = checked(source, 10)
    assert len(make.service.asked) <= CHEAP + len(faults)
    assert TOKEN not in found.words and "s3cret" not in found.words
    return found


@pytest.mark.parametrize("world", WORLDS)
def test_a_service_that_is_fine_says_so_for_the_price_of_a_question(world: Worlds, tmp_path: Path) -> None:
    with world(tmp_path) as make:
        found = verdict(make)
    assert found.works
    assert len(found.words) > 10


@pytest.mark.parametrize("world", WORLDS)
def test_expired_credentials_say_what_to_renew(world: Worlds, tmp_path: Path) -> None:
    expired = FAULTS["an expired token"]
    with world(tmp_path) as make:
        found = verdict(make, expired, expired, expired)
    assert not found.works
    assert found.words.endswith("the credentials are refused: renew the key or token and write it to its file")


@pytest.mark.parametrize("world", WORLDS)
def test_too_many_requests_say_how_long_to_wait(world: Worlds, tmp_path: Path) -> None:
    with world(tmp_path) as make:
        found = verdict(make, FAULTS["too many requests"])
    assert not found.works
    assert "raise interval_s" in found.words and found.words.endswith("it says to wait 7 s")


@pytest.mark.parametrize("world", WORLDS)
def test_a_service_with_a_fault_of_its_own_is_not_ours_to_mend(world: Worlds, tmp_path: Path) -> None:
    with world(tmp_path) as make:
        found = verdict(make, FAULTS["an error of its own"])
    assert not found.works
    assert "nothing has to be changed here" in found.words


@pytest.mark.parametrize("world", WORLDS)
def test_what_answers_something_else_is_not_taken_for_the_service(world: Worlds, tmp_path: Path) -> None:
    with world(tmp_path) as make:
        found = verdict(make, FAULTS["a web page"])
    assert not found.works
    assert "something else answers" in found.words


@pytest.mark.parametrize("world", WORLDS)
def test_a_service_that_is_not_there_says_where_to_look(world: Worlds, tmp_path: Path) -> None:
    with world(tmp_path) as make:
        source = make()
    assert isinstance(source, CheckableSource)
    found = checked(source, 10)
    assert not found.works
    assert "it cannot be reached: look at the address, at DNS and at the firewall" in found.words


def test_bluesky_is_asked_for_one_event() -> None:
    with jetstream([post(1)]) as host:
        fine = checked(build("bluesky", url=host.url, allow_hosts=["127.0.0.1"]), 10)
        host.refusals.append(refusal(429, Retry_After="9"))
        busy = checked(build("bluesky", url=host.url, allow_hosts=["127.0.0.1"]), 10)
    away = checked(build("bluesky", url=host.url, allow_hosts=["127.0.0.1"]), 10)
    assert (fine.works, busy.works, away.works) == (True, False, False)
    assert busy.words.endswith("it says to wait 9 s")


def test_imap_is_signed_in_to_and_says_whether_the_password_or_the_way_to_it_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "right").write_text("s3cret")
    (tmp_path / "wrong").write_text("wr0ng")
    told = {"host": "127.0.0.1", "security": "none", "allow_hosts": ["127.0.0.1"], "user": "help"}
    with mail_server(Mailbox({uid: mail(uid) for uid in range(1, 4)})) as box:
        words = [
            checked(build("imap", **told, port=box.port, secret_file=str(tmp_path / name)), 10)
            for name in ("right", "wrong")
        ]
    away = checked(build("imap", **told, port=box.port, secret_file=str(tmp_path / "right")), 10)
    assert [found.works for found in (*words, away)] == [True, False, False]
    assert "renew the key or token" in words[1].words and "wr0ng" not in words[1].words
    assert "it cannot be reached" in away.words


def test_a_quota_that_stands_in_the_answer_is_shown(tmp_path: Path) -> None:
    with service("stackexchange", lambda: StackExchangeSite(5), site="stackoverflow")(tmp_path) as make:
        found = checked(make(), 10)
    assert found.words.endswith("; 9 of 300 requests left")


def test_every_source_that_speaks_to_a_service_can_be_checked() -> None:
    asked: dict[str, tuple[World, ...]] = {**ASKED, **OTHERS, **STREAMED}
    for kind in asked:
        assert callable(getattr(resolve(CONNECTORS, kind, kind), "check", None)), kind
