"""Machines read a folded text; places in it map back to the shown one."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.terms import bare


@pytest.mark.parametrize(
    ("shown", "folded"),
    [
        ("plain", "plain"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ，１２３", "Full width,123"),
        ("电池太差了！", "电池太差了!"),
        ("ﬁne ½ ①", "fine 1⁄2 1"),
        ("⽀付", "支付"),
        ("ｶﾞｿﾘﾝ", "ガソリン"),
        ("ba\u200bt\u00adtery", "battery"),
        ("e\u0301clair", "éclair"),
        ("İstanbul", "Istanbul"),
        ("一\n二\u3000三", "一\n二 三"),
        ("👩\u200d👧 ❤\ufe0f", "👩\u200d👧 ❤"),
    ],
)
def test_compatibility_forms_become_plain(shown: str, folded: str) -> None:
    assert fold(shown).text == folded


@pytest.mark.parametrize(
    ("shown", "folded"),
    [
        ("Аррle is bаd", "Apple is bad"),
        ("ѕсаm", "scam"),
        ("𝓑𝓪𝓭 𝗯𝗮𝘁𝘁𝗲𝗿𝘆", "Bad battery"),
        ("the ВАТТЕRУ", "the BATTERY"),
        ("a total осе", "a total oce"),
        ("Lumоra太差了", "Lumora太差了"),
        ("ɢᴏᴏᴅ app", "good app"),
    ],
)
def test_look_alikes_become_latin_and_are_called_obfuscated(shown: str, folded: str) -> None:
    assert fold(shown).text == folded
    assert fold(shown).obfuscated


@pytest.mark.parametrize("text", ["хорошо, Apple работает", "очень плохо", "μετά 5 μm", "Οδός", "Ερωτας iPhone σήμερα"])
def test_honest_cyrillic_and_greek_stay(text: str) -> None:
    folded = fold(text)
    assert folded.text == unicodedata.normalize("NFKC", text)
    assert not folded.obfuscated


def test_places_map_back_to_whole_shown_characters() -> None:
    folded = fold("ﬁne e\u0301clair, ba\u200bttery")
    start = folded.text.index("battery")
    assert folded.span(start, start + 7) == (13, 21)
    assert folded.span(0, 1) == folded.span(1, 2) == folded.span(0, 2) == (0, 1)
    accented = folded.text.index("é")
    assert folded.span(accented, accented + 1) == (4, 6)


def test_ascii_maps_to_itself() -> None:
    assert fold("battery").offsets is None
    assert fold("battery").span(2, 5) == (2, 5)


SAMPLE = st.text(
    st.one_of(
        st.sampled_from("aAbeЕеораріρο电池，ｆﬁ½①\u200b\u0301\u3099ｶﾞﾟ각가\u1100\u1161\u11a8İß😡\u200d\ufe0f\xad "),
        st.characters(exclude_categories=["Cs", "Cc"]),
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(SAMPLE)
def test_every_folded_character_comes_from_a_place_in_the_shown_text(shown: str) -> None:
    folded = fold(shown)
    offsets = list(folded.offsets) if folded.offsets is not None else list(range(len(shown) + 1))
    assert len(offsets) == len(folded.text) + 1
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(shown)
    for at, char in enumerate(folded.text):
        start, end = folded.span(at, at + 1)
        assert 0 <= start < end <= len(shown)
        source = shown[start:end]
        if source.isascii():
            assert char == source[0]


@settings(max_examples=200, deadline=None)
@given(SAMPLE, st.data())
def test_spans_of_spans_stay_inside(shown: str, data: st.DataObject) -> None:
    folded = fold(shown)
    end = data.draw(st.integers(0, len(folded.text)))
    start = data.draw(st.integers(0, end))
    here = folded.span(start, end)
    assert (here[0] < here[1]) == (start < end)
    whole = folded.span(0, len(folded.text))
    assert whole[0] <= here[0] <= here[1] <= max(whole[1], here[1])


@settings(max_examples=200, deadline=None)
@given(SAMPLE)
def test_folding_an_ascii_text_among_others_changes_nothing_of_it(shown: str) -> None:
    assert fold("word " + shown).text.startswith("word")


def test_lower_case_and_accents_keep_every_character_in_its_place() -> None:
    for first in range(0, sys.maxunicode, 256):
        block = "".join(char for char in map(chr, range(first, first + 256)) if unicodedata.category(char) != "Cs")
        folded = fold(block).text
        assert len(bare(folded).lower()) == len(folded), hex(first)
