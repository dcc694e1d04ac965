"""The dashboards: what is asked for exists, what is referred to is there, and what is wrong is said."""

import re
from pathlib import Path

import orjson
import pytest
import yaml

from opinionwatch.pipeline.elastic_fields import FIELDS
from opinionwatch.pipeline.elastic_mapping import field_types
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.kibana_check import mistakes
from opinionwatch.pipeline.kibana_lens import Body, attributes
from opinionwatch.pipeline.kibana_objects import ndjson, saved_objects
from opinionwatch.pipeline.kibana_spec import Dashboard, Lang, load
from tests.pipeline.kibana_boards import FOLDER, boards

PROMISED = {"overview", "aspects", "episode", "sources", "pipeline"}


def changed(name: str, old: str, new: str, tmp_path: Path) -> tuple[Dashboard, ...]:
    """The shipped dashboards with one text of one of them changed."""
    for file in FOLDER.glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        if file.stem == name:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    return load(tmp_path)


def found(dashboards: tuple[Dashboard, ...]) -> str:
    """What the check says about them."""
    return "\n".join(mistakes(dashboards, saved_objects(dashboards, "opinionwatch", "en")))


def test_the_promised_dashboards_are_there_and_nothing_is_wrong_with_them() -> None:
    assert {board.id for board in boards()} == PROMISED
    assert found(boards()) == ""


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("overview", "sum(window.posts)", "sum(window.post)", "windows have no field `window.post`"),
        ("overview", "field: document.lang", "field: message", "terms cannot work on `message`, which is a text"),
        ("aspects", "aspect.pair : *", "opinion : *", "filter cannot work on `opinion`, which is a nested"),
        ("overview", "at: [12, 0, 12, 6]", "at: [11, 0, 12, 6]", "posts and voices lie on each other"),
        ("overview", "opens: episode", "opens: nowhere", "opens `nowhere`, and there is no such dashboard"),
        ("aspects", "id: in-time", "id: share", "the id `share` is used 2 times"),
        ("sources", "field: event.provider", "field: ledger.state", "would empty the panels"),
    ],
)  # fmt: skip
def test_a_dashboard_that_asks_for_what_is_not_there_is_found(
    name: str, old: str, new: str, says: str, tmp_path: Path
) -> None:
    assert says in found(changed(name, old, new, tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("at: [36, 0, 12, 6]", "at: [40, 0, 12, 6]", "not on a grid of 48 columns"),
        ("chart: donut", "chart: heatmap", "a heatmap has 2 to 2 axes, not 1"),
        ("of: sum(window.posts)", "of: total(window.posts)", "there is no `total`"),
        ("over_time: true", "over_tme: true", "did you mean 'over_time'"),
        ("id: overview", "id: other", "id and file name are the same"),
        ("since: now-7d", "since: {now-7d", "cannot be read"),
        ("zh: 帖子数}\n    data", "}\n    data", "zh"),
    ],
)
def test_a_file_that_cannot_be_a_dashboard_is_refused_with_its_name(
    old: str, new: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)) as refused:
        changed("overview", old, new, tmp_path)
    assert "overview.yaml" in str(refused.value)


def test_a_folder_without_dashboards_is_not_applied_in_silence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no dashboard"):
        load(tmp_path)


def test_a_missing_object_and_a_missing_reference_are_found() -> None:
    objects = saved_objects(boards(), "opinionwatch", "en")
    chart = next(each for each in objects if each["id"] == "opinionwatch-overview-mood")
    without = [each for each in objects if each is not chart]
    assert "refers to lens `opinionwatch-overview-mood`, which is missing" in "\n".join(mistakes(boards(), without))
    board = next(each for each in objects if each["type"] == "dashboard")
    loose = [{**each, "references": []} if each is board else each for each in objects]
    assert "nothing is referred to as" in "\n".join(mistakes(boards(), loose))
    assert "is there 2 times" in "\n".join(mistakes(boards(), [*objects, chart]))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_same_files_are_the_same_bytes_and_every_line_says_its_version(lang: Lang) -> None:
    first = ndjson(saved_objects(boards(), "opinionwatch", lang))
    assert first == ndjson(saved_objects(boards(), "opinionwatch", lang))
    for line in first.splitlines():
        each = orjson.loads(line)
        assert each["typeMigrationVersion"]
        assert each["coreMigrationVersion"] == "8.8.0"


def test_the_languages_differ_in_words_only() -> None:
    ids = [[(each["type"], each["id"]) for each in saved_objects(boards(), "opinionwatch", lang)] for lang in LANGS]
    assert ids[0] == ids[1]
    chinese = ndjson(saved_objects(boards(), "opinionwatch", "zh")).decode()
    assert "负面占比" in chinese
    assert "Negative share" not in chinese


LANGS: tuple[Lang, Lang] = ("en", "zh")


def test_the_prefix_of_the_settings_is_in_every_id_and_every_data_view() -> None:
    for each in saved_objects(boards(), "acme", "en"):
        assert str(each["id"]).startswith("acme-")
    views = [each["attributes"] for each in saved_objects(boards(), "acme", "en") if each["type"] == "index-pattern"]
    assert {str(view["title"]) for view in views if isinstance(view, dict)} >= {"acme-windows-*", "acme-ledger"}


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_column_and_every_click_has_a_name_for_people(lang: Lang) -> None:
    objects = orjson.loads(orjson.dumps(saved_objects(boards(), "opinionwatch", lang)))
    views = {
        each["id"]: orjson.loads(each["attributes"]["fieldAttrs"])
        for each in objects
        if each["type"] == "index-pattern"
    }
    for each in objects:
        if each["type"] == "search":
            [data] = each["references"]
            assert set(each["attributes"]["columns"]) <= set(views[data["id"]]), each["id"]
    for kind in FIELDS:
        assert set(views[f"opinionwatch-data-{kind}"]) <= set(field_types(kind))
    overview = next(each for each in objects if each["id"] == "opinionwatch-overview")
    [title] = {board.title.of(lang) for board in boards() if board.id == "episode"}
    assert orjson.dumps({"name": title})[1:-1].decode() in overview["attributes"]["panelsJSON"]


def layers() -> list[tuple[str, Body, Body]]:
    """Each chart's layer and visualization, by name."""
    made = []
    for board in boards():
        for panel in board.panels:
            if panel.chart not in ("text", "documents"):
                state = orjson.loads(orjson.dumps(attributes(panel, "en")))["state"]
                layer = state["datasourceStates"]["formBased"]["layers"]["layer"]
                made.append((f"{board.id}.{panel.id}", layer, state["visualization"]))
    return made


@pytest.mark.parametrize(("layer", "drawn"), [made[1:] for made in layers()], ids=[made[0] for made in layers()])
def test_a_chart_draws_columns_it_has_and_orders_by_columns_it_has(layer: Body, drawn: Body) -> None:
    columns = layer["columns"]
    assert isinstance(columns, dict)
    order = layer["columnOrder"]
    assert isinstance(order, list)
    assert sorted(map(str, order)) == sorted(columns)
    drawn_names = set(re.findall(r'"((?:value|split)\d+|time)"', orjson.dumps(drawn).decode()))
    assert drawn_names
    assert drawn_names <= set(columns)
    buckets = [name for name, column in columns.items() if isinstance(column, dict) and column["isBucketed"]]
    assert set(order[: len(buckets)]) == set(buckets), "Lens wants buckets first"
    for name, column in columns.items():
        assert isinstance(column, dict)
        references = column.get("references", [])
        assert isinstance(references, list)
        assert set(map(str, references)) <= set(columns) - {name}
        params = column["params"]
        assert isinstance(params, dict)
        ordered = params.get("orderBy")
        if isinstance(ordered, dict) and ordered["type"] == "column":
            by = columns[str(ordered["columnId"])]
            assert isinstance(by, dict)
            assert by["operationType"] not in ("formula", "math"), "Lens cannot order by a formula"


def test_every_field_that_a_dashboard_names_in_its_file_is_checked() -> None:
    names = re.compile(r"(?<![\w.])((?:window|episode|document|sentiment|aspect|event|health|ledger)\.[a-z_]+)")
    for file in FOLDER.glob("*.yaml"):
        text = "\n".join(line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
        written = set(names.findall(text))
        parsed = yaml.safe_load(text)
        assert written <= set(names.findall(str(parsed)))
        assert written
