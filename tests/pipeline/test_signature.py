"""Signatures and secrets of pushed messages."""

import base64
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.connectors.webhook import Webhook
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Page
from opinionwatch.pipeline.registry import options
from opinionwatch.pipeline.signature import Seen, Verifier, sign

SECRET = "s" * 32


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({}, "one or two secrets"),
        ({"secrets": []}, "one or two secrets"),
        ({"secrets": [""]}, "16 bytes"),
        ({"secrets": ["   " * 10]}, "16 bytes"),
        ({"secrets": ["short"]}, "16 bytes"),
        ({"secrets": ["whsec_" + "QUJD"]}, "16 bytes"),
        ({"secrets": ["whsec_###"]}, "not base64"),
        ({"secrets": [SECRET] * 3}, "at most 2"),
        ({"secret_files": ["/nonexistent"]}, "cannot read"),
    ],
)
def test_it_does_not_start_without_a_secret_worth_the_name(settings: dict[str, object], cure: str) -> None:
    with pytest.raises(SettingsError, match=cure) as caught:
        Webhook("push", options(Webhook.Settings, settings, "sources.push"))
    assert SECRET not in str(caught.value)


def test_fetching_only_waits_for_the_end() -> None:
    source = Webhook("push", Webhook.Settings.model_validate({"secrets": [SECRET]}))
    found: list[list[Page]] = []
    thread = Thread(target=lambda: found.append(list(source.fetch(None))))
    thread.start()
    assert found == []
    source.close()
    thread.join(10)
    assert found == [[]]


@given(body=st.binary(max_size=200), at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_one_flipped_bit_is_noticed(body: bytes, at: int, bit: int) -> None:
    verifier = Verifier([SECRET.encode(), b"o" * 24], lambda: 1_750_000_000)
    signature = sign(SECRET.encode(), "id", 1_750_000_000, body)
    verifier.check("id", "1750000000", signature, body)
    if body:
        changed = bytearray(body)
        changed[at % len(body)] ^= 1 << bit
        with pytest.raises(PermissionError):
            verifier.check("id", "1750000000", signature, bytes(changed))
    raw = bytearray(base64.b64decode(signature[3:]))
    raw[at % len(raw)] ^= 1 << bit
    with pytest.raises(PermissionError):
        verifier.check("id", "1750000000", "v1," + base64.b64encode(raw).decode(), body)
    for other in (("ie", "1750000000"), ("id", "1750000001")):
        with pytest.raises(PermissionError):
            verifier.check(*other, signature, body)


def test_what_was_taken_is_remembered_for_a_while_and_in_bounds() -> None:
    now = [1000.0]
    seen = Seen(lambda: now[0])
    for n in range(10_050):
        seen.take(str(n), b"x")
    assert not seen.taken("0", b"x"), "the oldest went first"
    assert seen.taken("10049", b"x")
    now[0] += 601
    assert not seen.taken("10049", b"x")
