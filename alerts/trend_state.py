"""All of the trend hop's memory, and how it is saved."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from opinionwatch.alerts.confusion import Langs
from opinionwatch.alerts.detect import ShareDetector
from opinionwatch.alerts.detect_grid import Grid
from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.episodes import Episodes
from opinionwatch.alerts.explain_evidence import Evidence, Tallies
from opinionwatch.alerts.explain_terms import Terms
from opinionwatch.alerts.explain_words import terms_of
from opinionwatch.alerts.nodata import NoData
from opinionwatch.alerts.pending import Pending, Waiting
from opinionwatch.alerts.pending_before import waited
from opinionwatch.alerts.trend_fold import Folding
from opinionwatch.alerts.volume import VolumeChannel
from opinionwatch.pipeline.cluster import Voices
from opinionwatch.pipeline.contracts import Mention, content_id
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.id_table import ID_BYTES
from opinionwatch.pipeline.snapshots import Arrays, Facts, pack, unpack
from opinionwatch.pipeline.ticks import Watched, tick_of
from opinionwatch.pipeline.windows import Windows

VERSION = 5
"""Of the snapshot."""


class TrendState:
    """What the stages of the trend hop remember, side by side."""

    def __init__(self, settings: TrendSettings, tenant: str) -> None:
        detector = settings.detector
        self.grid = Grid(detector.max_sources, detector.max_aspects)
        self.voices = Voices(settings.reviews)
        self.windows = Windows(settings.window_memory_h)
        self.folding = Folding(self.grid, self.voices, self.windows, detector.evidence_h)
        self.detector = ShareDetector(self.grid.sizes, detector.min_voices)
        self.volume = VolumeChannel(self.grid.sizes[0], settings.volume)
        self.tallies = Tallies(self.grid.sizes[0])
        self.episodes = Episodes(settings.episodes, tenant)
        self.evidence: dict[int, Evidence] = {}
        self.terms: dict[int, Terms] = {}
        self.nodata = NoData()
        self.langs = Langs()
        self.loud: dict[int, int] = {}
        """Last tick at which a row's volume was flagged."""
        self.pending = Pending()
        """Mentions, and what is withdrawn, of ticks that are not closed yet."""
        self.closed = -1
        """The last tick that was closed."""

    def make_room(self) -> None:
        """Let the arrays follow the grid."""
        self.detector.grow(self.grid.sizes)
        self.volume.grow(self.grid.sizes[0])
        self.tallies.grow(self.grid.sizes[0])

    def forget(self, mentions: Sequence[Mention], authors: Collection[str]) -> None:
        """Erase what these mentions say and who these authors are. What was counted of them stays counted."""
        documents = {mention.document_id for mention in mentions}
        self.pending.forget(documents)
        for evidence in self.evidence.values():
            evidence.forget(documents, authors)
        for mention in mentions:
            row = self.grid.watchlists.get(mention.watchlist)
            if row in self.terms:
                self.terms[row].forget(tick_of(mention.accepted_at), terms_of(mention))
        self.episodes.forget({mention.document_id: mention.text for mention in mentions})
        self.voices.forget_authors(authors)
        self.folding.complained = {
            (row, author): tick for (row, author), tick in self.folding.complained.items() if author not in authors
        }

    def keep(self, watched: Watched) -> list[Episode]:
        """Forget the rhythm of who is not in the settings any more. Returns the stories of silences that this ends."""
        names = list(self.grid.watchlists)
        done = self.nodata.keep(watched, self.grid.watchlists)
        return [episode for row in sorted(done) for episode in self.episodes.drop(self.closed, names[row])]

    def retract(self, documents: Collection[str]) -> list[Episode]:
        """Show and name nothing any more of what these documents said in an earlier version, as far as it is kept (the
        last six hours' voices). Returns the open episodes that told of them, as they are now.
        """
        texts = self.episodes.quoted(documents)
        for row, evidence in self.evidence.items():
            for voice in evidence.retract(documents):
                texts.setdefault(voice.exemplar.document_id, voice.exemplar.text)
                if row in self.terms:
                    self.terms[row].forget(voice.tick, voice.terms)
        return self.episodes.retract(texts)

    def save(self) -> bytes:
        """Everything, versioned."""
        voices, voice_facts = self.voices.save()
        windows, window_facts = self.windows.save()
        return pack(
            VERSION,
            {
                **voices,
                **windows,
                **self.detector.save(),
                **self.volume.save(),
                **self.tallies.save(),
                **self.pending.save(),
            },
            {
                **voice_facts,
                **window_facts,
                "grid": self.grid.save(),
                "scorers": self.folding.scorers,
                "complained": [[row, author, tick] for (row, author), tick in self.folding.complained.items()],
                "stories": self.episodes.save(),
                "evidence": [[row, evidence.save()] for row, evidence in self.evidence.items()],
                "terms": [[row, terms.save()] for row, terms in self.terms.items()],
                "nodata": self.nodata.save(),
                "langs": self.langs.save(),
                "loud": list(self.loud.items()),
                "closed": self.closed,
            },
        )

    def load(self, snapshot: bytes) -> None:
        """Take over what `save` gave. Raises FatalError when it is damaged or of another version."""
        arrays, facts, version = unpack(VERSION, snapshot, older=(2, 3, 4))
        try:
            if version == 2:
                _upgrade(arrays, facts)
            if version < 5:
                arrays |= _named(arrays, facts) | _packed(arrays, facts, version)
            self._load(arrays, facts)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise FatalError(f"the saved trend state is damaged: {error}") from error

    def _load(self, arrays: Arrays, facts: Facts) -> None:
        self.grid.load(facts["grid"])
        self.voices.load(arrays, facts)
        self.windows.load(arrays, facts)
        self.detector.load(arrays)
        self.volume.load(arrays)
        self.tallies.load(arrays)
        self.folding.scorers = facts["scorers"]
        self.folding.complained = {(row, author): tick for row, author, tick in facts["complained"]}
        self.episodes.load(facts["stories"])
        self.evidence = {row: Evidence.of(saved) for row, saved in facts["evidence"]}
        self.terms = {row: Terms.of(saved) for row, saved in facts["terms"]}
        self.nodata.load(facts["nodata"])
        self.langs.load(facts["langs"])
        self.loud = dict(facts["loud"])
        self.closed = facts["closed"]
        self.pending.load(arrays)


def _packed(arrays: Arrays, facts: Facts, version: int) -> Arrays:
    """Before version 4 what waits was kept as JSON, then packed record by record."""
    pending = Pending()
    for tick, record in waited(arrays) if version == 4 else _told(facts):
        pending.add(tick, record)
    return pending.save()


def _told(facts: Facts) -> Iterator[tuple[int, Waiting]]:
    for tick, records in facts["pending"]:
        for is_mention, told in records:
            yield tick, (Mention if is_mention else Withdrawal).model_validate(told)


def _named(arrays: Arrays, facts: Facts) -> Arrays:
    """Before version 5 authors were kept by name, and every mention had the number of its version beside it."""
    facts["author_watchlists"] = sorted({watchlist for watchlist, _ in facts["authors"]})
    authors = b"".join(bytes.fromhex(content_id(watchlist, author)) for watchlist, author in facts["authors"])
    changed = arrays["said_versions"] > 0
    return {
        "author_ids": np.frombuffer(authors, np.uint8).reshape(-1, ID_BYTES),
        "version_ids": arrays["said_ids"][changed],
        "version_numbers": arrays["said_versions"][changed],
    }


def _upgrade(arrays: Arrays, facts: Facts) -> None:
    """Version 2 knew no versions of texts: nothing that was counted under it can be taken back. Nor did it remember
    which hours were suspect: those that wait to be learned are taken for quiet ones.
    """
    counts = arrays["window_counts"]
    arrays["window_counts"] = np.concatenate([counts, np.zeros((len(counts), 1), counts.dtype)], axis=1)
    arrays["suspect"] = np.zeros(arrays["hours"].shape[:2], np.bool_)
    arrays["said_ids"] = np.empty((0, 16), np.uint8)
    arrays |= {name: np.empty(0, np.int64) for name in ("said_places", "said_bits", "said_versions")}
    facts["pending"] = [[tick, [[True, mention] for mention in mentions]] for tick, mentions in facts["pending"]]
