"""The fields of every index: names and types as Elasticsearch is told them; `elastic_mapping` says what they mean."""

from typing import Literal

from pydantic import JsonValue

VERSION = 1
"""Counts changes of the mappings that need new indices."""
Kind = Literal[
    "documents",
    "windows",
    "episodes",
    "deliveries",
    "deadletters",
    "ledger",
    "silences",
    "gaps",
    "feedback",
    "health",
    "workers",
    "state",
]
Body = dict[str, JsonValue]
Fields = dict[str, Body]
"""Dotted field name → its mapping."""

DATED: tuple[Kind, ...] = ("documents", "windows", "deadletters", "workers")
"""Kinds with an index a month."""

DATE: Body = {"type": "date"}
COUNT: Body = {"type": "long"}
NUMBER: Body = {"type": "float"}
FLAG: Body = {"type": "boolean"}
WORD: Body = {"type": "keyword", "ignore_above": 1024}
STORED: Body = {"type": "object", "enabled": False}
"""Kept and given back, never searched."""
_SPAN: Body = {"type": "integer", "index": False, "doc_values": False}
PIECE_CHARS = 8000
"""Characters of a piece of `document.folded`: four bytes each at most, and Lucene's terms end at 32,766."""
FOLDED: Body = {"type": "keyword", "doc_values": False, "ignore_above": PIECE_CHARS}

_NAMED: Fields = {"@timestamp": DATE, "event.id": WORD, "organization.id": WORD}
_SOURCED: Fields = {**_NAMED, "event.provider": WORD, "event.module": WORD}
FIELDS: dict[Kind, Fields] = {
    "documents": {  # one per scored document; @timestamp is published_at
        **_SOURCED,
        "event.created": DATE,  # accepted_at
        "message": {"type": "text"},
        "url.full": {"type": "keyword", "ignore_above": 4096},
        "user.hash": WORD,
        "tags": WORD,
        "document.instance": {"type": "keyword", "ignore_above": 4096},
        "document.native_id": WORD,
        "document.declared_lang": WORD,
        "document.lang": WORD,
        "document.lang_confidence": NUMBER,
        "document.fingerprint": WORD,
        "document.edited_at": DATE,
        "document.revised_at": DATE,
        "engagement.likes": COUNT,
        "engagement.reposts": COUNT,
        "engagement.replies": COUNT,
        "engagement.total": COUNT,
        "engagement.seen_at": DATE,
        "document.folded": FOLDED,
        "document.matches": STORED,
        "document.mentions": STORED,
        "sentiment.label": WORD,
        "sentiment.negative": NUMBER,
        "sentiment.neutral": NUMBER,
        "sentiment.positive": NUMBER,
        "sentiment.unsure": FLAG,
        "sentiment.scorer": WORD,
        "watchlist.id": WORD,
        "watchlist.aspect": WORD,
        "watchlist.label": WORD,  # where the scorer tells what is said of a watchlist from what the text says
        "aspect.name": WORD,
        "aspect.pair": WORD,
        "opinion": {
            "type": "nested",
            "properties": {
                "aspect": WORD, "opinion": WORD, "polarity": WORD, "confidence": NUMBER, "aspect_span": _SPAN,
                "opinion_span": _SPAN,
            },
        },
    },
    "windows": {  # one per watchlist × source × aspect × 5 minutes; @timestamp is the start
        "@timestamp": DATE,
        "event.id": WORD,
        "event.provider": WORD,
        "watchlist.id": WORD,
        "aspect.name": WORD,
        **{f"window.{name}": COUNT for name in
           ("posts", "voices", "negative", "positive", "unsure", "negative_voices", "sure_voices")},
    },
    "episodes": {  # one per episode as it stands now; @timestamp is opened_at
        **_NAMED,
        "event.start": DATE,  # began_at
        "event.end": DATE,  # resolved_at
        "event.provider": WORD,  # sources named by the explanation
        "watchlist.id": WORD,
        "aspect.name": WORD,  # aspects named by the explanation
        "episode.kind": WORD,
        "episode.state": WORD,
        "episode.severity": WORD,
        "episode.updated_at": DATE,
        "episode.peak_score": NUMBER,
        "episode.posts": COUNT,
        "episode.voices": COUNT,
        "episode.negative": COUNT,
        "episode.share_before": NUMBER,
        "episode.share_now": NUMBER,
        "episode.repost_share": NUMBER,
        "episode.once_in_weeks": NUMBER,
        "episode.terms": WORD,
        "record": STORED,
    },
    "deliveries": {  # the outbox; @timestamp is due_at
        **_NAMED,
        "watchlist.id": WORD,
        "episode.id": WORD,
        "delivery.channel": WORD,
        "delivery.state": WORD,
        "delivery.event": WORD,
        "delivery.attempts": COUNT,
        "delivery.detail": WORD,
        "record": STORED,
    },
    "deadletters": {  # @timestamp is accepted_at
        **_SOURCED,
        "error.code": WORD,  # the reason, from the closed list
        "error.message": {"type": "text"},  # the detail
        "deadletter.stage": WORD,
        "deadletter.attempts": COUNT,
        "deadletter.headers": WORD,  # `name: value`, masked
        "deadletter.program": WORD,
        "deadletter.scorer": WORD,
        "record": STORED,
    },
    "ledger": {  # one per accepted id, and one per delivery of an id that was there; @timestamp is accepted_at
        "@timestamp": DATE,
        "event.id": WORD,
        "event.provider": WORD,
        "ledger.state": WORD,  # accepted, dropped, duplicate, revision; version: which revision stands
        "ledger.rule": WORD,  # of a drop
        "ledger.digest": {"type": "keyword", "index": False, "doc_values": False},  # of the record accepted first
        "ledger.version": {"type": "long", "index": False, "doc_values": False},
        "ledger.published_at": {"type": "date", "index": False, "doc_values": False},
    },
    "gaps": {"@timestamp": DATE, "event.id": WORD, "event.provider": WORD, "record": STORED},  # found_at
    "silences": {"@timestamp": DATE, "event.id": WORD, "event.end": DATE, "watchlist.id": WORD, "record": STORED},
    "feedback": {  # @timestamp is when it was given
        "@timestamp": DATE,
        "event.id": WORD,
        "episode.id": WORD,
        "feedback.verb": WORD,
        "record": STORED,
    },
    "health": {  # one per source as its ingest process reports it; @timestamp is the moment of the report
        "@timestamp": DATE,
        "event.provider": WORD,
        "event.module": WORD,
        "host.name": WORD,
        "error.message": {"type": "keyword", "ignore_above": 8191},
        "health.state": WORD,
        "health.last_success": DATE,
        "health.last_error_at": DATE,
        "health.pages": COUNT,
        "health.items": COUNT,
        "health.errors": COUNT,
        "health.skipped": COUNT,
        "health.kinds": WORD,  # errors by kind: `http 503: 2`
        "health.quota_left": NUMBER,
        "health.quota_until": DATE,
    },
    "workers": {  # one per worker and report; @timestamp is the moment of the report
        "@timestamp": DATE,
        "event.id": WORD,
        "service.name": WORD,  # score, trend
        "host.name": WORD,
        "worker.lag": COUNT,  # entries of its partitions that are not acknowledged
        "worker.records": COUNT,  # since the report before: scored documents, or windows and episodes
        "worker.latency_s": NUMBER,  # from accepted to indexed, mean of these
        "worker.batch_s": NUMBER,  # of a batch, mean since the report before
        "worker.retries": COUNT,  # since the report before
    },
    "state": {  # what a restart goes on from, one per name
        "@timestamp": DATE,
        "state.name": WORD,
        "state.up_to": DATE,
        "state.position": {"type": "keyword", "index": False, "doc_values": False},
        "state.blob": {"type": "binary"},
    },
}  # fmt: skip

LANGUAGES: Body = {"cjk": {"type": "text", "analyzer": "cjk"}, "english": {"type": "text", "analyzer": "english"}}
"""Overlay: sub-fields of `message` for servers that have the analyzers."""
WILDCARD: Body = {"type": "wildcard"}
"""Overlay: the type of `document.folded` on servers that have it; finds the same, faster."""
