"""Reading a mail folder: order, restarts, renumbering, hostile servers, Google's digests."""

import json
import time
from base64 import b64encode
from collections import deque
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from opinionwatch.connectors import imap, mail_box
from opinionwatch.connectors.google_alerts import announced
from opinionwatch.connectors.imap import Imap
from opinionwatch.connectors.mail import entry_of
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from tests.connectors.mail_server import Mailbox, mail, mail_server
from tests.connectors.reading_services import bodies, ids
from tests.contract.source_suite import build


def source(box: Mailbox, key: Path, **given: object) -> Imap:
    told = {"host": "127.0.0.1", "port": box.port, "security": "none", "allow_hosts": ["127.0.0.1"], **given}
    found = build("imap", secret_file=key, **{"user": "help", **told})
    assert isinstance(found, Imap)
    return found


def test_new_mail_comes_once_without_quotes_and_attachments_and_nothing_is_changed(key: Path) -> None:
    with mail_server(Mailbox({uid: mail(uid) for uid in (3, 4, 9)})) as box:
        pages = list(source(box, key).fetch(None))
        assert list(source(box, key).fetch(pages[-1].cursor)) == []
        box.mails[12] = mail(12)
        assert ids(source(box, key).fetch(pages[-1].cursor)) == ["<12@example.org>"]
    assert bodies(pages)[0] == {
        "native_id": "<3@example.org>",
        "text": "mail 3, the battery is awful",
        "title": "Ticket 3: 电池",
        "author": "ann@example.org",
        "published_at": "2026-03-01T08:00:00+08:00",
        "html": False,
    }
    words = {command.split()[0] for command in box.log}
    assert words == {"CAPABILITY", "LOGIN", "EXAMINE", "UID", "LOGOUT"}


def test_a_kill_between_pages_loses_and_repeats_nothing(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "PAGE_MAILS", 4)
    with mail_server(Mailbox({uid: mail(uid) for uid in range(1, 31)})) as box:
        found: list[str] = []
        cursor = None
        while page := next(source(box, key).fetch(cursor), None):
            found += ids([page])
            cursor = page.cursor
    assert found == [f"<{n}@example.org>" for n in range(1, 31)]


def test_a_renumbered_folder_is_read_again_under_the_same_ids(key: Path) -> None:
    with mail_server(Mailbox({uid: mail(uid) for uid in (1, 2)})) as box:
        pages = list(source(box, key).fetch(None))
        box.validity, box.mails = 8, {uid + 50: data for uid, data in box.mails.items()}
        assert ids(source(box, key).fetch(pages[-1].cursor)) == ids(pages)


def test_signing_in_with_a_token(key: Path) -> None:
    with mail_server(Mailbox({1: mail(1)})) as box:
        assert ids(source(box, key, auth="xoauth2").fetch(None))


@pytest.mark.parametrize(
    ("user", "password"), [("jörg", "s3cret"), ("help", "pässwörd"), ("客服@example.org", "密码"), ("help", 'a"b\\c')]
)
def test_names_and_passwords_may_hold_any_character(key: Path, user: str, password: str) -> None:
    key.write_text(password, "utf-8")
    with mail_server(Mailbox({1: mail(1)}, user=user, password=password)) as box:
        assert ids(source(box, key, user=user).fetch(None)) == ["<1@example.org>"]


def test_what_a_server_says_of_a_refusal_is_shown(key: Path) -> None:
    key.write_text("wr0ng\n")
    with (
        mail_server(Mailbox({1: mail(1)}, says="[ALERT] get an app password")) as box,
        pytest.raises(RetryableError, match="get an app password"),
    ):
        list(source(box, key).fetch(None))


def test_a_name_of_two_words_is_one_name(key: Path) -> None:
    with mail_server(Mailbox({1: mail(1)}, user="help desk")) as box:
        assert ids(source(box, key, user="help desk").fetch(None)) == ["<1@example.org>"]


def test_a_server_that_cannot_take_such_a_name_is_not_tried_for_ever(key: Path) -> None:
    with (
        mail_server(Mailbox({1: mail(1)}, user="jörg", mechanisms="AUTH=XOAUTH2")) as box,
        pytest.raises(FatalError, match=r"AUTH=PLAIN.*ASCII"),
    ):
        list(source(box, key, user="jörg").fetch(None))
    assert not [command for command in box.log if command.startswith("LOGIN")]


@pytest.mark.parametrize("password", ["wr0ng", 'wr"0ng', "wr\\0ng", "wr'0\"ng", "wröng"])
def test_no_spelling_of_a_refused_password_is_shown(key: Path, password: str) -> None:
    key.write_text(password, "utf-8")
    with mail_server(Mailbox({1: mail(1)})) as box, pytest.raises(RetryableError) as caught:
        list(source(box, key).fetch(None))
    assert "0ng" not in str(caught.value)
    assert "öng" not in str(caught.value)
    assert b64encode(f"\0help\0{password}".encode()).decode() not in str(caught.value)


@pytest.mark.parametrize("user", ["a\r\nA1 LOGOUT", "a\x01auth=x", "a\x00b"])
def test_a_name_that_would_end_its_line_is_refused_at_the_start(key: Path, user: str) -> None:
    with pytest.raises(SettingsError, match="user"):
        build("imap", host="imap.example.org", user=user, secret_file=key)


def test_a_wrong_password_is_an_error_that_does_not_show_it(key: Path) -> None:
    key.write_text("wr0ng\n")
    with (
        mail_server(Mailbox({1: mail(1)})) as box,
        pytest.raises(RetryableError, match="AUTHENTICATIONFAILED") as caught,
    ):
        list(source(box, key).fetch(None))
    assert "wr0ng" not in str(caught.value)
    assert caught.value.__cause__ is None, "the library's own error repeats what was sent"


@pytest.mark.parametrize(
    "told",
    [
        None,
        b"* 1 FETCH (UID 1 BODY[]<0> {999999999}\r\nabc",
        b"nonsense\r\n",
        b"* 1 FETCH (UID 1 BODY[]<0> {50}\r\nshort",
        b"x" * 2_000_000,
    ],
)
def test_a_server_that_breaks_off_or_lies_is_retried_and_nothing_is_lost(key: Path, told: bytes | None) -> None:
    with mail_server(Mailbox({uid: mail(uid) for uid in range(1, 5)})) as box:
        if told is not None and not told.endswith(b"\r\n"):
            box.faults.extend([told, None])
        else:
            box.faults.append(told)
        polled = source(box, key)
        box_step = mail_box.STEP_S
        try:
            mail_box.STEP_S = 0.5
            with pytest.raises(RetryableError):
                list(polled.fetch(None))
        finally:
            mail_box.STEP_S = box_step
        box.faults.clear()
        assert len(ids(polled.fetch(None))) == 4


@pytest.mark.parametrize(
    ("bound", "most", "said"), [("ANSWER_BYTES", 1_000_000, "more than was asked"), ("ANSWER_S", 0.3, "no end")]
)
def test_a_server_whose_answer_never_ends_is_left(
    key: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: float, said: str
) -> None:
    monkeypatch.setattr(mail_box, bound, most)
    with (
        mail_server(Mailbox({1: mail(1)}, flood=b"* OK still at it\r\n" * 1_000)) as box,
        pytest.raises(RetryableError, match=said),
    ):
        list(source(box, key).fetch(None))


def test_check_says_what_is_there(key: Path) -> None:
    with mail_server(Mailbox({uid: mail(uid) for uid in range(1, 5)})) as box:
        assert source(box, key).check() == "signed in; INBOX holds 4 messages"
        with pytest.raises(RetryableError, match="no such folder"):
            source(box, key, folder="Nowhere").check()


def test_without_tls_only_a_named_host_is_asked(key: Path) -> None:
    with pytest.raises(FatalError, match="allow_hosts"):
        build("imap", host="imap.example.org", security="none", user="me", secret_file=key)


def test_an_address_inside_is_refused(key: Path) -> None:
    with pytest.raises(FatalError, match="open internet"):
        list(build("imap", host="10.0.0.1", user="me", secret_file=key).fetch(None))


def test_tls_to_a_server_that_speaks_none_is_an_error(key: Path) -> None:
    with mail_server(Mailbox({})) as box, pytest.raises(RetryableError):
        list(source(box, key, security="tls").fetch(None))


def test_a_cursor_of_another_kind_is_refused(key: Path) -> None:
    with pytest.raises(FatalError, match="cursor"):
        list(build("imap", host="imap.example.org", user="me", secret_file=key).fetch('{"offset": 3}'))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?utf-8?b?!!!!?=\nContent-Type: text/plain; charset=nonsense\n\nhello \xff",
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\n--a\n" * 50,
        b"From: \nDate: nonsense\nSubject: x\n\ny",
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!\n",
        mail(1)[:300],
    ],
)
def test_a_hostile_message_is_read_as_far_as_it_can_be(raw: bytes) -> None:
    entry = entry_of(raw, "7:1")
    assert entry is None or json.loads(entry.body())["native_id"]


def test_a_message_in_gb18030_html_is_text() -> None:
    message = EmailMessage()
    message["Subject"] = "投诉"
    message.set_content("<p>电池太差了</p>", subtype="html", charset="gb18030")
    entry = entry_of(message.as_bytes(), "7:1")
    assert entry is not None
    assert (entry.text.strip(), entry.title, entry.html, entry.native_id) == ("<p>电池太差了</p>", "投诉", True, "7:1")


def test_a_letter_crafted_to_stop_the_reading_is_read_and_so_are_those_after_it(key: Path) -> None:
    crafted = b"Message-ID: <1@example.org>\nContent-Type: text/plain; charset=unicode_escape\n\nawful \\ud800\n"
    with mail_server(Mailbox({1: crafted, 2: mail(2)})) as box:
        found = bodies(source(box, key).fetch(None))
    assert [body["native_id"] for body in found] == ["<1@example.org>", "<2@example.org>"]
    assert found[0]["text"] == "awful \\ud800\n"


def test_a_letter_labelled_gb2312_may_hold_what_gbk_adds() -> None:
    subject = b"=?gb2312?B?" + b64encode("囧,朱镕基".encode("gbk")) + b"?="
    raw = b"Subject: " + subject + b"\nContent-Type: text/plain; charset=gb2312\n\n" + "喆:电池太差了".encode("gbk")
    entry = entry_of(raw, "7:1")
    assert entry is not None
    assert (entry.title, entry.text) == ("囧,朱镕基", "喆:电池太差了")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Subject", b"a "),
        ("Subject", b"=?utf-8?q?a?= "),
        ("From", b"a@example.org,"),
        ("From", b"<"),
        ("Message-ID", b"a."),
        ("Content-Type", b"text/plain; a=b;"),
        ("Content-Transfer-Encoding", b"a "),
        ("Content-Disposition", b"a;"),
    ],
)
def test_one_letter_with_a_header_as_long_as_a_letter_does_not_stall_the_reading(name: str, unit: bytes) -> None:
    crafted = name.encode() + b": " + unit * (300_000 // len(unit)) + b"\n\nstill here\n"
    began = time.monotonic()
    entry = entry_of(crafted, "7:1")
    assert entry is not None
    assert entry.text == "still here\n"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("label", ["x-nobody-knows", "us-ascii", "punycode", '"', "gb2312"])
def test_a_letter_whose_label_is_wrong_or_unknown_is_read_as_what_it_is(label: str) -> None:
    entry = entry_of(f"Content-Type: text/plain; charset={label}\n\n电池太差了".encode(), "7:1")
    assert entry is not None
    assert entry.text == "电池太差了"


def test_japanese_mail_with_one_bad_character_keeps_the_others() -> None:
    body = "電池".encode("iso2022_jp").replace(b"\x1b(B", b"\x7f\x7f\x1b(B")
    entry = entry_of(b"Content-Type: text/plain; charset=iso-2022-jp\n\n" + body, "7:1")
    assert entry is not None
    assert entry.text.startswith("電池")


@pytest.mark.parametrize(
    ("folder", "sent"),
    [
        ("客服", "&W6JnDQ-"),
        ("INBOX/客服 2026", "INBOX/&W6JnDQ- 2026"),
        ("R&D", "R&-D"),
        ("&W6JnDQ-", "&W6JnDQ-"),
        ("R&-D", "R&-D"),
    ],
)
def test_folders_are_named_in_any_script_or_as_the_server_spells_them(key: Path, folder: str, sent: str) -> None:
    with mail_server(Mailbox({1: mail(1)}, folder=sent)) as box:
        assert ids(source(box, key, folder=folder).fetch(None)) == ["<1@example.org>"]
        assert source(box, key, folder=folder).check() == f"signed in; {folder} holds 1 messages"


def test_a_mailbox_whose_uids_fill_more_than_a_line_is_read_from_its_first_message(key: Path) -> None:
    with mail_server(Mailbox(dict.fromkeys(range(100_000, 300_000), mail(1)))) as box:
        page = next(source(box, key).fetch(None))
    assert json.loads(page.cursor)["uid"] == 100_019
    assert page.share == 20 / 200_000


def test_what_is_moved_away_between_two_searches_hides_no_other_message(
    key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "SEARCHED", 4)
    with mail_server(Mailbox({uid: mail(uid) for uid in range(1, 12)}, leaving=deque([1, 2, 3]))) as box:
        pages = list(source(box, key).fetch(None))
        assert ids(pages) == [f"<{n}@example.org>" for n in range(4, 12)]
        assert list(source(box, key).fetch(pages[-1].cursor)) == []
        box.mails[12] = mail(12)
        assert ids(source(box, key).fetch(pages[-1].cursor)) == ["<12@example.org>"]


def test_the_history_of_a_large_mailbox_is_searched_whole(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "SEARCHED", 4)
    came = {uid: datetime(2026, 3, 21 - uid, tzinfo=UTC) for uid in range(1, 21)}
    with mail_server(Mailbox({uid: mail(uid) for uid in came}, came=came)) as box:
        pages = list(source(box, key).backfill(datetime(2026, 3, 11, tzinfo=UTC), None))
    assert ids(pages) == [f"<{n}@example.org>" for n in range(1, 11)]


def digest(sender: str = "Google Alerts <googlealerts-noreply@google.com>", markup: object = None) -> bytes:
    """A digest of Google Alerts."""
    widgets = [
        {
            "type": "LINK",
            "title": f"Lumora <b>recall</b> {n}",
            "description": f"Batteries swell, case {n}",
            "url": f"https://www.google.com/url?rct=j&sa=t&url=https://news.example/{n}&ct=ga&usg=x",
        }
        for n in (1, 2)
    ]
    told = {"cards": [{"title": "Google Alert - Lumora", "widgets": widgets}]} if markup is None else markup
    message = EmailMessage()
    message["From"], message["Subject"], message["Date"] = (
        sender,
        "Google Alert - Lumora",
        "Sun, 01 Mar 2026 08:00:00 +0000",
    )
    markup = f'<script data-scope="inboxmarkup" type="application/json">{json.dumps(told)}</script>'
    page = f"<html><head>{markup}</head></html>"
    message.set_content("plain part")
    message.add_alternative(page, subtype="html")
    return message.as_bytes()


def test_a_digest_of_google_alerts_becomes_what_it_announces_and_other_mail_is_left_alone(key: Path) -> None:
    with mail_server(Mailbox({1: digest(), 2: mail(2), 3: digest()})) as box:
        found = bodies(source(box, key, digests="google_alerts").fetch(None))
    assert [body["native_id"] for body in found] == ["https://news.example/1", "https://news.example/2"] * 2
    assert found[0]["title"] == "Lumora <b>recall</b> 1"
    assert found[0]["text"] == "Batteries swell, case 1"
    assert found[0]["source"] == "news.example"


@pytest.mark.parametrize(
    "raw", [digest("x <eve@example.org>"), digest(markup={"cards": 5}), digest(markup=[]), mail(1), b""]
)
def test_what_is_no_digest_announces_nothing(raw: bytes) -> None:
    assert list(announced(raw)) == []


def test_history_is_the_mail_that_came_since_a_day(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "PAGE_MAILS", 4)
    came = {uid: datetime(2026, 3, uid, tzinfo=UTC) for uid in range(1, 21)}
    with mail_server(Mailbox({uid: mail(uid) for uid in came}, came=came)) as box:
        pages = list(source(box, key).backfill(datetime(2026, 3, 11, 23, tzinfo=UTC), None))
        rest = list(source(box, key).backfill(datetime(2026, 3, 11, 23, tzinfo=UTC), pages[0].cursor))
    assert ids(pages) == [f"<{n}@example.org>" for n in range(11, 21)], "of the whole day: IMAP knows no hours"
    assert ids(rest) == ids(pages[1:])
    assert [page.share for page in pages] == [0.4, 0.8, 1.0]
    assert [page.share for page in rest] == [0.8, 1.0]
