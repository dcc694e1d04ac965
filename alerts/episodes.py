"""Episodes: one story about one watchlist, opened, perhaps escalated, resolved. Alerts are the events people hear of.

* opens when the score reaches the threshold; within the cool-down after its end the old story is taken up again
  (an `updated` alert), so one crisis that comes and goes is one story;
* escalates, at most hourly, when the leading odds ratio rises, a further source carries it, volume joins, or it becomes
  critical;
* resolves when the score has stayed below `threshold - resolve_margin` for an hour;
* ends, too, when it goes on after `max_h`: then it is `accepted`, the new mood is taken as the normal one.

Ids are functions of tenant, watchlist, family and opening tick, so a restart tells nothing twice.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from opinionwatch.alerts.detect_settings import EpisodeSettings
from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.contracts_trend import (
    Alert,
    AlertEvent,
    Episode,
    EpisodeKind,
    EpisodeState,
    Explanation,
    Severity,
)
from opinionwatch.pipeline.scrub import scrubbed
from opinionwatch.pipeline.snapshots import Facts
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, start_of, tick_of

Family = Literal["negative", "info", "data"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """An explanation with what the life of an episode depends on."""

    explanation: Explanation
    onset: int
    negative_posts: int
    """Since the onset. The signal counts voices."""
    impact: float
    carriers: tuple[str, ...]
    """Sources that carry the finding."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One watchlist and family at the end of one tick."""

    watchlist: str
    family: Family
    kind: EpisodeKind
    alarm: bool
    """Above the threshold, with authors enough."""
    calm: bool
    """Clearly below it."""
    loud: bool
    """Volume is flagged, and the score far enough up to escalate for it."""
    score: float
    counts: tuple[int, int, int]
    """Posts, voices and negative posts of this tick alone."""
    explain: Callable[[], Evidence]
    """Called only when there is something to tell: it costs more than all the rest."""


@dataclass(frozen=True, slots=True)
class Story:
    """What is remembered about a watchlist's latest episode."""

    episode: Episode
    opened: int
    last_alarm: int
    """Last tick that was not calm."""
    told: int
    """Last tick of an alert or a refresh."""
    theta: float
    carriers: tuple[str, ...]
    loud: bool


class Episodes:
    """The stories of all watchlists."""

    def __init__(self, settings: EpisodeSettings, tenant: str) -> None:
        self._settings = settings
        self._tenant = tenant
        self._stories: dict[tuple[str, str], Story] = {}

    def is_open(self, watchlist: str, family: Family) -> bool:
        """Whether the watchlist has a story that has not ended."""
        story = self._stories.get((watchlist, family))
        return story is not None and story.episode.state != "resolved"

    def open_watchlists(self) -> set[str]:
        """Watchlists with an open story of any family."""
        return {name for (name, _), story in self._stories.items() if story.episode.state != "resolved"}

    def step(self, tick: int, verdict: Verdict) -> tuple[list[Episode | Alert], bool]:
        """Go on with the watchlist's story at the end of `tick`. Returns what to write and tell, and whether the new
        mood is to be taken as normal.
        """
        story = self._stories.get((verdict.watchlist, verdict.family))
        if story is None or story.episode.state == "resolved":
            return (self._open(tick, verdict, story), False) if verdict.alarm else ([], False)
        story = self._grown(story, tick, verdict)
        if tick - story.last_alarm >= self._settings.resolve_h * TICKS_PER_HOUR:
            return self._resolve(tick, verdict, story), False
        # What is calm by now has its hour to end in: what is over is no new normal.
        if tick - story.opened >= self._settings.max_h * TICKS_PER_HOUR and not verdict.calm:
            return self._resolve(tick, verdict, story, accepted=True), True
        if tick - story.told >= self._settings.escalate_h * TICKS_PER_HOUR:
            return self._refresh(tick, verdict, story), False
        self._keep(verdict, story)
        return [], False

    def _open(self, tick: int, verdict: Verdict, before: Story | None) -> list[Episode | Alert]:
        found = verdict.explain()
        again = before is not None and self._is_recent(before, tick)
        if again and before is not None:
            opened = before.opened
            old = before.episode
            base, began, totals = old.peak_score, old.began_at, (old.posts, old.voices, old.negative)
            event: AlertEvent = "updated"
        else:
            opened, event = tick, "opened"
            base, began, totals = 0.0, start_of(min(found.onset, tick)), (0, 0, 0)
            signal = found.explanation.signal
            verdict = replace(verdict, counts=(signal.posts, signal.voices, found.negative_posts))
        posts, voices, negative = (old + new for old, new in zip(totals, verdict.counts, strict=True))
        episode = Episode(
            id=content_id(self._tenant, verdict.watchlist, verdict.family, start_of(opened).isoformat()),
            tenant=self._tenant,
            watchlist=verdict.watchlist,
            kind=verdict.kind,
            state="open",
            severity=self._severity(verdict, found),
            opened_at=start_of(opened + 1),
            began_at=began,
            updated_at=start_of(tick + 1),
            resolved_at=None,
            peak_score=max(base, verdict.score),
            posts=posts,
            voices=voices,
            negative=negative,
            explanation=found.explanation,
        )
        theta = found.explanation.signal.theta
        story = Story(episode, opened, tick, tick, theta, found.carriers, verdict.kind == "crisis")
        self._keep(verdict, story)
        return self._said(verdict, story, event)

    def _refresh(self, tick: int, verdict: Verdict, story: Story) -> list[Episode | Alert]:
        """Hourly while open: bring the episode up to date, and escalate if it has become worse."""
        found = verdict.explain()
        signal = found.explanation.signal
        crisis = story.loud or verdict.loud
        severity = self._severity(verdict, found)
        critical = severity == "critical" and story.episode.severity != "critical"
        worse = not verdict.calm and (
            signal.theta > story.theta
            or bool(set(found.carriers) - set(story.carriers))
            or (crisis and not story.loud)
            or critical
        )
        escalates = worse and verdict.family != "info"
        stronger = escalates or signal.score >= story.episode.explanation.signal.score
        state: EpisodeState = "escalated" if escalates else story.episode.state
        episode = story.episode.model_copy(
            update={
                "kind": _graver(
                    story.episode.kind, "crisis" if verdict.family == "negative" and crisis else verdict.kind
                ),
                "state": state,
                # It never falls, and rises only where people are told.
                "severity": severity if critical and escalates else story.episode.severity,
                "updated_at": start_of(tick + 1),
                # A weaker hour has a weaker explanation: the strongest one is kept.
                "explanation": found.explanation if stronger else story.episode.explanation,
            }
        )
        story = replace(
            story,
            episode=episode,
            told=tick,
            loud=crisis,
            theta=max(story.theta, signal.theta) if escalates else story.theta,
            carriers=tuple(sorted({*story.carriers, *found.carriers})) if escalates else story.carriers,
        )
        self._keep(verdict, story)
        return self._said(verdict, story, "escalated" if escalates else None)

    def _resolve(self, tick: int, verdict: Verdict, story: Story, *, accepted: bool = False) -> list[Episode | Alert]:
        story = _ended(story, tick, accepted=accepted)
        self._keep(verdict, story)
        return self._said(verdict, story, "resolved")

    def drop(self, tick: int, watchlist: str) -> list[Episode]:
        """End the story of a watchlist's silent sources, if it is open, of which nobody wants to hear any more."""
        if not self.is_open(watchlist, "data"):
            return []
        story = self._stories[watchlist, "data"] = _ended(self._stories[watchlist, "data"], tick, accepted=True)
        return [story.episode]

    def _grown(self, story: Story, tick: int, verdict: Verdict) -> Story:
        """Add the tick's counts to the story."""
        posts, voices, negative = verdict.counts
        old = story.episode
        episode = old.model_copy(
            update={
                "posts": old.posts + posts,
                "voices": old.voices + voices,
                "negative": old.negative + negative,
                "peak_score": max(old.peak_score, verdict.score),
            }
        )
        return replace(story, episode=episode, last_alarm=story.last_alarm if verdict.calm else tick)

    def _is_recent(self, story: Story, tick: int) -> bool:
        ended = story.episode.resolved_at
        cooldown = self._settings.cooldown_h * TICKS_PER_HOUR
        return ended is not None and not story.episode.accepted and tick - tick_of(ended) < cooldown

    def _severity(self, verdict: Verdict, found: Evidence) -> Severity:
        if verdict.family != "negative":
            return "info" if verdict.family == "info" else "warning"
        return "critical" if found.impact >= self._settings.critical_impact else "warning"

    def _said(self, verdict: Verdict, story: Story, event: AlertEvent | None) -> list[Episode | Alert]:
        if event is None or (verdict.family == "info" and not self._settings.alert_on_info):
            return [story.episode]
        return [story.episode, Alert(event=event, at=story.episode.updated_at, episode=story.episode)]

    def _keep(self, verdict: Verdict, story: Story) -> None:
        self._stories[verdict.watchlist, verdict.family] = story

    def forget(self, texts: Mapping[str, str]) -> None:
        """Erase these documents (id → text) from what is told about the stories."""
        for key, story in self._stories.items():
            self._stories[key] = replace(story, episode=scrubbed(story.episode, texts))

    def retract(self, texts: Mapping[str, str]) -> list[Episode]:
        """The same, for documents that say something else now, or nothing. Returns the episodes that told of them."""
        before = {key: story.episode for key, story in self._stories.items()}
        self.forget(texts)
        return [story.episode for key, story in self._stories.items() if story.episode is not before[key]]

    def quoted(self, documents: Collection[str]) -> dict[str, str]:
        """What is quoted of these documents, by id."""
        shown = (each for story in self._stories.values() for each in story.episode.explanation.exemplars)
        return {each.document_id: each.text for each in shown if each.document_id in documents}

    def save(self) -> list[Facts]:
        """All stories."""
        return [
            {
                "family": family,
                "episode": story.episode.model_dump(mode="json"),
                "opened": story.opened,
                "last_alarm": story.last_alarm,
                "told": story.told,
                "theta": story.theta,
                "carriers": list(story.carriers),
                "loud": story.loud,
            }
            for (_, family), story in self._stories.items()
        ]

    def load(self, saved: Sequence[Facts]) -> None:
        """Take over the stories that `save` gave."""
        self._stories = {}
        for fields in saved:
            rest = {name: value for name, value in fields.items() if name not in ("family", "accepted")}
            # What was accepted was kept beside the episode before.
            accepted = {"accepted": fields["accepted"]} if "accepted" in fields else {}
            rest["episode"] = Episode.model_validate(rest["episode"] | accepted)
            rest["carriers"] = tuple(rest["carriers"])
            story = Story(**rest)
            self._stories[story.episode.watchlist, fields["family"]] = story


def _ended(story: Story, tick: int, *, accepted: bool) -> Story:
    end = start_of(tick + 1)
    update = {"state": "resolved", "updated_at": end, "resolved_at": end, "accepted": accepted}
    return replace(story, episode=story.episode.model_copy(update=update))


def _graver(old: EpisodeKind, new: EpisodeKind) -> EpisodeKind:
    """A story keeps the label that says most: a crisis is more than a shift of tone, a mix explains a surge."""
    return new if new in ("crisis", "source mix") else old
