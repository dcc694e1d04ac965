"""Where an alert's reader sees more: the episode's dashboard, at its time and about its watchlist."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.kibana_kql import quoted
from opinionwatch.pipeline.kibana_objects import object_id
from opinionwatch.pipeline.settings_kibana import Kibana

EPISODE = "episode"
"""The dashboard that explains one."""
BEFORE = timedelta(days=1)
AFTER = timedelta(hours=1)


def episode_link(settings: Kibana, prefix: str, alert: Alert) -> str | None:
    """Address of the dashboard that explains the alert's episode, from a day before its beginning to an hour after the
    alert, about its watchlist alone; None without a Kibana. The state is in Kibana's own notation (rison) and then
    percent-encoded, so no name can leave its quotes, and no mail program cuts the address at a bracket.
    """
    base = settings.shown_url
    if base is None:
        return None
    since, until = alert.episode.began_at - BEFORE, max(alert.at, alert.episode.resolved_at or alert.at) + AFTER
    state = f"(time:(from:{_text(_moment(since))},to:{_text(_moment(until))}))"
    kql = f"watchlist.id : {quoted(alert.episode.watchlist)}"
    query = f"(query:(language:kuery,query:{_text(kql)}))"
    place = f"{base}{settings.path}/app/dashboards#/view/{quote(object_id(prefix, EPISODE), safe='')}"
    return f"{place}?_g={quote(state, safe='')}&_a={quote(query, safe='')}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _text(value: str) -> str:
    """A string in rison.

    >>> _text("it's")
    "'it!'s'"
    """
    return "'" + value.replace("!", "!!").replace("'", "!'") + "'"
