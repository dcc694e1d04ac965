"""What of a record's bytes and headers people may see."""

from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.pipeline.pii import mask
from opinionwatch.pipeline.shown import HEADERS, NAME_CHARS, UNPRINTABLE, VALUE_CHARS, headers


@given(st.lists(st.tuples(st.text(max_size=300), st.binary(max_size=5000)), max_size=60))
def test_headers_are_few_short_and_printable(given: list[tuple[str, bytes]]) -> None:
    kept = headers(given)
    assert len(kept) == min(len(given), HEADERS)
    for name, value in kept:
        assert len(name) <= NAME_CHARS
        assert len(value) <= VALUE_CHARS
        assert not UNPRINTABLE.search(name + value)


def test_no_half_of_a_number_survives_the_cut() -> None:
    for lead in range(VALUE_CHARS - 20, VALUE_CHARS + 400):
        [(_, value)] = headers([("note", b"x" * lead + b" 13812345678 " + b"y" * 5000)])
        assert "138" not in value
        assert mask(value) == value


def test_what_is_called_like_a_secret_is_hidden_whatever_the_spelling() -> None:
    names = (
        "Authorization",
        "X-Api-Key",
        "cookie",
        "my_password",
        "SESSION",
        "x-amz-security-token",
        "Webhook-Signature",
    )
    assert {value for _, value in headers([(name, b"hunter2") for name in names])} == {"[hidden]"}


def test_a_header_without_a_value_and_one_of_bytes_that_are_no_text_are_kept() -> None:
    assert headers([("empty", b""), ("bytes", b"\xff\x00")]) == (("empty", ""), ("bytes", "\\xff\\x00"))
