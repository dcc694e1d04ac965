"""The records of the trend hop: windows, signals, episodes, alerts, and what is delivered to people."""

from typing import Annotated, Literal

from pydantic import Field

from opinionwatch.pipeline.contracts import Label, OpinionTerm, Record, Utc, content_id

EpisodeKind = Literal["crisis", "tone shift", "volume surge", "source mix", "no data"]
"""crisis: share and volume of negatives up; tone shift: share only; the others are information."""
EpisodeState = Literal["open", "escalated", "resolved"]
AlertEvent = Literal["opened", "escalated", "updated", "resolved"]
Severity = Literal["info", "warning", "critical"]


Verb = Literal["acknowledge", "real", "not_crisis"]
"""What people answer to an episode: somebody takes care of it; it was one; it was none."""


class Interval(Record):
    """An estimate with its 95 % interval."""

    low: float
    value: float
    high: float


class Window(Record):
    """Counts of one watchlist × source × aspect in one 5-minute bucket of event time. Absolute, so that a rewrite
    is harmless; late documents rewrite their bucket.

    `posts`, `negative`, `positive`, `unsure` count documents; `voices` and `negative_voices` count reposts of one text
    and floods by one author once. `unsure` documents are in neither `negative` nor `positive`.
    """

    schema_version: Literal[1] = 1
    watchlist: str
    source: str
    aspect: str
    start: Utc
    posts: int
    voices: int
    negative: int
    positive: int
    unsure: int
    negative_voices: int
    sure_voices: int
    """Voices the scorer is sure about: the denominator of the detector's share."""
    changes: Annotated[int, Field(exclude=True)] = 0
    """How often something was taken back here. `edition` needs it; stores do not keep it."""

    @property
    def edition(self) -> int:
        """Grows with everything that is counted or taken back (one post at a time): the higher one knows more."""
        return self.posts + 2 * self.changes

    @property
    def id(self) -> str:
        """Content-derived from the key."""
        return content_id(self.watchlist, self.source, self.aspect, self.start.isoformat())


class Contribution(Record):
    """How much one aspect or one source has to do with a finding."""

    name: str
    weight: Annotated[float, Field(ge=0, le=1)]
    """Posterior weight among its kind."""
    voices: int
    negative: int
    expected: float
    """Negative voices expected from the baseline."""
    odds_ratio: Interval


class Signal(Record):
    """The detector's finding about one watchlist at the end of one tick."""

    watchlist: str
    at: Utc
    score: float
    """ln M of the mixture e-detector; an alarm at `threshold`."""
    threshold: float
    kind: EpisodeKind
    theta: float
    """Leading odds ratio of the mixture: how strong."""
    volume_ratio: float
    """Posts now over posts expected."""
    share_before: Interval
    share_now: Interval
    posts: int
    voices: int
    negative: int
    expected: float
    aspects: tuple[Contribution, ...]
    sources: tuple[Contribution, ...]


class Term(Record):
    """A word or phrase that is over-represented in the negative voices of the finding."""

    term: str
    z: float
    """Log-odds with informative Dirichlet prior, in standard deviations (Monroe et al. 2008)."""
    count: int


class Exemplar(Record):
    """One post shown as evidence."""

    document_id: str
    source: str
    author: str | None
    url: str | None
    lang: str
    text: str
    published_at: Utc
    label: Label
    negative: float
    opinions: tuple[OpinionTerm, ...]


class Explanation(Record):
    """Why: everything a reader needs to check the alarm."""

    signal: Signal
    terms: tuple[Term, ...]
    exemplars: tuple[Exemplar, ...]
    repost_share: float
    """Share of the negative posts of the finding that repeat another one."""
    once_in_weeks: float
    """How sure: by chance a watchlist would raise such a score once in this many weeks (bound of the detector)."""


class Episode(Record):
    """One story about one watchlist: opened, perhaps escalated, resolved."""

    schema_version: Literal[1] = 1
    id: str
    """`content_id(tenant, watchlist, kind family, opening tick)`."""
    tenant: str
    watchlist: str
    kind: EpisodeKind
    state: EpisodeState
    severity: Severity
    opened_at: Utc
    began_at: Utc
    """When the change itself probably began, at or before `opened_at`."""
    updated_at: Utc
    resolved_at: Utc | None
    peak_score: float
    posts: int
    voices: int
    negative: int
    """Of the posts, not of the voices."""
    explanation: Explanation
    accepted: bool = False
    """It ended because it had lasted so long that it is taken as the normal from then on, not because it was over."""


class Alert(Record):
    """Something to tell people: one event in the life of an episode. Its id is the same after every restart."""

    schema_version: Literal[1] = 1
    event: AlertEvent
    at: Utc
    episode: Episode

    @property
    def id(self) -> str:
        """Content-derived from episode, event and tick."""
        return content_id(self.episode.id, self.event, self.at.isoformat())


class Message(Record):
    """An alert rendered for people, in one language and no markup; every channel dresses it in its own.

    `example texts` are quoted from strangers: a channel escapes them by its own rules.
    """

    alert_id: str
    episode_id: str
    opened_id: str = ""
    """Alert id of the episode's opening: what later messages reply to."""
    lang: Literal["en", "zh"]
    event: AlertEvent | Literal["test"]
    severity: Severity
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    """Label and value: since when, how strong, posts and voices, how sure, …"""
    reasons: tuple[tuple[str, str], ...]
    """Label and value: aspects, sources, terms."""
    examples: tuple[Exemplar, ...]
    link: str
    dashboard: str = ""
    """Where Kibana explains the episode; empty without one."""
    at: Utc
    chart_png: bytes | None = None
    answers: tuple[tuple[Verb, str], ...] = ()
    """Signed one-time addresses that answer the episode, for channels without buttons of their own."""
    repeat: bool = False
    """True when an earlier attempt may have got through: the text says so and carries the same id."""
    others: tuple["Message", ...] = ()
    """Other stories of its group, told with it."""
    untold: int = 0
    """How many more there are, which a channel has no room for."""


DeliveryState = Literal["pending", "sending", "sent", "failed", "suppressed"]


Purpose = Literal["alert", "escalation", "fallback"]
"""Why somebody is told: it is theirs; nobody has acknowledged it; another channel has refused it."""


class Delivery(Record):
    """One alert to one channel: the unit of the outbox."""

    schema_version: Literal[1] = 1
    alert: Alert
    channel: str
    state: DeliveryState
    attempts: int = 0
    uncertain: bool = False
    """An earlier attempt may have got through: whatever became of later ones, the next says so."""
    due_at: Utc
    detail: str = ""
    """Why it was suppressed, held or failed, in words."""
    purpose: Purpose = "alert"
    group: str = ""
    """Deliveries to one channel with the same group that are due together are one message. Empty: never together."""
    joined: str = ""
    """Id of the delivery whose message it is part of."""
    fallback: str = ""
    """Channel that is told instead when this one refuses for good."""

    @property
    def id(self) -> str:
        """Content-derived: one alert goes to one channel once for one purpose."""
        return content_id(self.alert.id, self.channel, *(() if self.purpose == "alert" else (self.purpose,)))


class Silence(Record):
    """A person's wish not to be told about a watchlist (all when None) for a time."""

    id: str
    watchlist: str | None
    starts_at: Utc
    ends_at: Utc
    created_by: str
    comment: str


class Feedback(Record):
    """A person's answer to an episode, kept with it: what the alarm was worth."""

    schema_version: Literal[1] = 1
    id: str
    episode_id: str
    verb: Verb
    at: Utc
    """By the wall clock of whoever took it."""
    by: str
    via: Literal["page", "api", "slack", "link"]
    comment: str = ""
