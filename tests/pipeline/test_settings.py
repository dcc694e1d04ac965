"""The settings file: what it takes, what it refuses, and with which words."""

import os
from pathlib import Path

import pytest
import yaml

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.settings import Settings, load

CANARY = "canary-4711"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("OPINIONWATCH__")]:
        monkeypatch.delenv(name)


def written(folder: Path, text: str) -> Path:
    path = folder / "opinionwatch.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(written(folder, text))
    return str(caught.value)


def test_without_a_file_there_are_defaults_and_the_page_is_for_this_machine_only() -> None:
    settings = load(None)
    assert settings.web.host == "127.0.0.1"
    assert settings.store_path.name == "opinionwatch.db"
    assert not settings.sources
    assert not settings.watchlists
    assert not settings.channels


def test_an_empty_file_is_a_file_of_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "# nothing yet\n")) == Settings()


def test_a_component_carries_its_own_settings_unjudged(tmp_path: Path) -> None:
    [source] = load(
        written(tmp_path, "sources: [{name: news, kind: rss, url: 'https://a.example', deep: {x: 1}}]")
    ).sources
    assert source.options == {"url": "https://a.example", "deep": {"x": 1}}


def test_every_setting_is_described() -> None:
    def undescribed(schema: dict[str, object], where: str) -> list[str]:
        properties = schema.get("properties", {})
        assert isinstance(properties, dict)
        return [
            f"{where}.{name}" for name, each in properties.items() if "description" not in each and "$ref" not in each
        ]

    schema = Settings.model_json_schema()
    bare = undescribed(schema, "settings")
    for name, section in schema["$defs"].items():
        bare += undescribed(section, name)
    assert bare == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("watchlist: []", "watchlist: unknown setting; did you mean 'watchlists'?"),
        ("web: {prot: 1}", "web.prot: unknown setting; did you mean 'port'?"),
        ("limits: {text_char: 1}", "limits.text_char: unknown setting; did you mean 'text_chars'?"),
        ("web: {port: 70000}", "web.port: "),
        ("web: {port: eighty}", "web.port: "),
        ("language: fr", "language: "),
        ("zone: Asia/Shangai", "did you mean 'Asia/Shanghai'?"),
        ("zone: Mars/Base", "no such time zone"),
        ("sources: [{name: a, kind: rss}, {name: a, kind: demo}]", "sources: the name 'a' is used twice"),
        ("channels: [{name: a, kind: slack}, {name: a, kind: email}]", "channels: the name 'a' is used twice"),
        ("sources: [{name: 'a b', kind: rss}]", "sources.0.name: "),
        ("sources: [{kind: rss}]", "sources.0.name: Field required"),
        ("sources: rss", "sources: "),
        ("- a\n- b\n", "the top level must be a mapping"),
        ("just words", "the top level must be a mapping"),
        ("web: {port: [}", "is not valid YAML"),
        ("a: &a [*a]", ""),
        ("sources: []\nweb: {port: 1}\nsources: []", "line 3, column 1: 'sources' stands twice"),
        ("web: {port: 1, host: a, port: 2}", "'port' stands twice"),
        ("tenant: ''", "tenant: "),
        ("1: 2", "1: unknown setting"),
        ("[" * 5000, "is not valid YAML"),
        ("web: !!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_field_and_a_cure(tmp_path: Path, text: str, said: str) -> None:
    message = refusal(tmp_path, text)
    assert said in message
    assert "opinionwatch.yaml" in message


def test_anchors_and_merges_are_read_as_ever(tmp_path: Path) -> None:
    text = "watchlists:\n  - &one {id: a, exclude: [x]}\n  - {<<: *one, id: b}\n"
    assert [each["id"] for each in load(written(tmp_path, text)).watchlists] == ["a", "b"]


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        load(tmp_path / "missing.yaml")
    with pytest.raises(SettingsError, match="cannot read"):
        load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(tmp_path / "binary.yaml")
    (tmp_path / "control.yaml").write_bytes(b"tenant: \x00\x07")
    with pytest.raises(SettingsError, match="not valid YAML"):
        load(tmp_path / "control.yaml")


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINIONWATCH__WEB__PORT", "9000")
    monkeypatch.setenv("OPINIONWATCH__LANGUAGE", "zh")
    settings = load(written(tmp_path, "web: {port: 8000, public_url: 'https://mood.example'}\nlanguage: en\n"))
    assert (settings.web.port, settings.language) == (9000, "zh")
    assert settings.web.public_url == "https://mood.example"


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("OPINIONWATCH__WEP__PORT", "OPINIONWATCH__WEP__PORT: no such setting"),
        ("OPINIONWATCH__WEB__PROT", "prot: unknown setting; did you mean 'port'?"),
        ("OPINIONWATCH__LANGUAGES", "OPINIONWATCH__LANGUAGES: no such setting"),
        ("opinionwatch__wep__port", "no such setting"),
    ],
)
def test_a_misspelt_variable_is_refused_and_not_ignored(
    monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(SettingsError) as caught:
        load(None)
    assert said in str(caught.value)


def test_a_variable_with_a_bad_value_is_refused_with_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINIONWATCH__WEB__PORT", "many")
    with pytest.raises(SettingsError, match=r"web\.port"):
        load(None)


def test_a_variable_that_is_no_json_where_a_list_belongs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINIONWATCH__SOURCES", "rss please")
    with pytest.raises(SettingsError, match="sources"):
        load(None)


@pytest.mark.parametrize(
    "text",
    [
        f"web: {{token_file: [{CANARY}]}}",
        f"channels: [{{name: slack, url: 'https://hooks.example/{CANARY}'}}]",
        f"channels: [{{name: '{CANARY} x', kind: slack}}]",
        f"scorer: {{kind: [{CANARY}]}}",
        f"channels: {{slack: {CANARY}}}",
        f"tenant: [{CANARY}]",
        f"channels: [{{name: slack, kind: slack, url: 'https://{CANARY}'\n",
        f"channels: [{CANARY}",
    ],
)
def test_no_message_repeats_what_was_written_for_it_may_be_a_secret(tmp_path: Path, text: str) -> None:
    assert CANARY not in refusal(tmp_path, text)


def test_settings_do_not_change_once_they_are_read(tmp_path: Path) -> None:
    settings = load(written(tmp_path, yaml.safe_dump({"tenant": "acme"})))
    with pytest.raises(ValueError, match="frozen"):
        settings.tenant = "other"  # type: ignore[misc]  # the point of the test
