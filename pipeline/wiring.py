"""The only file that knows everybody: from the settings to stages, sources, channels and a running engine."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from tempfile import NamedTemporaryFile
from typing import Any, cast

from pydantic import BaseModel
from starlette.routing import BaseRoute

from opinionwatch.alerts.calibration import Curve
from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.message import render, sample
from opinionwatch.alerts.registry import CHANNELS
from opinionwatch.alerts.route import Route
from opinionwatch.alerts.route_settings import NotifySettings
from opinionwatch.alerts.trend import Trend
from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.models.registry import SCORERS
from opinionwatch.pipeline.accept import Accept
from opinionwatch.pipeline.answers import Answers
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts import Confusion, Document
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Episode, Message, Silence
from opinionwatch.pipeline.curves import load as load_curves
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.hops import Hops, Ingest, Scored
from opinionwatch.pipeline.isolate import isolated
from opinionwatch.pipeline.kibana_link import episode_link
from opinionwatch.pipeline.match import MatchStage
from opinionwatch.pipeline.plan import HopName, hop
from opinionwatch.pipeline.ports import Channel, Intake, PushSource, Scorer, Source, Stage, StatefulStage
from opinionwatch.pipeline.read import Read
from opinionwatch.pipeline.registry import nearest, options, resolve
from opinionwatch.pipeline.renewable import confusions
from opinionwatch.pipeline.score import Mentions, Score
from opinionwatch.pipeline.settings import Component, Settings
from opinionwatch.pipeline.stages import bury_document, chain
from opinionwatch.pipeline.ticks import Watched
from opinionwatch.pipeline.watchlists import Watchlist
from opinionwatch.pipeline.watchlists import watchlists as validated

PSEUDONYM_KEY = "pseudonym.key"
"""Name of the file in `data_dir`."""


def watchlists(settings: Settings) -> tuple[Watchlist, ...]:
    """The watchlists. Raises SettingsError for a mistake in one, and for ids used twice."""
    return validated(settings.watchlists)


def _component(registry: Mapping[str, str], component: Component, what: str) -> object:
    where = f"{what}.{component.name}"
    kind = resolve(registry, component.kind, where)
    return kind(component.name, options(settings_of(kind, where), component.options, where))


def settings_of(kind: type, where: str) -> type[BaseModel]:
    """The settings class of a component. Raises SettingsError where there is none."""
    found = getattr(kind, "Settings", None)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise SettingsError(f"{where}: {kind.__name__} has no `Settings`, a pydantic model of what it can be told")
    return found


def sources(settings: Settings) -> list[Source]:
    """The sources, built but not started."""
    return [cast(Source, _component(CONNECTORS, component, "sources")) for component in settings.sources]


def source(settings: Settings, name: str) -> Source:
    """One source by its name, built anew. Raises SettingsError with the nearest name when there is none."""
    named = {component.name: component for component in settings.sources}
    if name not in named:
        known = nearest(name, named) if named else "there is none under `sources:`"
        raise SettingsError(f"no source '{name}' in the settings; {known}")
    return cast(Source, _component(CONNECTORS, named[name], "sources"))


def routes(built: Sequence[Source], intake: Intake) -> list[BaseRoute]:
    """What push sources listen on."""
    return [route for source in built if isinstance(source, PushSource) for route in source.routes(intake)]


def channels(settings: Settings) -> dict[str, Channel]:
    """The channels by name. Raises SettingsError for a mistake, and for buttons that nobody would hear."""
    built = {
        component.name: cast(Channel, _component(CHANNELS, component, "channels")) for component in settings.channels
    }
    for name, channel in built.items():
        buttons = getattr(getattr(channel, "settings", None), "buttons", False)
        if buttons and settings.web.slack_signing_secret_file is None:
            raise SettingsError(
                f"channels.{name}.buttons: nobody hears them; write web.slack_signing_secret_file, or leave them out"
            )
    return built


def scorer(settings: Settings) -> Scorer:
    """The scorer; loads weights, which takes seconds."""
    kind = resolve(SCORERS, settings.scorer.kind, "scorer")
    return cast(Scorer, kind(options(settings_of(kind, "scorer"), settings.scorer.options, "scorer")))


def trend_settings(settings: Settings) -> TrendSettings:
    """The trend hop's settings; a budget for all watchlists is shared out among them."""
    given = given_trend(settings)
    shared = given.detector.shared(len(settings.watchlists))
    return given.model_copy(update={"detector": shared})


def given_trend(settings: Settings) -> TrendSettings:
    """The trend hop's settings as they are written."""
    return options(TrendSettings, settings.trend, "trend")


def notify_settings(settings: Settings) -> NotifySettings:
    """Who is told what. Raises SettingsError for a mistake, and for names that are not there."""
    notify = options(NotifySettings, settings.notify, "notify")
    lists = watchlists(settings)
    notify.check(
        [component.name for component in settings.channels],
        [watchlist.id for watchlist in lists],
        sorted({tag for watchlist in lists for tag in watchlist.tags}),
    )
    return notify


def _route(settings: Settings, lists: Sequence[Watchlist], told: Mapping[str, Channel]) -> Route:
    notify = notify_settings(settings)
    # Channels that are not the settings' (a terminal beside the page) hear everything, whatever the routes say.
    named = {component.name for component in settings.channels} if notify.route is not None else set()
    return Route(
        [name for name in told if name not in named],
        informed=[n for n, channel in told.items() if getattr(getattr(channel, "settings", None), "info", False)],
        settings=notify,
        tags={watchlist.id: watchlist.tags for watchlist in lists},
    )


def pseudonym_key(settings: Settings) -> bytes:
    """The key that turns authors into pseudonyms: made once, kept beside the store, readable by its owner only."""
    return _key(settings, PSEUDONYM_KEY, "restore it, or authors will look like new people")


def answers(settings: Settings) -> Answers:
    """Makes and reads the signed addresses that answer an episode; their key lies beside the store, too."""
    return Answers(_key(settings, "answers.key", "restore it, or remove it and links in e-mails sent so far are void"))


def _key(settings: Settings, name: str, cure: str) -> bytes:
    path = settings.data_dir / name
    if not path.exists():
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=settings.data_dir, prefix=path.name) as file:  # readable by its owner only
            file.write(token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(file.name, path)
    key = path.read_bytes()
    if len(key) != 32:
        raise SettingsError(f"{path} is damaged: {cure}")
    return key


def pseudonyms(settings: Settings, author: str, kinds: Iterable[str]) -> list[str]:
    """What an author is called in the stores, by kind of source."""
    accept = Accept(settings.limits, settings.tenant, pseudonym_key(settings))
    found = (accept.pseudonym(kind, author) for kind in sorted({*kinds, *(one.kind for one in settings.sources)}))
    return [name for name in found if name is not None]


def ingest_hop(settings: Settings) -> Ingest:
    """The ingest hop."""
    accept = Accept(settings.limits, settings.tenant, pseudonym_key(settings))
    return isolated(_built("ingest", {"accept": accept}), accept.bury)


def score_hop(settings: Settings, reader: Scorer) -> Callable[[Sequence[Document], datetime], Sequence[Scored]]:
    """The score hop."""
    lists = watchlists(settings)
    stages: dict[str, Stage[Any, Any]] = {
        "read": Read(),
        "match": MatchStage(lists),
        "score": Score(reader),
        "mention": Mentions(lists),
    }
    return isolated(_built("score", stages), lambda document, error, _: bury_document(document, "score", error))


def trend_stage(
    settings: Settings,
    errors: Mapping[str, Mapping[str, Confusion]] | None = None,
    more: Sequence[Curve] = (),
) -> Callable[[], StatefulStage]:
    """Makes the trend hop, as often as a runtime has to rebuild its state; `errors` says how scorers err, by version
    and language, `more` are calibrations that lie elsewhere than in the data folder.
    """
    trend, curves = trend_settings(settings), (*load_curves(settings.data_dir), *more)
    return lambda: Trend(trend, settings.tenant, curves, errors)


def watched(settings: Settings) -> Watched:
    """Whom the settings name: what was there before and is no more is not missed."""
    lists = frozenset(watchlist.id for watchlist in watchlists(settings))
    return Watched(frozenset(component.name for component in settings.sources), lists)


def notify_hop(
    settings: Settings, told: Mapping[str, Channel]
) -> Callable[[Sequence[Alert | Silence | Delivery | Episode], datetime], Sequence[Delivery]]:
    """The notify hop; `told` are the channels that alerts go to."""
    return _built("notify", {"route": _route(settings, watchlists(settings), told)})


def _built(name: HopName, stages: Mapping[str, Stage[Any, Any]]) -> Stage[Any, Any]:
    """The stages that the plan names, one after the other."""
    return chain(*(stages[stage] for stage in hop(name).stages))


def hops(settings: Settings, reader: Scorer, told: Mapping[str, Channel]) -> Hops:
    """All of the plan's hops, for a runtime that executes them in one process."""
    return Hops(
        ingest=ingest_hop(settings),
        score=score_hop(settings, reader),
        trend=trend_stage(settings, confusions(reader)),
        notify=notify_hop(settings, told),
        watched=watched(settings),
    )


def renderer(settings: Settings, public_url: str, archive: Archive) -> Callable[[Alert, bool], Message]:
    """How alerts are worded and drawn for people."""
    from opinionwatch.alerts.chart import chart  # drawing takes long to load, and most commands never draw

    names = {watchlist.id: watchlist.name for watchlist in watchlists(settings)}
    signed = answers(settings)

    def rendered(alert: Alert, repeat: bool) -> Message:
        episode = alert.episode
        windows = archive.windows(episode.watchlist, alert.at - timedelta(days=2), alert.at + timedelta(minutes=5))
        return render(
            alert,
            lang=settings.language,
            public_url=public_url,
            watchlist_name=names.get(episode.watchlist, episode.watchlist),
            repeat=repeat,
            zone=settings.zone,
            chart_png=chart(windows, episode.opened_at) if windows else None,
            dashboard=episode_link(settings.kibana, settings.elasticsearch.prefix, alert) or "",
            answers=signed.links(alert, public_url),
        )

    return rendered


def public_url(settings: Settings) -> str:
    """Where people reach the page, as far as the settings say."""
    return settings.web.public_url or f"http://{settings.web.host}:{settings.web.port}"


def sample_message(settings: Settings) -> Message:
    """A labelled test message."""
    return sample(lang=settings.language, public_url=public_url(settings), at=datetime.now(UTC))
