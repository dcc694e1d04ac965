import gzip
import json
import random
from pathlib import Path

import pytest

from opinionwatch.models.data import Rows, read_rows
from opinionwatch.models.recipe import OpinionSource, Recipe, SentimentSource
from opinionwatch.pipeline.errors import SettingsError

from .rows import sentiment_rows, triplet_rows, write_rows

MOOD = SentimentSource(name="mood", terms="ours")


def read(tmp_path: Path, source: SentimentSource | OpinionSource, rows: list[object], *, strict: bool = False) -> Rows:
    write_rows(tmp_path / "train" / f"{source.name}.jsonl.gz", rows)
    sentiment = (source,) if isinstance(source, SentimentSource) else ()
    opinions = (source,) if isinstance(source, OpinionSource) else ()
    return read_rows(Recipe(name="r", sentiment=sentiment, opinions=opinions), tmp_path, strict=strict)


BAD = [
    ('{"text": "x", "label": "great", "lang": "en"}', "unknown label 'great'"),
    ('{"text": "x", "lang": "en"}', "no label"),
    ('{"text": 3, "label": "neutral"}', "text: Input should be a valid string"),
    ('{"text": "x", ', "Expecting property name"),
    ("[" * 200_000, "recursion"),
    ('{"text": "x", "label": "\\ud800"}', r"unknown label '\ud800'"),
]


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_a_bad_row_is_counted_and_listed_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    rows = read(tmp_path, MOOD, [*sentiment_rows(), line])
    assert len(rows.train) == 12
    assert [(bad.file, bad.line) for bad in rows.bad] == [("mood.jsonl.gz", 13)]
    assert reason in rows.bad[0].reason


def test_strict_stops_at_the_first_bad_row(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"mood\.jsonl\.gz:2: unknown label"):
        read(tmp_path, MOOD, [sentiment_rows()[0], BAD[0][0]], strict=True)


def test_unreadable_bytes_are_a_bad_row_and_the_rows_around_them_are_read(tmp_path: Path) -> None:
    file = tmp_path / "train" / "mood.jsonl.gz"
    file.parent.mkdir()
    good, windows = (
        b'{"text": "fine", "label": "neutral"}\r\n',
        '{"text": "café", "label": "neutral"}\r\n'.encode("cp1252"),
    )
    file.write_bytes(gzip.compress(good + windows + good))
    rows = read_rows(Recipe(name="r", sentiment=(MOOD,)), tmp_path)
    assert [example.text for example in rows.train] == ["fine", "fine"]
    assert [(bad.line, bad.reason) for bad in rows.bad] == [(2, "bytes that are not UTF-8")]


def test_a_lone_surrogate_is_read_as_the_pipeline_reads_it(tmp_path: Path) -> None:
    rows = read(tmp_path, MOOD, ['{"text": "x \\ud800 y", "label": "neutral"}'])
    assert [example.text for example in rows.train] == ["x \ufffd y"]


@pytest.mark.parametrize("content", [b"plain", gzip.compress(random.Random(1).randbytes(9_000), mtime=0)[:-900]])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "train" / "mood.jsonl.gz"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"cannot read .*mood\.jsonl\.gz"):
        read_rows(Recipe(name="r", sentiment=(MOOD,)), tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'mood'"):
        read_rows(Recipe(name="r", sentiment=(MOOD,)), tmp_path)


def test_rows_of_a_left_out_topic_and_mixed_rows_are_not_trained_on(tmp_path: Path) -> None:
    source = SentimentSource(name="mood", terms="ours", without_topics=("phones",))
    mixed = {"text": "good and bad", "label": "mixed", "lang": "en"}
    kept = {"text": "fine", "label": "neutral", "lang": "en", "topic": "food"}
    rows = read(tmp_path, source, [*sentiment_rows(), mixed, kept])
    assert [example.text for example in rows.train] == ["fine"]
    assert not rows.bad


def test_a_cap_keeps_the_same_rows_in_any_order(tmp_path: Path) -> None:
    source = SentimentSource(name="mood", terms="ours", cap=5)
    first = {example.text for example in read(tmp_path, source, sentiment_rows()).train}
    second = {example.text for example in read(tmp_path, source, sentiment_rows()[::-1]).train}
    assert first == second
    assert len(first) == 5


def test_token_spans_become_character_spans(tmp_path: Path) -> None:
    row = {"text": "the battery is great", "tokens": ["the", "battery", "is", "great"], "lang": "en"}
    row |= {"triplets": [{"aspect_span": [1, 2], "opinion_span": [3, 4], "sentiment": "positive"}]}
    (example,) = read(tmp_path, OpinionSource(name="t", terms="ours"), [row]).train
    assert example.links == (((4, 11), (15, 20), 2),)
    assert example.label is None


def test_an_opinion_that_no_word_says_teaches_its_aspect_only(tmp_path: Path) -> None:
    row = {"text": "味道", "tokens": ["味", "道"]}
    row |= {"triplets": [{"aspect_span": [0, 2], "opinion_span": None, "sentiment": "positive"}]}
    (example,) = read(tmp_path, OpinionSource(name="t", terms="ours"), [row]).train
    assert (example.aspects, example.opinions, example.links) == (((0, 2),), (), ())


def test_a_row_with_aspects_alone_says_nothing_about_opinion_terms(tmp_path: Path) -> None:
    row = {"text": "the battery", "aspects": [{"term": "battery", "span": [4, 11]}, {"term": "size", "span": None}]}
    (example,) = read(tmp_path, OpinionSource(name="a", terms="ours", kind="aspects"), [row]).train
    assert (example.aspects, example.opinions, example.links, example.label) == (((4, 11),), None, None, None)


@pytest.mark.parametrize("span", [[0, 9], [-1, 2], [2, 2], [3, 1]])
def test_a_span_out_of_range_is_a_bad_row(tmp_path: Path, span: list[int]) -> None:
    row = {"text": "很好", "tokens": ["很", "好"]}
    row |= {"triplets": [{"aspect_span": None, "opinion_span": span, "sentiment": "positive"}]}
    rows = read(tmp_path, OpinionSource(name="t", terms="ours"), [row])
    assert not rows.train
    assert "outside" in rows.bad[0].reason


def test_overlapping_spans_are_left_out_where_the_recipe_says_so(tmp_path: Path) -> None:
    row = {"text": "海鲜粥鲜", "tokens": list("海鲜粥鲜")}
    row |= {"triplets": [{"aspect_span": [0, 3], "opinion_span": [1, 2], "sentiment": "positive"}]}
    assert not read(tmp_path, OpinionSource(name="t", terms="ours", drop_overlaps=True), [row]).train
    assert read(tmp_path, OpinionSource(name="t", terms="ours"), [row]).train


def test_a_source_only_for_evaluation_gives_dev_rows_and_no_training_rows(tmp_path: Path) -> None:
    write_rows(tmp_path / "dev" / "mood.jsonl.gz", sentiment_rows())
    source = SentimentSource(name="mood", terms="ours", evaluate_only=True)
    rows = read(tmp_path, source, sentiment_rows())
    assert (len(rows.train), len(rows.dev)) == (0, 12)


def test_a_repeated_source_is_seen_that_often(tmp_path: Path) -> None:
    rows = read(tmp_path, OpinionSource(name="t", terms="ours", repeat=3), triplet_rows())
    assert len(rows.train) == 6
    assert rows.counts == {"t": 2}
    rows = read(tmp_path, SentimentSource(name="mood", terms="ours", repeat=2), sentiment_rows())
    assert len(rows.train) == 2 * len(set(rows.train)) == 2 * rows.counts["mood"]


def test_the_written_sets_split_the_same_way_every_time(tmp_path: Path) -> None:
    recipe = Recipe(name="r", sentiment=(), opinions=(OpinionSource(name="zh", terms="ours", kind="written"),))
    first, second = read_rows(recipe, tmp_path, strict=True), read_rows(recipe, tmp_path, strict=True)
    assert first.dev == second.dev
    assert not {e.text for e in first.dev} & {e.text for e in first.train}
    assert 0.05 < len(first.dev) / len(first.train) < 0.2
    assert json.dumps(first.hashes) == json.dumps(second.hashes)


def test_a_name_is_taken_where_it_stands_first_and_one_that_is_not_there_makes_a_bad_row(tmp_path: Path) -> None:
    told = [{"target": "Quill", "sentiment": "positive"}, {"target": "Ferrox", "sentiment": "negative"}]
    row = {"text": "Quill beats Ferrox, says Quill", "label": "mixed", "targets": told, "lang": "en"}
    absent = {"text": "Quill", "targets": [{"target": "Tesk", "sentiment": "neutral"}]}
    rows = read(tmp_path, OpinionSource(name="n", terms="ours", kind="targets"), [row, absent])
    (example,) = rows.train
    assert example.targets == (((0, 5), 2), ((12, 18), 0))
    assert (example.label, example.aspects, example.links) == (None, None, None)
    assert "'Tesk'" in rows.bad[0].reason


def test_what_opinions_of_an_aspect_agree_on_is_the_sentiment_towards_it(tmp_path: Path) -> None:
    (first, *_) = read(tmp_path, OpinionSource(name="t", terms="ours"), triplet_rows()).train
    assert first.targets == (((0, 2), 2), ((5, 7), 0))
    row = {"text": "the battery", "aspects": [{"term": "battery", "span": [4, 11], "sentiment": "negative"}]}
    (example,) = read(tmp_path, OpinionSource(name="a", terms="ours", kind="aspects"), [row]).train
    assert example.targets == (((4, 11), 0),)


def test_a_text_that_is_kept_from_training_is_in_no_other_file_of_it(tmp_path: Path) -> None:
    texts = [row["text"] for row in sentiment_rows() if isinstance(row, dict)]
    named = [{"text": text, "targets": [{"target": text, "sentiment": "neutral"}]} for text in texts]
    write_rows(tmp_path / "train" / "named.jsonl.gz", named)
    write_rows(tmp_path / "train" / "mood.jsonl.gz", sentiment_rows())
    names = OpinionSource(name="named", terms="ours", kind="targets")
    rows = read_rows(Recipe(name="r", sentiment=(MOOD,), opinions=(names,), validation=0.4), tmp_path)
    kept_out = {example.text for example in rows.validation}
    assert kept_out
    assert not kept_out & {example.text for example in rows.train}
    assert {example.source for example in rows.train} == {"mood", "named"}


def test_rows_are_read_as_the_scorer_will_read_them(tmp_path: Path) -> None:
    row = {"text": "\u200b屏幕，很好！", "lang": "zh", "triplets": [], "tokens": ["屏幕", "，", "很好", "！"]}
    row["triplets"] = [
        {"aspect": "屏幕", "aspect_span": [0, 1], "opinion": "很好", "opinion_span": [2, 3], "sentiment": "positive"}
    ]
    (example,) = read(tmp_path, OpinionSource(name="t", terms="ours"), [row]).train
    assert example.text == "屏幕,很好!"
    assert [example.text[slice(*span)] for span in (*(example.aspects or ()), *(example.opinions or ()))] == [
        "屏幕",
        "很好",
    ]
    mood = {"text": "太差了……", "label": "negative", "lang": "zh"}
    (example,) = read(tmp_path, SentimentSource(name="mood", terms="ours"), [mood]).train
    assert example.text == "太差了......"
