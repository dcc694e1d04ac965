"""What every scorer must do, whatever it is made of."""

import math

import pytest
from pydantic import BaseModel, ValidationError

from opinionwatch.pipeline.contracts import Reading, Sentiment
from opinionwatch.pipeline.ports import Passage, Scorer

PLAIN = [
    Passage("The battery is awful but I love the screen", "en"),
    Passage("客服态度太差了，不过味道很好", "zh"),
    Passage("屏幕 is great，电池 is 差", "zh"),
    Passage("ships from the warehouse on monday", "en"),
    Passage("not bad at all!!!", "en"),
    Passage("The battery is awful but I love the screen", "en"),
]
STRANGE = [
    Passage("", "und"),
    Passage("   \t\n ", "und"),
    Passage("😀😡😭", "und"),
    Passage("👩‍👩‍👧‍👦 great 👍🏽", "en"),
    Passage("good \ud800 bad", "en"),
    Passage("\udfff", "und"),
    Passage("good\x00bad \x00\x07", "en"),
    Passage("a" * 50_000, "en"),
    Passage("great 差 " * 7_000, "en"),
    Passage("不" * 20_000, "zh"),
    Passage("!?" * 5_000, "und"),
    Passage("İstanbul ﬁne ẞ good", "tr"),
    Passage("ممتاز جدا", "ar"),
    Passage("<s> </s> <pad> <unk> [CLS] [SEP] [MASK] [PAD]", "en"),
]
TARGETED = [
    Passage("Corvo beats Brava", "en", (((0, 5),), ((12, 17),))),
    Passage("科沃比布拉瓦好，科沃便宜", "zh", (((0, 2), (8, 10)),)),
    Passage("nobody is named", "en", ((), ((900, 905),))),
    Passage("great " * 20_000 + "Brava", "en", (((120_000, 120_005),), ((0, 5),))),
    Passage("many names", "en", (((0, 4),),) * 500),
    Passage("one name " * 300, "en", (tuple((9 * at, 9 * at + 3) for at in range(300)),)),
    Passage("", "und", (((0, 0),),)),
]
ALL = [*PLAIN, *STRANGE, *TARGETED]


def close(one: Reading, other: Reading, bound: float) -> bool:
    """Whether two readings are the same up to `bound` in every probability of the text."""
    return alike(one.sentiment, other.sentiment, bound)


def alike(one: Sentiment, other: Sentiment, bound: float) -> bool:
    """Whether two sentiments are. They are rounded decimals, whose difference is a little off in binary."""
    names = ("negative", "neutral", "positive")
    return all(abs(getattr(one, name) - getattr(other, name)) <= bound + 1e-9 for name in names)


class ScorerSuite:
    """Subclass it and give it a fixture `scorer` (scope class, when loading takes time)."""

    bound = 1e-4
    """How far a probability may move with the company a text keeps."""

    @pytest.fixture(scope="class")
    @classmethod
    def readings(cls, scorer: Scorer) -> list[Reading]:
        """Everything at once."""
        return scorer.score(ALL)

    def test_it_is_a_scorer_with_a_version_and_words_about_itself(self, scorer: Scorer) -> None:
        assert isinstance(scorer, Scorer)
        assert scorer.version.strip()
        assert (type(scorer).__doc__ or "").strip()

    def test_its_settings_are_frozen_closed_and_described(self, scorer: Scorer) -> None:
        settings = type(scorer).Settings  # type: ignore[attr-defined]  # what the registry asks of a scorer
        assert issubclass(settings, BaseModel)
        assert settings.model_config["frozen"]
        assert [name for name, field in settings.model_fields.items() if not field.description] == []
        with pytest.raises(ValidationError):
            settings(no_such_setting=1)

    def test_an_empty_batch_gives_nothing(self, scorer: Scorer) -> None:
        assert scorer.score([]) == []

    def test_there_is_one_reading_a_passage(self, readings: list[Reading]) -> None:
        assert len(readings) == len(ALL)

    def test_a_batch_equals_its_singles_in_order(self, scorer: Scorer, readings: list[Reading]) -> None:
        for passage, together in zip(ALL, readings, strict=True):
            [alone] = scorer.score([passage])
            assert close(together, alone, self.bound), ascii(passage.text[:40])
            assert len(together.targets) == len(alone.targets)
            assert all(map(alike, together.targets, alone.targets, [self.bound] * len(alone.targets)))
            assert [term.opinion_span for term in together.opinions] == [term.opinion_span for term in alone.opinions]

    def test_another_order_gives_the_same_readings(self, scorer: Scorer, readings: list[Reading]) -> None:
        backwards = scorer.score(ALL[::-1])[::-1]
        assert all(close(one, other, self.bound) for one, other in zip(readings, backwards, strict=True))

    def test_the_same_batch_gives_the_same_readings(self, scorer: Scorer, readings: list[Reading]) -> None:
        assert scorer.score(ALL) == readings

    def test_equal_passages_have_equal_readings(self, readings: list[Reading]) -> None:
        assert close(readings[0], readings[5], self.bound)

    def test_probabilities_are_a_distribution_whose_best_is_the_label(self, readings: list[Reading]) -> None:
        for reading in readings:
            mood = reading.sentiment
            chances = (mood.negative, mood.neutral, mood.positive)
            assert all(math.isfinite(chance) and 0 <= chance <= 1 for chance in chances)
            assert sum(chances) == pytest.approx(1, abs=1e-6)
            assert getattr(mood, mood.label) >= max(chances) - self.bound

    def test_there_is_a_sentiment_for_each_target_of_a_passage_or_for_none(self, readings: list[Reading]) -> None:
        for passage, reading in zip(ALL, readings, strict=True):
            assert len(reading.targets) in (0, len(passage.targets))
            for mood in reading.targets:
                chances = (mood.negative, mood.neutral, mood.positive)
                assert all(math.isfinite(chance) and 0 <= chance <= 1 for chance in chances)
                assert sum(chances) == pytest.approx(1, abs=1e-6)

    def test_what_is_asked_about_targets_changes_nothing_of_the_text(
        self, scorer: Scorer, readings: list[Reading]
    ) -> None:
        bare = scorer.score([passage._replace(targets=()) for passage in ALL])
        assert all(close(one, other, self.bound) for one, other in zip(bare, readings, strict=True))
        assert all(reading.targets == () for reading in bare)

    def test_spans_are_inside_the_text_and_hold_their_terms(self, readings: list[Reading]) -> None:
        for passage, reading in zip(ALL, readings, strict=True):
            for term in reading.opinions:
                start, end = term.opinion_span
                assert 0 <= start < end <= len(passage.text)
                assert passage.text[start:end] == term.opinion
                assert (term.aspect is None) == (term.aspect_span is None)
                if term.aspect_span is not None:
                    start, end = term.aspect_span
                    assert 0 <= start < end <= len(passage.text)
                    assert passage.text[start:end] == term.aspect
