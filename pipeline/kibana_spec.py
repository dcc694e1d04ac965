"""What a dashboard says, as one writes it: a YAML file a dashboard, every word in English and in Chinese.

The grid is Kibana's: 48 columns, rows of about 20 pixels. Values are formulas (`kibana_formula`), conditions are KQL of
the simple kind that `kibana_kql` reads. Nothing of Kibana's storage is in these files; `kibana_objects` knows that.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from opinionwatch.pipeline.elastic_fields import Kind
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.kibana_formula import read
from opinionwatch.pipeline.kibana_kql import conditions
from opinionwatch.pipeline.registry import explain

Lang = Literal["en", "zh"]
Chart = Literal[
    "line", "area", "bar", "bar_stacked", "bar_percentage", "bar_horizontal",
    "metric", "table", "donut", "treemap", "heatmap", "cloud", "documents", "text",
]  # fmt: skip
COLUMNS = 48


def _readable(text: str, reader: Callable[[str], object]) -> str:
    try:
        reader(text)
    except SettingsError as error:
        raise ValueError(str(error)) from None
    return text


def _formula(text: str) -> str:
    return _readable(text, read)


def _kql(text: str) -> str:
    return _readable(text, conditions)


Formula = Annotated[str, AfterValidator(_formula)]
Kql = Annotated[str, AfterValidator(_kql)]
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]


class Part(BaseModel):
    """Base of all parts: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Words(Part):
    """The same in both languages."""

    en: Annotated[str, Field(min_length=1)]
    zh: Annotated[str, Field(min_length=1)]

    def of(self, lang: Lang) -> str:
        """In one of them."""
        return self.en if lang == "en" else self.zh


class Value(Part):
    """A number a chart shows."""

    of: Formula
    name: Words
    shown: Literal["number", "percent", "date"] = "number"


class Split(Part):
    """One row, series or slice for each value of a keyword field: the largest `top` of them by `by`."""

    field: str
    name: Words
    top: Annotated[int, Field(ge=1, le=100)] = 10
    by: Formula | None = None
    """A single aggregation; the alphabet if not given."""


class Panel(Part):
    """One chart at its place: x, y, width, height."""

    id: Id
    at: tuple[int, int, int, int]
    chart: Chart
    title: Words
    data: Kind | None = None
    over_time: bool = False
    """Whether the horizontal axis (or the first column) is the time."""
    splits: tuple[Split, ...] = ()
    values: tuple[Value, ...] = ()
    where: Kql = ""
    columns: tuple[str, ...] = ()
    """Fields that `documents` shows."""
    text: Words | None = None
    """Markdown of `text`."""
    opens: Id | None = None
    """Dashboard that a click leads to, with the time range and filters of this one."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        x, y, width, height = self.at
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > COLUMNS:
            raise ValueError(f"panel {self.id}: at {list(self.at)} is not on a grid of {COLUMNS} columns")
        if (self.chart == "text") != (self.text is not None) or (self.chart == "text") == (self.data is not None):
            raise ValueError(f"panel {self.id}: `text` goes with chart text, `data` with every other")
        if (self.chart == "documents") != bool(self.columns):
            raise ValueError(f"panel {self.id}: `columns` goes with chart documents")
        if self.chart not in ("text", "documents"):
            self._asks_for_something()
        return self

    def _asks_for_something(self) -> None:
        axes = len(self.splits) + self.over_time
        needed: dict[Chart, tuple[int, int]] = {"metric": (0, 1), "donut": (1, 1), "treemap": (1, 2), "heatmap": (2, 2),
                                                "cloud": (1, 1), "table": (1, 5)}  # fmt: skip
        least, most = needed.get(self.chart, (1, 2))
        if not least <= axes <= most:
            raise ValueError(f"panel {self.id}: a {self.chart} has {least} to {most} axes, not {axes}")
        if not self.values or (len(self.values) > 1 and self.chart in ("donut", "treemap", "heatmap", "cloud")):
            raise ValueError(f"panel {self.id}: a {self.chart} has one value, or several if it can show them")


class Control(Part):
    """A list at the top of a dashboard that people choose from."""

    id: Id
    field: str
    data: Kind
    name: Words


class Dashboard(Part):
    """One dashboard."""

    id: Id
    title: Words
    description: Words
    since: str = "now-7d"
    """Beginning of the time range it opens with; it ends now."""
    controls: tuple[Control, ...] = ()
    panels: Annotated[tuple[Panel, ...], Field(min_length=1)]


def load(folder: Path) -> tuple[Dashboard, ...]:
    """All dashboards of a folder, by file name. Raises SettingsError that names the file and the mistake."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise SettingsError(f"kibana.folder: there is no dashboard (*.yaml) in {folder.absolute()}")
    return tuple(map(_load, files))


def _load(file: Path) -> Dashboard:
    try:
        dashboard = Dashboard.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{file}: cannot be read ({type(error).__name__})") from error
    except ValidationError as error:
        raise SettingsError(explain(error, Dashboard, str(file))) from error
    if dashboard.id != file.stem:
        raise SettingsError(f"{file}: its id is `{dashboard.id}`; id and file name are the same")
    return dashboard
