"""An alert in words: what, since when, how strong, why, who says so, how sure, and where to see more."""

from collections.abc import Sequence
from datetime import UTC, datetime

from opinionwatch.alerts.escape import one_line
from opinionwatch.alerts.numerals import Numerals, clock_of
from opinionwatch.alerts.phrases import Ending, Words
from opinionwatch.alerts.words import WORDS, Lang, aspect_name, in_a_sentence
from opinionwatch.pipeline.contracts_trend import Alert, AlertEvent, Contribution, Exemplar, Message, Verb

Facts = tuple[tuple[str, str], ...]
SHOWN = 3
"""Examples, and rows of each reason."""
TERMS_SHOWN = 8


def render(
    alert: Alert,
    *,
    lang: Lang,
    public_url: str,
    watchlist_name: str,
    repeat: bool = False,
    zone: str = "UTC",
    chart_png: bytes | None = None,
    dashboard: str = "",
    answers: tuple[tuple[Verb, str], ...] = (),
) -> Message:
    """Say an alert in one language, with times in `zone` (an IANA name).

    Pure: the same alert gives the same message. No markup is in it, and every part that strangers had a hand in
    (names, terms, sources) is one clean line; example posts stay as they are and are escaped by the channel.
    `dashboard` is where Kibana explains the episode. Raises SettingsError when the zone does not exist.
    """
    rendering = _Rendering(alert, lang, watchlist_name, zone)
    return rendering.message(public_url, repeat, chart_png).model_copy(
        update={"dashboard": dashboard, "answers": answers}
    )


def sample(*, lang: Lang, public_url: str, at: datetime) -> Message:
    """The labelled message of `notify test`."""
    title, summary = WORDS[lang].test
    return Message(
        alert_id=f"test-{at.astimezone(UTC):%Y%m%dT%H%M%S}",
        episode_id="test",
        lang=lang,
        event="test",
        severity="info",
        title=title,
        summary=summary,
        facts=(),
        reasons=(),
        examples=(),
        link=public_url.rstrip("/") + "/",
        at=at,
    )


class _Rendering:
    """One alert on its way into one language."""

    def __init__(self, alert: Alert, lang: Lang, name: str, zone: str) -> None:
        self._alert = alert
        self._episode = alert.episode
        self._signal = alert.episode.explanation.signal
        self._lang: Lang = lang
        self._words: Words = WORDS[lang]
        self._say = Numerals(self._words)
        self._name = one_line(name, 80)
        self._clock = clock_of(zone)

    def message(self, public_url: str, repeat: bool, chart_png: bytes | None) -> Message:
        kind, event = self._episode.kind, self._alert.event
        said: AlertEvent | Ending = "accepted" if event == "resolved" and self._episode.accepted else event
        opened_id = self._alert.model_copy(update={"event": "opened", "at": self._episode.opened_at}).id
        return Message(
            alert_id=self._alert.id,
            episode_id=self._episode.id,
            lang=self._lang,
            event=event,
            severity=self._episode.severity,
            title=self._fill(self._words.titles[kind][said]),
            summary=self._fill(self._words.summaries[kind][said]),
            facts=self._facts(repeat),
            reasons=() if kind == "no data" else self._reasons(),
            examples=diverse(self._episode.explanation.exemplars, SHOWN),
            link=f"{public_url.rstrip('/')}/episodes/{self._episode.id}",
            at=self._alert.at,
            chart_png=chart_png,
            repeat=repeat,
            opened_id=opened_id,
        )

    def _fill(self, phrase: str) -> str:
        """Fill the gaps of a title or a summary."""
        episode, signal, words, say = self._episode, self._signal, self._words, self._say
        aspects = [in_a_sentence(one_line(item.name, 40), self._lang) for item in leading(signal.aspects, most=2)]
        sources = [one_line(item.name, 40) for item in leading(signal.sources, most=3)]
        named = say.listing(sources)
        return say.sentence(
            phrase,
            name=self._name,
            now=say.percent(signal.share_now.value),
            before=say.percent(signal.share_before.value),
            about=say.sentence(words.about, aspects=say.listing(aspects)) if aspects else "",
            places=say.sentence(words.places, sources=named) if sources else "",
            where=say.sentence(words.where, sources=named) if sources else "",
            volume=say.ratio(signal.volume_ratio),
            duration=say.duration((episode.resolved_at or self._alert.at) - episode.began_at),
            posts=say.count(episode.posts),
            voices=say.count(episode.voices),
            negative=say.count(episode.negative),
        ).strip()

    def _facts(self, repeat: bool) -> Facts:
        episode, words, say = self._episode, self._words, self._say
        facts = [("since", say.since(episode.began_at, episode.opened_at, self._clock))]
        if self._alert.event == "resolved":
            facts.append(("lasted", say.duration((episode.resolved_at or self._alert.at) - episode.began_at)))
        if episode.kind != "no data":
            facts += [("strong", self._how_strong()), ("much", self._how_much()), ("sure", self._how_sure())]
        facts.append(("severity", words.severities[episode.severity]))
        if repeat:
            facts.append(("note", words.repeat))
        return tuple((words.labels[label], value) for label, value in facts)

    def _how_strong(self) -> str:
        signal, words, say = self._signal, self._words, self._say
        change = say.sentence(
            words.strong,
            before=say.percent(signal.share_before.value),
            before_range=say.percents(signal.share_before),
            now=say.percent(signal.share_now.value),
            now_range=say.percents(signal.share_now),
        )
        if signal.expected <= 0 or signal.negative <= signal.expected:
            return change
        times = say.sentence(words.times_expected, times=say.ratio(signal.negative / signal.expected))
        return say.clauses(change, times)

    def _how_much(self) -> str:
        signal, words, say = self._signal, self._words, self._say
        counts = say.sentence(
            words.much,
            posts=say.count(signal.posts),
            voices=say.count(signal.voices),
            negative=say.count(signal.negative),
            expected=say.count(signal.expected),
        )
        return say.clauses(counts, say.sentence(words.volume, volume=say.ratio(signal.volume_ratio)))

    def _how_sure(self) -> str:
        weeks, words, say = self._episode.explanation.once_in_weeks, self._words, self._say
        if not weeks >= 1.5:  # also when it is not a number
            return words.unsure
        if weeks >= 10_000:
            return say.sentence(words.surest, weeks=say.count(10_000))
        return say.sentence(words.sure, weeks=say.count(float(f"{weeks:.2g}")))

    def _reasons(self) -> Facts:
        words, say, why = self._words, self._say, self._episode.explanation
        terms = [
            say.sentence(words.term, term=one_line(term.term, 40), count=say.count(term.count))
            for term in why.terms[:TERMS_SHOWN]
        ]
        reasons = [
            ("aspects", self._contributions(self._signal.aspects, translate=True)),
            ("sources", self._contributions(self._signal.sources, translate=False)),
            ("terms", words.comma.join(terms)),
        ]
        if why.repost_share >= 0.005:
            reasons.append(("reposts", say.sentence(words.reposts, share=say.percent(why.repost_share))))
        return tuple((words.labels[label], value) for label, value in reasons if value)

    def _contributions(self, contributions: Sequence[Contribution], *, translate: bool) -> str:
        say, rows = self._say, []
        for item in leading(contributions, most=SHOWN):
            name = one_line(item.name, 40)
            rows.append(
                say.sentence(
                    self._words.contribution,
                    name=aspect_name(name, self._lang) if translate else name,
                    negative=say.count(item.negative),
                    expected=say.count(item.expected),
                    odds=say.ratio(item.odds_ratio.value),
                    low=say.ratio(item.odds_ratio.low),
                    high=say.ratio(item.odds_ratio.high),
                )
            )
        return say.clauses(*rows)


def leading(contributions: Sequence[Contribution], *, most: int) -> list[Contribution]:
    """Those that carry the finding: at least a third of the weight of the strongest, heaviest first."""
    ranked = sorted((item for item in contributions if item.name != "general"), key=lambda item: -item.weight)
    return [item for item in ranked[:most] if item.weight > 0 and item.weight * 3 >= ranked[0].weight]


def diverse(exemplars: Sequence[Exemplar], most: int) -> tuple[Exemplar, ...]:
    """Up to `most` examples: the first, then each time the one with most new (language, author, source), in order."""
    chosen: list[Exemplar] = []
    rest = list(exemplars)
    while rest and len(chosen) < most:
        best = max(rest, key=lambda one: _novelty(one, chosen))  # `max` keeps the earliest among equals
        chosen.append(best)
        rest.remove(best)
    return tuple(chosen)


def _novelty(one: Exemplar, chosen: Sequence[Exemplar]) -> int:
    return (
        4 * (one.lang not in {other.lang for other in chosen})
        + 2 * (one.author is None or one.author not in {other.author for other in chosen})
        + (one.source not in {other.source for other in chosen})
    )
