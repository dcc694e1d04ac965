"""Times as sources write them, read as one moment in UTC."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)

_EPOCH = re.compile(r"[+-]?\d{9,20}(?:\.\d{1,9})?")
_BLANK_OFFSET = re.compile(r"\s+([+-]\d\d:?\d\d)$")
_ZONE = re.compile(r"\s*(?:UTC|GMT|Z)$")
_LEAP_SECOND = re.compile(r"(\d\d:\d\d):60")
_SLASHES = re.compile(r"^(\d{4})/(\d\d)/(\d\d)")
_MAX_CHARS = 64


def moment(value: object) -> datetime | None:
    """Read ISO 8601, RFC 2822 or epoch seconds, milliseconds, microseconds or nanoseconds; None when there is none.

    Without an offset it is UTC. A time that the calendar does not hold becomes its first or last moment. Raises
    ValueError when it is no time at all.

    >>> moment("2024-03-04T08:00:00+08:00")
    datetime.datetime(2024, 3, 4, 0, 0, tzinfo=datetime.timezone.utc)
    >>> moment(1709510400000) == moment("1709510400") == moment("Mon, 04 Mar 2024 00:00:00 GMT")
    True
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(value)
    if isinstance(value, datetime):
        return _utc(value)
    if not isinstance(value, str):
        raise ValueError("neither a string nor a number")  # noqa: TRY004  # one kind of error for callers
    text = value.strip()
    if not text:
        return None
    if len(text) > _MAX_CHARS:
        raise ValueError("too long for a time")
    if _EPOCH.fullmatch(text):
        return _from_epoch(float(text))
    return _utc(_from_text(text))


def _from_epoch(value: float) -> datetime:
    if math.isnan(value):
        raise ValueError("not a number")
    # 1e11 s is the year 5138, 1e11 ms is 1973: the units cannot be confused within any plausible century.
    unit = next((unit for limit, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6)) if abs(value) < limit), 1e9)
    try:
        return datetime.fromtimestamp(value / unit, UTC)
    except (OverflowError, ValueError, OSError):
        return LATEST if value > 0 else EARLIEST


def _from_text(text: str) -> datetime:
    iso = _LEAP_SECOND.sub(r"\1:59", _SLASHES.sub(r"\1-\2-\3", text))
    iso = _ZONE.sub("+00:00", _BLANK_OFFSET.sub(r"\1", iso))
    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise ValueError("not a time: write it as 2024-03-04T08:00:00Z") from error


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return EARLIEST if value.year == 1 else LATEST
