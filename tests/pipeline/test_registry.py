"""Names in the settings become classes, and mistakes become advice."""

import re
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import nearest, options, resolve

KINDS = {"plan": "opinionwatch.pipeline.plan:Hop", "gone": "opinionwatch.pipeline.nowhere:Thing"}


class Inner(BaseModel):
    """A section inside a component."""

    model_config = ConfigDict(extra="forbid")
    speed: float = Field(default=1, ge=0, description="How fast, 1 as it was.")


class Outer(BaseModel):
    """A component's settings."""

    model_config = ConfigDict(extra="forbid")
    path: str
    replay: Inner | None = None
    parts: tuple[Inner, ...] = ()


def test_a_kind_of_the_registry_is_found() -> None:
    assert resolve(KINDS, "plan", "sources.a").__name__ == "Hop"


def test_anybodys_own_class_is_named_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_feeds_for_a_test.py").write_text("class Intranet: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve(KINDS, "my_feeds_for_a_test:Intranet", "sources.a").__name__ == "Intranet"
    del sys.modules["my_feeds_for_a_test"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pan", "did you mean 'plan'?"),
        ("zzzz", "known: gone, plan"),
        ("gone", "cannot import 'opinionwatch.pipeline.nowhere:Thing'"),
        ("opinionwatch.pipeline.plan:Nothing", "cannot import"),
        ("opinionwatch.pipeline.plan:PLAN", "is not a class"),
        (":Thing", "cannot import"),
        ("plan:", "cannot import"),
        ("opinionwatch..plan:Hop", "cannot import"),
        (".plan:Hop", "cannot import"),
    ],
)
def test_what_cannot_be_found_is_said_with_its_place_and_a_cure(kind: str, said: str) -> None:
    with pytest.raises(SettingsError, match=r"^sources\.a: ") as caught:
        resolve(KINDS, kind, "sources.a")
    assert said in str(caught.value)


def test_an_own_class_whose_module_fails_to_import_is_said_and_not_thrown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_for_a_test.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="cannot import 'broken_for_a_test:Feed'"):
        resolve(KINDS, "broken_for_a_test:Feed", "sources.a")


def test_the_nearest_name_is_offered_and_all_names_when_none_is_near() -> None:
    assert nearest("slak", ["slack", "email"]) == "did you mean 'slack'?"
    assert nearest("qqq", ["slack", "email"]) == "known: email, slack"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pth": "x", "path": "x"}, "sources.a.pth: unknown setting; did you mean 'path'?"),
        ({"path": "x", "replay": {"sped": 1}}, "sources.a.replay.sped: unknown setting; did you mean 'speed'?"),
        ({"path": "x", "parts": [{}, {"sped": 1}]}, "sources.a.parts.1.sped: unknown setting; did you mean 'speed'?"),
        ({"path": "x", "replay": {"speed": -1}}, "sources.a.replay.speed: "),
        ({}, "sources.a.path: Field required"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_the_nearest_name(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        options(Outer, given, "sources.a")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        options(Outer, {"pth": "x", "replay": {"speed": "fast"}}, "sources.a")
    assert len(str(caught.value).splitlines()) == 3


def test_what_was_written_wrongly_is_never_repeated_for_it_may_be_a_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        options(Outer, {"path": ["canary-4711"], "replay": {"speed": "canary-4711"}}, "channels.a")
    assert "canary-4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": "x", "replay": {"speed": -1}}, "usually 1. It is: How fast, 1 as it was."),
        ({"path": "x", "parts": [{"speed": "quick"}]}, "sources.a.parts.0.speed: Input should be a valid number"),
        ({}, "sources.a.path: Field required"),
    ],
)
def test_a_mistake_comes_with_what_the_field_is_for_and_its_usual_value(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        options(Outer, given, "sources.a")
