"""Models that take turns in a campaign: each says the same of every text, and each another mood.

So what lies in the store tells which of them has read it, whatever name it bears.
"""

import io
import json
import random
from collections.abc import Iterable
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from opinionwatch.models.manifest import read, version_of
from opinionwatch.pipeline import cli_models
from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.promotions import Shelf
from tests.models.tiny import tiny_artefact

MOODS: tuple[Label, ...] = ("positive", "negative", "neutral")


class Read(NamedTuple):
    """A document in the store: its number, the name that it bears, and what was said of it."""

    number: int
    name: str
    mood: str


class Models:
    """Three artefacts, the promotion file of a pipeline, and the commands that change it."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._artefacts = {mood: tiny_artefact(folder / mood, mood, mood) for mood in MOODS}
        self._says = {version_of(mood, read(artefact).files): mood for mood, artefact in self._artefacts.items()}
        self._dice = dice
        self._fixed = folder / "fixed.jsonl"
        rows = [{"text": f"the screen {mood}", "label": mood, "lang": "en"} for mood in MOODS]
        self._fixed.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.scorer = {
            "kind": "neural", "artefact": str(self._artefacts[MOODS[0]]), "device": "cpu", "precision": "fp32",
        }  # fmt: skip
        """As it stands in a settings file."""

    def names(self, data: Path) -> list[str]:
        """What was in force, in that order; the first is that of the settings."""
        return [entry.name for entry in Shelf(data).read().entries] or [next(iter(self._says))]

    def swap(self, config: Path, data: Path) -> str:
        """A rollback now and then, else the promotion of another model, through its gate: what the commands do.

        Returns the name that comes into force.
        """
        current = Shelf(data).read().current
        with redirect_stdout(io.StringIO()):
            if current is not None and current.before is not None and self._dice.random() < 0.4:
                cli_models.rollback(by="campaign", config=config)
            else:
                now = self.names(data)[-1].partition("+")[0]
                mood = self._dice.choice([mood for version, mood in self._says.items() if version != now])
                cli_models.promote(self._artefacts[mood], fixed=[self._fixed], by="campaign", config=config)
        return self.names(data)[-1]

    def misread(self, documents: Iterable[Read], names: Iterable[str]) -> dict[str, int]:
        """What nobody may have read, and what another has read than it says."""
        known, found = {*names}, [*documents]
        return {
            "read by neither model": sum(each.name not in known for each in found),
            "read by another model than it says": sum(
                self._says.get(each.name.partition("+")[0]) != each.mood for each in found
            ),
        }


def changes(documents: Iterable[Read]) -> int:
    """Changes of the model from one document to the next."""
    return sum(one.name != other.name for one, other in pairwise(documents))
