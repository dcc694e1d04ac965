"""`opinionwatch score`: one answer a line, in order, whatever the lines are."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from opinionwatch.models.manifest import DEFAULT
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.wiring_why import Explainer
from tests.pipeline.command import Command, lines
from tests.pipeline.sample import document, scored

PROGRAM = Path(sys.executable).parent / "opinionwatch"
HOSTILE: tuple[tuple[bytes, str | None], ...] = (
    (b'{"text": "The battery is awful"}', None),
    (b"", "malformed_json"),
    (b"not json", "malformed_json"),
    ('{"text": "这手机太差了"}'.encode(), None),
    (b'{"text": 5}', "invalid_field"),
    (b'{"text": null}', "missing_field"),
    (b"{}", "missing_field"),
    (b"[]", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b'{"text": NaN}', "malformed_json"),
    (b'{"text": "a", "text": "b"}', "malformed_json"),
    (b'{"text": "\xff\xfe"}', "bad_encoding"),
    (b"[" * 100_000, "too_deep"),
    (b'{"n": ' + b"9" * 10_000 + b', "text": "x"}', "invalid_field"),
    (b'{"text": "\\ud800 awful battery \\udfff"}', None),
    (b'{"text": "a\\u0000b awful"}', None),
    (b'{"text": ""}', None),
    (b'{"text": " \\n\\t "}', None),
    ('{"text": "😡🔥😡"}'.encode(), None),
    ('{"text": "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ"}'.encode(), None),
    (b'{"text": "\\u202eawful\\u202c \\u200bbattery"}', None),
    (b'{"text": "' + b"w" * 200_000 + b'"}', None),
    (b'{"text": "' + b"x" * (9 * 1024 * 1024) + b'"}', "too_large"),
    (b'{"text": "great camera, awful battery", "more": {"of": ["it"]}}', None),
)


@pytest.fixture(autouse=True)
def _lexicon(command: Command) -> None:
    Path("opinionwatch.yaml").write_text("scorer: {kind: lexicon}\n")


def test_hostile_lines_are_answered_in_their_place_and_the_others_go_on(command: Command) -> None:
    ended = command("score", stdin=b"\n".join(line for line, _ in HOSTILE) + b"\n")
    assert (ended.code, ended.err) == (0, "")
    answers = [json.loads(line) for line in lines(ended.out)]
    assert [answer.get("error") for answer in answers] == [error for _, error in HOSTILE]
    assert all(answer["detail"] for answer in answers if "error" in answer)
    assert answers[0]["sentiment"]["label"] == answers[3]["sentiment"]["label"] == "negative"
    assert (answers[0]["lang"], answers[3]["lang"]) == ("en", "zh")


def test_an_answer_is_what_is_promised(command: Command) -> None:
    text = "The battery is awful but the camera is great"
    [line] = lines(command("score", stdin=json.dumps({"text": text}).encode()).out)
    answer = json.loads(line)
    assert {"sentiment", "opinions", "lang"} <= set(answer)
    mood = answer["sentiment"]
    assert {"label", "negative", "neutral", "positive"} <= set(mood)
    assert mood["negative"] + mood["neutral"] + mood["positive"] == pytest.approx(1)
    assert answer["opinions"]
    for opinion in answer["opinions"]:
        assert set(opinion) == {"aspect", "opinion", "polarity", "aspect_span", "opinion_span", "confidence"}
        start, end = opinion["opinion_span"]
        assert text[start:end] == opinion["opinion"]
        if opinion["aspect_span"]:
            start, end = opinion["aspect_span"]
            assert text[start:end] == opinion["aspect"]


def test_spans_are_in_the_text_as_it_was_given(command: Command) -> None:
    text = "Ｌｕｍｏｒａ ba\u200bttery is a\u0301wful, 𝐚𝐰𝐟𝐮𝐥! 这个电池太差了"
    [line] = lines(command("score", stdin=json.dumps({"text": text}).encode()).out)
    opinions = json.loads(line)["opinions"]
    assert opinions
    for opinion in opinions:
        start, end = opinion["opinion_span"]
        assert text[start:end] == opinion["opinion"]


def test_order_is_kept_over_many_batches_and_equal_texts_have_equal_answers(command: Command) -> None:
    texts = [f"number {number % 700} is {('awful', 'great', 'here')[number % 3]}" for number in range(1300)]
    ended = command("score", stdin=b"\n".join(json.dumps({"text": text}).encode() for text in texts))
    answers = [json.loads(line) for line in lines(ended.out)]
    assert len(answers) == 1300
    assert [answer["sentiment"]["label"] for answer in answers[:3]] == ["negative", "positive", "neutral"]
    known: dict[str, object] = {}
    for text, answer in zip(texts, answers, strict=True):
        assert known.setdefault(text, answer) == answer


def test_a_text_over_the_limit_is_read_up_to_it_and_says_so(command: Command) -> None:
    given = [{"text": "awful " * 5000}, {"text": "awful"}]
    ended = command("score", stdin=b"\n".join(json.dumps(each).encode() for each in given))
    assert [json.loads(line).get("truncated", False) for line in lines(ended.out)] == [True, False]


def test_no_input_is_no_output(command: Command) -> None:
    ended = command("score", stdin=b"")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_answers_come_while_the_input_goes_on(tmp_path: Path) -> None:
    (tmp_path / "opinionwatch.yaml").write_text("scorer: {kind: lexicon}\n")
    with subprocess.Popen([PROGRAM, "score"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b'{"text": "awful"}\n' * 512)
        process.stdin.flush()
        assert [json.loads(process.stdout.readline())["lang"] for _ in range(512)]
        process.stdin.close()
        assert process.wait(30) == 0


def test_evaluate_measures_labelled_files(command: Command) -> None:
    rows = [("The battery is awful", "negative"), ("A great camera", "positive"), ("It opens on Monday", "neutral")]
    packed = gzip.compress(b"\n".join(json.dumps({"text": text, "label": label}).encode() for text, label in rows))
    Path("dev.jsonl.gz").write_bytes(packed)
    ended = command("evaluate", "dev.jsonl.gz", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert "accuracy" in ended.out
    assert isinstance(json.loads(ended.out), dict)
    assert "100.0%" in command("evaluate", "dev.jsonl.gz", "--report", "out").said
    assert "100.0%" in Path("out/report.md").read_text(encoding="utf-8")


def test_a_file_that_is_not_there_is_named(command: Command) -> None:
    ended = command("evaluate", "missing.jsonl", "nowhere.jsonl")
    assert ended.code == 2
    assert "no such file: missing.jsonl, nowhere.jsonl" in ended.said


def test_a_recipe_that_is_not_there_is_named_with_the_nearest(command: Command) -> None:
    ended = command("train", "--recipe", "defalt")
    assert ended.code == 2
    assert "did you mean 'default'?" in ended.said


def test_compare_says_which_is_better_and_its_gate_refuses_the_worse(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "moods.jsonl"
    rows = [("I love this great phone", "positive"), ("awful, I hate it", "negative"), ("it is a phone", "neutral")]
    texts = [{"text": f"{text} {at}", "label": label} for at in range(30) for text, label in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in texts))
    same = command("compare", "lexicon", "lexicon", file, "--gate", "--json")
    assert same.code == 0
    [found] = json.loads(same.out)["files"]
    assert (found["texts"], found["broken"], found["mended"]) == (90, 0, 0)
    assert "may take its place: significantly worse on none of 1 files" in same.said
    worse = command("compare", "lexicon", "tests.models.mute:Mute", file, "--gate", "--json")
    assert worse.code == 1
    assert json.loads(worse.out)["new"]
    assert "refused: significantly worse on moods.jsonl" in worse.said
    assert command("compare", "lexicon", "tests.models.mute:Mute", file).code == 0


def test_compare_names_what_is_not_there(command: Command, tmp_path: Path) -> None:
    missing = command("compare", "lexicon", "lexicon", tmp_path / "none.jsonl")
    assert missing.code == 2
    assert "none.jsonl" in missing.said
    file = tmp_path / "one.jsonl"
    file.write_text('{"text": "good", "label": "positive"}\n')
    unknown = command("compare", "lexicon", "lexicom", file)
    assert unknown.code == 2
    assert "did you mean 'lexicon'?" in unknown.said


def test_explain_shows_the_words_and_whether_they_matter(command: Command) -> None:
    Path("opinionwatch.yaml").write_text("scorer: {kind: neural, device: cpu}\n")
    ended = command("explain", "I love this great camera, everything about it is wonderful", "--json")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert found["label"] == "positive"
    assert found["probability"] == pytest.approx(found["curve"][0])
    heaviest = sorted(found["words"], key=lambda word: -word["weight"])[:3]
    assert {"love", "great", "wonderful"} & {word["text"] for word in heaviest}
    shown = command("explain", "客服态度太差了")
    assert shown.code == 0
    assert "faithfulness" in shown.said


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "name a text, or a document of the store"),
        (["good", "--document", "1"], "name a text, or a document of the store"),
        (["--document", "nowhere"], "no document 'nowhere': the page and `opinionwatch export` show their ids"),
    ],
)
def test_explain_takes_a_text_or_a_document_that_is_there(command: Command, typed: list[str], said: str) -> None:
    Path("opinionwatch.yaml").write_text("data_dir: data\nscorer: {kind: neural}\n")
    SqliteStore(Path("data/opinionwatch.db")).close()
    ended = command("explain", *typed)
    assert ended.code == 2
    assert said in ended.said


def test_a_document_of_the_store_is_explained_in_its_own_letters(command: Command) -> None:
    Path("opinionwatch.yaml").write_text("data_dir: data\nscorer: {kind: neural, device: cpu}\n")
    text = "\ufb01rst the Ｌｕｍｏｒａ was awful, then the battery died"
    store = SqliteStore(Path("data/opinionwatch.db"))
    with store.transaction():
        store.write([scored(document(1, text))])
    store.close()
    ended = command("explain", "--document", document(1).id, "--json")
    assert json.loads(ended.out)["label"] == "negative"
    why = Explainer(load(Path("opinionwatch.yaml")))(scored(document(1, text)))
    heaviest = max(why.words, key=lambda word: word.weight)
    assert text[slice(*heaviest.span)] in ("awful", "died")
    assert [text[slice(*word.span)] for word in why.words[:3]] == ["\ufb01rst", "the", "Ｌｕｍｏｒａ"]


def test_explain_needs_a_neural_scorer(command: Command) -> None:
    Path("opinionwatch.yaml").write_text("scorer: {kind: lexicon}\n")
    ended = command("explain", "good")
    assert ended.code == 2
    assert "needs a neural scorer" in ended.said


def test_compress_says_what_can_be_taken_away_and_makes_nothing(command: Command, tmp_path: Path) -> None:
    idle = command("compress", DEFAULT, "--out", tmp_path / "small")
    assert idle.code == 2
    assert "--layers, --heads or --vocabulary" in idle.said
    deep = command("compress", DEFAULT, "--out", tmp_path / "small", "--layers", "12")
    assert deep.code == 2
    assert "--layers 12: it has 12 already" in deep.said
    assert not (tmp_path / "small").exists()
