"""Corrections: kept with who and when, once each, whole after a crash, and gone when a person is erased."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.corrections import Correction, Corrections, of_document, of_text
from opinionwatch.pipeline.errors import FatalError
from tests.pipeline.sample import NOON, document, scored


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
