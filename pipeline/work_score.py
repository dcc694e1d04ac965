"""The score hop on the log: documents in; scored documents, drops and dead letters to the index, mentions to the log.

Order of a batch: admit → score and write to the index, the one part while the other → dead letters confirmed →
mentions confirmed → marks of progress.
A mark leaves after every mention of the documents before it, in every partition of the mentions log, whatever is
killed in between: a successor begins again before those documents.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain

from opinionwatch.pipeline.contracts import DeadLetter, Document, Drop, Gap, Mention, ScoredDocument
from opinionwatch.pipeline.contracts_changes import Deletion, Engaged, Withdrawal
from opinionwatch.pipeline.errors import FatalError, RejectedError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.hops import Scored
from opinionwatch.pipeline.lanes import Lane
from opinionwatch.pipeline.log import Appender, Entry
from opinionwatch.pipeline.log_records import Again, Mark, Unreadable, decode, encode, entries
from opinionwatch.pipeline.metrics import Metrics, Step
from opinionwatch.pipeline.ports import Clock
from opinionwatch.pipeline.revisions import Admitted, Record, highest_of, standing, withdrawals
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.stages import bury_document
from opinionwatch.pipeline.topics import TopicName, partition_of, topic_of
from opinionwatch.pipeline.trials import Trials
from opinionwatch.pipeline.work import DaemonLedger, Delivered

PART = 256
"""Documents scored at a time: enough for a scorer to sort by length, few enough to keep the index busy meanwhile."""


class ScoreWork:
    """One score worker's work."""

    reads: TopicName = "documents"

    def __init__(
        self,
        kafka: Kafka,
        limits: Limits,
        score: Callable[[Sequence[Document], datetime], Sequence[Scored]],
        ledger: DaemonLedger,
        log: Appender,
        trials: Trials,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._trials = trials
        self._metrics = metrics
        self._kafka, self._limits, self._score = kafka, limits, score
        self._ledger, self._log, self._clock = ledger, log, clock
        self._buried: list[tuple[datetime, int]] = []

    def take(self, batch: Sequence[Delivered]) -> None:
        """Score what these entries hold. Raises FatalError when there are more dead letters than the limit allows."""
        now = self._clock()
        admissible: list[Record] = []
        retried: list[Again] = []
        gaps: list[Gap] = []
        marks: list[Mark] = []
        first: dict[int, int] = {}
        with self._metrics.step("decode"):
            for entry in batch:
                first.setdefault(entry.partition, entry.offset)
                for record in decode(entry.value):
                    match record:
                        case Document() | Deletion() | DeadLetter():
                            admissible.append(record)
                        case Again():
                            retried.append(record)
                        case Gap():
                            gaps.append(record)
                        case Mark():
                            marks.append(record)
                        case Unreadable():
                            place = f"{topic_of(self._kafka, self.reads)}/{entry.partition}/{entry.offset}"
                            admissible.append(record.letter(place, now))
        careful = self._trials.begin(first)
        failpoint("score.begin")
        with self._writing("admit"):
            admitted = self._ledger.admit(admissible) if admissible else []
        failpoint("score.admitted")
        suspects = [record for record in (*admitted, *retried) if self._partition(record) in careful]
        for suspect in suspects:
            self._alone(suspect, now)
        self._trials.together()
        if gaps:
            self._ledger.write(gaps)
        self._settle([record for record in (*admitted, *retried) if record not in suspects], now)
        with self._metrics.step("log"):
            self._log.append(
                [
                    Entry("mentions", partition, encode(mark))
                    for mark in _last(marks)
                    for partition in range(self._kafka.mentions_partitions)
                ]
            )
        failpoint("score.marked")
        self._trials.done({entry.partition: entry.offset + 1 for entry in batch})

    def finish(self) -> None:
        """Nothing: the score hop remembers nothing."""

    def _partition(self, record: Admitted | Again) -> int:
        name = record.record.id if isinstance(record, Again) else record.id
        return partition_of(name, self._kafka.documents_partitions)

    def _alone(self, suspect: Admitted | Again, now: datetime) -> None:
        """One record of a batch on which processes have died."""
        document = suspect.record if isinstance(suspect, Again) else suspect
        partition = self._partition(suspect)
        if isinstance(document, Document) and self._trials.condemned(partition, document.id):
            death = RejectedError("crash_loop", "process after process died on it, alone; it was not tried again")
            suspect = bury_document(document, "score", death)
        self._trials.alone(partition, document.id)
        self._settle([suspect], now)

    def _settle(self, records: Sequence[Admitted | Again], now: datetime) -> None:
        """Give every record its outcome: a part is scored while those before it are being written."""
        before = {record.record.id: record for record in records if isinstance(record, Again)}
        given = [record.record if isinstance(record, Again) else record for record in records]
        changes = [record for record in given if isinstance(record, Deletion | Engaged)]
        outcomes: list[Scored] = []
        dead: list[DeadLetter] = []
        with self._writing("index"):
            refused = self._ledger.write_parts(self._parts(given, before, now, outcomes, dead)) if given else []
            if changes:  # figures may be those of a document of this batch
                self._ledger.write(changes)
        failpoint("score.written")
        if dead:
            self._buried.append((now, len(dead)))
        lost = {letter.id for letter in refused}
        for id_ in sorted(before.keys() - {letter.id for letter in dead} - lost):
            self._ledger.forget_letter(id_)
        with self._metrics.step("log"):
            self._log.append([Entry("deadletters", 0, encode(letter)) for letter in (*dead, *refused)])
        failpoint("score.buried")
        mentions = [record for record in outcomes if isinstance(record, Mention) and record.document_id not in lost]
        with self._metrics.step("log"):
            self._log.append([*self._mentions(mentions), *self._withdrawals(withdrawals(given, mentions))])
        failpoint("score.mentioned")
        self._count([*outcomes, *dead, *refused])

    def _parts(
        self,
        given: Sequence[Admitted],
        before: Mapping[str, Again],
        now: datetime,
        outcomes: list[Scored],
        dead: list[DeadLetter],
    ) -> Iterator[Sequence[Scored]]:
        """What becomes of `given`, noted in `outcomes` and `dead`, too. Letters come first: a flood ends it at once."""
        letters: Sequence[Scored] = [record for record in given if isinstance(record, DeadLetter)]
        documents = [record for record in given if isinstance(record, Document)]
        highest = highest_of(given)  # what another version of the same batch supersedes is not written
        for scored in chain([letters], self._scored(documents, now)):
            buried = [_renewed(each, before.get(each.id)) for each in scored if isinstance(each, DeadLetter)]
            found = [record for record in scored if not isinstance(record, DeadLetter)]
            outcomes += found
            dead += buried
            self._refuse_a_flood(len(dead), now)
            yield standing([*found, *buried], highest)

    def _scored(self, documents: Sequence[Document], now: datetime) -> Iterator[Sequence[Scored]]:
        for start in range(0, len(documents), PART):
            with self._metrics.step("stages"):
                scored = self._score(documents[start : start + PART], now)
            failpoint("score.scored")
            yield scored

    @contextmanager
    def _writing(self, step: Step) -> Iterator[None]:
        """Count a step that writes, with what the ledger's own threads do for it."""
        before = self._ledger.cpu_s
        with self._metrics.step(step):
            yield
        self._metrics.count("opinionwatch_step_cpu_seconds_total", self._ledger.cpu_s - before, step)

    def _count(self, outcomes: Sequence[Scored]) -> None:
        now = self._clock()
        for record in outcomes:
            match record:
                case ScoredDocument():
                    self._metrics.count("opinionwatch_records_total", label="indexed")
                    waited = (now - record.document.accepted_at).total_seconds()
                    self._metrics.observe("opinionwatch_latency_seconds", max(0.0, waited))
                case Mention():
                    self._metrics.count("opinionwatch_records_total", label="mention")
                case Drop():
                    self._metrics.count("opinionwatch_records_total", label="dropped")
                    self._metrics.count("opinionwatch_drops_total", label=record.rule)
                case DeadLetter():
                    self._metrics.count("opinionwatch_records_total", label="dead")
                    self._metrics.count("opinionwatch_dead_letters_total", label=record.reason)

    def _mentions(self, mentions: Iterable[Mention]) -> list[Entry]:
        lines: dict[int, list[bytes]] = {}
        for mention in mentions:
            partition = partition_of(mention.watchlist, self._kafka.mentions_partitions)
            lines.setdefault(partition, []).append(encode(mention))
        return [Entry("mentions", partition, entry) for partition, found in lines.items() for entry in entries(found)]

    def _withdrawals(self, withdrawn: Sequence[Withdrawal]) -> list[Entry]:
        """For every partition: nobody here remembers which watchlists an earlier version was said in."""
        found = list(entries([encode(each) for each in withdrawn]))
        return [Entry("mentions", part, entry) for part in range(self._kafka.mentions_partitions) for entry in found]

    def _refuse_a_flood(self, count: int, now: datetime) -> None:
        if not count:
            return
        self._buried = [(at, number) for at, number in self._buried if at > now - timedelta(hours=1)]
        total = count + sum(number for _, number in self._buried)
        if total > self._limits.deadletters_per_hour:
            raise FatalError(
                f"{total} dead letters within an hour, more than limits.deadletters_per_hour: something upstream is "
                "broken. Nothing of this batch was committed. Look at `opinionwatch deadletters list`, mend the "
                "source, start again."
            )


def _last(marks: Iterable[Mark]) -> list[Mark]:
    """The last mark of each lane, and those around a time for which nobody vouches: only they say when that was."""
    found: dict[Lane, list[Mark]] = {}
    for mark in marks:
        told = found.setdefault(mark.lane, [])
        if told and not (mark.assumed or told[-1].assumed):
            told.pop()
        told.append(mark)
    return [mark for told in found.values() for mark in told]


def _renewed(letter: DeadLetter, before: Again | None) -> DeadLetter:
    """A letter that was there before keeps its time, and has one attempt more."""
    if before is None:
        return letter
    return letter.model_copy(update={"accepted_at": before.first_at, "attempts": before.attempts + 1})
