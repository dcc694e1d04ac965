"""Texts are scored once, checked, and told in the words that people see."""

import math
from collections.abc import Callable, Sequence

import pytest

from opinionwatch.pipeline.contracts import DeadLetter, Mention, OpinionTerm, Reading, ScoredDocument, Sentiment
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError, RejectedError, RetryableError
from opinionwatch.pipeline.match import MatchedDocument, MatchStage
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.read import Read
from opinionwatch.pipeline.score import Mentions, Score
from opinionwatch.pipeline.watchlists import Watchlist
from tests.pipeline.test_read import NOW, document

WATCHED = (
    Watchlist(id="lumora", name="Lumora", names=("Lumora", "流墨")),
    Watchlist(id="phones", any=("phone", "手机"), aspects={"charge": ("battery", "电池")}),
)


def reading(text: str, *, negative: float = 0.8, span: tuple[int, int] | None = None) -> Reading:
    at = max(text.find("bad"), 0)
    opinion = span or (at, at + 3)
    place = text.find("battery")
    return Reading(
        sentiment=Sentiment.model_construct(
            label="negative", negative=negative, neutral=0.1, positive=0.1, unsure=False
        ),
        opinions=(
            OpinionTerm(
                aspect="battery" if place >= 0 else None,
                opinion=text[slice(*opinion)],
                polarity="negative",
                aspect_span=(place, place + 7) if place >= 0 else None,
                opinion_span=opinion,
                confidence=0.9,
            ),
        ),
    )


class Judge:
    """A scorer that calls everything bad, remembers what it was asked, and fails on command."""

    def __init__(self, fail: Callable[[Sequence[Passage]], Exception | None] = lambda _: None) -> None:
        self.version = "judge-1"
        self.asked: list[list[str]] = []
        self.answer: Callable[[str], Reading] = reading
        self._fail = fail

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        self.asked.append([passage.text for passage in passages])
        error = self._fail(passages)
        if error:
            raise error
        return [self.answer(passage.text) for passage in passages]


class Torn(Judge):
    """One that calls everything bad but Lumora, and remembers which places it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.named: list[list[str]] = []

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        return [
            whole.model_copy(
                update={"targets": tuple(self._toward(passage.text, places) for places in passage.targets)}
            )
            for whole, passage in zip(super().score(passages), passages, strict=True)
        ]

    def _toward(self, text: str, places: Sequence[tuple[int, int]]) -> Sentiment:
        words = [text[start:end] for start, end in places]
        self.named.append(words)
        if words == ["Lumora"]:
            return Sentiment(label="positive", negative=0.1, neutral=0.1, positive=0.8, unsure=False)
        return reading(text).sentiment


def matched(*texts: str) -> list[MatchedDocument]:
    documents = [document(text, id=str(at)) for at, text in enumerate(texts)]
    found = MatchStage(WATCHED)(Read()(documents, NOW), NOW)
    return [one for one in found if isinstance(one, MatchedDocument)]


def poisoned(error: Exception) -> Callable[[Sequence[Passage]], Exception | None]:
    return lambda passages: error if any("poison" in passage.text for passage in passages) else None


def test_a_document_is_scored_with_all_that_was_read_off_it() -> None:
    (scored,) = Score(Judge())(matched("my Lumora phone has a bad battery"), NOW)
    assert isinstance(scored, ScoredDocument)
    assert (scored.lang, scored.scorer) == ("en", "judge-1")
    assert [match.watchlist for match in scored.matches] == ["lumora", "phones"]
    assert scored.reading.opinions[0].opinion == "bad"


def test_the_scorer_sees_the_folded_text_and_people_their_own() -> None:
    (scored,) = Score(Judge())(matched("ﬁne: Lumora ｂａｄ batt\u200bery"), NOW)
    assert isinstance(scored, ScoredDocument)
    (opinion,) = scored.reading.opinions
    assert (opinion.opinion, opinion.opinion_span) == ("ｂａｄ", (12, 15))
    assert (opinion.aspect, opinion.aspect_span) == ("batt\u200bery", (16, 24))


def test_identical_texts_are_scored_once_within_a_batch_and_between_batches() -> None:
    judge = Judge()
    score = Score(judge)
    assert len(score(matched("Lumora bad", "Lumora ok", "Lumora bad"), NOW)) == 3
    assert len(score(matched("Lumora bad", "Ｌｕｍｏｒａ bad"), NOW)) == 2
    assert judge.asked == [["Lumora bad", "Lumora ok"]]


def test_another_version_or_a_full_cache_scores_again() -> None:
    judge = Judge()
    score = Score(judge, cache_size=1)
    score(matched("Lumora bad"), NOW)
    judge.version = "judge-2"
    score(matched("Lumora bad"), NOW)
    score(matched("Lumora ok"), NOW)
    (scored,) = score(matched("Lumora bad"), NOW)
    assert [len(call) for call in judge.asked] == [1, 1, 1, 1]
    assert isinstance(scored, ScoredDocument)
    assert scored.scorer == "judge-2"


def test_an_empty_batch_asks_nobody() -> None:
    judge = Judge()
    assert Score(judge)([], NOW) == []
    assert judge.asked == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RejectedError("model_output", "NaN"), "model_output"),
        (RejectedError("out_of_memory", "no room"), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (ValueError("bad shape"), "stage_failed"),
        (IndexError("index out of range in self"), "stage_failed"),
    ],
)
def test_only_the_poison_document_becomes_a_dead_letter(error: Exception, reason: str) -> None:
    judge = Judge(poisoned(error))
    texts = [f"Lumora {at}" for at in range(32)]
    texts[13] += " poison"
    outcome = Score(judge)(matched(*texts), NOW)
    dead = [record for record in outcome if isinstance(record, DeadLetter)]
    assert [record.id for record in outcome] == [str(at) for at in range(32)]
    assert [(letter.id, letter.reason, letter.stage) for letter in dead] == [("13", reason, "score")]
    assert {letter.scorer for letter in dead} == {judge.version}
    assert len(judge.asked) <= 2 * math.log2(32) + 1


def test_a_refusal_is_not_remembered() -> None:
    judge = Judge(poisoned(RejectedError("stage_failed", "no")))
    score = Score(judge)
    assert isinstance(score(matched("Lumora poison"), NOW)[0], DeadLetter)
    judge._fail = lambda _: None
    assert isinstance(score(matched("Lumora poison"), NOW)[0], ScoredDocument)


@pytest.mark.parametrize("error", [RetryableError("device busy"), FatalError("damaged weights")])
def test_what_is_no_fault_of_a_document_stops_the_batch(error: OpinionwatchError) -> None:
    with pytest.raises(type(error)):
        Score(Judge(lambda _: error))(matched("Lumora"), NOW)


@pytest.mark.parametrize(
    "answer",
    [
        lambda text: reading(text, negative=math.nan),
        lambda text: reading(text, negative=math.inf),
        lambda text: reading(text, negative=0.5),
        lambda text: reading(text, span=(0, 99)),
        lambda text: reading(text, span=(3, 3)),
        lambda text: reading(text, span=(-1, 3)),
    ],
)
def test_nonsense_of_the_scorer_is_a_dead_letter_and_not_a_document(answer: Callable[[str], Reading]) -> None:
    judge = Judge()
    judge.answer = lambda text: answer(text) if "odd" in text else reading(text)
    good, odd = Score(judge)(matched("Lumora bad", "Lumora odd"), NOW)
    assert isinstance(good, ScoredDocument)
    assert isinstance(odd, DeadLetter)
    assert odd.reason == "model_output"


def test_a_wrong_number_of_readings_is_nobodys_reading() -> None:
    class Short(Judge):
        def score(self, passages: Sequence[Passage]) -> list[Reading]:
            return super().score(passages)[:2]

    outcome = Score(Short())(matched("Lumora a", "Lumora b", "Lumora c", "Lumora d"), NOW)
    assert all(isinstance(record, ScoredDocument) for record in outcome)


def test_the_scorer_is_asked_about_what_the_folded_text_names_and_each_mention_bears_its_own_answer() -> None:
    judge = Torn()
    (scored,) = Score(judge)(matched("ﬁne: my Ｌｕｍｏｒａ phone"), NOW)
    assert isinstance(scored, ScoredDocument)
    assert judge.named == [["Lumora"], ["phone"]]
    assert (scored.reading.sentiment.label, scored.reading.targets) == ("negative", ())
    assert [match.sentiment and match.sentiment.label for match in scored.matches] == ["positive", "negative"]
    document_, lumora, phones = Mentions(WATCHED)([scored], NOW)
    assert document_ == scored
    assert isinstance(lumora, Mention)
    assert isinstance(phones, Mention)
    assert (lumora.reading.sentiment.label, phones.reading.sentiment.label) == ("positive", "negative")
    assert lumora.reading.opinions == scored.reading.opinions


def test_a_scorer_without_an_opinion_on_targets_leaves_each_mention_with_that_of_the_text() -> None:
    (scored,) = Score(Judge())(matched("my Lumora phone has a bad battery"), NOW)
    assert isinstance(scored, ScoredDocument)
    assert [match.sentiment for match in scored.matches] == [None, None]
    _, *mentions = Mentions(WATCHED)([scored], NOW)
    assert all(isinstance(each, Mention) and each.reading == scored.reading for each in mentions)


def test_the_same_text_matched_by_other_names_is_another_question() -> None:
    judge = Torn()
    score = Score(judge)
    [read] = Read()([document("my Lumora phone")], NOW)
    for watched in (WATCHED[:1], WATCHED[1:], WATCHED[:1]):
        (scored,) = score([one for one in MatchStage(watched)([read], NOW) if isinstance(one, MatchedDocument)], NOW)
        assert isinstance(scored, ScoredDocument)
        [match] = scored.matches
        assert match.sentiment is not None
        assert match.sentiment.label == ("positive" if match.watchlist == "lumora" else "negative")
    assert len(judge.asked) == 2


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_number_of_answers_about_targets_is_a_dead_letter(count: int) -> None:
    judge = Judge()
    judge.answer = lambda text: reading(text).model_copy(update={"targets": (reading(text).sentiment,) * count})
    (letter,) = Score(judge)(matched("my Lumora phone"), NOW)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.detail) == ("model_output", f"{count} sentiments for 2 targets")


def test_nonsense_about_a_target_is_a_dead_letter() -> None:
    judge = Judge()
    odd = reading("", negative=math.nan).sentiment
    judge.answer = lambda text: reading(text).model_copy(update={"targets": (reading(text).sentiment, odd)})
    (letter,) = Score(judge)(matched("my Lumora phone"), NOW)
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "model_output"


def test_each_match_is_a_mention_in_the_watchlists_own_aspects() -> None:
    scored = Score(Judge())(matched("my Lumora phone has a bad battery", "流墨 bad"), NOW)
    documents = [one for one in scored if isinstance(one, ScoredDocument)]
    outcome = Mentions(WATCHED)(documents, NOW)
    assert [type(record) for record in outcome] == [ScoredDocument, Mention, Mention, ScoredDocument, Mention]
    mentions = [record for record in outcome if isinstance(record, Mention)]
    assert [(mention.watchlist, mention.aspect) for mention in mentions] == [
        ("lumora", "battery"),
        ("phones", "charge"),
        ("lumora", "general"),
    ]
    assert len({mention.id for mention in mentions}) == 3
