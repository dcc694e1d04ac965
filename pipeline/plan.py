"""The plan: which stages run between which logs, keyed by what. Data, not code: every runtime executes this one.

    sources ──► ingest ──► documents ──► score ──► mentions ──► trend ──► alerts ──► notify ──► channels
                accept                   read, match,           deduplicate, cluster,           route, silence,
                                         score, mention         aggregate, detect, explain,     deliver
                                                                episodes

Why these four hops and these keys:

* Personal data is masked in `ingest`, before the first log, so it is never written anywhere.
* `score` needs nothing but the document, so its work spreads over all partitions of the documents log (keyed by
  document id) and any number of workers. The fingerprint is a pure function of the text and is computed there.
* Duplicates, voices, windows and the detector need all mentions of a watchlist in one place, in one order: the mentions
  log is keyed by watchlist, and `trend` closes a tick only when every input has passed its end. Within a tick,
  mentions are folded in the order of their ids. So alarms are a function of the log alone.
  With several partitions each has a trend stage of its own, and a tick is closed at the smallest progress of all
  partitions of the documents log, which the score workers forward through every partition of the mentions log.
* `notify` is keyed by receiver: one owner a channel, so that nothing is told twice.

Every hop's outcomes besides its log go to the index: scored documents, windows, episodes, dead letters, drops.
"""

from dataclasses import dataclass
from typing import Literal

HopName = Literal["ingest", "score", "trend", "notify"]
LogName = Literal["sources", "documents", "mentions", "alerts", "deliveries"]


@dataclass(frozen=True, slots=True)
class Hop:
    """Stages that run one after the other on a batch, between two logs."""

    name: HopName
    reads: LogName
    writes: LogName
    keyed_by: str
    stages: tuple[str, ...]
    """Names that `wiring` builds the stages from."""
    stateful: bool = False


PLAN: tuple[Hop, ...] = (
    Hop("ingest", reads="sources", writes="documents", keyed_by="document id", stages=("accept",)),
    Hop(
        "score",
        reads="documents",
        writes="mentions",
        keyed_by="document id",
        stages=("read", "match", "score", "mention"),
    ),
    Hop("trend", reads="mentions", writes="alerts", keyed_by="watchlist", stages=("trend",), stateful=True),
    Hop("notify", reads="alerts", writes="deliveries", keyed_by="receiver", stages=("route",)),
)


def hop(name: HopName) -> Hop:
    """The hop of that name.

    >>> hop("trend").stateful
    True
    """
    return next(hop for hop in PLAN if hop.name == name)
