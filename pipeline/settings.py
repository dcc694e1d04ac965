"""One settings file for everything: YAML, `OPINIONWATCH__SECTION__FIELD` environment overrides, secrets from files.

Unknown keys are refused with the nearest valid name. A component's own settings live in the component's file; here
they are only carried (`options` of a `Component`), and validated when the component is built.
"""

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariable

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import explain, nearest
from opinionwatch.pipeline.settings_elastic import Elastic
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.settings_kibana import Kibana
from opinionwatch.pipeline.settings_serve import Serve


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Component(BaseModel):
    """Something from a registry: `name`, `kind`, and the component's own settings beside them."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$", description="What you call it.")]
    kind: Annotated[str, Field(min_length=1, description="A kind of the registry, or your own `package.module:Class`.")]

    @property
    def options(self) -> dict[str, object]:
        """The component's own settings, not yet validated."""
        return dict(self.model_extra or {})


class ScorerChoice(BaseModel):
    """Which scorer reads the texts; more settings are the scorer's own."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    kind: Annotated[
        str, Field(description="neural (the shipped artefact), lexicon, huggingface, or your own class.")
    ] = "neural"

    @property
    def options(self) -> dict[str, object]:
        """The scorer's own settings, not yet validated."""
        return dict(self.model_extra or {})


class Web(Section):
    """The page and its API."""

    host: Annotated[str, Field(description="Address to listen on. Anything but loopback needs `token_file`.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65535, description="0 picks a free port.")] = 8765
    public_url: Annotated[str | None, Field(description="Address people reach the page at; for links in alerts.")] = (
        None
    )
    token_file: Annotated[
        Path | None, Field(description="File with the access token that every request must carry.")
    ] = None
    slack_signing_secret_file: Annotated[
        Path | None,
        Field(description="File with the signing secret of your Slack app; its buttons go to /hooks/slack."),
    ] = None


class Monitor(Section):
    """Where a daemon answers `/healthz`, `/readyz` and `/metrics`."""

    host: Annotated[
        str, Field(description="Address to listen on. Anybody who reaches it can read the numbers; no texts, no ids.")
    ] = "127.0.0.1"
    port: Annotated[
        int | None,
        Field(
            ge=0, le=65535, description="0 picks a free port. Not given: 9461 ingest to 9466 serve, one for each role."
        ),
    ] = None
    patience_s: Annotated[
        float,
        Field(
            ge=2,
            description="A daemon that stands still for so long, at work or in its start, ends; `opinionwatch run` "
            "after three times that.",
        ),
    ] = 120


class Hooks(Section):
    """Where the ingest daemon takes what is pushed to it; embedded, the page does."""

    host: Annotated[str, Field(description="Address to listen on. Every request is signed, so it may be public.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65535, description="0 picks a free port.")] = 8766


class Limits(Section):
    """Bounds on everything that comes from outside."""

    record_bytes: Annotated[int, Field(gt=0, description="A larger record is a dead letter (too_large).")] = (
        8 * 1024 * 1024
    )
    text_chars: Annotated[int, Field(gt=0, description="Longer texts are cut; the document says so.")] = 10_000
    batch_documents: Annotated[int, Field(gt=0, description="Most documents in one transaction.")] = 512
    queue_pages: Annotated[int, Field(gt=0, description="Pages waiting before sources are held back.")] = 16
    deadletters_per_hour: Annotated[
        int,
        Field(
            gt=0,
            description="Over it the runtime stops instead of dead-lettering the world; each process counts its own.",
        ),
    ] = 10_000


class Settings(BaseSettings):
    """All of opinionwatch's settings."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="OPINIONWATCH__",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
    )

    tenant: Annotated[str, Field(min_length=1, max_length=64, description="Whose data this is; part of every id.")] = (
        "default"
    )
    data_dir: Annotated[Path, Field(description="Where the store and the pseudonym key live.")] = Path(
        "opinionwatch-data"
    )
    language: Annotated[Literal["en", "zh"], Field(description="Language of alerts and of the terminal.")] = "en"
    zone: Annotated[str, Field(description="IANA time zone of the times in alerts, e.g. Asia/Shanghai.")] = "UTC"
    sources: Annotated[tuple[Component, ...], Field(description="Where documents come from.")] = ()
    watchlists: Annotated[
        tuple[dict[str, JsonValue], ...], Field(description="What to watch; see `config schema`.")
    ] = ()
    scorer: ScorerChoice = ScorerChoice()
    trend: Annotated[dict[str, JsonValue], Field(description="False-alarm budget, volume, episodes.")] = {}
    channels: Annotated[tuple[Component, ...], Field(description="Who is told, and how.")] = ()
    store: Annotated[
        Literal["sqlite", "elasticsearch"],
        Field(
            description="Where page, export, audit and dead letters look: the embedded store, or the daemons' index."
        ),
    ] = "sqlite"
    elasticsearch: Elastic = Elastic()
    notify: Annotated[
        dict[str, JsonValue], Field(description="Who is told what, when, and how they answer; see `config schema`.")
    ] = {}
    web: Web = Web()
    serve: Serve = Serve()
    kibana: Kibana = Kibana()
    limits: Limits = Limits()
    kafka: Kafka = Kafka()
    monitor: Monitor = Monitor()
    hooks: Hooks = Hooks()

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"no such time zone; {nearest(zone, available_timezones())}")
        return zone

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Settings":
        for what, components in (("sources", self.sources), ("channels", self.channels)):
            names = [component.name for component in components]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{what}: the name '{name}' is used twice; names must differ")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; nothing is read from anywhere else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @property
    def store_path(self) -> Path:
        """The one SQLite file."""
        return self.data_dir / "opinionwatch.db"


def load(path: Path | None, overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the settings file (None: defaults and environment only). Raises SettingsError that names field and cure."""
    given: dict[str, object] = {}
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
            parsed = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path} is not UTF-8 text") from error
        except (yaml.YAMLError, RecursionError) as error:
            raise SettingsError(f"{path} is not valid YAML: {_mistake(error)}") from error
        if parsed is not None and not isinstance(parsed, dict):
            raise SettingsError(f"{path}: the top level must be a mapping such as `watchlists: …`")
        given = {str(key): value for key, value in (parsed or {}).items()}
    given.update(overrides or {})
    _refuse_unknown_environment()
    try:
        return Settings(**given)  # type: ignore[arg-type]  # validated by pydantic itself
    except ValidationError as error:
        raise SettingsError(explain(error, Settings, str(path or "settings"))) from error
    except UnreadableVariable as error:
        raise SettingsError(f"environment: {error}; lists and sections are written as JSON") from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: the first of them would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """The mapping, if its keys differ."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key.value}' stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _mistake(error: yaml.YAMLError | RecursionError) -> str:
    """What is wrong and where, without the line itself: it may hold a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())


def _refuse_unknown_environment() -> None:
    """A misspelt override would otherwise be ignored in silence."""
    prefix = "OPINIONWATCH__"
    known = {field.upper() for field in Settings.model_fields}
    for variable in os.environ:
        section = variable.upper().removeprefix(prefix).split("__")[0]
        if variable.upper().startswith(prefix) and section not in known:
            raise SettingsError(f"environment variable {variable}: no such setting; known: {', '.join(sorted(known))}")


__all__ = ["Component", "Hooks", "Kafka", "Limits", "Monitor", "Settings", "Web", "load"]
