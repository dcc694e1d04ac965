"""Digests, as the settings say them: who is told how often, at what time of whose day."""

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator

from opinionwatch.alerts.quiet import Day
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.settings import Section


class DigestSettings(Section):
    """A regular e-mail about all that happened, with a chart for every watchlist."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$", description="What you call it.")]
    channel: Annotated[str, Field(description="An e-mail channel under `channels:`.")]
    every: Annotated[Literal["day", "week"], Field(description="How often.")] = "day"
    weekday: Annotated[Day, Field(description="Of a weekly one: the day it comes.")] = "mon"
    at: Annotated[
        str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Time of the day it comes, e.g. 08:00.")
    ] = "08:00"
    zone: Annotated[str | None, Field(description="IANA time zone of that time; else `zone` of the settings.")] = None
    language: Annotated[
        Literal["en", "zh"] | None, Field(description="Its language; `language` of the settings without it.")
    ] = None
    watchlists: Annotated[tuple[str, ...], Field(description="Their ids; all without it.")] = ()

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError(f"no such time zone '{zone}'; {nearest(zone, available_timezones())}")
        return zone
