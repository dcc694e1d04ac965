"""Cutting a pushed body into records."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.connectors.pushed import split


@pytest.mark.parametrize(
    "body",
    [b"", b" \n ", b"hello", b'{"a": ', b"[", b"[1,", b"[1,]", b"[1 2]", b"[] x", b"[" * 5000, b'{"a":1} x', b"1\n2"],
)
def test_what_is_no_json_at_all_is_said_so(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        split(body)


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        )
    )
)
def test_an_array_is_cut_exactly_at_its_elements(values: list[object]) -> None:
    parts = [json.dumps(value) for value in values]
    assert split(("[" + " ,\n".join(parts) + "]").encode()) == [part.encode() for part in parts]
