"""Matchers as Alertmanager users know them: `severity="critical"`, `watchlist=~"acme.*"`, `source!="rumour"`.

Labels of an alert: watchlist, tag, kind, severity, event, and what leads the finding: source, aspect. `tag`, `source`
and `aspect` may have several values: `=` and `=~` hold when one of them fits, `!=` and `!~` when none does. Regular
expressions are anchored at both ends.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, get_args

from pydantic import AfterValidator

from opinionwatch.alerts.message import leading
from opinionwatch.pipeline.contracts_trend import AlertEvent, Episode, EpisodeKind, Severity
from opinionwatch.pipeline.registry import nearest

Labels = Mapping[str, frozenset[str]]
NAMES = ("watchlist", "tag", "kind", "severity", "event", "source", "aspect")
_CLOSED: Mapping[str, tuple[str, ...]] = {
    "kind": get_args(EpisodeKind),
    "severity": get_args(Severity),
    "event": get_args(AlertEvent),
}
_SHAPE = re.compile(r'\s*(\w+)\s*(=~|!~|!=|=)\s*("?)(.*)\3\s*')


def _checked(text: str) -> str:
    """The matcher, if it can be one. Raises ValueError with the nearest valid name."""
    name, operator, value = split(text)
    if name not in NAMES:
        raise ValueError(f"'{text}': no label '{name}'; {nearest(name, NAMES)}")
    known = _CLOSED.get(name)
    if "~" in operator:
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise ValueError(f"'{text}': {error} in the regular expression") from error
        if known and not any(pattern.fullmatch(one) for one in known):
            raise ValueError(f"'{text}' never matches; {name} is one of {', '.join(known)}")
    elif known and value not in known:
        raise ValueError(f"'{text}': {name} is never '{value}'; {nearest(value, known)}")
    return text


Matcher = Annotated[str, AfterValidator(_checked)]


def split(text: str) -> tuple[str, str, str]:
    """Name, operator and value of a matcher. Raises ValueError when it is none.

    >>> split('severity="critical"'), split("tag!~ rumou?r.*")
    (('severity', '=', 'critical'), ('tag', '!~', 'rumou?r.*'))
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ValueError(f'\'{text}\' is no matcher; write it like severity="critical" or watchlist=~"acme.*"')
    return found[1], found[2], found[4].strip()


def matches(matchers: Sequence[str], labels: Labels) -> bool:
    """Whether all of them hold.

    >>> labels = {"severity": frozenset({"critical"}), "source": frozenset({"news", "forum"})}
    >>> matches(['severity="critical"', 'source=~"new.*"'], labels), matches(['source!="forum"'], labels)
    (True, False)
    """
    return all(_holds(*split(text), labels) for text in matchers)


def _holds(name: str, operator: str, value: str, labels: Labels) -> bool:
    values = labels.get(name, frozenset())
    found = any(re.fullmatch(value, one) if "~" in operator else value == one for one in values)
    return found is not operator.startswith("!")


def labels_of(episode: Episode, event: str, tags: Mapping[str, Sequence[str]]) -> Labels:
    """What an episode can be matched by; `tags` are the watchlists'."""
    signal = episode.explanation.signal
    return {
        "watchlist": frozenset({episode.watchlist}),
        "tag": frozenset(tags.get(episode.watchlist, ())),
        "kind": frozenset({episode.kind}),
        "severity": frozenset({episode.severity}),
        "event": frozenset({event}),
        "source": frozenset(part.name for part in leading(signal.sources, most=3)),
        "aspect": frozenset(part.name for part in leading(signal.aspects, most=1)),
    }
