"""What Elasticsearch is told about our records: field names, types, templates, and where a record lies.

Names. Where the Elastic Common Schema has a field, it is used (`@timestamp`, `event.*`, `message`, `url.full`,
`user.hash`, `organization.id`, `error.*`, `tags`); the rest is ours. What can be filtered by has one name in every
index: `watchlist.id`, `event.provider` (the source as people read it), `aspect.name`. So one Kibana filter fits all
data views.

Aspects stand twice: `opinion` is nested and keeps aspect, words and polarity together; `aspect.name` and `aspect.pair`
(`battery|negative`) are flat, because Lens and ES|QL cannot see into nested fields. `watchlist.aspect`
(`lumora|battery`) does the same for “about this aspect, in this watchlist”, and `watchlist.label` (`lumora|negative`)
for “says this of that watchlist”, where a scorer can tell that from `sentiment.label`, which is the whole text's.

Place. `_id` is unique only within one index. So the name of the index is a function of what never changes in a record:
documents and dead letters by the month of their first acceptance, windows by the month of their start, workers' reports
by theirs. Retention deletes whole months. What is small or rewritten (ledger, episodes, deliveries, silences, gaps,
answers, health, state) has one index each.

Substrings. `document.folded` holds the lower-cased text in pieces that Lucene can take, for the archive's “contains”;
a full server gets the `wildcard` type for it by overlay, and `cjk` and `english` sub-fields of `message`.

Nothing is guessed: `dynamic: strict`, so a field without a name here is refused and not silently mapped.
"""

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b

import orjson
from pydantic import JsonValue

from opinionwatch.pipeline.elastic_fields import DATED, FIELDS, LANGUAGES, VERSION, WILDCARD, Body, Fields, Kind


def index_of(prefix: str, kind: Kind, moment: datetime | None = None) -> str:
    """The index that a record lies in.

    >>> index_of("opinionwatch", "documents", datetime(2026, 3, 31, 23, 59))
    'opinionwatch-documents-2026.03'
    >>> index_of("opinionwatch", "ledger")
    'opinionwatch-ledger'
    """
    if kind not in DATED:
        return f"{prefix}-{kind}"
    if moment is None:
        raise ValueError(f"{kind} lie by month: which one?")
    return f"{prefix}-{kind}-{moment.year:04}.{moment.month:02}"


def pattern_of(prefix: str, kind: Kind) -> str:
    """All indices of a kind, for searches.

    >>> pattern_of("opinionwatch", "documents"), pattern_of("opinionwatch", "ledger")
    ('opinionwatch-documents-*', 'opinionwatch-ledger')
    """
    return f"{prefix}-{kind}-*" if kind in DATED else f"{prefix}-{kind}"


def field_types(kind: Kind, *, full_server: bool = False) -> dict[str, str]:
    """Every field one can ask for and its type, nested ones and sub-fields included: what dashboards are checked by.

    >>> field_types("documents")["opinion.polarity"], field_types("documents", full_server=True)["message.cjk"]
    ('keyword', 'text')
    """
    return dict(_types(fields(kind, full_server=full_server)))


def _types(flat: Fields) -> Iterator[tuple[str, str]]:
    for name, mapping in flat.items():
        yield name, str(mapping["type"])
        for below in (mapping.get("properties"), mapping.get("fields")):
            if isinstance(below, dict):
                yield from ((f"{name}.{each}", str(body["type"])) for each, body in below.items()
                            if isinstance(body, dict))  # fmt: skip


def fields(kind: Kind, *, full_server: bool = False) -> Fields:
    """The fields of a kind; `full_server` with the overlay."""
    flat = dict(FIELDS[kind])
    if full_server and kind == "documents":
        flat["message"] = {**flat["message"], "fields": LANGUAGES}
        flat["document.folded"] = WILDCARD
    return flat


def mapping_of(flat: Fields) -> Body:
    """The mapping with dotted names unfolded.

    >>> mapping_of({"event.id": {"type": "keyword"}})["properties"]
    {'event': {'properties': {'id': {'type': 'keyword'}}}}
    """
    properties: Body = {}
    for name, mapping in flat.items():
        *path, last = name.split(".")
        place = properties
        for part in path:
            inner = place.setdefault(part, {"properties": {}})
            place = inner["properties"]  # type: ignore[assignment,call-overload,index]  # made in the line above
        place[last] = dict(mapping)
    return {"dynamic": "strict", "properties": properties}


def component(kind: Kind) -> Body:
    """The component template with the mappings of a kind that every server has."""
    return {"template": {"mappings": mapping_of(FIELDS[kind])}, "version": VERSION, "_meta": _meta(FIELDS[kind])}


def overlay() -> Body:
    """The component template over `documents` for servers with the analyzers and the `wildcard` type."""
    flat = {name: fields("documents", full_server=True)[name] for name in ("message", "document.folded")}
    return {"template": {"mappings": mapping_of(flat)}, "version": VERSION, "_meta": _meta(flat)}


def index_template(prefix: str, kind: Kind, *, full_server: bool, settings: Body) -> Body:
    """The composable index template of a kind. Priority 500 stands above everything that Elastic ships; users add
    theirs in a component template `PREFIX-KIND@custom`.
    """
    parts: list[JsonValue] = [f"{prefix}-{kind}"]
    if full_server and kind == "documents":
        parts.append(f"{prefix}-{kind}@full")
    custom = f"{prefix}-{kind}@custom"
    quick = kind not in ("documents", "ledger")
    template: Body = {"settings": {"index.refresh_interval": "1s" if quick else "5s", **settings}}
    if kind in DATED:
        template["aliases"] = {f"{prefix}-{kind}": {}}
    body: Body = {
        "index_patterns": [pattern_of(prefix, kind)],
        "priority": 500,
        "composed_of": [*parts, custom],
        "ignore_missing_component_templates": [custom],
        "template": template,
        "version": VERSION,
    }
    return {**body, "_meta": _meta(body)}


def _meta(of: Body | Fields) -> Body:
    """What `index check` recognises our own and unchanged templates by."""
    digest = blake2b(orjson.dumps(of, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
    return {"managed_by": "opinionwatch", "digest": digest}
