"""The challenge set: `slice<TAB>lang<TAB>label<TAB>text`, written by hand and never trained on; and its second file, of
sentences that are good for one name and bad for another.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from opinionwatch.models.evaluate_read import Labelled, read_labelled
from opinionwatch.models.examples import LABELS, Example
from opinionwatch.models.marks import read_written
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.terms import Term, Terms

ROOT = Path(__file__).parents[2]
SLICES = {
    *("negation", "contrast", "comparison", "irony", "rumour", "finance"),
    *("slang", "emoji", "mixed", "obfuscated", "plain"),
}
HAN = re.compile(r"[\u4e00-\u9fff]")


class Row(NamedTuple):
    """One line of the file."""

    slice: str
    lang: str
    label: str
    text: str


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def rows() -> list[Row]:
    return [Row(*line.split("\t")) for line in lines(ROOT / "models" / "challenge.tsv")]


def named_rows() -> list[Labelled]:
    """The sentences of the second file, which asks for the sentiment towards the names in them."""
    read = [*read_labelled(ROOT / "models" / "challenge_targets.jsonl")]
    found = [row for row in read if isinstance(row, Labelled)]
    assert len(found) == len(read)
    return found


def bare(text: str) -> str:
    """Letters and digits alone, so that case, width, spacing and punctuation hide no repetition."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def written_sentences() -> Iterator[str]:
    for path in sorted((ROOT / "models" / "written").glob("*.tsv")):
        for row in read_written(lines(path), path.name, "und"):
            assert isinstance(row, Example)
            yield row.text


def demo_patterns() -> Iterator[re.Pattern[str]]:
    """The demo's sentences with each `{slot}` open."""
    for path in sorted((ROOT / "connectors" / "written").glob("*.tsv")):
        for line in lines(path)[1:]:
            parts = re.split(r"\{\w+\}", line.split("\t")[3])
            yield re.compile(".+".join(re.escape(bare(part)) for part in parts))


def test_every_row_has_a_slice_a_language_a_label_and_a_text() -> None:
    for row in rows():
        assert row.slice in SLICES, row
        assert row.lang in ("en", "zh"), row
        assert row.label in LABELS, row
        assert row.text == row.text.strip() != "", row


def test_every_slice_holds_enough_of_both_languages_and_of_each_label() -> None:
    assert len(rows()) >= 420
    by_lang = Counter((row.slice, row.lang) for row in rows())
    by_label = Counter((row.slice, row.label) for row in rows())
    for name in SLICES:
        assert all(by_lang[name, lang] >= 18 for lang in ("en", "zh")), by_lang
        assert all(by_label[name, label] >= 4 for label in LABELS), by_label


def test_the_labels_are_balanced_as_opinions_are_in_the_wild() -> None:
    count = Counter(row.label for row in rows())
    for label, share in {"negative": 0.45, "neutral": 0.20, "positive": 0.35}.items():
        assert abs(count[label] / count.total() - share) < 0.03, count


def test_a_chinese_row_has_chinese_in_it_and_only_mixed_english_rows_do() -> None:
    for row in rows():
        assert bool(HAN.search(row.text)) == (row.lang == "zh" or row.slice == "mixed"), row


def test_mixed_rows_hold_both_scripts() -> None:
    assert all(re.search("[A-Za-z]", row.text) for row in rows() if row.slice == "mixed")


def test_sentences_are_as_long_as_posts_and_headlines_are() -> None:
    for row in rows():
        if row.lang == "en":
            assert 3 <= len(row.text.split()) <= 40, row
        else:
            assert 6 <= len(row.text) <= 80, row


def test_no_row_hides_invisible_characters() -> None:
    assert not [row for row in rows() if any(unicodedata.category(c) in ("Cc", "Cf") for c in row.text)]


def test_no_sentence_stands_twice() -> None:
    count = Counter(bare(row.text) for row in rows())
    assert not [text for text, times in count.items() if times > 1]


def test_no_sentence_is_trained_on() -> None:
    ours = {bare(row.text) for row in rows()} | {bare(row.text) for row in named_rows()}
    assert not ours & {bare(text) for text in written_sentences()}


def test_no_sentence_is_one_of_the_demo() -> None:
    ours = [bare(row.text) for row in rows()]
    assert not [(p.pattern, text) for p in demo_patterns() for text in ours if p.fullmatch(text)]
    assert not re.search("lumora|skyfare|kumobean|流墨|云际|云豆", " ".join(ours))


def test_every_slice_of_names_holds_enough_of_both_languages() -> None:
    by_lang = Counter((row.slice, row.lang) for row in named_rows())
    wanted = {"versus", "one-sided", "both", "against the tone", "relation", "single"}
    assert set(by_lang) == {(name, lang) for name in wanted for lang in ("en", "zh")}
    assert min(by_lang.values()) >= 20, by_lang


def test_moods_towards_names_are_balanced_and_no_sentence_stands_twice() -> None:
    moods = Counter(mood for row in named_rows() for _, mood in row.targets or ())
    assert all(0.2 < moods[at] / moods.total() < 0.45 for at in range(3)), moods
    assert max(Counter(bare(row.text) for row in named_rows()).values()) == 1


def test_every_name_is_found_in_its_sentence_as_a_watchlist_would_find_it() -> None:
    for row in named_rows():
        for name, _ in row.targets or ():
            assert Terms({Term(name): 0}).find(fold(row.text).text), (name, row.text)
