"""A digest from the records of a period: what happened to each watchlist, what people answered, who was not told."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opinionwatch.alerts.digest_words import DIGEST
from opinionwatch.alerts.escape import one_line
from opinionwatch.alerts.message import render
from opinionwatch.alerts.numerals import Numerals, clock_of
from opinionwatch.alerts.words import WORDS, Lang
from opinionwatch.pipeline.answers import verdicts
from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.contracts_digest import Digest, Section, Story
from opinionwatch.pipeline.contracts_trend import Alert, AlertEvent, Delivery, Episode, Feedback, Window

MOST_STORIES, MOST_REASONS = 10, 12
NAMED = 3
"""Watchlists named in the title."""


@dataclass(frozen=True)
class Material:
    """The records that a digest is made of. `before` are windows of a period of the same length before it."""

    since: datetime
    until: datetime
    names: Mapping[str, str]
    """Ids and names of the watchlists, in order."""
    episodes: Sequence[Episode]
    """Those that were open at some moment of the period, oldest first."""
    deliveries: Sequence[Delivery]
    feedback: Sequence[Feedback]
    windows: Mapping[str, Sequence[Window]] = field(default_factory=dict)
    before: Mapping[str, Sequence[Window]] = field(default_factory=dict)
    charts: Mapping[str, bytes] = field(default_factory=dict)


def digest(
    material: Material, *, name: str, every: str, lang: Lang, zone: str, public_url: str, repeat: bool = False
) -> Digest:
    """The digest `name`; `every` is `day` or `week`. Pure: the same records give the same digest.

    No markup is in it, and what strangers had a hand in is one clean line. Raises SettingsError for an unknown zone.
    """
    return _Making(material, lang, zone, public_url).digest(name, every, repeat)


class _Making:
    def __init__(self, material: Material, lang: Lang, zone: str, public_url: str) -> None:
        self._of, self._lang, self._zone, self._url = material, lang, zone, public_url.rstrip("/")
        self._words, self._clock = DIGEST[lang], clock_of(zone)
        self._say = Numerals(WORDS[lang])
        self._judged = verdicts(material.feedback)
        self._answers = {one.episode_id: one for one in sorted(material.feedback, key=lambda one: one.at)}

    def digest(self, name: str, every: str, repeat: bool) -> Digest:
        of, words = self._of, self._words
        told = {one: [e for e in of.episodes if e.watchlist == one] for one in of.names}
        loud = [one for one, stories in told.items() if stories]
        shown = [one for one in of.names if told[one] or of.windows.get(one)]
        phrase = "summary" if loud else "silent"
        summary = self._fill(words[phrase], n=self._say.count(len(loud)), all=self._say.count(len(of.names)))
        return Digest(
            id=content_id("digest", name, every, of.until.isoformat()),
            name=name,
            lang=self._lang,
            title=self._fill(words[f"title {every}"], what=self._what(loud)),
            summary=summary,
            facts=tuple(self._facts()),
            sections=tuple(self._section(one, told[one]) for one in sorted(shown, key=lambda one: not told[one])),
            calm=tuple(one_line(of.names[one], 80) for one in of.names if one not in shown),
            undelivered=self._undelivered(),
            link=f"{self._url}/episodes",
            at=of.until,
            repeat=repeat,
        )

    def _what(self, loud: Sequence[str]) -> str:
        if not loud:
            return self._words["nothing"]
        named = [one_line(self._of.names[one], 40) for one in loud[:NAMED]]
        if len(loud) > NAMED:
            named.append(self._fill(self._words["more"], n=self._say.count(len(loud) - NAMED)))
        phrase = "story" if len(self._of.episodes) == 1 else "stories"
        return self._fill(self._words[phrase], names=self._say.listing(named))

    def _facts(self) -> list[tuple[str, str]]:
        of, words = self._of, self._words
        since, until = (self._say.moment(at.astimezone(self._clock.zone)) for at in (of.since, of.until))
        rows = [("period", self._fill(words["period"], since=since, until=until, zone=self._clock.name))]
        if of.episodes:
            verbs = Counter(self._judged[e.id].verb if e.id in self._judged else "" for e in of.episodes)
            going_on = sum(not self._over(one) for one in of.episodes)
            counts = self._fill(words["counts"], n=self._say.count(len(of.episodes)), open=self._say.count(going_on))
            judged = self._fill(
                words["verdicts"],
                real=self._say.count(verbs["real"]),
                wrong=self._say.count(verbs["not_crisis"]),
                rest=self._say.count(verbs[""]),
            )
            rows += [("stories", counts), ("answers", judged)]
        sent = sum(one.state == "sent" for one in of.deliveries)
        rows.append(("alerts", self._say.count(sent)))
        return [(words[f"label {label}"], value) for label, value in rows]

    def _section(self, watchlist: str, stories: Sequence[Episode]) -> Section:
        of, words = self._of, self._words
        now, before = of.windows.get(watchlist, ()), of.before.get(watchlist, ())
        posts = self._fill(words["posts"], now=self._say.count(_posts(now)), before=self._say.count(_posts(before)))
        share = self._fill(words["share"], now=self._share(now), before=self._share(before))
        return Section(
            name=one_line(of.names[watchlist], 80),
            facts=((words["label posts"], posts), (words["label share"], share)),
            stories=tuple(self._story(one) for one in stories[-MOST_STORIES:]),
            chart_png=of.charts.get(watchlist),
        )

    def _share(self, windows: Sequence[Window]) -> str:
        sure = sum(one.sure_voices for one in windows)
        return self._say.percent(sum(one.negative_voices for one in windows) / sure) if sure else "–"

    def _story(self, episode: Episode) -> Story:
        over = self._over(episode)
        event: AlertEvent = "resolved" if over else "escalated" if episode.state == "escalated" else "opened"
        said = render(
            Alert(event=event, at=episode.updated_at, episode=episode),
            lang=self._lang,
            public_url=self._url,
            watchlist_name=self._of.names[episode.watchlist],
            zone=self._zone,
        )
        since = self._say.moment(episode.began_at.astimezone(self._clock.zone))
        spell = self._say.duration((episode.resolved_at or self._of.until) - episode.began_at)
        verdict = self._judged.get(episode.id) or self._answers.get(episode.id)
        answers = ""
        if verdict is not None:
            by = one_line(verdict.by, 60)
            answers = self._fill(self._words["answered"], answer=self._words[verdict.verb], by=by)
        when = self._fill(self._words["when over" if over else "when open"], since=since, duration=spell)
        return Story(title=said.title, summary=said.summary, when=when, answers=answers, link=said.link)

    def _over(self, episode: Episode) -> bool:
        return episode.resolved_at is not None and episode.resolved_at <= self._of.until

    def _undelivered(self) -> tuple[tuple[str, str], ...]:
        reasons = Counter(
            f"{one.channel}: {one_line(one.detail, 160)}"
            for one in self._of.deliveries
            if one.state in ("failed", "suppressed")
        )
        return tuple((reason, self._say.count(count)) for reason, count in reasons.most_common(MOST_REASONS))

    def _fill(self, phrase: str, **gaps: str) -> str:
        return self._say.sentence(phrase, **gaps)


def touches(episode: Episode, since: datetime, until: datetime) -> bool:
    """Whether it was open at some moment of the period."""
    return episode.opened_at < until and (episode.resolved_at is None or episode.resolved_at >= since)


def belongs(delivery: Delivery, since: datetime, until: datetime) -> bool:
    """Whether it is about an alert of the period."""
    return since <= delivery.alert.at < until


def earlier(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The period of the same length before."""
    length: timedelta = until - since
    return since - length, since


def _posts(windows: Sequence[Window]) -> int:
    return sum(one.posts for one in windows)
