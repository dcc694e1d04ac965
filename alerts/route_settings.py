"""Who is told what, as the settings say it: receivers, a tree of routes, quiet hours, inhibition."""

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from opinionwatch.alerts.digest_settings import DigestSettings
from opinionwatch.alerts.matchers import Matcher, split
from opinionwatch.alerts.quiet import QuietHours
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.settings import Section

GroupLabel = Literal["episode", "watchlist", "tag", "kind", "severity", "source", "aspect"]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class Receiver(Section):
    """Some people, and the channels that reach them."""

    name: Annotated[Name, Field(description="What routes call them.")]
    channels: Annotated[tuple[str, ...], Field(min_length=1, description="Names under `channels:`.")]
    fallback: Annotated[
        str | None, Field(description="Channel that is told instead when one of `channels` refuses for good.")
    ] = None
    info: Annotated[bool, Field(description="Whether information comes here, too.")] = False
    per_hour: Annotated[
        int | None,
        Field(ge=1, description="Most messages an hour on each channel; later ones wait. Critical ones do not."),
    ] = None


class Escalation(Section):
    """Who is told besides when nobody takes care."""

    after_m: Annotated[float, Field(gt=0, le=10_080, description="Minutes without an acknowledgement.")]
    receiver: Annotated[str, Field(description="Who is told then.")]


class RouteSettings(Section):
    """One branch. An alert goes down the first branch that matches, and on to the next ones where `continue` says so.
    What a branch leaves out it has from the one above.
    """

    receiver: Annotated[str | None, Field(description="Who is told.")] = None
    matchers: Annotated[tuple[Matcher, ...], Field(description='All of them must hold, e.g. severity="critical".')] = ()
    goes_on: Annotated[bool, Field(alias="continue", description="Whether the branches after it are tried, too.")] = (
        False
    )
    group_by: Annotated[
        tuple[GroupLabel, ...] | None,
        Field(min_length=1, description="Alerts that agree in these are one message. `[episode]` unless said."),
    ] = None
    group_wait_s: Annotated[
        float | None, Field(ge=0, le=3600, description="How long the first message of a group waits for company.")
    ] = None
    group_interval_s: Annotated[
        float | None, Field(ge=0, le=86_400, description="Least time between two messages of a group.")
    ] = None
    quiet_hours: Annotated[tuple[str, ...] | None, Field(description="Names under `quiet_hours:`.")] = None
    escalate: Annotated[Escalation | None, Field(description="Who is told when nobody acknowledges.")] = None
    routes: Annotated[tuple["RouteSettings", ...], Field(description="Finer branches.")] = ()


class Inhibition(Section):
    """What need not be said while something else is open."""

    source: Annotated[tuple[Matcher, ...], Field(min_length=1, description="While an open episode matches these …")]
    target: Annotated[tuple[Matcher, ...], Field(min_length=1, description="… alerts of others that match these wait.")]
    equal: Annotated[
        tuple[Literal["watchlist", "tag", "kind", "severity", "source", "aspect"], ...],
        Field(description="If both agree in these."),
    ] = ()


class NotifySettings(Section):
    """Who is told what. Without it every channel is told everything but information."""

    receivers: Annotated[tuple[Receiver, ...], Field(description="People and their channels.")] = ()
    route: Annotated[RouteSettings | None, Field(description="The tree of routes; its root takes every alert.")] = None
    quiet_hours: Annotated[tuple[QuietHours, ...], Field(description="When not to disturb whom.")] = ()
    inhibit: Annotated[tuple[Inhibition, ...], Field(description="What need not be said meanwhile.")] = ()
    digests: Annotated[tuple[DigestSettings, ...], Field(description="Regular e-mails about all that happened.")] = ()

    def receiver(self, name: str) -> Receiver:
        """The receiver of that name."""
        return next(one for one in self.receivers if one.name == name)

    def check(self, channels: Collection[str], watchlists: Collection[str], tags: Collection[str]) -> None:
        """Raises SettingsError for names that are not there, used twice, or missing, with what to write instead."""
        known = {
            "channel": ("channels", channels),
            "receiver": ("notify.receivers", _unique("receivers", [one.name for one in self.receivers])),
            "quiet hours": ("notify.quiet_hours", _unique("quiet_hours", [one.name for one in self.quiet_hours])),
            "watchlist": ("watchlists", watchlists),
            "tag": ("the watchlists' `tags:`", tags),
        }
        _unique("digests", [one.name for one in self.digests])
        self._check_root()
        for where, what, name in self._names():
            section, names = known[what]
            if name not in names:
                hint = nearest(name, names) if names else f"there is none under {section}"
                raise SettingsError(f"notify.{where}: no {what} '{name}' in {section}; {hint}")

    def _check_root(self) -> None:
        for one in self.receivers:
            if one.fallback in one.channels:
                raise SettingsError(
                    f"notify.receivers.{one.name}.fallback: '{one.fallback}' is one of its channels; name another "
                    "channel, or leave it out"
                )
        if self.route is None and self.receivers:
            raise SettingsError("notify.route: missing; write `route: {receiver: …}` with one of the receivers")
        if self.route is not None and self.route.receiver is None:
            raise SettingsError("notify.route.receiver: missing; every alert needs somebody who is told")
        if self.route is not None and self.route.matchers:
            raise SettingsError("notify.route.matchers: the root takes every alert; write them under `routes:`")

        for where, branch in _branches(self.route, "route"):
            _all_reached(where, branch.routes)

    def _names(self) -> Iterator[tuple[str, str, str]]:
        """Every name that must be there: where it stands, of what kind it is, and the name."""
        for one in self.receivers:
            for channel in (*one.channels, *filter(None, [one.fallback])):
                yield f"receivers.{one.name}", "channel", channel
        for where, branch in _branches(self.route, "route"):
            for name in filter(None, (branch.receiver, branch.escalate.receiver if branch.escalate else None)):
                yield where, "receiver", name
            for name in branch.quiet_hours or ():
                yield where, "quiet hours", name
            yield from _matched(where, branch.matchers)
        for digest in self.digests:
            yield f"digests.{digest.name}", "channel", digest.channel
            for watchlist in digest.watchlists:
                yield f"digests.{digest.name}", "watchlist", watchlist
        for at, rule in enumerate(self.inhibit):
            yield from _matched(f"inhibit.{at}", (*rule.source, *rule.target))


def _matched(where: str, matchers: Collection[str]) -> Iterator[tuple[str, str, str]]:
    for text in matchers:
        name, operator, value = split(text)
        if operator in ("=", "!=") and name in ("watchlist", "tag"):
            yield where, name, value


def _all_reached(where: str, branches: Sequence[RouteSettings]) -> None:
    """Raises SettingsError for a branch that never gets an alert, since one before it takes all that it matches."""
    for at, later in enumerate(branches):
        for before, earlier in enumerate(branches[:at]):
            if not earlier.goes_on and set(earlier.matchers) <= set(later.matchers):
                raise SettingsError(
                    f"notify.{where}.routes.{at}: no alert ever comes here, for routes.{before} before it takes all of "
                    "them; put it first, or write `continue: true` there"
                )


def _branches(route: RouteSettings | None, where: str) -> Iterator[tuple[str, RouteSettings]]:
    if route is None:
        return
    yield where, route
    for at, inner in enumerate(route.routes):
        yield from _branches(inner, f"{where}.routes.{at}")


def _unique(what: str, names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"notify.{what}: the name '{name}' is used twice; names must differ")
    return names
