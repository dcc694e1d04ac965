"""The records: immutable, exact, named by their content, the same after a journey through JSON."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from opinionwatch.pipeline import contracts, contracts_trend
from opinionwatch.pipeline.contracts import Record, Submission, content_id
from tests.pipeline.sample import NOON, dead, delivery, document, drop, episode, mention, scored, silence, window

EVERY_KIND: tuple[Record, ...] = (
    Submission(native_id="1", text="流墨的电池 \U0001f525", published_at=NOON),
    document(1),
    scored(document(1)),
    mention(scored(document(1))),
    dead(1),
    drop(document(1)),
    window(NOON),
    episode(1),
    delivery(1).alert,
    delivery(1),
    silence(1),
)
RECORDS = [
    kind
    for module in (contracts, contracts_trend)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Record) and kind is not Record
]


@pytest.mark.parametrize("record", EVERY_KIND, ids=lambda record: type(record).__name__)
def test_a_record_is_the_same_after_a_journey_through_json(record: Record) -> None:
    assert type(record).model_validate_json(record.model_dump_json()) == record
    assert type(record).model_validate_json(record.model_dump_json(exclude_defaults=True)) == record


@given(st.datetimes(timezones=st.just(UTC)), st.floats(0, 1), st.text())
def test_times_floats_and_texts_survive_json_bit_for_bit(at: datetime, share: float, text: str) -> None:
    sent = scored(document(1, text or "-", published_at=min(at, datetime(9998, 1, 1, tzinfo=UTC))))
    sent = sent.model_copy(update={"lang_confidence": share})
    received = type(sent).model_validate_json(sent.model_dump_json())
    assert received == sent
    assert received.lang_confidence.hex() == sent.lang_confidence.hex()


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_is_frozen_and_refuses_what_it_does_not_know(kind: type[Record]) -> None:
    assert kind.model_config["frozen"]
    assert kind.model_config["extra"] == "forbid"


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_no_record_holds_an_untyped_dictionary(kind: type[BaseModel]) -> None:
    assert not any(
        "dict" in str(field.annotation) or "Any" in str(field.annotation) for field in kind.model_fields.values()
    )


def test_what_crosses_a_log_carries_a_schema_version() -> None:
    for record in EVERY_KIND[1:-1]:
        assert type(record).model_fields["schema_version"].default == 1, record


def test_a_time_without_a_zone_is_refused_and_any_zone_becomes_utc() -> None:
    with pytest.raises(ValidationError):
        document(1, published_at=datetime(2026, 3, 8))  # noqa: DTZ001 - that is the point
    beijing = NOON.astimezone(timezone(timedelta(hours=8)))
    assert document(1, published_at=beijing).published_at.utcoffset() == timedelta(0)
    assert document(1, published_at=beijing) == document(1)


@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_two_names_are_equal_only_when_all_their_parts_are(left: list[str], right: list[str]) -> None:
    assert (content_id(*left) == content_id(*right)) == (left == right)


def test_a_lone_surrogate_has_a_name_too() -> None:
    assert content_id("\ud800") != content_id("\ufffd")


def test_identity_is_a_function_of_immutable_content() -> None:
    first = scored(document(1))
    again = scored(document(1, "edited since", accepted_at=NOON + timedelta(days=1)), "positive")
    assert mention(first).id == mention(again).id
    assert mention(first, "lumora").id != mention(first, "skyfare").id
    assert window(NOON).id == window(NOON, posts=99).id != window(NOON, aspect="price").id
    assert delivery(1).id == delivery(1, state="sent", due_at=NOON + timedelta(1)).id != delivery(1, channel="email").id


def test_the_published_input_format_describes_every_field() -> None:
    schema = Submission.model_json_schema()
    assert set(schema["required"]) == {"native_id", "text"}
    assert all(field["description"] for field in schema["properties"].values())


def test_a_reading_outside_zero_and_one_is_no_reading() -> None:
    good = scored(document(1)).model_dump()
    good["reading"]["sentiment"]["negative"] = 1.5
    with pytest.raises(ValidationError):
        contracts.ScoredDocument.model_validate(good)


def test_documents_of_two_tenants_never_share_an_id() -> None:
    ids = {content_id(tenant, "rss", "blog", "1") for tenant in ("a", "b", "ab")}
    assert len(ids) == 3
