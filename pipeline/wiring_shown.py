"""The settings as people read them: those in force with all defaults, and the schema of all there are."""

from collections.abc import Mapping

from pydantic import JsonValue

from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.registry import CHANNELS
from opinionwatch.alerts.route_settings import NotifySettings
from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.models.registry import SCORERS
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.registry import options, resolve
from opinionwatch.pipeline.settings import Component, Settings
from opinionwatch.pipeline.watchlists import Watchlist


def shown(settings: Settings) -> dict[str, JsonValue]:
    """The settings in force with all defaults, for people to read: secrets are stars."""
    plain = settings.model_dump(mode="json", exclude={"sources", "channels", "scorer", "watchlists", "trend", "notify"})
    kinds = (("sources", CONNECTORS, settings.sources), ("channels", CHANNELS, settings.channels))
    for what, registry, components in kinds:
        plain[what] = [
            {"name": component.name, "kind": component.kind, **_dumped(registry, component, what)}
            for component in components
        ]
    scorer_kind = resolve(SCORERS, settings.scorer.kind, "scorer")
    plain["scorer"] = {"kind": settings.scorer.kind, **_dump(scorer_kind, settings.scorer.options, "scorer")}
    plain["watchlists"] = [watchlist.model_dump(mode="json") for watchlist in wiring.watchlists(settings)]
    plain["trend"] = wiring.given_trend(settings).model_dump(mode="json")
    plain["notify"] = wiring.notify_settings(settings).model_dump(mode="json", by_alias=True)
    return plain


def _dumped(registry: Mapping[str, str], component: Component, what: str) -> dict[str, JsonValue]:
    where = f"{what}.{component.name}"
    return _dump(resolve(registry, component.kind, where), component.options, where)


def _dump(kind: type, given: Mapping[str, object], where: str) -> dict[str, JsonValue]:
    return options(wiring.settings_of(kind, where), given, where).model_dump(mode="json")


def settings_schema(registry: Mapping[str, str], kind: str, where: str) -> dict[str, JsonValue]:
    """JSON Schema of what one kind of component can be told."""
    return wiring.settings_of(resolve(registry, kind, where), where).model_json_schema()


def schema() -> dict[str, JsonValue]:
    """JSON Schema of the settings file; `$defs` also hold what each kind of source, channel and scorer takes."""
    whole = Settings.model_json_schema()
    definitions = whole.setdefault("$defs", {})
    for what, registry in (("source", CONNECTORS), ("channel", CHANNELS), ("scorer", SCORERS)):
        for kind in registry:
            definitions[f"{what}:{kind}"] = settings_schema(registry, kind, what)
    definitions["watchlist"] = Watchlist.model_json_schema()
    definitions["trend"] = TrendSettings.model_json_schema()
    definitions["notify"] = NotifySettings.model_json_schema()
    return whole
