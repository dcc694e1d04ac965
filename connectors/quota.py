"""What a service says about how much we may still ask: its rate-limit headers, in all the spellings there are.

    X-RateLimit-Limit/-Remaining/-Reset   GitHub and Reddit; Mastodon writes the time as ISO 8601
    X-Rate-Limit-…                        X
    RateLimit-Limit/-Remaining/-Reset     IETF httpapi draft until -06; Bluesky
    RateLimit: limit=9, remaining=5, reset=30   -07; servers of Node, by express-rate-limit
    RateLimit: "default";r=50;t=30        from -08

(https://docs.x.com/fundamentals/rate-limits, https://docs.joinmastodon.org/api/rate-limits with an answer shown in
qiita.com/KEINOS/items/8ad7a88d42e94d894f0d, Reddit's in reddit.com/r/redditdev/comments/1yxrp7: read 2026-11-26.
The versions of draft-ietf-httpapi-ratelimit-headers as rate limiters for Node write them, read that day;
GitHub's and Bluesky's from memory.)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from opinionwatch.pipeline.moments import moment

LONGEST = timedelta(days=2)
"""A reset that is further away is a defect of the service, or no reset."""

_PREFIXES = ("x-ratelimit-", "x-rate-limit-", "ratelimit-")
_EPOCH_S = 1e9
"""A larger number is a moment (seconds since 1970), a smaller one a number of seconds from now."""
_PARAMETER = re.compile(r"(?:^|[;,])\s*(r|t|remaining|reset)=(\d{1,12})\b")
_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*(?:$|[,;])")


@dataclass(frozen=True, slots=True)
class Quota:
    """How many requests are left, and until when."""

    remaining: float
    """Requests that may still be made in this period."""
    resets_at: datetime | None = None
    """When there are `limit` of them again; None when the service does not say."""
    limit: float | None = None

    def wait_s(self, now: datetime) -> float | None:
        """Seconds until one may ask again; None when there is no need to wait, or nobody knows how long."""
        if self.remaining >= 1 or self.resets_at is None:
            return None
        return max(0.0, (self.resets_at - now).total_seconds())


@runtime_checkable
class Metered(Protocol):
    """A source that knows what its service lets it ask."""

    @property
    def quota(self) -> Quota | None:
        """As the service said last; None when it never says."""
        ...


def read_quota(headers: Mapping[str, str], now: datetime) -> Quota | None:
    """What the headers of an answer (names in lower case) say; None when they say nothing that makes sense.

    >>> from datetime import UTC
    >>> quota = read_quota({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "90"}, datetime(2026, 1, 1, tzinfo=UTC))
    >>> quota.remaining, quota.wait_s(datetime(2026, 1, 1, tzinfo=UTC))
    (0.0, 90.0)
    """
    for prefix in _PREFIXES:
        remaining = _number(headers.get(f"{prefix}remaining"))
        if remaining is not None:
            return Quota(remaining, _reset(headers.get(f"{prefix}reset"), now), _number(headers.get(f"{prefix}limit")))
    found: list[tuple[str, str]] = _PARAMETER.findall(headers.get("ratelimit", "")[:500])
    told = {{"remaining": "r", "reset": "t"}.get(name, name): value for name, value in found}
    if "r" not in told:
        return None
    return Quota(float(told["r"]), _reset(told.get("t"), now))


def _number(text: str | None) -> float | None:
    found = _NUMBER.match(text or "")
    return float(found[1]) if found else None


def _reset(text: str | None, now: datetime) -> datetime | None:
    seconds = _number(text)
    try:
        at = moment(text) if seconds is None or seconds > _EPOCH_S else now + timedelta(seconds=seconds)
    except ValueError:
        return None
    return at if at is not None and at <= now + LONGEST else None
