import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from opinionwatch.models.evaluate import evaluate, to_json, to_table
from opinionwatch.models.evaluate_tally import MoodTally, OpinionTally
from opinionwatch.models.lexicon import LexiconScorer
from opinionwatch.pipeline.contracts import Label, OpinionTerm, Reading, Sentiment
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.ports import Passage

MOODS: dict[str, tuple[float, float, float]] = {"bad": (0.8, 0.15, 0.05), "meh": (0.3, 0.5, 0.2)}


class Echo:
    """Says what the text itself says: `bad`, `meh`, anything else is good. Refuses a text with `refuse` in it."""

    version = "echo-1"

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        if any("refuse" in passage.text for passage in passages):
            raise RejectedError("stage_failed", "as asked")
        return [self._read(passage.text) for passage in passages]

    def _read(self, text: str) -> Reading:
        chances = MOODS.get(text.split()[0] if text else "", (0.02, 0.08, 0.9))
        names: list[Label] = ["negative", "neutral", "positive"]
        at = chances.index(max(chances))
        mood = Sentiment(
            label=names[at], negative=chances[0], neutral=chances[1], positive=chances[2], unsure=max(chances) < 0.6
        )
        return Reading(sentiment=mood, opinions=tuple(self._opinions(text)))

    def _opinions(self, text: str) -> list[OpinionTerm]:
        start = text.find("slow")
        if start < 0:
            return []
        aspect = (0, text.index(" ")) if " " in text else None
        return [
            OpinionTerm(
                aspect=None if aspect is None else text[: aspect[1]],
                opinion="slow",
                polarity="negative",
                aspect_span=aspect,
                opinion_span=(start, start + 4),
                confidence=0.9,
            )
        ]


def write(path: Path, rows: Sequence[object]) -> Path:
    lines = (row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows)
    data = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def mood(text: str, label: str | None, **more: str) -> dict[str, str | None]:
    return {"text": text, "label": label, **more}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    labels = ["negative"] * 3 + ["neutral"] * 2 + ["positive"] * 3
    texts = ["bad", "bad", "meh", "meh", "good", "good", "good", "bad"]
    rows = [mood(text, label, lang="en") for text, label in zip(texts, labels, strict=True)]
    return write(tmp_path / "moods.jsonl.gz", rows)


def test_the_figures_of_three_classes(file: Path) -> None:
    figures = evaluate(Echo(), [file]).files[0].sentiment
    assert figures is not None
    assert (figures.texts, figures.classes) == (8, 3)
    assert figures.confusion == ((2, 1, 0), (0, 1, 1), (1, 0, 2))
    assert figures.accuracy == pytest.approx(5 / 8)
    assert figures.macro_recall == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert figures.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    negative = figures.by_class["negative"]
    assert (negative.precision, negative.recall, negative.support) == pytest.approx((2 / 3, 2 / 3, 3))
    # Two texts are `meh`, whose 0.5 is unsure; of the other six, four are right.
    assert (figures.coverage, figures.sure_accuracy) == pytest.approx((6 / 8, 4 / 6))
    gaps = abs(3 * 0.8 - 2) + abs(2 * 0.5 - 1) + abs(3 * 0.9 - 2)
    assert figures.calibration_error == pytest.approx(gaps / 8)


def test_a_file_without_neutral_rows_is_judged_on_two_classes(tmp_path: Path) -> None:
    file = write(tmp_path / "two.jsonl", [mood("meh", "negative"), mood("good", "positive"), mood("bad", "negative")])
    figures = evaluate(Echo(), [file]).files[0].sentiment
    assert figures is not None
    assert (figures.classes, figures.accuracy, set(figures.by_class)) == (2, 1.0, {"negative", "positive"})


def test_files_are_pooled_each_judged_as_its_own(file: Path, tmp_path: Path) -> None:
    two = write(tmp_path / "two.jsonl", [mood("meh 差", "negative", lang="zh"), mood("good", "positive", lang="en")])
    report = evaluate(Echo(), [file, two])
    assert report.sentiment is not None
    assert report.sentiment.accuracy == pytest.approx(7 / 10)
    assert {lang: figures.texts for lang, figures in report.by_language.items()} == {"en": 9, "zh": 1}


def test_a_missing_language_is_read_off_the_text(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", [mood("手机很好", "positive"), mood("what a nice and easy day", "positive")])
    assert set(evaluate(Echo(), [file]).by_language) == {"en", "zh"}


def test_skipped_rows_are_counted_with_reason_and_line(tmp_path: Path) -> None:
    rows = [
        mood("good", "positive"),
        mood("x", "mixed"),
        mood("x", None),
        b"{broken",
        b"[1]",
        b'{"text": "\xff"}',
        b'{"text": 3}',
        {"text": "ab", "tokens": ["z"], "triplets": []},
        {"text": "a", "triplets": [{"aspect_span": None, "opinion_span": [0, 9], "sentiment": "negative"}]},
        {"text": "a", "triplets": [{"aspect_span": None, "opinion_span": [0, 1], "sentiment": "so so"}]},
        mood("refuse this", "positive"),
        b"",
    ]
    report = evaluate(Echo(), [write(tmp_path / "rows.jsonl", rows)]).files[0]
    assert [(row.line, row.reason) for row in report.first_skipped] == [
        (2, "label 'mixed'"),
        (3, "neither label, triplets, targets nor aspects with a sentiment"),
        (4, "malformed_json"),
        (5, "not_an_object"),
        (6, "bad_encoding"),
        (7, "invalid field text"),
        (8, "tokens that are not in the text"),
        (9, "a span outside the text"),
        (10, "invalid field triplets"),
        (11, "refused by the scorer: stage_failed"),
    ]
    assert sum(report.skipped.values()) == 10
    assert report.sentiment is not None
    assert report.sentiment.texts == 1


def test_only_the_first_twenty_skipped_rows_are_listed(tmp_path: Path) -> None:
    rows = [mood("good", "positive"), *(mood("x", f"odd {number}") for number in range(100))]
    report = evaluate(Echo(), [write(tmp_path / "rows.jsonl", rows)]).files[0]
    assert len(report.first_skipped) == 20
    assert (sum(report.skipped.values()), len(report.skipped)) == (100, 51)


def test_triplets_are_found_exactly_partially_or_not(tmp_path: Path) -> None:
    def row(tokens: str, *triplets: tuple[list[int] | None, list[int], str]) -> dict[str, object]:
        listed = [dict(zip(("aspect_span", "opinion_span", "sentiment"), each, strict=True)) for each in triplets]
        return {"text": tokens, "tokens": tokens.split(), "triplets": listed}

    file = write(
        tmp_path / "triplets.jsonl",
        [
            row("wifi is slow", ([0, 1], [2, 3], "negative")),
            row("wifi is so slow", ([0, 1], [2, 4], "negative")),
            row("hotel wifi slow", ([1, 2], [2, 3], "negative")),
            row("wifi slow ?", ([0, 1], [1, 2], "positive")),
            row("wifi rocks", ([0, 1], [1, 2], "positive")),
        ],
    )
    figures = evaluate(Echo(), [file]).opinions
    assert figures is not None
    assert (figures.texts, figures.right, figures.given) == (5, 5, 4)
    assert (figures.triplets.precision, figures.triplets.recall) == pytest.approx((1 / 4, 1 / 5))
    assert figures.triplets.f1 == pytest.approx(2 / 9)
    assert figures.triplets_partial.f1 == pytest.approx(4 / 9)
    assert figures.opinions.f1 == pytest.approx(4 / 9)
    assert figures.opinions_partial.f1 == pytest.approx(6 / 9)


def test_a_given_triplet_counts_once() -> None:
    tally = OpinionTally()
    tally.add([((0, 4), (5, 9), 0), ((0, 4), (6, 8), 0)], [((0, 4), (5, 8), 0), ((0, 4), (5, 8), 0)])
    figures = tally.figures()
    assert (figures.given, figures.triplets_partial.precision, figures.triplets_partial.recall) == (1, 1.0, 0.5)


def test_spans_of_folded_texts_are_compared_in_the_text_as_given(tmp_path: Path) -> None:
    text = "ｗｉｆｉ\u200b\u200b ｓｌｏｗ"
    triplet = {"aspect_span": [0, 4], "opinion_span": [7, 11], "sentiment": "negative"}
    file = write(tmp_path / "wide.jsonl", [{"text": text, "triplets": [triplet]}])
    figures = evaluate(Echo(), [file]).opinions
    assert figures is not None
    assert figures.opinions.f1 == 1.0


def test_tables_with_and_without_a_header_are_read(tmp_path: Path) -> None:
    (tmp_path / "named.tsv").write_text("scene\ttone\taspect\tsentence\nusual\tnegative\tapp\tbad app\n")
    (tmp_path / "named.csv").write_text('text,label\n"bad, really",negative\n"one cell"\n')
    (tmp_path / "en_marks.tsv").write_text("# ours\nphones\tnegative\tthe [wifi|a1] is [slow|o1-]\nphones\todd\tx\n")
    (tmp_path / "slices.tsv").write_text("irony\ten\tnegative\tbad\nirony\tzh\tneutral\tmeh\n")
    tsv, csv, marks, slices = evaluate(
        Echo(), [tmp_path / name for name in ("named.tsv", "named.csv", "en_marks.tsv", "slices.tsv")]
    ).files
    assert tsv.sentiment is not None
    assert csv.sentiment is not None
    assert (tsv.sentiment.texts, csv.sentiment.texts, csv.skipped) == (1, 1, {"not 2 columns": 1})
    assert marks.opinions is not None
    assert (marks.opinions.right, marks.skipped) == (1, {"unknown label 'odd'": 1})
    assert set(slices.by_slice) == {"irony"}
    assert set(slices.by_language) == {"en", "zh"}


def test_a_post_that_begins_with_a_hashtag_is_no_remark(tmp_path: Path) -> None:
    for name, separator in (("posts.csv", ","), ("posts.tsv", "\t")):
        rows = [("text", "label"), ("#fail bad", "negative"), ("# bad", "negative"), ("meh", "neutral")]
        (tmp_path / name).write_text("".join(separator.join(row) + "\n" for row in rows))
        [found] = evaluate(Echo(), [tmp_path / name]).files
        assert found.sentiment is not None
        assert (found.sentiment.texts, found.skipped) == (3, {})


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("dev", "test"):
        (tmp_path / folder).mkdir()
        write(
            tmp_path / folder / "x.jsonl", [{"text": "bad", "label": "negative"}, {"text": "meh", "label": "neutral"}]
        )
    files = [tmp_path / folder / "x.jsonl" for folder in ("dev", "test")]
    assert [each.file for each in evaluate(Echo(), files).files] == [str(file) for file in files]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("excel.csv", "text,label\nfine,neutral\n".encode("utf-16"), "bad_encoding"),
        ("western.csv", "text,label,année\nfine,neutral,1\n".encode("cp1252"), "bad_encoding"),
        ("chinese.tsv", "正面\tzh\tnegative\t很差\n".encode("gbk"), "bad_encoding"),
        ("wide.csv", b"text,label," + b"x" * (8 * 2**20 + 1) + b"\n", "(too_large|no rows)"),
    ],
)
def test_a_table_whose_first_line_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=rf"no row can be measured \(.*{reason}"):
        evaluate(Echo(), [tmp_path / name])


def test_a_row_that_goes_on_in_the_next_line_is_skipped_and_not_half_of_it_measured(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b'text,label\n"two\nlines",neutral\n"a ""good"" one",positive\n')
    report = evaluate(Echo(), [tmp_path / "x.csv"]).files[0]
    assert [row.line for row in report.first_skipped] == [2, 3]
    assert report.sentiment is not None
    assert report.sentiment.texts == 1


def test_the_limit_is_a_number_of_rows_of_each_file(file: Path) -> None:
    report = evaluate(Echo(), [file, file], limit=3)
    assert [each.sentiment and each.sentiment.texts for each in report.files] == [3, 3]


def test_a_file_that_tells_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no row can be measured \(label 'odd': 1\)"):
        evaluate(Echo(), [write(tmp_path / "odd.jsonl", [mood("x", "odd")])])
    with pytest.raises(SettingsError, match="no row can be measured"):
        evaluate(Echo(), [write(tmp_path / "empty.jsonl", [])])


def test_a_damaged_file_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(SettingsError, match="cannot read"):
        evaluate(Echo(), [file])
    file.write_bytes(b"plain")
    with pytest.raises(SettingsError, match="cannot read"):
        evaluate(Echo(), [file])


def test_a_row_of_megabytes_is_skipped_and_the_next_is_read(tmp_path: Path) -> None:
    rows = [b'{"text": "' + b"x" * (9 * 1024 * 1024) + b'", "label": "positive"}', mood("good", "positive")]
    report = evaluate(Echo(), [write(tmp_path / "long.jsonl", rows)]).files[0]
    assert report.skipped == {"too_large": 1}
    assert report.sentiment is not None
    assert report.sentiment.texts == 1


def test_merged_counts_are_the_counts_of_everything() -> None:
    parts, whole = [MoodTally(closed=False) for _ in range(3)], MoodTally(closed=False)
    for number in range(60):
        chances = MOODS["bad"] if number % 4 else MOODS["meh"]
        label: Label = "negative" if number % 4 else "neutral"
        said = Sentiment(
            label=label, negative=chances[0], neutral=chances[1], positive=chances[2], unsure=number % 5 == 0
        )
        parts[number % 3].add(number % 3, said)
        whole.add(number % 3, said)
    merged = MoodTally(closed=True)
    for part in parts:
        merged.merge(part)
    assert merged.figures().confusion == whole.figures().confusion
    assert merged.figures().calibration_error == pytest.approx(whole.figures().calibration_error)
    assert merged.figures().sure_accuracy == whole.figures().sure_accuracy


def test_the_report_is_data_and_a_table(file: Path) -> None:
    report = evaluate(LexiconScorer(LexiconScorer.Settings()), [file, file])
    assert json.loads(to_json(report))["files"][0]["sentiment"]["texts"] == 8
    shown = io.StringIO()
    Console(file=shown, width=160).print(to_table(report))
    assert "moods" in shown.getvalue()
    assert "macro F1" in shown.getvalue()


def test_trusting_less_is_shown_from_everything_to_the_surest(file: Path) -> None:
    figures = evaluate(Echo(), [file]).files[0].sentiment
    assert figures is not None
    first, *_, last = figures.risk_coverage
    assert (first.coverage, first.accuracy) == pytest.approx((1, 5 / 8))
    # `good` is the surest: three texts said to be positive with 0.9.
    assert (last.coverage, last.accuracy) == pytest.approx((3 / 8, 2 / 3))
    assert [bin_.texts for bin_ in figures.reliability] == [2, 3, 3]
    low, high = figures.macro_f1_interval
    assert low < figures.macro_f1 < high


def test_any_file_is_measured_by_the_traits_of_its_texts(tmp_path: Path) -> None:
    rows = [mood("good 😀", "positive", lang="en"), mood("bad, not a phone", "negative", lang="en")]
    report = evaluate(Echo(), [write(tmp_path / "x.jsonl", rows)])
    assert {name: figures.texts for name, figures in report.by_trait.items()} == {
        "short": 2, "emoji": 1, "negation": 1,
    }  # fmt: skip
