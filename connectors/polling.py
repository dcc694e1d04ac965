"""What all polling sources share: how often, as whom, and through which careful client.

Jitter, backoff, Retry-After and never overlapping are the `Schedule`'s; requests a host are limited in `hosts`.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from threading import Event
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from opinionwatch.connectors.http import Client
from opinionwatch.connectors.quota import Quota
from opinionwatch.pipeline.guard import Guard, host_name
from opinionwatch.pipeline.ports import Missed


class ServiceSettings(BaseModel):
    """Settings of every source that speaks to a service."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    contact: str = Field(
        default="",
        max_length=200,
        pattern=r"^[\x20-\x7e]*$",
        description="E-mail or page that servers see with each request, so that they can ask before they block.",
    )
    allow_hosts: tuple[str, ...] = Field(
        default=(), description="Hosts inside your own network that may be asked, e.g. rsshub.internal."
    )
    timeout_s: float = Field(default=60.0, gt=0, le=600, description="Seconds that one answer may take in all.")

    @field_validator("allow_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not host_name(host):
                raise ValueError(f"'{host}' is no host")
        return hosts


class PollingSettings(ServiceSettings):
    """Settings of every polling source."""

    interval_s: float = Field(default=300.0, ge=1, le=86_400, description="Seconds between polls.")


def until_midnight_s(zone: tzinfo = UTC) -> float:
    """Seconds until a day's quota begins anew: midnight in that zone, and half a minute for clocks that differ."""
    now = datetime.now(UTC)
    tomorrow = (now.astimezone(zone) + timedelta(days=1)).replace(hour=0, minute=0, second=30, microsecond=0)
    return (tomorrow - now).total_seconds()


def forgotten(had: int, kept_s: int, why: str) -> list[Missed]:
    """What a service no longer has that keeps things for `kept_s`: from `had` on, in seconds since 1970; 0: nothing."""
    oldest = int(datetime.now(UTC).timestamp()) - kept_s
    if not had or had >= oldest:
        return []
    return [Missed(datetime.fromtimestamp(had, UTC), datetime.fromtimestamp(oldest, UTC), why)]


class Polling:
    """Base of the polling sources: a source adds `kind` and `fetch`, and asks through `self._client`."""

    kind: ClassVar[str]

    def __init__(self, name: str, instance: str, settings: PollingSettings) -> None:
        self.name = name
        self.instance = instance
        self.interval_s: float | None = settings.interval_s
        self.replays = False
        self._client = Client(Guard(settings.allow_hosts), settings.contact, settings.timeout_s)
        self._closing = Event()

    @property
    def quota(self) -> Quota | None:
        """What the service lets us ask, as it said last."""
        return self._client.quota

    def close(self) -> None:
        """Stop soon."""
        self._closing.set()
        self._client.close()
