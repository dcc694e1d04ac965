"""Dashboards as Kibana's saved objects: what one POST to its import API brings in.

Each object says of which model version it is, so that Kibana 8.9 and every later one reads it. Ids are made of the
indices' prefix and the names in the files: the same settings give the same objects, and an import over an earlier one
replaces it. Charts are objects of their own, to be used on other dashboards too.
"""

from collections.abc import Iterator, Mapping, Sequence

import orjson
from pydantic import JsonValue

from opinionwatch.pipeline import kibana_names as names
from opinionwatch.pipeline.elastic_fields import FIELDS
from opinionwatch.pipeline.elastic_mapping import field_types, pattern_of
from opinionwatch.pipeline.kibana_lens import Body, attributes, reference
from opinionwatch.pipeline.kibana_spec import Control, Dashboard, Lang, Panel

CORE = "8.8.0"
VERSIONS = {
    "index-pattern": "8.0.0",
    "lens": "8.9.0",
    "search": "7.9.3",
    "visualization": "7.14.0",
    "dashboard": "8.9.0",
}


def saved_objects(dashboards: Sequence[Dashboard], prefix: str, lang: Lang) -> list[Body]:
    """Data views first, then each dashboard after its charts."""
    titles = {board.id: board.title.of(lang) for board in dashboards}
    made = [each for board in dashboards for each in _objects(board, prefix, lang, titles)]
    return [*_data_views(prefix, lang), *made]


def ndjson(objects: Sequence[Body]) -> bytes:
    """One object a line, keys sorted: the same objects are the same bytes."""
    return b"".join(orjson.dumps(each, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE) for each in objects)


def object_id(prefix: str, *names: str) -> str:
    """The id of a dashboard, a data view or a panel's chart.

    >>> object_id("opinionwatch", "overview")
    'opinionwatch-overview'
    """
    return "-".join((prefix, *names))


def _object(kind: str, name: str, attributes: Body, references: Sequence[Body] = ()) -> Body:
    return {
        "type": kind, "id": name, "attributes": attributes, "references": list(references), "managed": False,
        "coreMigrationVersion": CORE, "typeMigrationVersion": VERSIONS[kind],
    }  # fmt: skip


def _text(value: JsonValue) -> str:
    """JSON in a string, as Kibana keeps much of a dashboard."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _reference(kind: str, name: str, to: str) -> Body:
    return {"type": kind, "id": to, "name": name}


def _data_views(prefix: str, lang: Lang) -> Iterator[Body]:
    for kind in FIELDS:
        known: Body = {
            field: {"customLabel": name.of(lang)} for field, name in names.FIELDS.items() if field in field_types(kind)
        }
        yield _object(
            "index-pattern",
            object_id(prefix, "data", kind),
            {
                "title": pattern_of(prefix, kind), "name": f"{prefix} · {names.KINDS[kind].of(lang)}",
                "timeFieldName": "@timestamp", "fields": "[]", "fieldFormatMap": "{}", "fieldAttrs": _text(known),
                "runtimeFieldMap": "{}", "sourceFilters": "[]", "allowNoIndex": True,
            },
        )  # fmt: skip


def _objects(board: Dashboard, prefix: str, lang: Lang, titles: Mapping[str, str]) -> Iterator[Body]:
    for panel in board.panels:
        yield _chart(board, panel, prefix, lang)
    references = [each for panel in board.panels for each in _panel_references(board, panel, prefix)]
    references += [
        _reference("index-pattern", f"controlGroup_{control.id}:optionsListDataView",
                   object_id(prefix, "data", control.data))
        for control in board.controls
    ]  # fmt: skip
    panels: list[JsonValue] = [_placed(panel, titles) for panel in board.panels]
    options: Body = {"useMargins": True, "syncColors": True, "syncCursor": True, "syncTooltips": False,
                     "hidePanelTitles": False}  # fmt: skip
    yield _object(
        "dashboard",
        object_id(prefix, board.id),
        {
            "title": board.title.of(lang), "description": board.description.of(lang), "panelsJSON": _text(panels),
            "optionsJSON": _text(options), "kibanaSavedObjectMeta": _search_source("", None),
            "timeRestore": True, "timeFrom": board.since, "timeTo": "now",
            "refreshInterval": {"pause": False, "value": 60_000},
            "controlGroupInput": _controls(board.controls, lang), "version": 1,
        },
        references,
    )  # fmt: skip


def _chart(board: Dashboard, panel: Panel, prefix: str, lang: Lang) -> Body:
    name = object_id(prefix, board.id, panel.id)
    if panel.text is not None:
        shown: Body = {"markdown": panel.text.of(lang), "fontSize": 12, "openLinksInNewTab": False}
        drawn: Body = {"type": "markdown", "title": panel.title.of(lang), "aggs": [], "params": shown}
        return _object("visualization", name, {
            "title": panel.title.of(lang), "description": "", "uiStateJSON": "{}", "version": 1,
            "visState": _text(drawn), "kibanaSavedObjectMeta": _search_source("", None),
        })  # fmt: skip
    data = object_id(prefix, "data", str(panel.data))
    if panel.chart == "documents":
        source = "kibanaSavedObjectMeta.searchSourceJSON.index"
        columns: list[JsonValue] = [*panel.columns]
        return _object("search", name, {
            "title": panel.title.of(lang), "description": "", "hits": 0, "columns": columns,
            "sort": [["@timestamp", "desc"]], "version": 1,
            "kibanaSavedObjectMeta": _search_source(panel.where, source),
        }, [_reference("index-pattern", source, data)])  # fmt: skip
    return _object("lens", name, attributes(panel, lang), [_reference("index-pattern", reference(), data)])


def _search_source(kql: str, index: str | None) -> Body:
    source: Body = {"query": {"language": "kuery", "query": kql}, "filter": []}
    return {"searchSourceJSON": _text({**source, "indexRefName": index} if index else source)}


def _type_of(panel: Panel) -> str:
    return {"text": "visualization", "documents": "search"}.get(panel.chart, "lens")


def _placed(panel: Panel, titles: Mapping[str, str]) -> Body:
    x, y, width, height = panel.at
    config: Body = {"enhancements": _clicks(panel, titles)}
    return {
        "type": _type_of(panel), "panelIndex": panel.id, "panelRefName": f"panel_{panel.id}",
        "gridData": {"x": x, "y": y, "w": width, "h": height, "i": panel.id}, "embeddableConfig": config,
    }  # fmt: skip


def _clicks(panel: Panel, titles: Mapping[str, str]) -> Body:
    """Where a click on a value leads."""
    if panel.opens is None:
        return {}
    name = titles.get(panel.opens, panel.opens)
    config: Body = {"useCurrentFilters": True, "useCurrentDateRange": True, "openInNewTab": False}
    action: Body = {"factoryId": "DASHBOARD_TO_DASHBOARD_DRILLDOWN", "name": name, "config": config}
    return {
        "dynamicActions": {"events": [{"eventId": _event(panel), "triggers": ["FILTER_TRIGGER"], "action": action}]}
    }


def _event(panel: Panel) -> str:
    return f"{panel.id}-opens-{panel.opens}"


def _panel_references(board: Dashboard, panel: Panel, prefix: str) -> Iterator[Body]:
    yield _reference(_type_of(panel), f"{panel.id}:panel_{panel.id}", object_id(prefix, board.id, panel.id))
    if panel.opens is not None:
        name = f"{panel.id}:drilldown:DASHBOARD_TO_DASHBOARD_DRILLDOWN:{_event(panel)}:dashboardId"
        yield _reference("dashboard", name, object_id(prefix, panel.opens))


def _controls(controls: Sequence[Control], lang: Lang) -> Body:
    panels: Body = {
        control.id: {
            "type": "optionsListControl", "order": number, "width": "medium", "grow": True,
            "explicitInput": {"id": control.id, "fieldName": control.field, "title": control.name.of(lang),
                              "selectedOptions": [], "enhancements": {}},
        }
        for number, control in enumerate(controls)
    }  # fmt: skip
    ignored: Body = {"ignoreFilters": False, "ignoreQuery": False, "ignoreTimerange": False,
                     "ignoreValidations": False}  # fmt: skip
    return {"controlStyle": "oneLine", "chainingSystem": "HIERARCHICAL", "panelsJSON": _text(panels),
            "ignoreParentSettingsJSON": _text(ignored)}  # fmt: skip
