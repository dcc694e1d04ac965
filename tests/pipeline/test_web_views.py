"""The page as a browser without JavaScript sees it."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode
from starlette.testclient import TestClient

from opinionwatch.connectors.pulling import Health as Pulled
from opinionwatch.connectors.quota import Quota
from opinionwatch.pipeline.archive import DocumentQuery, LedgerRow
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Engagement, ScoredDocument
from opinionwatch.pipeline.contracts_digest import NOTE, Told
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.web_why import Weight, Why
from tests.pipeline.sample import feedback, gap, toward
from tests.pipeline.web_client import VIEWS, address, client, open_store, text, words
from tests.pipeline.web_hostile import LINKS, POSTS
from tests.pipeline.web_sample import NOW, Post, crisis, fill, scored, write


@pytest.fixture(scope="module")
def page() -> TestClient:
    return client()


def first(node: LexborNode | LexborHTMLParser, css: str) -> LexborNode:
    found = node.css_first(css)
    assert found is not None
    return found


def nodes(html: str, css: str) -> list[LexborNode]:
    return LexborHTMLParser(html).css(css)


def test_the_overview_shows_each_watchlist_with_its_mood_its_week_and_its_state(page: TestClient) -> None:
    cards = [words(card) for card in nodes(page.get("/").text, ".card")]
    assert len(cards) == 3
    assert "Lumora 流墨" in cards[0] and "crisis since 8 Mar 12:05" in cards[0]
    assert re.search(r"30 % 2\d–3\d % negative voices, last 24 hours ▲ \+1\d pts week before: 1\d %", cards[0])
    assert "volume surge since" in cards[1]
    assert "✓ calm" in cards[2] and "≈" in cards[2]


def test_an_open_alarm_is_a_banner_on_every_page_but_its_own(page: TestClient) -> None:
    for view in VIEWS:
        banners = nodes(page.get(address(view)).text, ".banner")
        assert len(banners) == (0 if "{episode}" in view else 1)
    [banner] = nodes(page.get("/feed").text, ".banner")
    shown = words(banner)
    assert "Lumora 流墨: public mood has turned negative — mostly about battery" in shown
    assert "14 % → 54 % (47–60 %) · since 8 Mar 12:05 UTC · 231 posts, 188 voices · microblog, forum, video" in shown


def test_information_is_no_alarm_and_calm_is_said(tmp_path: Path) -> None:
    html = client(fill(tmp_path / "calm.db", with_crisis=False)).get("/").text
    assert not nodes(html, ".banner")
    assert "No open alerts. The last one, about Kumobean, ended 3 Mar 23:30 UTC." in text(html)


def test_an_episode_answers_what_since_when_how_strong_how_much_and_how_sure(page: TestClient) -> None:
    shown = text(page.get(address("/episodes/{episode}")).text)
    for answer in (
        "Lumora 流墨: public mood has turned negative mostly about battery",
        "How strong 14 % → now 54 % negative voices (12–17 % → 47–60 %)",
        "Since when 8 Mar 12:05 UTC noticed 8 Mar 12:40, 35 min after it began ongoing: 4 h 25 min",
        "How much 231 posts, 188 voices 102 negative voices, 26 expected",
        "3.8 × the usual number of posts · 19 % of the negative posts repeat another one",
        "once in 1,650 weeks is how often chance alone would raise such an alarm score 17.3, alarm at 9.9",
        "battery weight 91 %",
        "47 negative voices, 12 expected · odds × 6.3 (3.8–9.4)",
        "掉电 33",
        "半天就没电了，太失望了",
    ):
        assert answer in shown


def test_the_timeline_says_who_was_told_and_who_was_not(page: TestClient) -> None:
    [timeline] = nodes(page.get(address("/episodes/{episode}")).text, ".timeline")
    shown = words(timeline)
    assert shown.startswith("8 Mar 12:05 UTC the change probably began 8 Mar 12:40 UTC opened")
    assert "✗ email: failed (5 attempts) 550 no such mailbox ✓ slack: sent (3 attempts) ✓ terminal: sent" in shown
    assert shown.endswith("8 Mar 13:40 UTC escalated ○ slack: pending")


def test_the_feed_marks_aspects_and_opinions_where_they_stand(page: TestClient) -> None:
    html = page.get("/feed", params={"watchlist": "lumora", "language": "zh"}).text
    post = next(one for one in nodes(html, ".post") if "半天就没电了" in one.text())
    assert [mark.text() for mark in post.css("mark.aspect")] == ["电池", "客服"]
    assert [mark.text() for mark in post.css("mark.opinion.negative")] == ["掉电太快", "敷衍"]
    assert {first(one, ".lang").text() for one in nodes(html, ".post")} == {"zh"}


def test_the_feed_filters_by_watchlist_label_source_aspect_and_words(page: TestClient) -> None:
    def posts(**query: str) -> list[str]:
        return [one.text() for one in nodes(page.get("/feed", params=query).text, ".post")]

    assert len(posts()) == 40
    assert all("Skyfare" in post for post in posts(watchlist="skyfare"))
    assert all("positive" in post for post in posts(label="positive"))
    assert all("forum" in post for post in posts(source="forum"))
    assert all("flat white" in post for post in posts(text="FLAT white"))
    assert posts(text="nobody wrote this", source="", label="") == []


def test_what_the_scorer_is_unsure_about_is_shown_as_unsure(page: TestClient) -> None:
    html = page.get("/feed", params={"text": "overheat"}).text
    assert "? unsure, leaning negative 52 %" in text(html)
    assert not nodes(html, ".post.negative")


def test_a_watchlist_shows_where_and_about_what_people_are_negative(page: TestClient) -> None:
    shown = text(page.get("/watchlists/lumora").text)
    assert re.search(r"By aspect, last 24 hours .*? battery 1\d\d 1\d\d 5\d % 4\d–6\d %", shown)
    assert "By source, last 24 hours" in shown


def test_the_chart_is_there_as_a_table_too(page: TestClient) -> None:
    rows = nodes(page.get("/watchlists/lumora").text, "#trend-table tbody tr")
    assert len(rows) == 48
    assert first(rows[0], "th").text() == "8 Mar 16:00"


def test_health_shows_how_often_it_has_really_alarmed_beside_the_budget() -> None:
    shown = client(budget=0.1)
    alarms = shown.get("/api/health").json()["alarms"]
    assert alarms["opened"] == 2
    assert alarms["budget"] == 0.1
    assert alarms["per_week"] == pytest.approx(alarms["opened"] / alarms["watchlist_weeks"])
    assert "2 alarms in" in text(shown.get("/health").text)
    assert "budget 0.1 false ones" in text(shown.get("/health").text)
    assert "误报预算0.1次" in text(client(budget=0.1, lang="zh").get("/health").text)
    assert "budget" not in text(client().get("/health").text)


def test_health_shows_what_people_called_the_alarms(tmp_path: Path) -> None:
    archive = open_store(tmp_path)
    [alarm] = [one for one in archive.episodes() if one.kind == "crisis"]
    assert "judged" not in text(client(archive).get("/health").text)
    archive.add_feedback(feedback(1, episode_id=alarm.id, verb="not_crisis"))
    shown = client(archive)
    alarms = shown.get("/api/health").json()["alarms"]
    assert (alarms["real"], alarms["not_crisis"]) == (0, 1)
    assert "judged: real 0, not a crisis 1" in text(shown.get("/health").text)


def test_health_shows_how_far_digests_are_told_and_why_not_further(tmp_path: Path) -> None:
    archive = open_store(tmp_path)
    assert "Digests" not in text(client(archive).get("/health").text)
    outbox = SqliteOutbox(tmp_path / "own.db")
    told = Told(told_until=NOW, tried_until=NOW, detail="not told: 550 <b>no</b>")
    outbox.keep(f"{NOTE}morning", told.model_dump_json())
    outbox.close()
    shown = text(client(archive).get("/health").text)
    assert "morning · told up to" in shown
    assert "not delivered: not told: 550 <b>no</b>" in shown


def test_health_shows_sources_the_audit_and_what_was_lost_with_its_reason(page: TestClient) -> None:
    shown = text(page.get("/health").text)
    assert "No gap: every accepted document is accounted for." in shown
    assert "malformed_json 3 too_large 1" in shown
    assert "no-watchlist 1" in shown
    assert "Total 45 40 1 4 0 0 0" in shown
    assert "forum ✓ ok 10 8 Mar 16:21 8 min" in shown


def test_what_others_did_with_a_text_stands_beside_it_also_where_it_was_done_once(tmp_path: Path) -> None:
    archive = open_store(tmp_path)
    given = scored(Post("lumora", "en", "neutral", "shared"), 78, NOW)
    figures = Engagement(likes=1, reposts=1, replies=3, seen_at=NOW)
    store = SqliteStore(tmp_path / "own.db")
    write(store, [given.model_copy(update={"document": given.document.model_copy(update={"engagement": figures})})])
    store.close()
    for path in ("/feed", f"/documents/{given.id}"):
        assert "1 like, 1 share, 3 replies" in text(client(archive).get(path).text), path
        assert "1个赞，1次转发，3条回复" in text(client(archive).get(path, params={"lang": "zh"}).text), path


def test_a_post_says_why_it_counts_otherwise_for_a_watchlist_than_its_text_does(tmp_path: Path) -> None:
    archive = open_store(tmp_path)
    store = SqliteStore(tmp_path / "own.db")
    post = scored(Post("lumora", "en", "positive", "Kumobean beats Lumora any day, lovely"), 501, NOW)
    kumobean = post.matches[0].model_copy(update={"watchlist": "kumobean"})
    torn = toward(post.model_copy(update={"matches": (*post.matches, kumobean)}), "negative", "positive")
    write(store, [torn])
    store.close()
    page = client(archive)
    shown = text(page.get(f"/documents/{torn.id}").text)
    assert "▲ positive 94 % Lumora 流墨 ▼ negative 90 % Kumobean" in shown
    assert "as a whole is positive; towards Lumora 流墨 it is negative, and that is how it is counted there" in shown
    assert "towards Kumobean it is" not in shown
    assert "Towards Kumobean negative 5 % · neutral 5 % · positive 90 %" in shown
    chinese = text(page.get(f"/documents/{torn.id}", params={"lang": "zh"}).text)
    assert "全文情感为正面，但对Lumora 流墨的情感为负面，并按此计入Lumora 流墨。" in chinese
    [found] = [one for one in nodes(page.get("/feed", params={"lang": "en"}).text, ".post") if "any day" in one.text()]
    assert "▲ positive 94 % Lumora 流墨 ▼ negative 90 % Kumobean" in words(found)
    for watchlist, label, there in (("lumora", "negative", 1), ("lumora", "positive", 0), ("kumobean", "positive", 1)):
        asked = page.get("/feed", params={"watchlist": watchlist, "label": label, "text": "any day"}).text
        assert len(nodes(asked, ".post")) == there, (watchlist, label)


def test_a_gap_in_the_audit_is_said_aloud(tmp_path: Path) -> None:
    archive = open_store(tmp_path)
    store = SqliteStore(tmp_path / "own.db")
    with store.transaction():
        store.admit([scored(Post("lumora", "en", "neutral", "lost"), 77, NOW).document])
    store.close()
    assert "✓ No gap" in text(client(archive).get("/health").text)
    lossy = _Lossy(tmp_path / "own.db")
    assert "▼ Gap of 1: documents are unaccounted for." in text(client(lossy).get("/health").text)


class _Lossy(SqliteArchive):
    """A store that forgot what it has still to do."""

    def ledger(self) -> list[LedgerRow]:
        return [replace(row, pending=0) for row in super().ledger()]


def test_a_source_that_fell_silent_is_named(tmp_path: Path) -> None:
    archive = open_store(tmp_path)
    store = SqliteStore(tmp_path / "own.db")
    with store.transaction():
        store.save_progress(NOW + timedelta(hours=2))
    store.close()
    assert "◌ silent" in text(client(archive).get("/health").text)


def test_an_empty_store_is_a_page_that_waits(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "empty.db").close()
    empty = client(SqliteArchive(tmp_path / "empty.db"))
    for view in ("/", "/feed", "/watchlists/lumora", "/episodes", "/health", "/silences"):
        assert empty.get(view).status_code == 200
    assert "waiting for the first posts" in empty.get("/").text
    assert empty.get("/api/series?watchlist=lumora").status_code == 503


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_speaks_chinese(page: TestClient, view: str) -> None:
    answer = page.get(address(view), headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.5"})
    assert answer.status_code == 200
    assert first(LexborHTMLParser(answer.text), "html").attributes["lang"] == "zh-Hans"
    assert "总览" in answer.text and "Overview" not in answer.text


def test_the_language_is_the_addresss_then_the_cookies_then_the_browsers_then_the_settings() -> None:
    visitor = client(lang="zh")
    assert "总览" in visitor.get("/").text
    assert "Overview" in visitor.get("/", headers={"accept-language": "fr, en;q=0.8, zh;q=0.2"}).text
    assert "Overview" in visitor.get("/feed?lang=en&label=positive").text
    assert "Overview" in visitor.get("/", headers={"accept-language": "zh"}).text
    assert "总览" in client().get("/?lang=xx", headers={"accept-language": "zh;q=x, zh-TW"}).text


def test_the_language_switch_keeps_the_question(page: TestClient) -> None:
    links = [node.attributes["href"] for node in nodes(page.get("/feed?label=positive").text, ".languages a")]
    assert links == ["?label=positive&lang=en", "?label=positive&lang=zh"]


@pytest.mark.parametrize(
    ("address_", "says"),
    [
        ("/feed?label=angry", "label: Input should be 'negative', 'neutral' or 'positive'"),
        ("/feed?watchlst=lumora", "watchlst: unknown parameter; did you mean 'watchlist'?"),
        ("/feed?since=yesterday", "since: Input should be"),
        ("/feed?since=2026-03-08T12:00:00", "since: Input should have timezone info"),
        ("/feed?text=" + "x" * 300, "text: String should have at most 200 characters"),
        ("/watchlists/lumora?range=9y", "range: Input should be '24h', '7d' or 'all'"),
        ("/episodes?limit=0", "limit: Input should be greater than or equal to 1"),
    ],
)
def test_a_question_that_makes_no_sense_is_a_400_that_says_why(page: TestClient, address_: str, says: str) -> None:
    answer = page.get(address_)
    assert answer.status_code == 400
    assert says in text(answer.text)


@pytest.mark.parametrize(
    "address_",
    ["/nothing", "/episodes/none", "/documents/none", "/watchlists/lumra", "/feed?watchlist=x", "/static/../web.py"],
)
def test_what_is_not_there_is_a_404_page(page: TestClient, address_: str) -> None:
    answer = page.get(address_)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert "没有内容" in page.get(address_, headers={"accept-language": "zh"}).text


def test_a_misspelt_watchlist_is_told_the_nearest_one(page: TestClient) -> None:
    assert "did you mean 'lumora'?" in text(page.get("/watchlists/lumra").text)


class _Failing(SqliteArchive):
    """A store that cannot tell of episodes."""

    def __init__(self, path: Path, error: Exception) -> None:
        super().__init__(path)
        self._error = error

    def episodes(self, watchlist: str | None = None, limit: int = 100) -> list[Episode]:
        del watchlist, limit
        raise self._error


@pytest.mark.parametrize("path", ["/", "/episodes", "/api/episodes"])
def test_a_store_that_is_not_ready_is_a_503_that_says_when_to_come_back(tmp_path: Path, path: str) -> None:
    answer = client(_Failing(own_path(tmp_path), RetryableError("the store is locked", after_s=7))).get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert "locked" not in answer.text


@pytest.mark.parametrize("error", [FatalError("page 7 is torn"), ZeroDivisionError("secret detail")])
@pytest.mark.parametrize("path", ["/", "/episodes", "/api/episodes"])
def test_no_traceback_reaches_a_reader(tmp_path: Path, error: Exception, path: str) -> None:
    answer = client(_Failing(own_path(tmp_path), error)).get(path)
    assert answer.status_code == 500
    assert "Traceback" not in answer.text and "secret" not in answer.text and "torn" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def own_path(folder: Path) -> Path:
    """An empty store."""
    SqliteStore(folder / "empty.db").close()
    return folder / "empty.db"


def hostile(path: Path) -> SqliteArchive:
    """A store in which every post, and everything else that strangers write, attacks its reader."""
    archive = fill(path / "hostile.db")
    store = SqliteStore(path / "hostile.db")
    posts = [
        scored(Post("lumora", "en", "negative", post), 1000 + n, NOW - timedelta(seconds=n), url=LINKS[n % len(LINKS)])
        for n, post in enumerate(POSTS)
    ]
    evil = [
        one.model_copy(update={"document": one.document.model_copy(update={"source": POSTS[n], "native_id": POSTS[n]})})
        for n, one in enumerate(posts)
    ]
    write(store, evil)
    with store.transaction():
        store.write([crisis(evil[:60])])
    store.close()
    return archive


def every_third(document: ScoredDocument, watchlist: str | None = None) -> Why:
    """An explanation in which every third character counts."""
    spans = [(at, at + 1) for at in range(0, len(document.document.text), 3)]
    words = tuple(Weight(span=span, weight=1.0 if at % 2 else -0.3) for at, span in enumerate(spans))
    return Why(label="negative", probability=0.9, words=words, faithfulness=0.21, scorer="another", watchlist=watchlist)


def is_harmless(html: str) -> None:
    for node in LexborHTMLParser(html).css("*"):
        attributes = node.attributes
        assert not [name for name in attributes if name.startswith("on") or name == "style"], node.html
        if node.tag == "script":
            assert (attributes["src"] or "").startswith("/static/") and not node.text(), node.html
        assert node.tag not in ("iframe", "object", "embed", "base", "style", "math", "template", "marquee"), node.html
        for name in ("href", "src", "action", "xlink:href"):
            value = attributes.get(name) or "/"
            assert value.startswith(("/", "?", "#", "https://")) and not value.startswith("//"), node.html


def test_more_than_a_hundred_hostile_posts_stay_text_in_every_view(tmp_path: Path) -> None:
    assert len(set(POSTS)) >= 100
    archive = hostile(tmp_path)
    visitor = client(archive, explain=every_third)
    views = [address(view, archive) for view in VIEWS]
    documents = archive.documents(DocumentQuery(limit=1000))
    views += [f"/documents/{one.id}{more}" for one in documents for more in ("", "/why")]
    for view in views:
        answer = visitor.get(view)
        assert answer.status_code == 200
        is_harmless(answer.text)
    feed = visitor.get("/feed", params={"text": "<script>alert(1)</script>"}).text
    assert "<script>alert(1)</script>" in text(feed)
    is_harmless(feed)


def test_hostile_questions_stay_text_too(page: TestClient) -> None:
    for post in POSTS[:80]:
        for key in ("text", "aspect", "source"):
            is_harmless(page.get("/feed", params={key: post[:200]}).text)
        is_harmless(page.get("/feed", params={"label": post}).text)
        is_harmless(page.get("/feed", params={post: "x"}).text)
        is_harmless(page.get("/silences", params={"done": post}).text)
        is_harmless(page.get("/episodes", params={"lang": post}).text)


def test_the_overview_says_what_it_may_not_see(tmp_path: Path) -> None:
    path = tmp_path / "calm.db"
    archive = fill(path, with_crisis=False)
    failing = {"feed": _Feed("backing off", "HTTP 503"), "microblog": _Feed("running", None)}
    shown = text(client(archive, status=lambda: failing).get("/").text)
    assert "What this page may not see: feed cannot be read 9 % of what came in" in shown
    assert "HTTP 503" in text(client(archive, status=lambda: failing).get("/health").text)
    store = SqliteStore(path)
    with store.transaction():
        store.save_progress(NOW + timedelta(days=3))
    store.close()
    assert text(client(archive).get("/").text).count("no posts in 24 hours") == 2


def test_health_shows_gaps_upstream_in_both_languages_and_the_api_has_them(tmp_path: Path) -> None:
    path = tmp_path / "gaps.db"
    archive = fill(path, with_crisis=False)
    assert "Gaps upstream" not in text(client(archive).get("/health").text)
    store = SqliteStore(path)
    with store.transaction():
        store.write([gap(2), gap(2).model_copy(update={"source": "old", "history": True})])
    store.close()
    visitor = client(archive)
    assert text(visitor.get("/health").text).count("in a backfill") == 1
    assert "old · in a backfill" in text(visitor.get("/health").text)
    assert "Gaps upstream" in text(visitor.get("/health").text)
    assert "the window turned over" in text(visitor.get("/health").text)
    chinese = text(visitor.get("/health", params={"lang": "zh"}).text)
    assert "上游缺口" in chinese and "old · 历史补采中" in chinese
    told = {gap["source"]: gap for gap in visitor.get("/api/health").json()["gaps"]}
    assert (told["feed"]["missed"], told["feed"]["history"], told["old"]["history"]) == (2, False, True)


def test_health_shows_pace_errors_by_kind_and_what_is_left_of_a_quota(tmp_path: Path) -> None:
    archive = fill(tmp_path / "calm.db", with_crisis=False)
    until = datetime(2026, 3, 9, tzinfo=UTC)
    feed = Pulled("feed", "rss", "backing off", kinds=(("http 503", 4), ("no answer", 1)), quota=Quota(17, until))
    visitor = client(archive, status=lambda: {"feed": feed})
    shown = text(visitor.get("/health").text)
    assert "http 503 × 4" in shown and "no answer × 1" in shown
    assert "Usual for this hour of the week" in shown and "每周此小时的常态" in text(
        visitor.get("/health?lang=zh").text
    )
    lines = {line["source"]: line for line in visitor.get("/api/health").json()["sources"]}
    assert lines["feed"]["errors"] == [["http 503", 4], ["no answer", 1]]
    assert (lines["feed"]["quota_left"], lines["feed"]["quota_until"]) == (17, "2026-03-09T00:00:00Z")
    assert {line["last_hour"] for line in lines.values()} != {None}


@dataclass
class _Feed:
    """What a runtime knows about a source."""

    state: str
    last_error: str | None
