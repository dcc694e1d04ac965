import pytest

from opinionwatch.models.examples import BadRow, Example
from opinionwatch.models.marks import parse_marked, read_written


def test_marks_become_spans_and_links() -> None:
    example = parse_marked("The [battery|a1] is [awful|o1-] but [I love|o0+] it", 0, "en", "en")
    assert example.text == "The battery is awful but I love it"
    assert example.aspects == ((4, 11),)
    assert example.opinions == ((15, 20), (25, 31))
    assert example.links == (((4, 11), (15, 20), 0), (None, (25, 31), 2))


def test_one_opinion_term_links_to_two_aspects() -> None:
    example = parse_marked("[A's zoom|a1] [beats|o1+,o2-] [B's|a2]", 2, "en", "en")
    assert example.links == (((0, 8), (9, 14), 2), ((15, 18), (9, 14), 0))


def test_a_sentence_without_marks_is_known_to_have_no_opinions() -> None:
    example = parse_marked("The phone ships in October", 1, "en", "en")
    assert (example.aspects, example.opinions, example.links) == ((), (), ())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("phones\tneutral", "found 2 fields"),
        ("phones\tgood\ttext", "unknown label 'good'"),
        ("phones\tpositive\tit is [nice|p1+]", "unknown tag 'p1+'"),
        ("phones\tpositive\tit is [nice|o2+]", "aspect 2"),
        ("phones\tpositive\tit is [nice|o0+", "not closed"),
    ],
)
def test_a_malformed_line_is_listed_with_its_number(line: str, reason: str) -> None:
    (good, bad) = read_written(["# comment", "", "phones\tneutral\tfine", line], "en.tsv", "en")
    assert isinstance(good, Example)
    assert isinstance(bad, BadRow)
    assert (bad.file, bad.line) == ("en.tsv", 4)
    assert reason in bad.reason
