"""Which words decided: on the page of a document, when somebody asks. Hostile texts: see `test_web_views`."""

from datetime import timedelta
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.web_why import Weight, Why, WhyViews, stretches
from tests.alerts.hostile import TEXTS
from tests.pipeline.sample import toward
from tests.pipeline.test_web_views import every_third, first
from tests.pipeline.web_client import client, open_store, sample, text
from tests.pipeline.web_sample import NOW, Post, scored, write


def newest() -> str:
    return f"/documents/{sample().documents(DocumentQuery(limit=1))[0].id}"


def test_a_document_leads_to_its_words_and_they_are_made_once() -> None:
    asked = []

    def explain(document: ScoredDocument, _: str | None) -> Why:
        asked.append(document.id)
        return every_third(document)

    shown = client(explain=explain)
    link = first(LexborHTMLParser(shown.get(newest()).text), "a#why").attributes["href"]
    answers = [shown.get(str(link)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [f"/documents/{name}" for name in asked] == [newest()]
    assert "Faithfulness +0.21" in text(answers[0].text)
    assert "Read by another model" in text(answers[0].text)
    assert "哪些词起了作用？" in text(shown.get(f"{link}?lang=zh").text)


def test_an_edited_text_is_explained_anew() -> None:
    asked: list[int] = []

    def explain(document: ScoredDocument, _: str | None) -> Why:
        asked.append(document.document.version)
        return every_third(document)

    [scored] = sample().documents(DocumentQuery(limit=1))
    edit = scored.document.model_copy(update={"edited_at": scored.document.published_at + timedelta(hours=1)})
    views = WhyViews(pages=None, explain=explain)  # type: ignore[arg-type]  # not asked for a page
    for each in (scored, scored.model_copy(update={"document": edit}), scored):
        views._made(each)
    assert asked == [scored.document.version, edit.version]
    assert asked[0] < asked[1]


def test_what_is_said_of_a_watchlist_has_an_explanation_of_its_own(tmp_path: Path) -> None:
    archive = open_store(tmp_path)
    post = scored(Post("lumora", "en", "positive", "Kumobean beats Lumora any day"), 501, NOW)
    store = SqliteStore(tmp_path / "own.db")
    write(store, [toward(post, "negative")])
    store.close()
    page = client(archive, explain=every_third)
    link = first(LexborHTMLParser(page.get(f"/documents/{post.id}").text), "#toward-1 a").attributes["href"]
    assert link == f"/documents/{post.id}/why?watchlist=lumora"
    assert "negative 90 % Towards Lumora 流墨" in text(page.get(link).text)
    assert "Towards" not in text(page.get(f"/documents/{post.id}/why").text)
    assert page.get(f"/documents/{post.id}/why?watchlist=kumobean").status_code == 404
    assert page.get(f"{newest()}/why?watchlist=lumora").status_code == 404


def test_without_a_model_that_can_explain_there_is_no_link_and_no_page() -> None:
    assert "/why" not in client().get(newest()).text
    assert client().get(f"{newest()}/why").status_code == 404


def test_what_cannot_be_explained_now_is_said_and_not_kept() -> None:
    failures = [RetryableError("no device")]

    def explain(document: ScoredDocument, _: str | None) -> Why:
        if failures:
            raise failures.pop()
        return every_third(document)

    shown = client(explain=explain)
    assert [shown.get(f"{newest()}/why").status_code for _ in range(2)] == [503, 200]


@pytest.mark.parametrize("given", TEXTS)
def test_the_pieces_of_any_text_are_the_text(given: str) -> None:
    words = [Weight(span=(at, at + 2), weight=at - 4.0) for at in range(-2, len(given) + 3, 2)]
    assert "".join(piece.text for piece in stretches(given, words)) == given
