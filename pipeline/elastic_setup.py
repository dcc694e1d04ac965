"""Making, checking and retiring what Elasticsearch needs of us: templates, indices with one place each, old months."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, get_args

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.elastic_fields import DATED, WILDCARD, Body, Kind
from opinionwatch.pipeline.elastic_mapping import (
    component,
    fields,
    index_of,
    index_template,
    mapping_of,
    overlay,
    pattern_of,
)
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.settings_elastic import Elastic

KINDS: tuple[Kind, ...] = get_args(Kind)
PRUNED_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at or done."""

    what: str
    ok: bool
    detail: str


def is_full_server(client: Elasticsearch) -> bool:
    """Whether the server has the analyzers `cjk` and `english` and the type `wildcard`: all but the smallest have."""
    # Simulating a template asks for all of it with the rights that templates need anyway; `_analyze` needs more.
    texts: Body = {name: {"type": "text", "analyzer": name} for name in ("cjk", "english")}
    trial: Body = {"mappings": {"properties": {**texts, "folded": WILDCARD}}}
    with asking():
        try:
            client.indices.simulate_template(index_patterns=["opinionwatch-trial-*"], priority=999, template=trial)
        except BadRequestError:
            return False
    return True


def templates(settings: Elastic, *, full_server: bool) -> tuple[dict[str, Body], dict[str, Body]]:
    """Component and index templates by name."""
    # So long a deletion is remembered, and a process that was only paused cannot write behind it.
    shape: Body = {"index.auto_expand_replicas": settings.replicas, "index.gc_deletes": "1h"}
    many: Body = {**shape, "index.number_of_shards": settings.shards}
    components = {f"{settings.prefix}-{kind}": component(kind) for kind in KINDS}
    if full_server:
        components[f"{settings.prefix}-documents@full"] = overlay()
    indices = {
        f"{settings.prefix}-{kind}": index_template(
            settings.prefix, kind, full_server=full_server, settings=many if kind in ("documents", "ledger") else shape
        )
        for kind in KINDS
    }
    return components, indices


def set_up(client: Elasticsearch, settings: Elastic) -> Iterator[Step]:
    """Make what is missing and renew what is old; what is there and right stays untouched. May be repeated.

    Raises RetryableError when the cluster does not answer or refuses us, FatalError when it refuses a template.
    """
    full = is_full_server(client)
    yield Step("server", True, "analyzers cjk and english, type wildcard" if full else "a small one, without analyzers")
    components, indices = templates(settings, full_server=full)
    with asking():
        for name, body in components.items():
            client.cluster.put_component_template(name=name, **body)  # type: ignore[arg-type]  # as the API names it
            yield Step(f"component template {name}", True, "stored")
        for name, body in indices.items():
            client.indices.put_index_template(name=name, **body)  # type: ignore[arg-type]  # as the API names it
            yield Step(f"index template {name}", True, "stored")
        for kind in KINDS:
            if kind not in DATED:
                yield _made(client, index_of(settings.prefix, kind))
            index = pattern_of(settings.prefix, kind)
            mapping: dict[str, Any] = mapping_of(fields(kind, full_server=full))
            client.indices.put_mapping(index=index, allow_no_indices=True, properties=mapping["properties"])
            yield Step(f"mappings of {index}", True, "up to date")


def _made(client: Elasticsearch, index: str) -> Step:
    if client.indices.exists(index=index):
        return Step(f"index {index}", True, "is there")
    try:
        client.indices.create(index=index)
    except BadRequestError as error:
        if error.error != "resource_already_exists_exception":
            raise
    return Step(f"index {index}", True, "made")


def check(client: Elasticsearch, settings: Elastic) -> Iterator[Step]:
    """Look at everything that the daemons need; a step that is not ok says what to do."""
    cure = "run `opinionwatch index setup`"
    with asking():
        health = client.cluster.health()
        status = str(health["status"])
        nodes = f"{health['number_of_nodes']} nodes"
        yield Step("cluster", status != "red", f"{status}, {nodes}" + (": a shard is lost" if status == "red" else ""))
        full = is_full_server(client)
        components, indices = templates(settings, full_server=full)
        for name, body in components.items():
            found = _found(partial(client.cluster.get_component_template, name=name))
            yield _compared(f"component template {name}", body, found, cure)
        for name, body in indices.items():
            found = _found(partial(client.indices.get_index_template, name=name))
            yield _compared(f"index template {name}", body, found, cure)
        for kind in KINDS:
            if kind not in DATED:
                index = index_of(settings.prefix, kind)
                there = bool(client.indices.exists(index=index))
                yield Step(f"index {index}", there, "is there" if there else f"missing: {cure}")
            yield from _made_by_hand(client, pattern_of(settings.prefix, kind))


def _made_by_hand(client: Elasticsearch, pattern: str) -> Iterator[Step]:
    """Indices that were there before their template: the server has guessed their mappings."""
    found = client.indices.get_mapping(index=pattern, allow_no_indices=True, ignore_unavailable=True)
    for index, body in sorted(found.items()):
        if body["mappings"].get("dynamic") != "strict":
            yield Step(f"index {index}", False, "made without its template: stop the daemons and delete it")


def _found(ask: Callable[[], Any]) -> Mapping[str, Any] | None:
    """The template in an answer such as `{"index_templates": [{"name": …, "index_template": …}]}`."""
    try:
        [[entry]] = ask().body.values()
    except NotFoundError:
        return None
    [found] = [value for name, value in entry.items() if name != "name"]
    return dict(found)


def _compared(what: str, wanted: Body, found: Mapping[str, Any] | None, cure: str) -> Step:
    if found is None:
        return Step(what, False, f"missing: {cure}")
    same = found.get("_meta") == wanted["_meta"]
    return Step(what, same, "as this version wants it" if same else f"of another version, or changed by hand: {cure}")


def retire(client: Elasticsearch, settings: Elastic, now: datetime) -> Iterator[Step]:
    """Delete whole months older than `keep_months`, and the ledger's entries of that time. May be repeated."""
    first = _months_before(now, settings.keep_months)
    kept_from = {kind: index_of(settings.prefix, kind, first) for kind in DATED}
    with asking():
        for kind in DATED:
            for index in sorted(client.indices.get(index=pattern_of(settings.prefix, kind), filter_path="*.aliases")):
                if index < kept_from[kind]:
                    client.indices.delete(index=index)
                    yield Step(f"index {index}", True, "deleted")
        count = _prune(client, index_of(settings.prefix, "ledger"), first)
    yield Step("ledger", True, f"{count} entries before {first:%Y-%m} deleted")


def _prune(client: Elasticsearch, ledger: str, before: datetime) -> int:
    """The ledger is one index, for an id must be found whatever its month, so its old entries go one by one."""
    old = {"range": {"@timestamp": {"lt": before.isoformat()}}}
    count = 0
    while True:
        client.indices.refresh(index=ledger)  # a person's command, and the search must not find what is deleted already
        hits = client.search(index=ledger, query=old, size=PRUNED_AT_ONCE, source=False)["hits"]["hits"]
        if not hits:
            return count
        lines = [{"delete": {"_id": hit["_id"]}} for hit in hits]
        if client.bulk(index=ledger, operations=lines, filter_path="errors")["errors"]:
            raise RetryableError("Elasticsearch did not delete all old entries of the ledger: retire again", after_s=5)
        count += len(hits)


def _months_before(now: datetime, months: int) -> datetime:
    """The first moment of the month that lies so many months before this one.

    >>> _months_before(datetime(2026, 3, 8, 12), 13).isoformat()
    '2025-02-01T00:00:00'
    """
    number = now.year * 12 + now.month - 1 - months
    return now.replace(year=number // 12, month=number % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
