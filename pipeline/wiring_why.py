"""What explains a document: the neural scorer in force, in 32 bits, loaded when somebody first asks."""

from threading import Lock

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.live_scorer import in_force
from opinionwatch.pipeline.match import MatchStage
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.promotions import Shelf
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.web_why import Explain, Weight, Why


class Explainer:
    """Explains documents with the model in force. Safe to call from several threads; each waits for the one before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._match = MatchStage(wiring.watchlists(settings))
        self._lock = Lock()
        self._scorer: object | None = None
        self._stamp: object = None

    def __call__(self, scored: ScoredDocument, watchlist: str | None = None) -> Why:
        """Which words decided, for the text or for what it says of a watchlist that the settings still have; about a
        second. Spans are in the shown text. Raises FatalError for a broken artefact.
        """
        # Only this needs torch in a process that serves the page.
        from opinionwatch.models.neural import NeuralScorer

        with self._lock:
            stamp = Shelf(self._settings.data_dir).stamp()
            if not isinstance(self._scorer, NeuralScorer) or stamp != self._stamp:
                given = {**in_force(self._settings).scorer.options, "precision": "fp32"}
                self._scorer = NeuralScorer(NeuralScorer.Settings.model_validate(given))
                # Only now: while the model in force cannot be loaded, no older one explains in its place.
                self._stamp = stamp
            folded = fold(scored.document.text)
            named = {match.watchlist: places for match, places in self._match.named(folded, scored.lang)}
            towards = watchlist if watchlist in named and self._scorer.tells_targets else None
            targets = () if towards is None else (named[towards],)
            found = self._scorer.explain(Passage(folded.text, scored.lang, targets))
            words = tuple(Weight(span=folded.span(*word.span), weight=word.weight) for word in found.words)
            return Why.model_validate(
                {
                    "label": found.label,
                    "probability": found.probability,
                    "words": words,
                    "faithfulness": found.faithfulness,
                    "scorer": self._scorer.version,
                    "watchlist": towards,
                }
            )


def explainer(settings: Settings) -> Explain | None:
    """What explains documents; None where the settings' scorer cannot."""
    return Explainer(settings) if settings.scorer.kind == "neural" else None
