"""Corrections: kept with who and when, once each, whole after a crash, and gone when a person is erased."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.corrections import Correction, Corrections, of_document, of_text
from opinionwatch.pipeline.errors import FatalError, RejectedError
from tests.pipeline.sample import NOON, document, scored, toward


def word(text: str, label: Label = "negative", by: str = "dana") -> Correction:
    return of_text(text, "en", label, by, "api", NOON)


def test_a_correction_of_a_document_says_who_when_and_what_the_model_had_said(tmp_path: Path) -> None:
    whole = scored(document(1))
    kept = Corrections(tmp_path)
    given = of_document(whole, "positive", "dana", "page", NOON, "call me at 13812345678")
    assert kept.add([given]) == 1
    assert kept.add([given]) == 0
    [found] = kept.all()
    assert (found.by, found.at, found.via) == ("dana", NOON, "page")
    assert (found.was, found.label, found.scorer) == ("negative", "positive", whole.scorer)
    assert (found.text, found.document_id, found.author) == (whole.document.text, whole.id, whole.document.author)
    assert found.comment == "call me at [phone]"
    assert kept.path.stat().st_mode & 0o077 == 0


def test_personal_data_in_a_text_that_comes_along_is_masked(tmp_path: Path) -> None:
    kept = Corrections(tmp_path)
    kept.add([word("write to li@example.com")])
    assert kept.standing()[0].text == "write to [email]"
    assert b"example.com" not in kept.path.read_bytes()


def test_the_last_word_on_a_text_stands(tmp_path: Path) -> None:
    kept = Corrections(tmp_path)
    kept.add([word("one"), word("two"), word("one", "neutral", "lee")])
    assert [(each.text, each.label) for each in kept.standing()] == [("one", "neutral"), ("two", "negative")]
    assert len(kept.all()) == 3


def test_whoever_changes_their_mind_and_back_is_heard_and_a_repetition_changes_nothing(tmp_path: Path) -> None:
    kept = Corrections(tmp_path)
    assert kept.add([word("one"), word("one", "neutral"), word("one")]) == 3
    assert [each.label for each in kept.standing()] == ["negative"]
    assert kept.add([word("one", "positive", "lee"), word("one")]) == 1
    assert [each.label for each in kept.standing()] == ["positive"], "dana's word was said before lee's"


def test_what_a_text_says_of_a_watchlist_is_corrected_by_itself(tmp_path: Path) -> None:
    rivals = toward(
        scored(document(1, "Lumora beats Skyfare"), "positive", watchlists=("lumora", "skyfare")), None, "neutral"
    )
    kept = Corrections(tmp_path)
    whole = of_document(rivals, "positive", "dana", "page", NOON)
    lumora = of_document(rivals, "positive", "dana", "page", NOON, watchlist="lumora")
    skyfare = of_document(rivals, "negative", "dana", "page", NOON, "it is beaten", "skyfare")
    assert kept.add([whole, lumora, skyfare]) == 3
    assert kept.add([skyfare, lumora, whole]) == 0
    assert [each.was for each in kept.all()] == ["positive", "positive", "neutral"], "as each is counted"
    later = of_document(rivals, "neutral", "lee", "api", NOON, watchlist="skyfare")
    kept.add([later])
    assert [(each.watchlist, each.label) for each in kept.standing()] == [
        (None, "positive"), ("lumora", "positive"), ("skyfare", "neutral"),
    ]  # fmt: skip
    assert kept.of(rivals) == {None: whole, "lumora": lumora, "skyfare": later}


def test_a_watchlist_that_a_text_does_not_mention_is_refused_with_those_that_it_does() -> None:
    with pytest.raises(RejectedError, match="does not mention 'skyfare'; name one of lumora, or leave it out"):
        of_document(scored(document(1)), "neutral", "dana", "page", NOON, watchlist="skyfare")
    with pytest.raises(RejectedError, match="does not mention 'lumora'; leave it out"):
        of_text("the best", "en", "neutral", "dana", "csv", NOON, "lumora")
    assert of_text("Lumora!", "en", "neutral", "dana", "csv", NOON, "lumora", ["lumora"]).watchlist == "lumora"


def test_a_document_shows_its_own_corrections_and_after_an_edit_none_of_before(tmp_path: Path) -> None:
    kept, one = Corrections(tmp_path), scored(document(1))
    assert kept.of(one) == {}
    given = of_document(one, "neutral", "dana", "page", NOON)
    kept.add([given, of_document(scored(document(2)), "positive", "dana", "page", NOON)])
    assert kept.of(one) == {None: given}
    edited = one.model_copy(update={"document": one.document.model_copy(update={"text": "Lumora is fine now"})})
    assert kept.of(edited) == {}


def test_corrections_that_were_stored_before_there_were_any_towards_a_watchlist_are_read(tmp_path: Path) -> None:
    old = word("one").model_dump(mode="json", exclude={"watchlist"})
    (tmp_path / "corrections.jsonl").write_text(json.dumps(old) + "\n")
    assert Corrections(tmp_path).all() == [word("one")]
    assert Corrections(tmp_path).add([word("one")]) == 0


def test_a_line_that_a_crash_has_torn_costs_nothing_else(tmp_path: Path) -> None:
    kept = Corrections(tmp_path)
    kept.add([word("one"), word("two")])
    kept.path.write_bytes(kept.path.read_bytes()[:-30])
    kept.add([word("three")])
    assert [each.text for each in kept.all()] == ["one", "three"]


def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(number: int) -> int:
        return Corrections(tmp_path).add([word(f"text {number}"), word("the same")])

    with ThreadPoolExecutor(8) as writers:
        assert sum(writers.map(write, range(40))) == 41
    assert len(Corrections(tmp_path).all()) == 41


def test_an_erased_person_and_an_erased_document_leave_no_byte(tmp_path: Path) -> None:
    kept = Corrections(tmp_path)
    by_author = of_document(scored(document(1, "SECRET-A", author="aa")), "neutral", "dana", "page", NOON)
    by_id = of_document(scored(document(2, "SECRET-B", author="bb")), "neutral", "dana", "page", NOON)
    other = of_document(scored(document(3, "kept", author="cc")), "neutral", "dana", "page", NOON + timedelta(days=1))
    kept.add([by_author, by_id, other])
    size = kept.path.stat().st_size
    assert kept.forget({str(by_id.document_id)}, {"aa"}) == 2
    assert kept.forget({str(by_id.document_id)}, {"aa"}) == 0
    assert b"SECRET" not in kept.path.read_bytes()
    assert kept.path.stat().st_size == size
    assert kept.all() == [other]
    assert Corrections(tmp_path / "nowhere").forget({"x"}, set()) == 0
    assert not (tmp_path / "nowhere").exists()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "corrections.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FatalError, match="cannot be opened"):
        Corrections(tmp_path).add([word("one")])
