"""The digest: what it says in both languages, how it looks as a mail, and that strangers cannot break out of it."""

from datetime import timedelta
from email.message import EmailMessage

import pytest
from structlog.testing import capture_logs

from opinionwatch.alerts.channel import ReachedError
from opinionwatch.alerts.chart_history import history_chart
from opinionwatch.alerts.digest import Material, digest, touches
from opinionwatch.alerts.digest_body import plain_digest
from opinionwatch.alerts.words import Lang
from opinionwatch.pipeline.contracts_digest import Digest
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Feedback, Verb
from opinionwatch.pipeline.errors import RejectedError, RetryableError
from tests.alerts.hostile import TEXTS
from tests.alerts.sample import OPENED, crisis, windows
from tests.alerts.smtp_stub import smtp_stub
from tests.alerts.test_email import ONE, OTHER, email, text_of
from tests.alerts.test_hostile import HEADERS, UNSEEN, tags

LINK = "https://watch.example/episodes"
OURS = {"html", "head", "meta", "title", "body", "div", "h1", "h2", "p", "table", "tr", "th", "td", "br", "small", "a",
        "strong", "img"}  # fmt: skip
UNTIL = OPENED + timedelta(hours=4)
SINCE = UNTIL - timedelta(days=1)


def verdict(verb: Verb, episode: Episode, by: str = "mei") -> Feedback:
    return Feedback(id=f"f-{verb}", episode_id=episode.id, verb=verb, at=UNTIL, by=by, via="page")


def delivery(state: str, detail: str = "") -> Delivery:
    given = {"alert": crisis(), "channel": "team", "state": state, "due_at": OPENED, "detail": detail}
    return Delivery.model_validate(given)


def material(**changes: object) -> Material:
    resolved = crisis("resolved", at=UNTIL - timedelta(hours=1)).episode
    given: dict[str, object] = {
        "since": SINCE,
        "until": UNTIL,
        "names": {"lumora": "Lumora", "skyfare": "Skyfare", "kumo": "云豆"},
        "episodes": [resolved],
        "deliveries": [delivery("sent"), *[delivery("suppressed", "silenced by mei")] * 2, delivery("failed", "404")],
        "feedback": [verdict("real", resolved)],
        "windows": {"lumora": windows(), "skyfare": windows(1, "skyfare")},
        "before": {"lumora": windows(2)},
        "charts": {"lumora": history_chart(windows(), (), [[OPENED]])},
    }
    return Material(**{**given, **changes})  # type: ignore[arg-type]  # fields of several types


def made(lang: Lang = "en", *, zone: str = "UTC", repeat: bool = False, **changes: object) -> Digest:
    of = material(**changes)
    return digest(
        of, name="morning", every="day", lang=lang, zone=zone, public_url="https://watch.example/", repeat=repeat
    )


@pytest.mark.parametrize(
    ("lang", "expected"),
    [
        (
            "en",
            [
                "Daily digest: one story about Lumora",
                "1 of 3 watchlists have something to tell.",
                "Period: 8 March 2026, 02:40 to 9 March 2026, 02:40 (Asia/Shanghai)",
                "Stories: 1, of them 0 still open",
                "Answers: real 1, not a crisis 0, nobody has said 0",
                "Alerts sent: 1",
                "== Lumora",
                "* Lumora: the crisis is over",
                "  8 March 2026, 22:05, for 3 h 35 min",
                "  it is real (mei)",
                "== Skyfare",
                "Nothing to tell: 云豆",
                "  2 × team: silenced by mei",
                "  1 × team: 404",
            ],
        ),
        (
            "zh",
            [
                "每日摘要：Lumora 有一起事件",
                "3 个监测对象中有 1 个有新情况。",
                "* Lumora：危机已经结束",
                "  确有其事（mei）",
                "没有新情况: 云豆",
            ],
        ),
    ],
)
def test_it_tells_what_happened_what_people_answered_and_who_was_not_told(lang: Lang, expected: list[str]) -> None:
    lines = plain_digest(made(lang, zone="Asia/Shanghai")).splitlines()
    assert [line for line in expected if line not in lines] == []


def test_a_calm_day_says_so_and_an_open_story_is_not_called_over() -> None:
    calm = made(episodes=[], deliveries=[], feedback=[])
    assert (calm.title, calm.summary) == ("Daily digest: all calm", "None of 3 watchlists has something to tell.")
    going_on = made(episodes=[crisis(at=UNTIL).episode])
    assert "not over yet" in going_on.sections[0].stories[0].when
    ended_later = crisis("resolved", at=UNTIL + timedelta(minutes=5)).episode
    assert "not over yet" in made(episodes=[ended_later]).sections[0].stories[0].when


def test_shares_and_posts_stand_beside_those_of_the_period_before() -> None:
    facts = dict(made().sections[0].facts)
    now, before = windows(), windows(2)
    assert facts["Posts"] == f"{sum(w.posts for w in now):,} (before {sum(w.posts for w in before):,})"
    share = 100 * sum(w.negative_voices for w in now) / sum(w.sure_voices for w in now)
    assert facts["Negative voices"].startswith(f"{share:.0f} % (before ")


def test_the_same_period_has_the_same_id_and_another_one_another() -> None:
    assert made().id == made("zh", repeat=True).id
    assert made().id != made(until=UNTIL + timedelta(days=1)).id


def test_an_episode_belongs_to_every_period_it_was_open_in() -> None:
    episode = crisis("resolved", at=UNTIL).episode
    assert touches(episode, SINCE, UNTIL)
    assert touches(episode, UNTIL, UNTIL + timedelta(days=1))
    assert not touches(episode, UNTIL + timedelta(seconds=1), UNTIL + timedelta(days=1))
    assert not touches(episode, SINCE - timedelta(days=1), OPENED)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_as_a_mail_it_has_a_chart_inside_the_same_name_twice_and_the_way_out_of_the_list(lang: Lang) -> None:
    with smtp_stub() as stub:
        channel = email(stub, unsubscribe="mailto:leave@watch.example?subject=digest")
        channel.digest(made(lang))
        channel.digest(made(lang, repeat=True))
        first, second = stub.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first["List-Unsubscribe"] == "<mailto:leave@watch.example?subject=digest>"
    _, rich = first.iter_parts()
    _, picture = rich.iter_parts()
    assert isinstance(picture, EmailMessage)
    assert picture.get_content().startswith(b"\x89PNG")
    assert f"cid:{picture['Content-ID'][1:-1]}" in text_of(first, "html")
    assert {"en": "Sent again", "zh": "重复发送"}[lang] in text_of(second, "html")
    for text in ("Lumora", "Skyfare", "云豆", "404"):
        assert text in text_of(first, "html")
        assert text in text_of(first, "plain")


def test_when_only_one_mailbox_is_busy_it_says_that_the_others_have_it() -> None:
    with smtp_stub() as stub:
        channel = email(stub)
        stub.rcpt = {OTHER: ["452 full", "452 full"]}
        for _ in range(2):
            with pytest.raises(ReachedError, match="452 full"):
                channel.digest(made())
        assert stub.recipients == [[ONE]]
        stub.rcpt = {ONE: ["451 later"], OTHER: ["451 later"]}
        with pytest.raises(RetryableError) as caught:
            email(stub).digest(made())
    assert not isinstance(caught.value, ReachedError)


def test_without_a_chart_it_is_plain_and_html_only() -> None:
    with smtp_stub() as stub:
        email(stub).digest(made(charts={}))
        [mail] = stub.mails
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert "List-Unsubscribe" not in mail


def test_hostile_names_reasons_and_answers_are_quoted_never_obeyed() -> None:
    with smtp_stub() as stub:
        for number in range(0, len(TEXTS), 4):
            texts = TEXTS[number : number + 4]
            names = dict(zip(("lumora", "skyfare", "kumo"), texts, strict=False))
            story = crisis("resolved", at=UNTIL, aspects=texts, sources=texts, terms=texts).episode
            lang: Lang = "zh" if number % 8 else "en"
            hostile = made(
                lang,
                names=names,
                episodes=[story],
                feedback=[verdict("not_crisis", story, texts[-1])],
                deliveries=[delivery("failed", text) for text in texts],
            )
            email(stub).digest(hostile)
        mails = stub.mails
    assert len(mails) == -(-len(TEXTS) // 4)
    for mail in mails:
        assert {name.lower() for name in mail} == HEADERS
        html = text_of(mail, "html")
        for tag, attributes in tags(html):
            assert tag in OURS
            assert not any(name.startswith("on") for name in attributes)
            assert (attributes.get("href") or LINK).startswith(LINK)
        assert not UNSEEN.search(html.replace("\r\n", "\n"))
        assert not UNSEEN.search(text_of(mail, "plain").replace("\r\n", "\n"))


def test_a_mailbox_that_is_gone_is_said_and_the_digest_counts_as_told_when_somebody_has_it() -> None:
    with smtp_stub() as stub, capture_logs() as logs:
        stub.rcpt = {OTHER: ["450 later", "550 no such user"]}
        channel = email(stub)
        with pytest.raises(RetryableError, match="1 of 2 recipients refused for now: 450 later"):
            channel.digest(made())
        channel.digest(made())
        assert stub.recipients == [[ONE]]
        (said,) = [row for row in logs if row["log_level"] == "warning"]
        assert "1 of 2 recipients refused: 550 no such user" in said["detail"]
        stub.rcpt = {ONE: ["550 gone"], OTHER: ["550 no such user"]}
        with pytest.raises(RejectedError, match="2 of 2 recipients refused"):
            channel.digest(made())
