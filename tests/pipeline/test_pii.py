"""Personal data is masked, and nothing else is."""

import re
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from re import _parser  # type: ignore[attr-defined]  # the standard library's own parser, untyped
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinionwatch.pipeline import pii
from opinionwatch.pipeline.pii import mask
from opinionwatch.pipeline.pii_numbers import luhn


def resident_id(dice: Random) -> str:
    """A valid identity card number of nobody."""
    region, day = f"{dice.choice([11, 31, 44, 65])}{dice.randrange(10**4):04}", dice.randint(10, 28)
    first = f"{region}19{dice.randint(50, 99)}0{dice.randint(1, 9)}{day}{dice.randrange(1000):03}"
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    return first + "10X98765432"[sum(int(d) * w for d, w in zip(first, weights, strict=True)) % 11]


def card(dice: Random, start: str, length: int) -> str:
    body = start + "".join(dice.choices("0123456789", k=length - len(start) - 1))
    return next(body + digit for digit in "0123456789" if luhn(body + digit))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to a.b+c@ex-ample.co.uk.", "write to [email]."),
        ("我的邮箱abc@qq.com谢谢", "我的邮箱[email]谢谢"),
        ("ａｂｃ＠ｑｑ．ｃｏｍ", "[email]"),
        ("<a@b.io>,x@y.org", "<[email]>,[email]"),
        ("call 13812345678", "call [phone]"),
        ("微信v13812345678加我", "微信v[phone]加我"),
        ("13812345678/13912345678,13712345678", "[phone]/[phone],[phone]"),
        ("+86 138 1234 5678", "[phone]"),
        ("8613812345678", "[phone]"),
        ("138-1234-5678", "[phone]"),
        ("１３８１２３４５６７８", "[phone]"),
        ("138\xa01234\u20115678", "138\xa01234\u20115678"),
        ("138\xa01234\xa05678", "[phone]"),
        ("010-62345678 或 (021)62345678", "[phone] 或 [phone]"),
        ("拨打400-820-8820", "拨打[phone]"),
        ("(415) 555-2671 or 415.555.2671", "[phone] or [phone]"),
        ("1-415-555-2671", "[phone]"),
        ("+44 20 7946 0958 24 Oct", "[phone] 24 Oct"),
        ("0044 20 7946 0958", "[phone]"),
        ("+81-3-1234-5678", "[phone]"),
        ("电话：62345678转801", "电话：[phone]转801"),
        ("call me at 020 7946 0958", "call me at [phone]"),
        ("4111 1111 1111 1111", "[card]"),
        ("4111-1111-1111-1111", "[card]"),
        ("卡号4111111111111111。", "卡号[card]。"),
        ("3782 822463 10005", "[card]"),
        ("SSN 123-45-6789", "SSN [id]"),
        ("GB82 WEST 1234 5698 7654 32 please", "[iban] please"),
        ("DE89 3704 0044 0532 0130 00 BIC COBADEFF", "[iban] BIC COBADEFF"),
        ("DE89370400440532013000", "[iban]"),
        ("护照号码：E12345678", "护照号码：[id]"),
        ("加QQ群：305855590，qq 12345678", "加QQ群：[id]，qq [id]"),
        ("passport no. G12345678", "passport no. [id]"),
    ],
)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_every_identity_card_and_payment_card_is_masked() -> None:
    dice = Random(1)
    for _ in range(200):
        number = resident_id(dice)
        assert mask(f"身份证{number}丢了") == "身份证[id]丢了"
        assert mask(f"{number[:6]} {number[6:14]} {number[14:]}") == "[id]"
        start, length = dice.choice([("4", 16), ("53", 16), ("34", 15), ("622", 19), ("6011", 16), ("35", 16)])
        assert mask(card(dice, start, length)) == "[card]"


def test_a_wrong_check_digit_is_only_a_number() -> None:
    for text in ("4111111111111112", "4111 1111 1111 1112", "GB83 WEST 1234 5698 7654 32", "11010119900307123A"):
        assert mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "$1,299.00 or ¥12999, 价格1999元, 1,234,567,890",
        "2024-01-15 10:30:22, 2024.01.15, 20240115, 20240115103022, 13:45:22 2024/01/15",
        "1700000000 1700000000123",
        "600519 和 000858.SZ 和 SH600519",
        "order 20240304-881, 订单号 2024030412345678, 订单123456789012",
        "192.168.100.200 v10.15.7 3.14159265358979 0.13812345678",
        "iPhone 16 256GB 16GB+512GB 2999",
        "10000000 users, +12345678元, 手机20240304发布, call 10000000 people",
        "1 2 3 4 5 6 7 8 9, 100-200-300, 2020 2021 2022 2023",
        "快递单号 SF1234567890123",
        "https://m.weibo.example/1234567890/4111111111111111 ?id=4111111111111111",
        "tweet 1762345678901234567",
        "ISBN 978-7-111-12345-6, season 2015-2016 10-12",
        "@united and @delta: see you @ 5pm. a@b",
        "zip 94105-1234, 000-12-3456, 666-12-3456, 912-12-3456",
        "12345678901234567890123456789",
    ],
)
def test_prices_dates_orders_and_codes_stay(text: str) -> None:
    assert mask(text) == text


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("0123456789 -./()+@abcXGB82电话４\n"), max_size=60))
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


def repeats(tree: Iterable[tuple[object, Sequence[Any]]]) -> Iterator[tuple[str, int]]:
    """Every repetition in a parsed pattern: its kind and its most."""
    for operation, argument in tree:
        name = str(operation)
        if name.endswith("REPEAT"):
            yield name, int(argument[1])
            yield from repeats(argument[2])
        elif name == "SUBPATTERN":
            yield from repeats(argument[3])
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from repeats(branch)


@pytest.mark.parametrize("rule", [pii._EMAIL, *pii._NUMBERS], ids=lambda rule: rule.pattern.pattern[:40])
def test_no_pattern_can_backtrack_without_bound(rule: pii.Rule) -> None:
    for kind, most in repeats(_parser.parse(rule.pattern.pattern)):
        assert kind == "POSSESSIVE_REPEAT" or most <= 63


@pytest.mark.parametrize(
    "piece", ["a", "a@", "a@a.", "1", "1 ", "+1", "+1 2 3 ", "电话1234567", "GB82 ", "4111 ", "0044", "("]
)
def test_a_million_hostile_characters_take_linear_time(piece: str) -> None:
    began = perf_counter()
    mask(piece * (1_000_000 // len(piece)))
    # 0.1 to 0.9 s here; anything quadratic would take hours.
    assert perf_counter() - began < 20


def test_full_width_text_keeps_its_places() -> None:
    assert re.sub(r"\[.*?\]", "", mask("我（ａ＠ｂ．ｃｏ），１３８１２３４５６７８！")) == "我（），！"
