"""The scorer of a running pipeline: it takes another model up between two batches, when one is promoted.

The new model is loaded on a thread of its own while the old one goes on scoring; the swap itself is an assignment. A
batch is read by one model from its first text to its last. A model that is not what was promoted (its hashes differ)
or does not load is refused with the reason in the log, and the old one stays until the new one loads: it is tried again
every minute.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from threading import Thread
from time import monotonic

import structlog

from opinionwatch.models.manifest import Counted
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.contracts import Confusion, Reading
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Measured, Passage, Scorer
from opinionwatch.pipeline.promotions import Promotion, Shelf
from opinionwatch.pipeline.settings import ScorerChoice, Settings

LOOK_S = 1.0
"""Seconds between two looks at the file."""
AGAIN_S = 60.0
"""Seconds until a model that did not load is tried again: what it lacked, as memory, may be there by then."""
_NOT_LOADED = (SettingsError, OSError, RuntimeError, MemoryError)
"""How loading a model fails; PyTorch says by RuntimeError what it lacks."""
log = structlog.get_logger(__name__)


def scorer(settings: Settings) -> Scorer:
    """The scorer that the settings name; a neural one follows what is promoted."""
    return LiveScorer(settings) if settings.scorer.kind == "neural" else wiring.scorer(settings)


def in_force(settings: Settings) -> Settings:
    """The settings with the artefact that is in force. Raises SettingsError when it is not what was promoted."""
    shelf = Shelf(settings.data_dir)
    return _with(settings, shelf, shelf.read().current if settings.scorer.kind == "neural" else None)


def _with(settings: Settings, shelf: Shelf, current: Promotion | None) -> Settings:
    """The settings with a promoted model; as they are without one."""
    return settings if current is None else with_artefact(settings, checked(shelf, current))


def with_artefact(settings: Settings, artefact: Path) -> Settings:
    """The same settings with another model."""
    choice = ScorerChoice.model_validate({**settings.scorer.options, "kind": "neural", "artefact": artefact})
    return settings.model_copy(update={"scorer": choice})


def artefact_of(settings: Settings) -> Path:
    """The artefact folder that these settings name. Raises SettingsError when their scorer is another one."""
    from opinionwatch.models.neural import NeuralScorer  # torch takes long to load, and most commands never need it

    if settings.scorer.kind != "neural":
        raise SettingsError(f"only a neural scorer has an artefact; the settings say '{settings.scorer.kind}'")
    return NeuralScorer.Settings.model_validate(settings.scorer.options).artefact


def checked(shelf: Shelf, entry: Promotion) -> Path:
    """The folder of a promoted model. Raises SettingsError when its manifest is not the one that was promoted."""
    if shelf.manifest(entry.version) != entry.manifest:
        raise SettingsError(
            f"{shelf.copy(entry.version)} was altered after its promotion (its manifest has another sha256): promote "
            "the artefact again, or roll back"
        )
    return shelf.copy(entry.version)


def errors_of_promoted(shelf: Shelf) -> dict[str, Mapping[str, Confusion]]:
    """How every model that was promoted errs, by the name that its opinions bear; read without its weights."""
    found = {}
    for entry in shelf.read().entries:
        try:
            found[entry.name] = Counted({"artefact": checked(shelf, entry)}).confusion
        except SettingsError as error:
            log.warning("model.unknown_confusion", model=entry.name, reason=str(error))
    return found


class LiveScorer:
    """The model in force, by the port of a scorer. One thread scores and renews."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Settings], Scorer] = wiring.scorer,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Raises SettingsError when the model in force is not whole."""
        self._settings, self._load, self._clock = settings, load, clock
        self._shelf = Shelf(settings.data_dir)
        self._stamp = self._shelf.stamp()
        self._looked, self._again = clock(), inf
        self._coming: Thread | None = None
        self._ready: tuple[str, Scorer] | None = None
        current = self._shelf.read().current
        # By the same look: opinions bear the name of the model that is loaded, whatever is promoted meanwhile.
        self._scorer = load(_with(settings, self._shelf, current))
        self.version = self._scorer.version if current is None else current.name
        self.confusions: dict[str, Mapping[str, Confusion]] = {}
        self._note(self.version, self._scorer)
        # What earlier models have read is judged again when a state is rebuilt from the log.
        self.confusions |= errors_of_promoted(self._shelf)

    def renew(self) -> None:
        """Take up what was promoted, if it is loaded by now; look for something new, if it is time to."""
        if self._ready is not None:
            before = self.version
            self.version, self._scorer = self._ready
            self._ready = None
            log.warning("model.taken_up", version=self.version, before=before)
        busy = self._coming is not None and self._coming.is_alive()
        if busy or self._clock() < self._looked + LOOK_S:
            return
        self._looked = self._clock()
        stamp = self._shelf.stamp()
        if stamp is not None and (stamp != self._stamp or self._looked >= self._again):
            self._stamp, self._again = stamp, inf
            self._coming = Thread(target=self._fetch, name="model-loading", daemon=True)
            self._coming.start()

    def loaded(self, timeout_s: float) -> bool:
        """Wait until nothing is being loaded; for a `renew` that is to find it."""
        if self._coming is not None:
            self._coming.join(timeout_s)
        return self._coming is None or not self._coming.is_alive()

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage, by the model in force. Raises what that model raises."""
        return self._scorer.score(passages)

    def _fetch(self) -> None:
        try:
            current = self._shelf.read().current
            if current is None or current.name == self.version:
                return
            found = self._load(_with(self._settings, self._shelf, current))
        except _NOT_LOADED as error:
            log.error("model.refused", reason=str(error), stays=self.version)  # noqa: TRY400 - a reason, not a defect
            self._again = self._clock() + AGAIN_S
            return
        self._note(current.name, found)
        self._ready = (current.name, found)

    def _note(self, name: str, found: Scorer) -> None:
        if isinstance(found, Measured):
            self.confusions[name] = found.confusion
