"""Whether a source would work, asked before it runs: credentials, quota, reachability, and what to do otherwise."""

import math
from dataclasses import dataclass

from opinionwatch.connectors.hosts import BusyError
from opinionwatch.connectors.http import RefusedError, SignInError, UnansweredError
from opinionwatch.connectors.quota import Metered, Quota
from opinionwatch.connectors.trying import taste
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError
from opinionwatch.pipeline.ports import CheckableSource, PushSource, Source
from opinionwatch.pipeline.redact import redact

_ADVICE = {
    400: "the service does not understand the question: look at the names and the query in the settings",
    401: "the credentials are refused: renew the key or token and write it to its file",
    402: "the service wants to be paid: look at the plan of your account",
    403: "this account may not read that: look at its rights and at the day's quota, or renew the key",
    404: "nothing is there: look at the address and the names in the settings",
    410: "it is gone for ever: take the source out of the settings",
    429: "it is asked too often: raise interval_s; others with the same key or address count, too",
    451: "it may not be read from here for legal reasons: take the source out of the settings",
}
_UNREACHABLE = (
    "it cannot be reached: look at the address, at DNS and at the firewall; a host inside your own network has to be "
    "named in allow_hosts"
)
_SERVER = "the service has a fault of its own: try again later, nothing has to be changed here"
_OTHERWISE = "something else answers at that address, or the service has changed: look at the address in the settings"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a source would work."""

    works: bool
    words: str
    """What the service says, and what to do when it is no. Without queries, userinfo or secrets."""


def checked(source: Source, seconds: float) -> Verdict:
    """Ask a source whether it would work, as cheaply as it can, for `seconds` at most; the source is closed then."""
    if isinstance(source, CheckableSource):
        try:
            return Verdict(works=True, words=source.check() + left(_quota(source)))
        except OpinionwatchError as error:
            return Verdict(works=False, words=f"{redact(str(error))}: {advice(error)}")
        finally:
            source.close()
    if isinstance(source, PushSource):
        return Verdict(works=True, words=f"is told at /hooks/{source.name}; its secrets can be read")
    found = taste(source, 1, seconds)
    if found.error:
        return Verdict(works=False, words=f"{found.kind}: {found.error}")
    if not found.items and found.took_s >= seconds:
        return Verdict(works=False, words=f"nothing came within {seconds:g} s: wait longer with --seconds")
    words = "answers" if found.items else "answers, but holds nothing"
    return Verdict(works=True, words=f"{words} after {found.took_s:.1f} s{left(found.quota)}")


def advice(error: OpinionwatchError) -> str:
    """What to do about an error of a service.

    >>> advice(RefusedError("answered 401", 401, None))
    'the credentials are refused: renew the key or token and write it to its file'
    """
    if isinstance(error, BusyError):
        return f"wait {math.ceil(error.after_s or 1)} s: this program has asked it often enough"
    if isinstance(error, RefusedError):
        found = _ADVICE.get(error.status, _SERVER if error.status >= 500 else _ADVICE[400])
        return found + (f"; it says to wait {math.ceil(error.after_s)} s" if error.after_s else "")
    if isinstance(error, SignInError):
        return _ADVICE[401]
    if isinstance(error, UnansweredError):
        return _UNREACHABLE
    return "it can never work like this: change the settings" if isinstance(error, FatalError) else _OTHERWISE


def left(quota: Quota | None) -> str:
    """What is left of a quota, to be appended."""
    if quota is None:
        return ""
    limit = "" if quota.limit is None else f" of {quota.limit:g}"
    until = "" if quota.resets_at is None else f" until {quota.resets_at:%H:%M} UTC"
    return f"; {quota.remaining:g}{limit} requests left{until}"


def _quota(source: Source) -> Quota | None:
    return source.quota if isinstance(source, Metered) else None
