import socket
from email.message import EmailMessage
from pathlib import Path

import pytest
from pydantic import SecretStr

from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.chart import chart
from opinionwatch.alerts.email_smtp import Email
from opinionwatch.alerts.message import render
from opinionwatch.alerts.words import Lang
from opinionwatch.pipeline.contracts_trend import Alert, Message
from opinionwatch.pipeline.errors import RejectedError, RetryableError, SettingsError
from tests.alerts.sample import OPENED, crisis, windows
from tests.alerts.smtp_stub import CERTIFICATE, PASSWORD, USER, SmtpStub, smtp_stub

ONE, OTHER = "mei@desk.example", "jo@desk.example"


def said(alert: Alert, lang: Lang = "en", *, repeat: bool = False, drawn: bool = True) -> Message:
    return render(
        alert,
        lang=lang,
        public_url="https://watch.example",
        watchlist_name="Lumora",
        repeat=repeat,
        chart_png=chart(windows(2), OPENED) if drawn else None,
    )


def email(stub: SmtpStub | int, **more: object) -> Email:
    given: dict[str, object] = {
        "host": "127.0.0.1",
        "port": stub if isinstance(stub, int) else stub.port,
        "security": "none",
        "sender": "alerts@watch.example",
        "recipients": (ONE, OTHER),
        "timeout_s": 10,
    }
    return Email("email", Email.Settings.model_validate(given | more))


def text_of(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_mail_has_a_plain_part_and_an_html_part_with_the_chart_in_it(lang: Lang) -> None:
    message = said(crisis(), lang)
    with smtp_stub() as stub:
        email(stub).notify(message)
        (mail,) = stub.mails
    plain, rich = mail.iter_parts()
    assert mail.get_content_type() == "multipart/alternative"
    assert plain.get_content_type() == "text/plain"
    assert rich.get_content_type() == "multipart/related"
    html, picture = rich.iter_parts()
    assert html.get_content_type() == "text/html"
    assert picture.get_content() == message.chart_png
    assert f"cid:{picture['Content-ID'][1:-1]}" in text_of(mail, "html")
    for part in (text_of(mail, "plain"), text_of(mail, "html")):
        for text in (message.summary, message.link, message.alert_id, "半天就没电了", *dict(message.facts)):
            assert text in part


def test_the_dashboard_stands_beside_the_page_where_there_is_one() -> None:
    address = "https://kibana.example/app/dashboards#/view/ow-episode?_g=%28time%29&_a=%28query%29"
    with smtp_stub() as stub:
        email(stub).notify(said(crisis(), "zh", drawn=False))
        email(stub).notify(said(crisis(), "zh", drawn=False).model_copy(update={"dashboard": address}))
        without, mail = stub.mails
    assert "Kibana" not in text_of(without, "plain") + text_of(without, "html")
    assert f"在Kibana中查看: {address}" in text_of(mail, "plain")
    assert f'<a href="{address.replace("&", "&amp;")}"' in text_of(mail, "html")


def test_without_a_chart_the_mail_is_plain_and_html_only() -> None:
    with smtp_stub() as stub:
        email(stub).notify(said(crisis(), drawn=False))
        (mail,) = stub.mails
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert "cid:" not in text_of(mail, "html")


def test_the_headers_file_thread_and_date_it() -> None:
    opened, resolved = crisis(), crisis("resolved")
    with smtp_stub() as stub:
        email(stub).notify(said(opened))
        email(stub).notify(said(resolved))
        first, last = stub.mails
    assert first["Subject"] == "[opinionwatch] Lumora: public mood has turned negative"
    assert first["From"] == "opinionwatch <alerts@watch.example>"
    assert first["To"] == f"{ONE}, {OTHER}"
    assert first["Message-ID"] == f"<{opened.id}@watch.example>"
    assert first["In-Reply-To"] is None
    assert last["Message-ID"] == f"<{resolved.id}@watch.example>"
    assert last["In-Reply-To"] == last["References"] == first["Message-ID"]
    assert first["Date"].datetime == opened.at
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["List-Id"] == "opinionwatch alerts <alerts.opinionwatch.watch.example>"


def test_the_same_message_is_the_same_mail_byte_for_byte_and_a_repetition_keeps_its_id() -> None:
    with smtp_stub() as stub:
        for repeat in (False, False, True):
            email(stub).notify(said(crisis(), repeat=repeat))
        first, second, third = stub.received
        assert first == second
        assert len({mail["Message-ID"] for mail in stub.mails}) == 1
    assert b"sent again" not in first
    assert b"sent again" in third


@pytest.mark.parametrize("answer", ["451 greylisted", "421 going down", "452 full"])
def test_a_temporary_refusal_is_retryable(answer: str) -> None:
    with smtp_stub() as stub:
        stub.data = [answer]
        with pytest.raises(RetryableError, match=answer) as caught:
            email(stub).notify(said(crisis()))
        assert not isinstance(caught.value, UncertainError)
        email(stub).notify(said(crisis()))
        assert len(stub.received) == 1


def test_a_final_refusal_is_rejected_with_the_servers_words() -> None:
    with smtp_stub() as stub:
        stub.data = ["554 no thanks"]
        with pytest.raises(RejectedError, match="554 no thanks") as caught:
            email(stub).notify(said(crisis()))
    assert caught.value.reason == "channel_refused"


def test_a_line_that_dies_after_the_mail_leaves_it_open_whether_it_got_through() -> None:
    with smtp_stub() as stub:
        stub.data = ["drop"]
        with pytest.raises(UncertainError):
            email(stub).notify(said(crisis()))
        assert len(stub.received) == 1


def test_only_recipients_refused_for_now_get_the_repetition() -> None:
    with smtp_stub() as stub:
        stub.rcpt = {OTHER: ["450 try later"]}
        channel = email(stub)
        with pytest.raises(RetryableError, match="1 of 2 recipients refused for now: 450 try later"):
            channel.notify(said(crisis()))
        channel.notify(said(crisis()))
        assert stub.recipients == [[ONE], [OTHER]]
        channel.notify(said(crisis("resolved")))
        assert stub.recipients[-1] == [ONE, OTHER]


def test_recipients_refused_for_good_are_told_about_and_the_others_have_it() -> None:
    with smtp_stub() as stub:
        stub.rcpt = {OTHER: ["550 no such user"]}
        with pytest.raises(RejectedError, match="1 of 2 recipients refused: 550 no such user"):
            email(stub).notify(said(crisis()))
        assert stub.recipients == [[ONE]]
        stub.rcpt = {ONE: ["550 no"], OTHER: ["451 later"]}
        with pytest.raises(RetryableError, match="2 of 2"):
            email(stub).notify(said(crisis()))


def test_a_closed_port_is_retryable_and_certain() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(RetryableError, match="cannot be reached") as caught:
            email(free.getsockname()[1]).notify(said(crisis()))
    assert not isinstance(caught.value, UncertainError)


def test_a_server_that_never_speaks_is_given_up_after_the_time_out() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(RetryableError):
            email(mute.getsockname()[1], timeout_s=0.05).notify(said(crisis()))


def test_starttls_with_a_trusted_certificate_and_a_log_in_gets_through(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    with smtp_stub(starttls=True, auth=True) as stub:
        email(stub, security="starttls", ca_file=CERTIFICATE, username=USER, password_file=secret).notify(
            said(crisis())
        )
        assert len(stub.received) == 1


def test_a_certificate_nobody_vouches_for_stops_the_mail_before_anything_is_sent() -> None:
    with smtp_stub(starttls=True) as stub:
        with pytest.raises(RetryableError):
            email(stub, security="starttls").notify(said(crisis()))
        assert stub.received == []


def test_a_stripped_starttls_stops_the_mail_before_anything_is_sent() -> None:
    with smtp_stub() as stub:
        with pytest.raises(RetryableError, match="STARTTLS"):
            email(stub, security="starttls").notify(said(crisis()))
        assert stub.received == []


def test_a_wrong_password_is_retryable_since_the_message_is_not_to_blame() -> None:
    with smtp_stub(starttls=True, auth=True) as stub:
        channel = email(
            stub, security="starttls", ca_file=CERTIFICATE, username=USER, password=SecretStr("s3cr3t-wrong")
        )
        with pytest.raises(RetryableError, match="refuses us: 535") as caught:
            channel.notify(said(crisis()))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "cure"),
    [
        ({"sender": "nobody"}, "sender.*me@example.org"),
        ({"sender": "a@b.example\r\nBcc: x@y.example"}, "sender"),
        ({"recipients": ("a@b.example", "Me <a@b.example>")}, "recipients"),
        ({"recipients": ("流墨@b.example",)}, "recipients"),
        ({"username": "me"}, "belong together"),
        ({"password": SecretStr("s3cr3t")}, "belong together"),
        ({"host": "mail.example", "username": "me", "password": SecretStr("s3cr3t")}, "needs starttls or tls"),
        ({"security": "tls", "ca_file": Path("/nowhere.pem")}, "no file"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_cure(more: dict[str, object], cure: str) -> None:
    with pytest.raises(SettingsError, match=cure) as caught:
        email(25, **more)
    assert "s3cr3t" not in str(caught.value)


def test_a_sender_name_cannot_add_headers() -> None:
    with smtp_stub() as stub:
        email(stub, sender_name="流墨\r\nBcc: x@y.example").notify(said(crisis()))
        (mail,) = stub.mails
    assert mail["Bcc"] is None
    assert mail["From"].addresses[0].display_name == "流墨 Bcc: x@y.example"
