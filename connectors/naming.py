"""How the entries of a feed are named where the feed names them badly."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.walking import digest_of
from opinionwatch.pipeline.contracts import content_id


class InFeed(NamedTuple):
    """An entry as the feed has it."""

    entry: Entry
    linked: bool
    """Whether it has no id of its own, and its link stands for one."""


class Names:
    """Ids that tell the entries of a feed apart: its own, unless several entries have shared one.

    Some feeds give all entries one id; then the link tells them apart. Some give none and link all entries to one page;
    then it is what they say. An id that was shared once is never believed again: else the last entry that has it would
    come anew, under another one, when the others have left the feed.
    """

    def __init__(self, shared: Iterable[str] = ()) -> None:
        """`shared`: digests of ids that are known to be shared."""
        self._shared = dict.fromkeys(shared)

    @property
    def shared(self) -> tuple[str, ...]:
        """Digests of the ids that were ever shared, those of the last feed first."""
        return tuple(self._shared)

    def distinct(self, found: Sequence[InFeed]) -> list[Entry]:
        """The entries under ids of their own; those that are the same in all that could tell them apart share one."""
        marks: dict[str, set[tuple[str, ...]]] = {}
        for each in found:
            marks.setdefault(each.entry.native_id, set()).add(_mark(each))
        digests = {key: digest_of(key) for key in marks}
        present = [
            digests[key] for key, different in marks.items() if len(different) > 1 or digests[key] in self._shared
        ]
        self._shared = dict.fromkeys([*present, *self._shared])
        return [
            each.entry._replace(native_id=content_id(each.entry.native_id, *_mark(each)))
            if digests[each.entry.native_id] in self._shared
            else each.entry
            for each in found
        ]


def _mark(found: InFeed) -> tuple[str, ...]:
    entry = found.entry
    return (entry.title or "", entry.text) if found.linked else (entry.url or entry.text,)
