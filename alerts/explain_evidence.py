"""What the explanation keeps of the recent past: post counts of a day, and the last negative voices as exemplars."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opinionwatch.alerts.detect_grid import grown
from opinionwatch.pipeline.contracts import Mention, OpinionTerm
from opinionwatch.pipeline.contracts_trend import Exemplar
from opinionwatch.pipeline.snapshots import Arrays, Facts
from opinionwatch.pipeline.ticks import TICKS_PER_DAY

MAX_KEPT = 120
KEPT_TICKS = 72
MAX_TEXT = 1_000
AUTHOR_TICKS = 24

POSTS, VOICES, NEGATIVE, NEGATIVE_REPOSTS = range(4)


class Tallies:
    """Timely posts, voices, negative posts and negative reposts of every watchlist and tick of the last 24 h."""

    def __init__(self, rows: int) -> None:
        self._counts: NDArray[np.int32] = np.zeros((rows, TICKS_PER_DAY, 4), np.int32)
        self._tick = -1

    def grow(self, rows: int) -> None:
        """Make room for more watchlists."""
        self._counts = grown(self._counts, (rows, TICKS_PER_DAY, 4), 0)

    def add(self, tick: int, counts: Mapping[int, Sequence[int]]) -> None:
        """Write the counts of one tick, by row."""
        for passed in range(max(self._tick + 1, tick - TICKS_PER_DAY + 1), tick + 1):
            self._counts[:, passed % TICKS_PER_DAY] = 0
        self._tick = max(tick, self._tick)
        for row, values in counts.items():
            self._counts[row, tick % TICKS_PER_DAY] += np.array(values, np.int32)

    def since(self, row: int, tick: int) -> tuple[int, int, int, int]:
        """The four sums from that tick (at most a day ago) to now."""
        ticks = np.arange(max(tick, self._tick - TICKS_PER_DAY + 1), self._tick + 1) % TICKS_PER_DAY
        posts, voices, negative, reposts = self._counts[row, ticks].sum(axis=0).tolist()
        return posts, voices, negative, reposts

    def save(self) -> Arrays:
        """All counts."""
        return {"tallies": self._counts, "tallies_tick": np.array([self._tick])}

    def load(self, arrays: Arrays) -> None:
        """Take over what `save` gave."""
        self._counts, self._tick = arrays["tallies"], int(arrays["tallies_tick"][0])


@dataclass(frozen=True, slots=True)
class Voice:
    """A negative voice that may be shown as evidence."""

    tick: int
    aspect: str
    cluster: str
    terms: frozenset[str]
    exemplar: Exemplar

    @property
    def author(self) -> str:
        """The author; a document without one is its own."""
        return self.exemplar.author or self.exemplar.document_id


class Evidence:
    """The last negative voices of one watchlist, oldest first: at most 120, none older than 6 h."""

    def __init__(self) -> None:
        self._voices: list[Voice] = []
        self._authors: dict[str, int] = {}
        self._tick = -1
        """At which old authors were last let go."""

    def add(self, voice: Voice) -> None:
        """Keep a voice. Ticks must not go back."""
        self._voices = [kept for kept in self._voices[1 - MAX_KEPT :] if kept.tick > voice.tick - KEPT_TICKS]
        self._voices.append(voice)
        if voice.tick != self._tick:
            self._tick = voice.tick
            self._authors = {name: at for name, at in self._authors.items() if at > voice.tick - AUTHOR_TICKS}
        self._authors[voice.author] = voice.tick

    def authors(self, after: int) -> int:
        """How many distinct authors stand behind the negative voices after that tick."""
        return sum(at > after for at in self._authors.values())

    def texts(self, after: int) -> list[tuple[str, tuple[OpinionTerm, ...]]]:
        """Texts after that tick, with what the scorer has marked in them."""
        return [(voice.exemplar.text, voice.exemplar.opinions) for voice in self._voices if voice.tick > after]

    def choose(
        self, after: int, weights: Mapping[tuple[str, str], float], terms: Mapping[str, float], limit: int
    ) -> tuple[Exemplar, ...]:
        """Voices that represent the finding: from the cells that carry it (`weights` by source and aspect), with the
        terms that stand out; distinct authors and clusters; both languages where both have their say.
        """
        recent = [voice for voice in self._voices if voice.tick > after]

        def worth(voice: Voice) -> tuple[float, int, str]:
            cell = weights.get((voice.exemplar.source, voice.aspect), 0.0)
            named = sum(z for term, z in terms.items() if term in voice.terms)
            return (cell * (1 + named), voice.tick, voice.exemplar.document_id)

        ranked = sorted(recent, key=worth, reverse=True)
        langs = [lang for lang in ("en", "zh") if any(voice.exemplar.lang == lang for voice in recent)]
        first: list[Voice] = []
        for lang in langs:
            first += _distinct([voice for voice in ranked if voice.exemplar.lang == lang], first, len(first) + 1)
        chosen = first + _distinct(ranked, first, limit)
        return tuple(voice.exemplar for voice in sorted(chosen, key=ranked.index))

    def forget(self, documents: Collection[str], authors: Collection[str]) -> None:
        """Erase the voices of these documents, and these authors."""
        self._voices = [voice for voice in self._voices if voice.exemplar.document_id not in documents]
        self._authors = {
            name: at for name, at in self._authors.items() if name not in authors and name not in documents
        }

    def retract(self, documents: Collection[str]) -> list[Voice]:
        """Show the voices of these documents no more; who has spoken stays counted. Returns what was kept of them."""
        gone = [voice for voice in self._voices if voice.exemplar.document_id in documents]
        if gone:
            self._voices = [voice for voice in self._voices if voice.exemplar.document_id not in documents]
        return gone

    def save(self) -> Facts:
        """All voices."""
        return {
            "voices": [
                {
                    "tick": voice.tick,
                    "aspect": voice.aspect,
                    "cluster": voice.cluster,
                    "terms": sorted(voice.terms),
                    "exemplar": voice.exemplar.model_dump(mode="json"),
                }
                for voice in self._voices
            ],
            "authors": dict(self._authors),
        }

    @classmethod
    def of(cls, saved: Facts) -> "Evidence":
        """What `save` gave, alive again."""
        evidence = cls()
        evidence._voices = [
            Voice(
                tick=voice["tick"],
                aspect=voice["aspect"],
                cluster=voice["cluster"],
                terms=frozenset(voice["terms"]),
                exemplar=Exemplar.model_validate(voice["exemplar"]),
            )
            for voice in saved["voices"]
        ]
        evidence._authors = saved["authors"]
        return evidence


def voice_of(mention: Mention, tick: int, cluster: str, terms: Collection[str]) -> Voice:
    """A mention as evidence. A very long text is cut, and the spans that are cut off are left out."""
    text = mention.text[:MAX_TEXT]
    exemplar = Exemplar(
        document_id=mention.document_id,
        source=mention.source,
        author=mention.author,
        url=mention.url,
        lang=mention.lang,
        text=text,
        published_at=mention.published_at,
        label=mention.reading.sentiment.label,
        negative=mention.reading.sentiment.negative,
        opinions=tuple(
            opinion
            for opinion in mention.reading.opinions
            if max(opinion.opinion_span[1], (opinion.aspect_span or (0, 0))[1]) <= len(text)
        ),
    )
    return Voice(tick, mention.aspect, cluster, frozenset(terms), exemplar)


def _distinct(ranked: Sequence[Voice], taken: Sequence[Voice], limit: int) -> list[Voice]:
    """The first of the ranked whose author and cluster are not taken yet, until there are `limit` in all."""
    authors = {voice.author for voice in taken}
    clusters = {voice.cluster for voice in taken}
    chosen: list[Voice] = []
    for voice in ranked:
        if len(taken) + len(chosen) >= limit:
            break
        if voice.author not in authors and voice.cluster not in clusters:
            chosen.append(voice)
            authors.add(voice.author)
            clusters.add(voice.cluster)
    return chosen
