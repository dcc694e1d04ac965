"""Duplicates, near-duplicates and floods."""

from datetime import UTC, datetime, timedelta

from opinionwatch.pipeline.cluster import CLUSTER_TICKS, SEEN_TICKS, Standing, Voices
from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.ticks import tick_of
from tests.alerts.stream import Stream

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
PRINT = 0x0123456789ABCDEF


def said(fingerprint: int, at: datetime = NOON, author: str | None = None, watchlist: str = "lumora") -> Mention:
    """A mention with that fingerprint."""
    mention = Stream().say(at, label="negative", fingerprint=f"{fingerprint:016x}", author=author, watchlist=watchlist)
    return mention.model_copy(update={"author": author})


def place(voices: Voices, mention: Mention) -> Standing:
    """Where it stands at its own tick."""
    return voices.place(mention, tick_of(mention.accepted_at))


def test_a_text_within_three_bits_of_an_earlier_one_is_a_repost() -> None:
    voices = Voices()
    assert place(voices, said(PRINT)) == Standing(True, False, f"{PRINT:016x}")
    assert place(voices, said(PRINT ^ 0b111)) == Standing(False, True, f"{PRINT:016x}")
    assert place(voices, said(PRINT ^ (1 | 1 << 20 | 1 << 40))).repost
    assert place(voices, said(PRINT ^ (1 | 1 << 20 | 1 << 40 | 1 << 60))).voice


def test_a_repost_is_measured_against_the_first_text_so_clusters_do_not_creep() -> None:
    voices = Voices()
    place(voices, said(PRINT))
    assert place(voices, said(PRINT ^ 0b111)).repost
    assert not place(voices, said(PRINT ^ 0b111111)).repost


def test_every_watchlist_has_its_own_clusters() -> None:
    voices = Voices()
    place(voices, said(PRINT))
    assert place(voices, said(PRINT, watchlist="kite")).voice


def test_a_text_too_short_to_compare_is_never_a_repost() -> None:
    voices = Voices()
    assert place(voices, said(0)).voice
    assert place(voices, said(0)).voice


def test_where_people_review_equal_words_are_voices_of_their_own_but_one_authors_flood_is_not() -> None:
    first = said(PRINT, author="ann")
    voices = Voices(reviews=[first.source])
    assert place(voices, first).voice
    assert place(voices, said(PRINT, author="bob")) == Standing(True, False, said(PRINT, author="bob").id)
    assert not place(voices, said(PRINT, NOON + timedelta(minutes=5), author="bob")).voice
    assert place(Voices(["another source"]), first) == place(Voices(), first)


def test_an_author_is_one_voice_an_hour_of_event_time() -> None:
    voices = Voices()
    moments = (0, 20, 59, 60, 90, 125)
    heard = [
        place(voices, said(PRINT * (n + 1) % 2**64, NOON + timedelta(minutes=minute), "ann")).voice
        for n, minute in enumerate(moments)
    ]
    assert heard == [True, False, False, True, False, True]
    assert place(voices, said(PRINT * 99 % 2**64, NOON, "bob")).voice


def test_a_cluster_is_forgotten_a_day_after_its_last_member() -> None:
    voices = Voices()
    tick = tick_of(NOON)
    voices.place(said(PRINT), tick)
    assert voices.place(said(PRINT), tick + CLUSTER_TICKS - 1).repost
    assert voices.place(said(PRINT), tick + 2 * CLUSTER_TICKS - 2).repost
    assert voices.place(said(PRINT), tick + 3 * CLUSTER_TICKS - 2).voice


def test_forgetting_early_or_never_gives_the_same_answers() -> None:
    tidy, untidy = Voices(), Voices()
    for step in range(0, 4 * CLUSTER_TICKS, 37):
        tidy.forget(step)
        mention = said(PRINT ^ (step % 5), author=f"a{step % 7}")
        assert tidy.place(mention, step) == untidy.place(mention, step)
        name = f"{step % 11:032x}"
        assert tidy.is_new(name, step) == untidy.is_new(name, step)


def test_an_id_is_known_for_two_days() -> None:
    voices = Voices()
    name = "ab" * 16
    assert voices.is_new(name, 0)
    assert not voices.is_new(name, SEEN_TICKS - 1)
    assert voices.is_new(name, SEEN_TICKS)


def test_a_restored_memory_answers_as_the_old_one() -> None:
    voices, copy = Voices(), Voices()
    place(voices, said(PRINT, author="ann"))
    voices.is_new("ab" * 16, 5)
    copy.load(*voices.save())
    assert not copy.is_new("ab" * 16, 5)
    assert place(copy, said(PRINT ^ 1)).repost
    assert not place(copy, said(PRINT * 3 % 2**64, author="ann")).voice
