"""Formulas of charts: read, written out, and the interval they promise."""

import math
from collections.abc import Callable

import pytest

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.kibana_formula import Ask, Call, Node, asks, read, written
from opinionwatch.pipeline.kibana_kql import conditions, quoted

K, N = "sum(window.negative_voices)", "sum(window.sure_voices)"
WORTH: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "sqrt": math.sqrt,
}


def worth(node: Node, numbers: dict[str, float]) -> float:
    """What a formula comes to."""
    if isinstance(node, Ask):
        return numbers[node.text]
    if isinstance(node, Call):
        return float(WORTH[node.name](*(worth(arg, numbers) for arg in node.args)))
    return node


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998, table I (method 3: score, no continuity correction)
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons_as_published(k: int, n: int, low: float, high: float) -> None:
    numbers = {K: float(k), N: float(n)}
    assert worth(read(f"wilson_low({K}, {N})"), numbers) == pytest.approx(low, abs=5e-5)
    assert worth(read(f"wilson_high({K}, {N})"), numbers) == pytest.approx(high, abs=5e-5)


def test_what_is_written_for_kibana_reads_as_the_same_formula() -> None:
    for text in (f"wilson_high({K}, {N})", f"{K} / {N}", "count(kql='a : b') - 2 * max(c) + 1", "sqrt(average(x))"):
        numbers = {ask.text: 7.0 + place for place, ask in enumerate(asks(read(text)))}
        again = read(written(read(text)))
        assert worth(again, {**numbers, "sqrt": 0}) == pytest.approx(worth(read(text), numbers), rel=1e-4)


def test_an_aggregation_is_asked_for_once_however_often_it_stands_there() -> None:
    assert [ask.text for ask in asks(read(f"wilson_low({K}, {N})"))] == [K, N]


def test_multiplication_binds_before_addition_and_brackets_before_both() -> None:
    assert worth(read("1 + 2 * 3 - 4 / 2"), {}) == 5
    assert worth(read("(1 + 2) * 3"), {}) == 9


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sum(", "expected `\\)`"),
        ("sum()", "takes a field"),
        ("count(x)", "takes no field"),
        ("1 +", "expected"),
        ("eval(1)", "there is no `eval`"),
        ("wilson_low(1)", "`wilson_low` does not take 1"),
        ("1 2", "expected `the end`"),
        ("sum(a);", "is nothing a formula knows"),
        ("", "expected"),
    ],
)
def test_a_formula_that_cannot_be_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        read(text)


@pytest.mark.parametrize("kql", ["a", "a : b or c : d", "a : (b or", "a : b and", 'a : "b', "a : b c"])
def test_kql_that_is_not_of_the_simple_kind_is_refused(kql: str) -> None:
    with pytest.raises(SettingsError, match="KQL"):
        conditions(kql)


def test_kql_of_the_simple_kind_is_read_with_its_values() -> None:
    found = conditions('a.b : "x y" and not c : (p or "q r") and d >= 3')
    assert [(each.field, each.relation, each.values, each.negated) for each in found] == [
        ("a.b", ":", ("x y",), False),
        ("c", ":", ("p", "q r"), True),
        ("d", ">=", ("3",), False),
    ]


def test_a_quoted_name_cannot_end_its_quotes() -> None:
    assert quoted('a" or b : "c') == '"a\\" or b : \\"c"'
