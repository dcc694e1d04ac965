"""What waits for its tick to close: mentions, and what is withdrawn, packed into about 300 bytes each.

A burst of a thousand posts a second puts 300,000 of them into one tick. As objects they would take gigabytes, so they
wait as deflated JSON (RFC 1951, with a preset dictionary, since all have the same keys), and are unpacked one by one.
"""

import zlib
from collections.abc import Collection, Iterator
from datetime import datetime
from operator import itemgetter

import numpy as np

from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.snapshots import Arrays

Waiting = Mention | Withdrawal

_ID = 16
"""Bytes of an id, with which an entry begins: entries sort by it."""
_MENTION, _WITHDRAWAL = b"m", b"w"
_RAW = -zlib.MAX_WBITS
_KEYS = (
    b'"opinions":[],"scorer":"lexicon-neutral-positive,"history":true,"revised_at":"2027-keeps":['
    b'{"schema_version":1,"watchlist":"","document_id":"","tenant":"default","source":"","author":null,"url":"https://'
    b'","lang":"zh","lang":"en","text":"","published_at":"2026-11-","accepted_at":"2026-11-","fingerprint":"'
    b'","aspect":"general","aspects":["general"],"reading":{"sentiment":{"label":"negative","negative":0.,"neutral":0.'
    b',"positive":0.,"unsure":false},"opinions":[{"aspect":null,"opinion":"","polarity":"negative","aspect_span":null,'
    b'"opinion_span":[],"confidence":0.}]},"scorer":"default-","history":false,"version":0,"revised_at":null}'
)
"""What entries are likely to repeat, the likeliest last. A part of the format of saved states: with other bytes here,
those of before are unreadable.
"""


class Pending:
    """By tick, in any order; taken in the order in which a tick is folded."""

    def __init__(self) -> None:
        self._ticks: dict[int, list[bytes]] = {}

    def add(self, tick: int, record: Waiting) -> None:
        """Let a record wait for the end of a tick."""
        self._ticks.setdefault(tick, []).append(_packed(record))

    def first(self, default: int) -> int:
        """The earliest tick that somebody waits for."""
        return min(self._ticks, default=default)

    def take(self, tick: int) -> Iterator[Waiting]:
        """What has waited for this tick: mentions in the order of their ids, versions, times and scorers, then what is
        withdrawn in the order of documents and versions. Each is forgotten as it comes.
        """
        entries = sorted(self._ticks.pop(tick, ()), key=itemgetter(slice(_ID + 1)), reverse=True)
        mentions = [entry for entry in entries if entry[:1] == _MENTION]
        withdrawals = [entry for entry in entries if entry[:1] != _MENTION]
        del entries
        return _in_order(mentions, withdrawals)

    def forget(self, documents: Collection[str]) -> None:
        """Drop whatever these documents say."""
        kept = {
            tick: [entry for entry in entries if _unpacked(entry).document_id not in documents]
            for tick, entries in self._ticks.items()
        }
        self._ticks = {tick: entries for tick, entries in kept.items() if entries}

    def save(self) -> Arrays:
        """All of it, as it is."""
        entries = [entry for waiting in self._ticks.values() for entry in waiting]
        return {
            "pending": np.frombuffer(b"".join(entries), np.uint8),
            "pending_sizes": np.array([len(entry) for entry in entries], np.int32),
            "pending_ticks": np.array([tick for tick, own in self._ticks.items() for _ in own], np.int64),
        }

    def load(self, arrays: Arrays) -> None:
        """Take over what `save` gave. Raises ValueError when it is damaged."""
        whole, at = arrays["pending"].tobytes(), 0
        self._ticks = {}
        for tick, size in zip(arrays["pending_ticks"].tolist(), arrays["pending_sizes"].tolist(), strict=True):
            self._ticks.setdefault(tick, []).append(whole[at : at + size])
            at += size
        if at != len(whole):
            raise ValueError("the entries that wait are not as long as was told")


def _in_order(mentions: list[bytes], withdrawals: list[bytes]) -> Iterator[Waiting]:
    """Both lists come sorted backwards, so that what has been taken can be let go."""
    while mentions:
        same = [mentions.pop()]
        while mentions and mentions[-1][: _ID + 1] == same[0][: _ID + 1]:
            same.append(mentions.pop())
        yield from sorted((each for each in map(_unpacked, same) if isinstance(each, Mention)), key=_turn)
    found = (each for each in map(_unpacked, withdrawals) if isinstance(each, Withdrawal))
    yield from sorted(found, key=lambda each: (each.document_id, each.version))


def _turn(mention: Mention) -> tuple[int, datetime, str]:
    return mention.version, mention.accepted_at, mention.scorer


def _packed(record: Waiting) -> bytes:
    head = _MENTION + bytes.fromhex(record.id) if isinstance(record, Mention) else _WITHDRAWAL + bytes(_ID)
    deflate = zlib.compressobj(level=1, wbits=_RAW, memLevel=5, zdict=_KEYS)
    return head + deflate.compress(record.model_dump_json().encode()) + deflate.flush()


def _unpacked(entry: bytes) -> Waiting:
    """Raises ValueError when it is damaged."""
    contract: type[Waiting] = Mention if entry[:1] == _MENTION else Withdrawal
    inflate = zlib.decompressobj(wbits=_RAW, zdict=_KEYS)
    try:
        return contract.model_validate_json(inflate.decompress(entry[_ID + 1 :]))
    except zlib.error as error:
        raise ValueError(f"an entry that waits is damaged: {error}") from error
