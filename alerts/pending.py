"""What waits for its tick to close: mentions, and what is withdrawn, packed into about 100 bytes each.

A burst of a thousand posts a second puts 300,000 of them into one tick. As objects they would take gigabytes, so they
wait as lines of JSON, deflated (RFC 1951) some dozens at once. They lie on shelves by the first byte of their ids, so
that they can be taken in the order of their ids with one shelf unpacked at a time.
"""

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Final

import numpy as np

from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.snapshots import Arrays

Waiting = Mention | Withdrawal

_WITHDRAWN: Final = 256
"""The shelf behind those of the mentions."""
_BLOCK: Final = 16_384
"""Bytes that are deflated at once."""


class Shelf:
    """Lines: the older ones in deflated blocks, the latest as they came."""

    def __init__(self, blocks: list[bytes]) -> None:
        self._blocks = blocks
        self._latest: list[bytes] = []
        self._size = 0

    def add(self, line: bytes) -> None:
        """Put a line behind the others."""
        self._latest.append(line)
        self._size += len(line)
        if self._size >= _BLOCK:
            self._blocks, self._latest, self._size = self.blocks(), [], 0

    def blocks(self) -> list[bytes]:
        """All of it in blocks."""
        return [*self._blocks, zlib.compress(b"\n".join(self._latest))] if self._latest else self._blocks

    def lines(self) -> Iterator[bytes]:
        """All of it, one by one. Raises ValueError when a block is damaged."""
        try:
            for block in self._blocks:
                yield from zlib.decompress(block).split(b"\n")
        except zlib.error as error:
            raise ValueError(f"what waits is damaged: {error}") from error
        yield from self._latest


class Pending:
    """By tick, in any order; taken in the order in which a tick is folded."""

    def __init__(self) -> None:
        self._ticks: dict[int, dict[int, Shelf]] = {}

    def add(self, tick: int, record: Waiting) -> None:
        """Let a record wait for the end of a tick."""
        shelf = int(record.id[:2], 16) if isinstance(record, Mention) else _WITHDRAWN
        self._ticks.setdefault(tick, {}).setdefault(shelf, Shelf([])).add(record.model_dump_json().encode())

    def first(self, default: int) -> int:
        """The earliest tick that somebody waits for."""
        return min(self._ticks, default=default)

    def take(self, tick: int) -> Iterator[Waiting]:
        """What has waited for this tick: mentions in the order of their ids, versions, times and scorers, then what is
        withdrawn in the order of documents and versions. Each shelf is forgotten as it comes.
        """
        shelves = self._ticks.pop(tick, {})
        return chain.from_iterable(_records(number, shelves.pop(number)) for number in sorted(shelves))

    def forget(self, documents: Collection[str]) -> None:
        """Drop whatever these documents say."""
        before, self._ticks = self._ticks, {}
        for tick, shelves in before.items():
            for number, shelf in shelves.items():
                for record in _records(number, shelf):
                    if record.document_id not in documents:
                        self.add(tick, record)

    def save(self) -> Arrays:
        """All of it, as it is."""
        found = [
            (tick, number, block)
            for tick, shelves in self._ticks.items()
            for number, shelf in shelves.items()
            for block in shelf.blocks()
        ]
        return {
            "pending": np.frombuffer(b"".join(block for _, _, block in found), np.uint8),
            "pending_places": np.array([(tick, number, len(block)) for tick, number, block in found], np.int64).reshape(
                -1, 3
            ),
        }

    def load(self, arrays: Arrays) -> None:
        """Take over what `save` gave. Raises ValueError when it is damaged."""
        whole, at = arrays["pending"].tobytes(), 0
        found: defaultdict[int, defaultdict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        for tick, number, size in arrays["pending_places"].tolist():
            found[tick][number].append(whole[at : at + size])
            at += size
        if at != len(whole):
            raise ValueError("what waits is not as long as was told")
        self._ticks = {
            tick: {number: Shelf(blocks) for number, blocks in shelves.items()} for tick, shelves in found.items()
        }


def _records(number: int, shelf: Shelf) -> Sequence[Waiting]:
    if number == _WITHDRAWN:
        withdrawals = map(Withdrawal.model_validate_json, shelf.lines())
        return sorted(withdrawals, key=lambda each: (each.document_id, each.version))
    return sorted(map(Mention.model_validate_json, shelf.lines()), key=_turn)


def _turn(mention: Mention) -> tuple[str, int, datetime, str]:
    return mention.id, mention.version, mention.accepted_at, mention.scorer
