"""What people read in Kibana instead of the names of indices and fields, in both languages."""

from opinionwatch.pipeline.elastic_fields import Kind
from opinionwatch.pipeline.kibana_spec import Words

KINDS: dict[Kind, Words] = {
    "documents": Words(en="documents", zh="文档"),
    "windows": Words(en="windows", zh="窗口"),
    "episodes": Words(en="episodes", zh="事件"),
    "deliveries": Words(en="deliveries", zh="投递"),
    "deadletters": Words(en="dead letters", zh="死信"),
    "ledger": Words(en="ledger", zh="账本"),
    "silences": Words(en="silences", zh="静默"),
    "gaps": Words(en="gaps", zh="缺口"),
    "feedback": Words(en="answers", zh="反馈"),
    "health": Words(en="source health", zh="来源健康"),
    "workers": Words(en="workers", zh="工作进程"),
    "state": Words(en="state", zh="状态"),
}
"""Data views."""

FIELDS: dict[str, Words] = {
    "watchlist.id": Words(en="Watchlist", zh="关注对象"),
    "event.provider": Words(en="Source", zh="来源"),
    "event.start": Words(en="Began", zh="开始时间"),
    "event.end": Words(en="Ended", zh="结束时间"),
    "event.id": Words(en="Id", zh="编号"),
    "aspect.name": Words(en="Aspect", zh="方面"),
    "aspect.pair": Words(en="Aspect | polarity", zh="方面|极性"),
    "document.lang": Words(en="Language", zh="语言"),
    "message": Words(en="Text", zh="正文"),
    "url.full": Words(en="Address", zh="链接"),
    "user.hash": Words(en="Author (pseudonym)", zh="作者（假名）"),
    "host.name": Words(en="Host", zh="主机"),
    "sentiment.label": Words(en="Tone", zh="情绪"),
    "sentiment.negative": Words(en="Negative (probability)", zh="负面概率"),
    "episode.kind": Words(en="Kind", zh="类型"),
    "episode.state": Words(en="State", zh="状态"),
    "episode.severity": Words(en="Severity", zh="严重程度"),
    "episode.share_before": Words(en="Share before", zh="之前占比"),
    "episode.share_now": Words(en="Share now", zh="当前占比"),
    "episode.repost_share": Words(en="Reposts", zh="转发占比"),
    "episode.once_in_weeks": Words(en="By chance once in (weeks)", zh="偶然发生间隔（周）"),
    "episode.terms": Words(en="Telling words", zh="特征词"),
    "deadletter.stage": Words(en="Stage", zh="阶段"),
    "deadletter.attempts": Words(en="Attempts", zh="尝试次数"),
    "deadletter.program": Words(en="Program", zh="程序版本"),
    "deadletter.scorer": Words(en="Scorer", zh="模型版本"),
    "error.code": Words(en="Reason", zh="原因"),
    "error.message": Words(en="Detail", zh="详情"),
    "health.state": Words(en="State", zh="状态"),
    "health.last_error_at": Words(en="Last error", zh="最近错误"),
}
"""Columns of lists; what charts show is named where it is asked for."""
