"""The back-test as one HTML file: figures side by side, every event, every alarm, a chart a watchlist.

Nothing is loaded from elsewhere, and everything strangers wrote is escaped.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from opinionwatch.alerts.chart_history import RUNS, history_chart
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.backtest_judge import Figures

Lang = Literal["en", "zh"]
WORDS: Mapping[Lang, Mapping[str, str]] = {
    "en": {
        "title": "Back-test",
        "period": "Period",
        "nominal": "Budget: false alarms per watchlist-week",
        "realised": "False alarms per watchlist-week",
        "weeks": "Watchlist-weeks",
        "opened": "Alerts: opened",
        "escalated": "escalated",
        "updated": "updated",
        "resolved": "resolved",
        "false": "False alarms",
        "found": "Events found",
        "delay": "Median delay, minutes",
        "events": "Marked events",
        "watchlist": "Watchlist",
        "event": "Event",
        "told": "should alert",
        "quiet": "should stay quiet",
        "missed": "missed",
        "right_quiet": "quiet",
        "alarms": "Alarms",
        "share": "Negative share before → then",
        "aspects": "Aspects",
        "is_false": "false",
        "unmarked": "No events are marked, so every alarm counts as a false one.",
        "minutes": "min",
        "legend": "Red: share of negative voices with its 95 % interval. Yellow: marked events. Lines: alarms of",
    },
    "zh": {
        "title": "回测",
        "period": "时段",
        "nominal": "预算：每个监测对象每周的误报",
        "realised": "每个监测对象每周的误报",
        "weeks": "监测对象·周",
        "opened": "告警：新开",
        "escalated": "升级",
        "updated": "更新",
        "resolved": "结束",
        "false": "误报",
        "found": "发现的事件",
        "delay": "延迟中位数（分钟）",
        "events": "标注的事件",
        "watchlist": "监测对象",
        "event": "事件",
        "told": "应告警",
        "quiet": "不应告警",
        "missed": "漏报",
        "right_quiet": "未告警",
        "alarms": "告警",
        "share": "负面占比：之前 → 当时",
        "aspects": "方面",
        "is_false": "误报",
        "unmarked": "没有标注事件，因此所有告警都按误报计。",
        "minutes": "分钟",
        "legend": "红线：负面声音占比及 95% 区间。黄色：标注的事件。竖线为告警：",
    },
}


def page(
    archive: Archive, names: Mapping[str, str], figures: Sequence[Figures], lang: Lang, since: datetime, until: datetime
) -> str:
    """The whole page. `names` are the watchlists' ids and names, in order; `figures` one or two runs."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    charts = {name: _chart(archive, name, figures, since, until) for name in names}
    return environment.get_template("backtest.html").render(
        lang=lang,
        words=WORDS[lang],
        names=names,
        figures=figures,
        charts=charts,
        colours=RUNS,
        since=since,
        until=until,
    )


def _chart(
    archive: Archive, watchlist: str, figures: Sequence[Figures], since: datetime, until: datetime
) -> str | None:
    windows = archive.windows(watchlist, since, until)
    if not windows:
        return None
    verdicts = [verdict for verdict in figures[0].verdicts if verdict.watchlist == watchlist]
    drawn = history_chart(
        windows,
        [(verdict.start, verdict.end, verdict.should_alert) for verdict in verdicts],
        [[one.opened_at for one in run.alarms if one.watchlist == watchlist] for run in figures],
    )
    return b64encode(drawn).decode("ascii")
