"""The sums and the proof: accepted = indexed + dead + dropped + pending by counting; places compared id by id."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from heapq import merge
from itertools import groupby

from opinionwatch.pipeline.archive import LedgerRow
from opinionwatch.pipeline.elastic_mapping import index_of, pattern_of
from opinionwatch.pipeline.elastic_query import BY_ID, Clause, Reader, View, term

Place = tuple[str, str]
"""Source and hour."""


def ledger_rows(reader: Reader, prefix: str) -> list[LedgerRow]:
    """By source and hour. Each place is counted by itself; pending is what was accepted and lies nowhere yet.

    A record that was tried again lies under a later hour than it was accepted in: it is counted where it was accepted.
    The places are looked at first and the ledger, all that is durable of it, after them: what is being written
    meanwhile is pending, since its entry came first. So a row that does not add up is a defect.
    """
    indexed = _counted(reader, pattern_of(prefix, "documents"), "event.created", [])
    dead = _counted(reader, pattern_of(prefix, "deadletters"), "@timestamp", [])
    ledger = index_of(prefix, "ledger")
    dropped = _counted(reader, ledger, "@timestamp", term("ledger.state", "dropped"))
    reader.refresh(ledger)
    accepted, duplicates = (
        _counted(reader, ledger, "@timestamp", term("ledger.state", state)) for state in ("accepted", "duplicate")
    )
    places = sorted({*accepted, *dropped, *duplicates, *indexed, *dead})
    for found in (indexed, dead):
        for place in places:
            surplus = indexed[place] + dead[place] + dropped[place] - accepted[place]
            for earlier in (each for each in places if each[0] == place[0] and each[1] < place[1]):
                open_ = accepted[earlier] - indexed[earlier] - dead[earlier] - dropped[earlier]
                moved = max(0, min(surplus, open_, found[place]))
                found[place] -= moved
                found[earlier] += moved
                surplus -= moved
    return [
        LedgerRow(
            source=place[0],
            hour=place[1],
            accepted=accepted[place],
            indexed=indexed[place],
            dead=dead[place],
            dropped=dropped[place],
            pending=max(0, accepted[place] - indexed[place] - dead[place] - dropped[place]),
            duplicates=duplicates[place],
        )
        for place in places
        if accepted[place] or dropped[place] or duplicates[place] or indexed[place] or dead[place]
    ]


def _counted(reader: Reader, index: str, time: str, filters: list[Clause]) -> Counter[Place]:
    hour = {"date_histogram": {"field": time, "calendar_interval": "hour", "format": "yyyy-MM-dd'T'HH'Z'"}}
    keys = {"source": {"terms": {"field": "event.provider"}}, "hour": hour}
    found: Counter[Place] = Counter()
    for bucket in reader.by_terms(index, filters, keys):
        found[bucket["key"]["source"], bucket["key"]["hour"]] = bucket["doc_count"]
    return found


def misfiled(reader: Reader, prefix: str) -> int:
    """Ids in two places, twice in one kind of place, or in a place without an entry in the ledger.

    The places are looked at as of one moment and the ledger as of a later one, so that what is being written meanwhile
    is no finding: its entry came first.
    """
    with ExitStack() as views:
        documents, letters, ledger = (
            views.enter_context(reader.view(index))
            for index in (
                pattern_of(prefix, "documents"),
                pattern_of(prefix, "deadletters"),
                index_of(prefix, "ledger"),
            )
        )
        streams = (
            _ids(reader, documents, "place", []),
            _ids(reader, letters, "place", []),
            _ids(reader, ledger, "place", term("ledger.state", "dropped")),
            _ids(reader, ledger, "entry", term("ledger.state", "accepted")),
        )
        by_id = groupby(merge(*streams), lambda pair: pair[0])
        return sum(_is_misfiled([what for _, what in found]) for _, found in by_id)


def _is_misfiled(found: list[str]) -> bool:
    return found.count("place") > 1 or found.count("entry") == 0


def _ids(reader: Reader, view: View, what: str, filters: list[Clause]) -> Iterator[tuple[str, str]]:
    for hit in reader.walk(view, filters, BY_ID, source=False):
        yield str(hit["sort"][0]), what
