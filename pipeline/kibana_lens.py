"""One panel as Lens stores it: a layer of columns that ask, and a visualization that draws them.

Shapes are those of Kibana 8.9 (`lens` objects of that model version are read by every later one). Ids are functions of
the panel's, so the same file gives the same bytes.
"""

from collections.abc import Iterator

from pydantic import JsonValue

from opinionwatch.pipeline.elastic_fields import FIELDS
from opinionwatch.pipeline.kibana_formula import Ask, Call, Node, asks, read, written
from opinionwatch.pipeline.kibana_kql import conditions
from opinionwatch.pipeline.kibana_spec import Lang, Panel, Split, Value, Words

Body = dict[str, JsonValue]
LAYER = "layer"
TIME = "@timestamp"
_SERIES = {
    "line": "line", "area": "area_stacked", "bar": "bar", "bar_stacked": "bar_stacked",
    "bar_percentage": "bar_percentage_stacked", "bar_horizontal": "bar_horizontal_stacked",
}  # fmt: skip
_WIDE: dict[str, str] = {"metric": "lnsMetric", "table": "lnsDatatable", "donut": "lnsPie", "treemap": "lnsPie",
                         "heatmap": "lnsHeatmap", "cloud": "lnsTagcloud"}  # fmt: skip
_TIME_NAME = Words(en="Time", zh="时间")


def attributes(panel: Panel, lang: Lang) -> Body:
    """The attributes of the panel's `lens` object; it refers to its data view as `reference()`."""
    columns: dict[str, Body] = {}
    axes = []
    if panel.over_time:
        columns["time"] = _time(lang)
        axes.append("time")
    shown = [f"value{number}" for number in range(len(panel.values))]
    plain = next((name for name, value in zip(shown, panel.values, strict=True) if isinstance(read(value.of), Ask)), "")
    for number, split in enumerate(panel.splits):
        columns[f"split{number}"] = _split(split, plain, lang)
        axes.append(f"split{number}")
    if panel.chart == "table" and panel.over_time:  # Lens asks in this order: the time last, within each row
        axes = [*axes[1:], axes[0]]
    for name, value in zip(shown, panel.values, strict=True):
        columns |= _value(name, value, lang)
    layer: Body = {
        "columnOrder": [*axes, *(name for name in columns if name not in axes)],
        "columns": {**columns},
        "incompleteColumns": {},
        "sampling": 1,
    }
    return {
        "title": panel.title.of(lang),
        "description": "",
        "visualizationType": _WIDE.get(panel.chart, "lnsXY"),
        "state": {
            "datasourceStates": {"formBased": {"layers": {LAYER: layer}}},
            "visualization": _drawn(panel, axes, shown),
            "query": {"language": "kuery", "query": panel.where},
            "filters": [],
            "adHocDataViews": {},
            "internalReferences": [],
        },
    }


def reference() -> str:
    """The name under which the layer refers to its data view."""
    return f"indexpattern-datasource-layer-{LAYER}"


def _time(lang: Lang) -> Body:
    return {
        "label": _TIME_NAME.of(lang), "customLabel": True, "dataType": "date", "operationType": "date_histogram",
        "sourceField": TIME, "isBucketed": True, "scale": "interval",
        "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
    }  # fmt: skip


def _split(split: Split, plain: str, lang: Lang) -> Body:
    order: Body = {"orderBy": {"type": "alphabetical", "fallback": True}, "orderDirection": "asc"}
    if split.by is not None:
        asked = read(split.by)
        if isinstance(asked, Ask):
            order = {"orderBy": {"type": "custom"}, "orderAgg": _ask(asked, asked.text), "orderDirection": "desc"}
    elif plain:
        order = {"orderBy": {"type": "column", "columnId": plain}, "orderDirection": "desc"}
    return {
        "label": split.name.of(lang), "customLabel": True, "dataType": "string", "operationType": "terms",
        "sourceField": split.field, "isBucketed": True, "scale": "ordinal",
        "params": {"size": split.top, **order, "otherBucket": False, "missingBucket": False,
                   "parentFormat": {"id": "terms"}, "include": [], "exclude": [], "includeIsRegex": False,
                   "excludeIsRegex": False},
    }  # fmt: skip


def _value(name: str, value: Value, lang: Lang) -> dict[str, Body]:
    """The column of a value, and the hidden ones of a formula."""
    node, label = read(value.of), value.name.of(lang)
    shape: Body = {} if value.shown != "percent" else {"format": {"id": "percent", "params": {"decimals": 1}}}
    if isinstance(node, Ask):
        return {name: _ask(node, label, shape)}
    hidden = {ask: f"{name}X{number}" for number, ask in enumerate(asks(node))}
    tree = f"{name}X{len(hidden)}"
    text = written(node)
    whole: Body = {
        "label": label, "customLabel": True, "dataType": "number", "operationType": "formula", "isBucketed": False,
        "scale": "ratio", "params": {"formula": text, "isFormulaBroken": False, **shape}, "references": [tree],
    }  # fmt: skip
    math: Body = {
        "label": f"Part of {label}", "customLabel": True, "dataType": "number", "operationType": "math",
        "isBucketed": False, "scale": "ratio", "params": {"tinymathAst": _tree(node, hidden, text)},
        "references": list(hidden.values()),
    }  # fmt: skip
    parts = {column: _ask(ask, f"Part of {label}") for ask, column in hidden.items()}
    return {name: whole, **parts, tree: math}


def _ask(ask: Ask, label: str, shape: Body | None = None) -> Body:
    column: Body = {
        "label": label, "customLabel": True, "operationType": ask.of, "isBucketed": False, "scale": "ratio",
        "dataType": "date" if _is_date(ask.field) and ask.of in ("min", "max") else "number",
        "sourceField": ask.field or "___records___", "params": {"emptyAsNull": ask.of == "count", **(shape or {})},
    }  # fmt: skip
    return {**column, "filter": {"language": "kuery", "query": ask.kql}} if ask.kql else column


def _is_date(field: str) -> bool:
    return any(fields.get(field, {}).get("type") == "date" for fields in FIELDS.values())


def _tree(node: Node, hidden: dict[Ask, str], text: str = "") -> JsonValue:
    if isinstance(node, Ask):
        return hidden[node]
    if isinstance(node, Call):
        args: list[JsonValue] = [_tree(arg, hidden) for arg in node.args]
        place: Body = {"location": {"min": 0, "max": len(text)}, "text": text} if text else {}
        return {"type": "function", "name": node.name, "args": args, **place}
    return node


def _drawn(panel: Panel, axes: list[str], shown: list[str]) -> Body:
    """The visualization's own state."""
    base: Body = {"layerId": LAYER, "layerType": "data"}
    names: list[JsonValue] = [*shown]
    if panel.chart == "metric":
        split: Body = {"breakdownByAccessor": axes[0]} if axes else {}
        second: Body = {"secondaryMetricAccessor": shown[1]} if len(shown) > 1 else {}
        return {**base, "metricAccessor": shown[0], **second, **split}
    if panel.chart == "table":
        return {
            **base,
            "columns": [{"columnId": name} for name in (*axes, *shown)],
            "paging": {"size": 10, "enabled": True},
        }
    if panel.chart in ("donut", "treemap"):
        groups: list[JsonValue] = [*axes]
        pie: Body = {**base, "primaryGroups": groups, "metrics": names, "numberDisplay": "percent",
                     "categoryDisplay": "default", "legendDisplay": "default", "nestedLegend": False}  # fmt: skip
        return {"shape": panel.chart, "layers": [pie]}
    if panel.chart == "heatmap":
        grid: Body = {"type": "heatmap_grid", "isXAxisLabelVisible": True, "isYAxisLabelVisible": True}
        grid |= {"isCellLabelVisible": False, "isXAxisTitleVisible": False, "isYAxisTitleVisible": False}
        legend: Body = {"isVisible": True, "position": "right", "type": "heatmap_legend"}
        return {**base, "shape": "heatmap", "xAccessor": axes[0], "yAccessor": axes[1], "valueAccessor": shown[0],
                "gridConfig": grid, "legend": legend}  # fmt: skip
    if panel.chart == "cloud":
        return {**base, "tagAccessor": axes[0], "valueAccessor": shown[0], "maxFontSize": 48, "minFontSize": 14,
                "orientation": "single", "showLabel": False}  # fmt: skip
    return _xy(panel, base, axes, names)


def _xy(panel: Panel, base: Body, axes: list[str], shown: list[JsonValue]) -> Body:
    series = _SERIES[panel.chart]
    drawn: Body = {**base, "seriesType": series, "xAccessor": axes[0], "accessors": shown}
    if len(axes) > 1:
        drawn["splitAccessor"] = axes[1]
    return {
        "preferredSeriesType": series,
        "layers": [drawn],
        "legend": {"isVisible": True, "position": "bottom", "showSingleSeries": len(shown) > 1},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": False},
    }


def fields_of(panel: Panel) -> Iterator[tuple[str, str]]:
    """Every field that the panel names, with what it is used for: `terms`, `date_histogram`, `filter`, `column`, or
    the aggregation's name.
    """
    if panel.over_time:
        yield TIME, "date_histogram"
    yield from ((split.field, "terms") for split in panel.splits)
    yield from ((field, "column") for field in panel.columns)
    formulas = [value.of for value in panel.values] + [split.by for split in panel.splits if split.by]
    every = [ask for formula in formulas for ask in asks(read(formula))]
    yield from ((ask.field, ask.of) for ask in every if ask.field)
    for kql in (panel.where, *(ask.kql for ask in every)):
        yield from ((condition.field, "filter") for condition in conditions(kql))
