"""Languages are told apart, and what was read goes with the document."""

from datetime import UTC, datetime

import pytest

from opinionwatch.pipeline.contracts import Document
from opinionwatch.pipeline.fingerprint import NONE
from opinionwatch.pipeline.read import Read, language

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


def document(text: str, **fields: object) -> Document:
    given = {
        "id": "1",
        "tenant": "default",
        "source": "forum",
        "source_kind": "jsonl",
        "instance": "f",
        "native_id": "1",
        "author": None,
        "url": None,
        "published_at": NOW,
        "accepted_at": NOW,
    }
    return Document.model_validate({**given, "text": text, **fields})


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("the battery is awful and I hate it", "en"),
        ("worst flight ever", "en"),
        ("lol", "en"),
        ("Lumora sucks", "en"),
        ("@中国 hello there my friend", "en"),
        ("物流快，第二天就到了", "zh"),
        ("iPhone 16 的电池太差了", "zh"),
        ("这个 app 真是 awesome", "zh"),
        ("臺灣的網路很慢", "zh"),
        ("今日は天気がいいですね", "ja"),
        ("東京タワーは高い", "ja"),
        ("배터리가 너무 빨리 닳아요", "ko"),
        ("Der Akku ist nach zwei Stunden leer und der Service antwortet nicht", "de"),
        ("la batterie est nulle et le service client ne répond pas", "fr"),
        ("muy mala batería, no la recomiendo", "es"),
        ("очень плохая батарея, не советую", "ru"),
        ("البطارية سيئة جدا", "ar"),
        ("η μπαταρία είναι απαράδεκτη", "el"),
        ("แบตเตอรี่แย่มาก", "th"),
        ("😡😡", "und"),
        ("12345 !!!", "und"),
        ("", "und"),
    ],
)
def test_languages_are_told_apart(text: str, tag: str) -> None:
    found = language(text)
    assert found.tag == tag
    assert 0 <= found.confidence <= 1


def test_the_sources_word_counts_where_the_text_leaves_it_open() -> None:
    assert language("lol", "de-AT").tag == "de"
    assert language("😡", "zh-CN").tag == "zh"
    assert language("the battery is awful and I hate it", "de").tag == "en"
    assert language("电池太差了", "en").tag == "zh"


def test_reading_leaves_the_shown_text_alone_and_flags_disguise() -> None:
    (read,) = Read()([document("Ｌｕmоrа's bаttery is bаd, dо nоt buy")], NOW)
    assert read.document.text == "Ｌｕmоrа's bаttery is bаd, dо nоt buy"
    assert read.folded.text == "Lumora's battery is bad, do not buy"
    assert read.document.flags == ("obfuscated",)
    assert read.language.tag == "en"
    assert read.fingerprint != NONE


def test_reading_keeps_the_order_and_refuses_nothing() -> None:
    texts = ["plain", "电池", "😡", "x" * 10_000]
    reads = Read()([document(text, id=str(at)) for at, text in enumerate(texts)], NOW)
    assert [read.document.text for read in reads] == texts
    assert Read()([], NOW) == []
