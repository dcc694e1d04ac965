import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from opinionwatch.models.compare import compare
from opinionwatch.models.compare_show import to_table
from opinionwatch.models.lexicon import LexiconScorer
from opinionwatch.pipeline.contracts import Label, OpinionTerm, Reading, Sentiment
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.ports import Passage


class Says:
    """Answers by a table of texts; whatever is not in it is neutral, `poison` is refused."""

    def __init__(self, version: str, **answers: Label) -> None:
        self.version = version
        self.answers = answers

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        if any(passage.text == "poison" for passage in passages):
            raise RejectedError("model_output", "poison")
        return [self._read(passage.text.split()[0]) for passage in passages]

    def _read(self, word: str) -> Reading:
        label = self.answers.get(word, "neutral")
        chances = {name: 0.8 if name == label else 0.1 for name in ("negative", "neutral", "positive")}
        return Reading(sentiment=Sentiment(label=label, **chances, unsure=False), opinions=())


def write(path: Path, *rows: tuple[str, str]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "label": label, "lang": "en"}) + "\n" for text, label in rows))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [(f"good {at}", "positive") for at in range(40)] + [(f"bad {at}", "negative") for at in range(40)]
    return write(tmp_path / "moods.jsonl", *rows, *((f"meh {at}", "neutral") for at in range(40)))


OLD = Says("old", good="positive")
NEW = Says("new", good="positive", bad="negative")


def test_a_better_model_is_called_better_and_its_flips_are_listed(file: Path) -> None:
    [found] = compare(OLD, NEW, [file], flips=3).files
    assert (found.accuracy.old, found.accuracy.new) == pytest.approx((2 / 3, 1))
    assert found.accuracy.verdict == found.macro_f1.verdict == "better"
    assert (found.mended, found.broken, found.texts) == (40, 0, 120)
    assert [(flip.line, flip.gold, flip.old, flip.new) for flip in found.flips] == [
        (line, "negative", "neutral", "negative") for line in (41, 42, 43)
    ]


def test_a_worse_model_is_named_for_the_gate_and_a_like_one_is_not(file: Path, tmp_path: Path) -> None:
    few = write(tmp_path / "few.jsonl", ("bad 1", "negative"), ("good 1", "positive"), ("meh 1", "neutral"))
    assert compare(NEW, OLD, [file, few]).worse == ("moods.jsonl",)
    assert compare(NEW, NEW, [file]).worse == ()
    assert compare(NEW, OLD, [few]).files[0].accuracy.verdict == "no difference shown"


def test_a_small_loss_counts_by_itself_and_is_chance_on_one_of_many_files(tmp_path: Path) -> None:
    even = [(f"good {at}", "positive") for at in range(60)] + [(f"meh {at}", "neutral") for at in range(60)]
    lost, won = [(f"bad {at}", "negative") for at in range(30)], [("bad sign", "neutral")]
    slightly = write(tmp_path / "slightly.jsonl", *even, *lost[:5], *won)
    clearly = write(tmp_path / "clearly.jsonl", *even, *lost)
    alike = [write(tmp_path / f"{number}.jsonl", *even) for number in range(12)]
    assert compare(NEW, OLD, [slightly]).worse == ("slightly.jsonl",)
    assert compare(NEW, OLD, [slightly, *alike]).worse == ()
    assert compare(NEW, OLD, [*alike, slightly, clearly]).worse == ("clearly.jsonl",)


def test_the_gate_tells_files_of_one_name_apart(tmp_path: Path) -> None:
    for folder, word, label in (("dev", "bad", "negative"), ("test", "good", "positive")):
        (tmp_path / folder).mkdir()
        rows = [(f"{word} {at}", label) for at in range(40)] + [(f"meh {at}", "neutral") for at in range(40)]
        write(tmp_path / folder / "x.jsonl", *rows)
    dev, test = (tmp_path / folder / "x.jsonl" for folder in ("dev", "test"))
    assert compare(NEW, OLD, [dev, test]).worse == (str(dev),)


def test_a_file_without_neutral_rows_is_judged_on_two_classes(tmp_path: Path) -> None:
    rows = [(f"bad {at}", "negative") for at in range(20)] + [(f"good {at}", "positive") for at in range(20)]
    [found] = compare(OLD, NEW, [write(tmp_path / "two.jsonl", *rows)]).files
    # Of a neutral answer the likelier of the other two counts, and these are equal: negative.
    assert (found.classes, found.accuracy.old, found.flips) == (2, 1.0, ())


def test_rows_that_cannot_be_compared_are_counted(tmp_path: Path) -> None:
    file = write(
        tmp_path / "x.jsonl", ("good", "positive"), ("poison", "positive"), ("good", "meh"), ("meh", "neutral")
    )
    [found] = compare(OLD, NEW, [file]).files
    assert (found.texts, found.skipped) == (2, 2)


def test_files_without_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text('{"text": "x", "triplets": []}\n')
    with pytest.raises(SettingsError, match="no row has a label"):
        compare(OLD, NEW, [tmp_path / "none.jsonl"])


class Finds:
    """Knows one mood and finds the word `good` as a term of this polarity, with what stands before it as its aspect."""

    def __init__(self, version: str, polarity: Label | None) -> None:
        self.version = version
        self.polarity: Label | None = polarity

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        mood = Sentiment(label="positive", negative=0.1, neutral=0.1, positive=0.8, unsure=False)
        return [Reading(sentiment=mood, opinions=tuple(self._terms(passage.text))) for passage in passages]

    def _terms(self, text: str) -> Iterator[OpinionTerm]:
        at = text.find("good")
        if self.polarity is not None and at > 0:
            yield OpinionTerm(
                aspect=text[: at - 1],
                opinion="good",
                polarity=self.polarity,
                aspect_span=(0, at - 1),
                opinion_span=(at, at + 4),
                confidence=1,
            )


def opinions(path: Path, texts: int = 40, **more: str) -> Path:
    triplet = {"aspect_span": [0, 6], "opinion_span": [7, 11], "sentiment": "positive"}
    rows = [{"text": f"screen good {at}", "triplets": [triplet], "lang": "en", **more} for at in range(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


RIGHT, WRONG, SILENT = Finds("right", "positive"), Finds("wrong", "negative"), Finds("silent", None)


@pytest.mark.parametrize("new", [WRONG, SILENT])
def test_a_model_that_finds_fewer_opinions_is_worse_though_its_labels_are_as_good(tmp_path: Path, new: Finds) -> None:
    found = compare(RIGHT, new, [opinions(tmp_path / "terms.jsonl", label="positive")])
    assert found.files[0].accuracy.verdict == "no difference shown"
    [judged] = found.opinions
    assert (judged.texts, judged.triplet_f1.old, judged.triplet_f1.new) == (40, 1.0, 0.0)
    assert judged.triplet_f1.verdict == "worse"
    assert found.worse == ("terms.jsonl",)
    assert compare(new, RIGHT, [opinions(tmp_path / "terms.jsonl")]).worse == ()


def test_a_file_of_triplets_alone_is_judged_and_one_of_nothing_is_named(tmp_path: Path) -> None:
    terms, none = opinions(tmp_path / "terms.jsonl"), write(tmp_path / "none.jsonl", ("good", "meh"))
    found = compare(RIGHT, SILENT, [terms, none])
    assert (found.files, found.judged, found.unjudged) == ((), ("terms.jsonl",), ("none.jsonl",))
    console = Console(width=160)
    with console.capture() as shown:
        console.print(to_table(found))
    assert "100.0% → 0.0%" in shown.get()
    assert "not judged, no row has a label, triplets or names: none.jsonl" in shown.get()


def test_real_scorers_are_compared_on_the_challenge_set() -> None:
    challenge = Path(__file__).parents[2] / "models" / "challenge.tsv"
    lexicon = LexiconScorer(LexiconScorer.Settings())
    [found] = compare(Says("nothing"), lexicon, [challenge]).files
    assert found.texts > 400
    assert found.macro_f1.verdict == "better"


def test_the_table_shows_gains_and_flips(file: Path) -> None:
    console = Console(width=160, record=True, file=None)
    with console.capture() as shown:
        console.print(to_table(compare(OLD, NEW, [file])))
    text = shown.get()
    assert "old → new" in text
    assert "66.7% → 100.0%" in text
    assert "+33.3" in text
    assert "bad 0" in text


def test_a_text_cannot_steer_the_terminal(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", ("bad \x1b[31m\u202e[red]", "negative"), ("meh", "neutral"))
    console = Console(width=160)
    with console.capture() as shown:
        console.print(to_table(compare(OLD, NEW, [file])))
    assert "bad ·[31m·[red]" in shown.get()
