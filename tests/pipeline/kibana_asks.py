"""What a saved object asks Elasticsearch for, derived from the object and nothing else.

Only what our dashboards use. Lens nests its buckets in the order of `columnOrder` and asks the metrics inside.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from opinionwatch.pipeline.kibana_kql import Condition, conditions

Json = dict[str, Any]
METRICS = {"sum": "sum", "average": "avg", "min": "min", "max": "max", "unique_count": "cardinality"}
RANGES = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


@dataclass(frozen=True)
class Row:
    """One row of an answer: the keys of its buckets, and what each column comes to."""

    keys: tuple[object, ...]
    values: Mapping[str, float | None]


def query(kql: str, since: datetime, until: datetime) -> Json:
    """The filter of a panel within a time range."""
    time = {"range": {"@timestamp": {"gte": since.isoformat(), "lt": until.isoformat()}}}
    return {"bool": {"filter": [time, *map(_condition, conditions(kql))]}}


def _condition(condition: Condition) -> Json:
    if condition.relation != ":":
        asked: Json = {"range": {condition.field: {RANGES[condition.relation]: condition.values[0]}}}
    elif condition.values:
        asked = {"bool": {"should": [{"match": {condition.field: value}} for value in condition.values]}}
    else:
        asked = {"exists": {"field": condition.field}}
    return {"bool": {"must_not": [asked]}} if condition.negated else asked


def rows(client: Elasticsearch, index: str, chart: Json, since: datetime, until: datetime) -> list[Row]:
    """Ask what the chart asks, and work its formulas out."""
    state = chart["attributes"]["state"]
    [layer] = state["datasourceStates"]["formBased"]["layers"].values()
    columns: Json = layer["columns"]
    buckets = [name for name in layer["columnOrder"] if columns[name]["isBucketed"]]
    asked = {name: body for name, body in columns.items() if not body["isBucketed"]}
    metrics = {name: _metric(body) for name, body in asked.items() if body["operationType"] not in ("formula", "math")}
    aggs: Json = metrics
    for name in reversed(buckets):
        column = columns[name]
        sibling = {f"{name}by": _metric(column["params"]["orderAgg"])} if "orderAgg" in column["params"] else {}
        aggs = {name: {**_bucket(name, column, until - since), "aggs": {**aggs, **sibling, **metrics}}}
    answer = client.search(index=index, size=0, query=query(state["query"]["query"], since, until), aggs=aggs)
    return list(_rows(dict(answer["aggregations"]), buckets, asked, ()))


def _bucket(name: str, column: Json, span: timedelta) -> Json:
    if column["operationType"] == "date_histogram":
        every = max(60, int(span.total_seconds() / 75))
        return {"date_histogram": {"field": column["sourceField"], "fixed_interval": f"{every}s", "min_doc_count": 1}}
    params = column["params"]
    how = params["orderBy"]
    by = {"column": f"{how.get('columnId')}>value", "custom": f"{name}by>value", "alphabetical": "_key"}[how["type"]]
    order = {by: params["orderDirection"]}
    return {"terms": {"field": column["sourceField"], "size": params["size"], "order": order}}


def _metric(column: Json) -> Json:
    kind, field = column["operationType"], column["sourceField"]
    if kind == "count":
        inner: Json = {"value_count": {"field": "_index"}}
    else:
        inner = {METRICS[kind]: {"field": field}}
    # A filter around it, also an empty one, so that every answer has one shape.
    asked = [_condition(each) for each in conditions(column["filter"]["query"])] if "filter" in column else []
    return {"filter": {"bool": {"filter": asked}}, "aggs": {"value": inner}}


def _rows(answer: Json, buckets: list[str], asked: Json, keys: tuple[object, ...]) -> Iterator[Row]:
    if buckets:
        for bucket in answer[buckets[0]]["buckets"]:
            yield from _rows(bucket, buckets[1:], asked, (*keys, bucket["key"]))
        return
    plain = {name: answer[name]["value"]["value"] for name in asked if name in answer}
    trees = {name: body["params"]["tinymathAst"] for name, body in asked.items() if body["operationType"] == "math"}
    worked = {name: _worth(tree, plain) for name, tree in trees.items()}
    whole = {name: worked[body["references"][0]] for name, body in asked.items() if body["operationType"] == "formula"}
    yield Row(keys, {**plain, **whole})


def _worth(tree: object, numbers: Mapping[str, float | None]) -> float | None:
    """A formula's tree, as Kibana works it out: nothing comes of nothing, and of a division by 0."""
    if isinstance(tree, str):
        return numbers[tree]
    if isinstance(tree, int | float):
        return float(tree)
    assert isinstance(tree, dict)
    args = [_worth(arg, numbers) for arg in tree["args"]]
    if any(arg is None for arg in args) or (tree["name"] == "divide" and not args[1]):
        return None
    a, b = float(args[0] or 0), float((args[1:] or [0])[0] or 0)
    found: dict[str, float] = {
        "add": a + b,
        "subtract": a - b,
        "multiply": a * b,
        "divide": a / b if b else 0,
        "sqrt": max(a, 0) ** 0.5,
    }
    return found[str(tree["name"])]


def hits(client: Elasticsearch, index: str, search: Json, since: datetime, until: datetime) -> list[Json]:
    """Ask for the rows of a list of documents, each with its columns."""
    source = orjson.loads(search["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    [[field, order]] = search["attributes"]["sort"]
    answer = client.search(
        index=index, size=50, query=query(source["query"]["query"], since, until), sort=[{field: order}],
        fields=search["attributes"]["columns"], source=False,
    )  # fmt: skip
    return [hit["fields"] for hit in answer["hits"]["hits"] if "fields" in hit]
