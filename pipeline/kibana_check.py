"""What can be known about dashboards without a Kibana: fields, types, references, ids, the grid.

Kibana's importer takes a dashboard whose charts do not exist, and shows an error in their place: so it is checked here,
before anything is sent.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import orjson

from opinionwatch.pipeline.elastic_fields import Kind
from opinionwatch.pipeline.elastic_mapping import field_types
from opinionwatch.pipeline.kibana_lens import Body, fields_of
from opinionwatch.pipeline.kibana_spec import Control, Dashboard, Panel

NUMERIC = frozenset({"long", "float", "integer", "half_float"})
TAKES: dict[str, frozenset[str]] = {
    "terms": frozenset({"keyword", "boolean"}),
    "date_histogram": frozenset({"date"}),
    "unique_count": frozenset({"keyword", "date"}) | NUMERIC,
    "sum": NUMERIC,
    "average": NUMERIC,
    "median": NUMERIC,
    "min": NUMERIC | {"date"},
    "max": NUMERIC | {"date"},
    "filter": frozenset({"keyword", "boolean", "date", "text"}) | NUMERIC,
    "column": frozenset({"keyword", "boolean", "date", "text"}) | NUMERIC,
}
"""What a field can be asked for, by its type in the mapping. Objects, nested and stored-only fields never."""


def mistakes(dashboards: Sequence[Dashboard], objects: Sequence[Body]) -> list[str]:
    """Everything wrong with the dashboards and the objects made of them, each in words; none is a good sign."""
    return [*_in_spec(dashboards), *_in_objects(objects)]


def _in_spec(dashboards: Sequence[Dashboard]) -> Iterator[str]:
    known = {board.id for board in dashboards}
    for board in dashboards:
        ids = [*(panel.id for panel in board.panels), *(control.id for control in board.controls)]
        for name, count in Counter(ids).items():
            if count > 1:
                yield f"{board.id}: the id `{name}` is used {count} times"
        for panel in board.panels:
            where = f"{board.id}.{panel.id}"
            if panel.opens is not None and panel.opens not in known:
                yield f"{where}: opens `{panel.opens}`, and there is no such dashboard"
            for field, use in fields_of(panel):
                yield from _misused(where, panel.data, field, use)
        for control in board.controls:
            yield from _misused(f"{board.id}.{control.id}", control.data, control.field, "terms")
            yield from _strangers(board, control)
        yield from _overlaps(board)


def _misused(where: str, kind: Kind | None, field: str, use: str) -> Iterator[str]:
    types = field_types(kind) if kind is not None else {}
    if field not in types:
        yield f"{where}: {kind} have no field `{field}`"
    elif types[field] not in TAKES[use]:
        yield f"{where}: {use} cannot work on `{field}`, which is a {types[field]}"


def _strangers(board: Dashboard, control: Control) -> Iterator[str]:
    """Kibana filters every panel by a control, and one whose data do not have the field goes empty."""
    for kind in {panel.data for panel in board.panels if panel.data is not None}:
        if control.field not in field_types(kind):
            yield f"{board.id}.{control.id}: `{control.field}` would empty the panels of {kind}, which do not have it"


def _overlaps(board: Dashboard) -> Iterator[str]:
    for number, one in enumerate(board.panels):
        for other in board.panels[:number]:
            if _meet(one, other):
                yield f"{board.id}: the panels {other.id} and {one.id} lie on each other"


def _meet(one: Panel, other: Panel) -> bool:
    (x, y, w, h), (u, v, k, n) = one.at, other.at
    return x < u + k and u < x + w and y < v + n and v < y + h


def _in_objects(objects: Sequence[Body]) -> Iterator[str]:
    names = Counter((str(each["type"]), str(each["id"])) for each in objects)
    yield from (f"{kind} `{name}` is there {count} times" for (kind, name), count in names.items() if count > 1)
    for each in objects:
        references = each["references"] if isinstance(each["references"], list) else []
        for reference in references:
            if isinstance(reference, dict) and (str(reference["type"]), str(reference["id"])) not in names:
                lost = f"{reference['type']} `{reference['id']}`"
                yield f"{each['type']} `{each['id']}` refers to {lost}, which is missing"
        given = {str(reference["name"]) for reference in references if isinstance(reference, dict)}
        yield from (f"dashboard `{each['id']}`: nothing is referred to as `{name}`" for name in _wanted(each) - given)


def _wanted(each: Body) -> set[str]:
    """The names under which an object's own text expects references."""
    attributes = each["attributes"]
    if each["type"] != "dashboard" or not isinstance(attributes, dict):
        return set()
    panels = orjson.loads(str(attributes["panelsJSON"]))
    return {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels}
