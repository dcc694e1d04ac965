"""Sentiment towards names: measured by `evaluate`, compared and gated by `compare`."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from opinionwatch.models import compare_show, evaluate_show
from opinionwatch.models.compare import compare
from opinionwatch.models.evaluate import evaluate
from opinionwatch.models.evaluate_pages import write_pages
from opinionwatch.models.evaluate_report import Report
from opinionwatch.pipeline.contracts import Label, Reading, Sentiment
from opinionwatch.pipeline.ports import Passage

WORDS: dict[str, Label] = {"good": "positive", "bad": "negative"}


def mood(label: Label) -> Sentiment:
    chances = {name: 0.8 if name == label else 0.1 for name in ("negative", "neutral", "positive")}
    return Sentiment(label=label, **chances, unsure=False)


class Around:
    """Takes every text for positive, and every name for what the word before it says; `deaf` knows no names."""

    def __init__(self, version: str = "around", *, deaf: bool = False) -> None:
        self.version, self.deaf = version, deaf

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        return [Reading(sentiment=mood("positive"), targets=tuple(self._named(passage))) for passage in passages]

    def _named(self, passage: Passage) -> Sequence[Sentiment]:
        if self.deaf:
            return ()
        before = [passage.text[: places[0][0]].split()[-1:] if places else [] for places in passage.targets]
        return [mood(WORDS.get(words[0] if words else "", "neutral")) for words in before]


def row(text: str, lang: str = "en", part: str | None = None, **targets: Label) -> dict[str, object]:
    named = [{"target": name, "sentiment": label} for name, label in targets.items()]
    return {"text": text, "lang": lang, "targets": named, **({} if part is None else {"slice": part})}


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(
        tmp_path / "names.jsonl",
        row("so good Quillon and so bad Ferrox", part="versus", Quillon="positive", Ferrox="negative"),
        row("met at Orrin , good Quillon again", part="one-sided", Orrin="neutral", Quillon="positive"),
        row("这次 bad 流墨 太慢", "zh", part="single", 流墨="neutral"),
    )


def shown(table: object) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_every_name_is_judged_and_set_beside_the_mood_of_its_text(file: Path) -> None:
    report = evaluate(Around(), [file])
    [names] = [each.targets for each in report.files]
    assert names is not None
    assert (names.own.texts, names.own.accuracy) == (5, 4 / 5)
    # Positive two of two, negative one and a false one, neutral one of two.
    assert names.own.macro_f1 == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    # Everything positive: two of five.
    assert names.of_text == pytest.approx((4 / 7) / 3)
    assert {part: each.own.texts for part, each in report.targets.items()} == {
        "all": 5,
        "en": 4,
        "versus": 2,
        "one-sided": 2,
        "zh": 1,
        "single": 1,
    }
    assert report.sentiment is None
    assert report.opinions is None


def test_of_a_scorer_without_a_head_for_names_the_mood_of_the_text_counts(file: Path) -> None:
    [names] = [each.targets for each in evaluate(Around(deaf=True), [file]).files]
    assert names is not None
    assert names.own.macro_f1 == names.of_text


def test_a_name_is_found_as_a_watchlist_finds_it(tmp_path: Path) -> None:
    # Another case, whole words only, full width: what the head reads is what the pipeline would give it.
    rows = write(
        tmp_path / "x.jsonl",
        row("seated , then good ＳＥＡＴ ; Seat it was", Seat="positive"),
        row("all seated here , Seated or not", seated="neutral"),
    )
    [names] = [each.targets for each in evaluate(Around(), [rows]).files]
    assert names is not None
    assert names.own.accuracy == 1


def test_a_text_may_have_a_mood_of_its_own_and_a_mixed_one_has_none(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "x.jsonl",
        {**row("good Quillon", Quillon="positive"), "label": "positive"},
        {**row("good Quillon bad Ferrox", Quillon="positive", Ferrox="negative"), "label": "mixed"},
        {"text": "x", "label": "mixed"},
    )
    [found] = evaluate(Around(), [rows]).files
    assert found.sentiment is not None
    assert found.targets is not None
    assert (found.sentiment.texts, found.targets.own.texts) == (1, 3)
    assert found.skipped == {"label 'mixed'": 1}


def test_names_that_are_not_there_and_unknown_moods_are_counted(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "x.jsonl",
        row("good Quillon", Quillon="positive"),
        row("good Quillon", Ferrox="positive"),
        {"text": "x", "targets": [{"target": "x", "sentiment": "so so"}]},
        {"text": "x", "targets": [{"target": "", "sentiment": "neutral"}]},
        {"text": "x", "targets": []},
    )
    [found] = evaluate(Around(), [rows]).files
    assert [(each.line, each.reason) for each in found.first_skipped] == [
        (2, "the name 'Ferrox' is not in the text"),
        (3, "invalid field targets"),
        (4, "invalid field targets"),
        (5, "neither label, triplets, targets nor aspects with a sentiment"),
    ]


def test_aspects_are_names_by_their_place(tmp_path: Path) -> None:
    def aspect(first: int, last: int, mood: str | None) -> dict[str, object]:
        return {"term": "x", "span": [first, last], "sentiment": mood}

    rows = write(
        tmp_path / "x.jsonl",
        {"text": "good Quillon bad Ferrox", "aspects": [aspect(5, 12, "positive"), aspect(17, 23, "negative")]},
        {"text": "good Quillon bad Quillon", "aspects": [aspect(5, 12, "positive"), aspect(17, 24, "negative")]},
        {"text": "good Quillon bad Ferrox", "aspects": [aspect(5, 12, "conflict"), aspect(17, 23, "negative")]},
        {"text": "good Quillon", "aspects": [{"term": "implied", "span": None, "sentiment": "positive"}]},
        {"text": "good Quillon", "aspects": [aspect(5, 99, "positive")]},
        {"text": "good Quillon", "label": "positive", "aspects": []},
    )
    [found] = evaluate(Around(), [rows]).files
    assert found.targets is not None
    assert (found.targets.own.texts, found.targets.own.accuracy) == (3, 1.0)
    assert found.sentiment is not None
    assert found.sentiment.texts == 1
    assert [(each.line, each.reason) for each in found.first_skipped] == [
        (2, "neither label, triplets, targets nor aspects with a sentiment"),
        (4, "neither label, triplets, targets nor aspects with a sentiment"),
        (5, "a span outside the text"),
    ]


def test_tables_and_pages_show_the_names(file: Path, tmp_path: Path) -> None:
    report: Report = evaluate(Around(), [file])
    text = shown(evaluate_show.to_table(report))
    for words in ("sentiment towards names", "one-sided", "80.0%", "77.8%", "19.0%"):
        assert words in text
    write_pages(report, tmp_path / "pages")
    assert "| names | 5 | 80.0% | 77.8%" in (tmp_path / "pages" / "report.md").read_text().replace(
        "names.jsonl", "names"
    )


def test_a_model_that_has_lost_the_names_is_worse_and_the_gate_says_so(tmp_path: Path) -> None:
    rows = [row(f"good Quillon bad Ferrox {at}", Quillon="positive", Ferrox="negative") for at in range(40)]
    file = write(tmp_path / "names.jsonl", *rows)
    found = compare(Around("old"), Around("new", deaf=True), [file], flips=2)
    [names] = found.targets
    assert (names.texts, names.accuracy.old, names.accuracy.new, names.broken) == (80, 1.0, 0.5, 40)
    assert (found.files, found.worse, found.unjudged) == ((), ("names.jsonl",), ())
    text = shown(compare_show.to_table(found))
    assert "towards names · old → new" in text
    assert "Ferrox: good Quillon bad Ferrox 0" in text
    assert compare(Around("new", deaf=True), Around("old"), [file]).worse == ()
