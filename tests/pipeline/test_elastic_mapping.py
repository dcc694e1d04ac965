"""The mappings: names and types that dashboards rely on, and a place for every record that no clock can move."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from opinionwatch.pipeline.elastic_fields import DATED, FIELDS, PIECE_CHARS, Kind
from opinionwatch.pipeline.elastic_mapping import (
    component,
    field_types,
    index_of,
    index_template,
    mapping_of,
    overlay,
    pattern_of,
)

KINDS: tuple[Kind, ...] = get_args(Kind)
SMALL_SERVER = {"date", "long", "float", "boolean", "keyword", "text", "object", "nested", "integer", "binary"}
"""Types that Elasticsearch's core has without any module."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_mappings_that_the_smallest_server_has_and_refuses_fields_without_a_name(kind: Kind) -> None:
    mapping = mapping_of(FIELDS[kind])
    assert mapping["dynamic"] == "strict"
    assert set(field_types(kind).values()) <= SMALL_SERVER
    assert field_types(kind)["@timestamp"] == "date"


def test_no_keyword_may_break_lucenes_limit_of_32766_bytes() -> None:
    for kind in KINDS:
        for name, body in FIELDS[kind].items():
            if body["type"] == "keyword" and body.get("index") is not False:
                longest = body["ignore_above"]
                assert isinstance(longest, int), name
                assert longest * 4 < 32_766, name
    assert PIECE_CHARS * 4 < 32_766


def test_what_people_filter_by_has_one_name_in_every_index() -> None:
    for kind in ("documents", "windows", "episodes"):
        assert {"watchlist.id", "event.provider", "aspect.name"} <= set(field_types(kind))


def test_aspects_are_nested_and_flat() -> None:
    types = field_types("documents")
    assert (types["opinion"], types["opinion.polarity"]) == ("nested", "keyword")
    assert types["aspect.name"] == types["aspect.pair"] == types["watchlist.aspect"] == "keyword"


def test_the_overlay_adds_languages_and_nothing_is_lost_by_it() -> None:
    plain, full = field_types("documents"), field_types("documents", full_server=True)
    assert set(full) - set(plain) == {"message.cjk", "message.english"}
    assert {name for name in plain if plain[name] != full[name]} == {"document.folded"}
    assert "message" in str(overlay()["template"])


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_is_named_by_the_record_alone_and_found_by_its_pattern(kind: Kind) -> None:
    moment = datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    name = index_of("acme", kind, moment)
    assert name == index_of("acme", kind, moment.replace(day=1, hour=0))
    pattern = pattern_of("acme", kind)
    assert name.startswith(pattern.rstrip("*"))
    assert pattern.endswith("-*") == (kind in DATED)
    assert name.endswith("-2026.12") == (kind in DATED)


def test_a_dated_record_without_a_moment_has_no_place() -> None:
    with pytest.raises(ValueError, match="which one"):
        index_of("acme", "windows")


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_changes_its_digest_with_its_content_and_leaves_room_for_the_users_own(kind: Kind) -> None:
    first = index_template("acme", kind, full_server=False, settings={"index.number_of_shards": 1})
    other = index_template("acme", kind, full_server=False, settings={"index.number_of_shards": 2})
    assert first["_meta"] != other["_meta"]
    assert first["ignore_missing_component_templates"] == [f"acme-{kind}@custom"]
    assert component(kind)["_meta"] == component(kind)["_meta"]
    full = index_template("acme", kind, full_server=True, settings={})
    composed = full["composed_of"]
    assert isinstance(composed, list)
    assert (f"acme-{kind}@full" in composed) == (kind == "documents")
