"""Corrections as rows to train on: folded, as texts are when they are scored.

One of the text as a whole teaches its sentiment. One towards a watchlist teaches what the text says of it, wherever the
settings' watchlist finds its name: the places that a scorer is asked about when it reads the document.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from opinionwatch.models.examples import LABELS, Example
from opinionwatch.models.folded import folded
from opinionwatch.models.targets import MOST_PLACES
from opinionwatch.pipeline.corrections import Correction
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.match import MatchStage
from opinionwatch.pipeline.watchlists import Watchlist

SOURCE = "corrections"


class Unusable(NamedTuple):
    """A correction that teaches nothing, and why."""

    correction: Correction
    reason: str


class Lessons(NamedTuple):
    """What corrections teach, and those that do not."""

    rows: list[Example]
    unusable: list[Unusable]


def lessons(
    corrections: Iterable[Correction], watchlists: Sequence[Watchlist] = (), *, tells_targets: bool = True
) -> Lessons:
    """A row for every correction that can be learnt, in order. `tells_targets`: whether the model that is to learn has
    a head for the sentiment towards a name; one that has none learns from corrections of whole texts alone.
    """
    found = Lessons([], [])
    watched = {each.id for each in watchlists}
    match = MatchStage(watchlists)
    for one in corrections:
        if one.watchlist is None:
            found.rows.append(folded(Example(one.text, SOURCE, one.lang, label=LABELS.index(one.label))))
            continue
        row = _towards(one, match)
        if not tells_targets:
            reason = "the model knows no targets: train one by a recipe with `body: {targets: true}`"
        elif one.watchlist not in watched:
            reason = f"the settings have no watchlist '{one.watchlist}' any more"
        elif row is None:
            reason = f"the watchlist '{one.watchlist}', as the settings have it now, is not found in the text"
        else:
            found.rows.append(row)
            continue
        found.unusable.append(Unusable(one, reason))
    return found


def _towards(one: Correction, match: MatchStage) -> Example | None:
    """Every place of the name with the label, since the places of a name are averaged; None without a place."""
    text = fold(one.text)
    named = {found.watchlist: places for found, places in match.named(text, one.lang)}
    places = named.get(one.watchlist or "", ())
    label = LABELS.index(one.label)
    targets = tuple((place, label) for place in places[:MOST_PLACES])
    return Example(text.text, SOURCE, one.lang, targets=targets) if targets else None
