"""The demo's corpus, its story, and the source that replays it."""

import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest

from opinionwatch.connectors.demo import Demo, watchlists
from opinionwatch.connectors.demo_story import (
    BEGIN,
    CRISIS,
    CRISIS_BEGINS,
    CRISIS_RAMP_MIN,
    END,
    LAST_DAY,
    LAUNCH_BEGINS,
    LAUNCH_ENDS,
    PLACES,
    SILENT,
    STORM_BEGINS,
    Post,
    story,
)
from opinionwatch.connectors.demo_text import FOLDER, LANGS, SLOT, Lang, Scene, corpus
from opinionwatch.pipeline.contracts import Label, Submission
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ports import Item, Source

SEED = Demo.Settings().seed
BRANDS = ("Lumora", "Skyfare", "Kumobean")
ASPECTS = {
    *("battery", "camera", "screen", "performance", "software", "price", "design", "delivery", "service"),
    *("staff", "app", "quality", "taste", "seat", "punctuality", "baggage", "safety", "general"),
}


def first(seed: int = SEED) -> list[Post]:
    return [post for post in story(seed) if not post.repeated]


def negative_share(posts: list[Post]) -> float:
    return sum(post.tone == "negative" for post in posts) / len(posts)


def on_a_usual_day(brand: str, begin_h: int, end_h: int) -> float:
    """Posts about a brand between two hours of a usual day, without the place that falls silent."""
    history = [post for post in first() if post.brand == brand and post.published_at < LAST_DAY]
    return sum(begin_h <= post.published_at.hour < end_h and post.place != SILENT for post in history) / 7


def items(source: Demo, cursor: str | None = None) -> list[Item]:
    return [item for page in source.fetch(cursor) for item in page.items]


def test_every_sentence_of_the_corpus_is_well_formed() -> None:
    seen: Counter[str] = Counter()
    for brand in BRANDS:
        for lang in LANGS:
            for sentence in corpus(brand, lang):
                seen[re.sub(r"\W", "", sentence.text.lower())] += 1
                assert sentence.aspect in ASPECTS, sentence
                bare = SLOT.sub("xx", sentence.text)
                assert not set("{}\t|") & set(bare), sentence
                assert bare == bare.strip(), sentence
                if lang == "en":
                    assert bare.isascii() and 3 <= len(bare.split()) <= 25, sentence
                else:
                    assert re.search("[\u4e00-\u9fff]", bare) and 5 <= len(bare) <= 45, sentence
    assert [sentence for sentence, count in seen.items() if count > 1] == []


def test_the_corpus_is_large_and_half_of_it_is_chinese() -> None:
    sizes = {(brand, lang): len(corpus(brand, lang)) for brand in BRANDS for lang in LANGS}
    assert min(sizes.values()) >= 145
    assert sum(sizes.values()) >= 860
    for brand in BRANDS:
        assert sizes[brand, "en"] == sizes[brand, "zh"]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("brand", BRANDS)
def test_the_usual_mood_is_a_quarter_negative(brand: str, lang: Lang) -> None:
    tones = Counter(sentence.tone for sentence in corpus(brand, lang) if sentence.scene == "usual")
    shares: dict[Label, float] = {"negative": 0.25, "neutral": 0.40, "positive": 0.35}
    assert tones.total() >= 110
    for tone, share in shares.items():
        assert tones[tone] / tones.total() == pytest.approx(share, abs=0.03)


def test_each_scene_belongs_to_one_brand() -> None:
    scenes: set[tuple[str, Scene]] = {
        (brand, sentence.scene) for brand in BRANDS for lang in LANGS for sentence in corpus(brand, lang)
    }
    assert {pair for pair in scenes if pair[1] != "usual"} == {
        ("Lumora", "crisis"),
        ("Skyfare", "launch"),
        ("Kumobean", "storm"),
    }


def test_every_corpus_file_is_used() -> None:
    assert {path.name for path in FOLDER.glob("*.tsv")} == {f"{b.lower()}_{lang}.tsv" for b in BRANDS for lang in LANGS}


def test_the_story_has_more_than_six_thousand_posts_half_of_them_chinese() -> None:
    posts = first()
    assert 6_000 <= len(posts) <= 6_500
    assert len({post.native_id for post in posts}) == len(posts)
    for place in PLACES:
        langs = Counter(post.lang for post in posts if post.place == place)
        assert langs["zh"] / langs.total() == pytest.approx(0.5, abs=0.01)


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    told = items(Demo("demo", Demo.Settings(seed=1)))
    story.cache_clear()
    assert items(Demo("demo", Demo.Settings(seed=1))) == told
    assert items(Demo("demo", Demo.Settings(seed=2))) != told


def test_posts_come_in_order_of_arrival_and_never_before_they_are_published() -> None:
    for earlier, later in pairwise(story(SEED)):
        assert earlier.arrived_at <= later.arrived_at
    for post in story(SEED):
        assert BEGIN <= post.published_at <= post.arrived_at < END


def test_every_post_names_its_own_brand_as_a_word_of_its_own_and_no_other_brand() -> None:
    names = {str(watchlist["name"]): watchlist["names"] for watchlist in watchlists()}
    patterns = {
        brand: re.compile("|".join(rf"(?<![A-Za-z0-9]){name}(?![A-Za-z0-9])" for name in map(str, aliases)))
        for brand, aliases in names.items()
        if isinstance(aliases, list)
    }
    for post in story(SEED):
        assert {brand for brand, pattern in patterns.items() if pattern.search(post.text)} == {post.brand}, post.text
        assert "{" not in post.text


def test_the_same_words_rarely_come_twice_in_a_day() -> None:
    last: dict[str, Post] = {}
    again = 0
    posts = sorted((post for post in first() if post.scene != "storm"), key=lambda post: post.published_at)
    for post in posts:
        before = last.get(post.text)
        again += before is not None and post.published_at - before.published_at < timedelta(hours=24)
        last[post.text] = post
    assert again / len(posts) < 0.03


def test_authors_are_thousands() -> None:
    assert len({post.author for post in first()}) > 2_000


def test_the_day_has_a_night() -> None:
    for brand in BRANDS:
        assert on_a_usual_day(brand, 13, 17) > 3 * on_a_usual_day(brand, 1, 5)


def test_the_crisis_grows_to_six_times_the_usual_volume_and_is_mostly_negative() -> None:
    full = CRISIS_BEGINS + timedelta(minutes=CRISIS_RAMP_MIN)
    posts = [post for post in first() if post.brand == "Lumora" and post.published_at >= full]
    after_one = [post for post in posts if post.published_at.hour >= 13]
    assert len(after_one) / on_a_usual_day("Lumora", 13, 24) == pytest.approx(6, rel=0.15)
    assert negative_share(posts) == pytest.approx(0.87, abs=0.04)
    assert max(post.published_at for post in posts) > END - timedelta(hours=1)
    crisis = [post for post in first() if post.scene == "crisis"]
    assert min(post.published_at for post in crisis) >= CRISIS.onset
    assert {post.place for post in crisis} == set(CRISIS.places)
    assert Counter(post.lang for post in crisis)["zh"] / len(crisis) == pytest.approx(0.5, abs=0.02)
    assert Counter(post.aspect for post in crisis).most_common(1)[0][0] == CRISIS.aspect


def test_the_launch_brings_six_times_the_volume_in_the_usual_mood() -> None:
    posts = [post for post in first() if post.brand == "Skyfare" and LAUNCH_BEGINS <= post.published_at < LAUNCH_ENDS]
    usual = on_a_usual_day("Skyfare", LAUNCH_BEGINS.hour, LAUNCH_ENDS.hour)
    assert len(posts) / usual == pytest.approx(6, rel=0.15)
    assert negative_share(posts) == pytest.approx(0.25, abs=0.04)


def test_the_storm_is_hundreds_of_copies_of_three_posts_a_language_by_six_accounts() -> None:
    storm = [post for post in first() if post.scene == "storm"]
    originals = [post.text for post in storm if post.published_at == STORM_BEGINS]
    assert len(storm) == pytest.approx(350, abs=10)
    assert len({post.author for post in storm}) == 6
    assert len(originals) == 6
    for post in storm:
        assert post.tone == "negative"
        assert any(original in post.text and len(post.text) < len(original) + 40 for original in originals)


def test_some_posts_come_hours_late_and_some_come_twice() -> None:
    posts = first()
    late = [post for post in posts if post.arrived_at - post.published_at >= timedelta(hours=1)]
    assert len(late) / len(posts) == pytest.approx(0.03, abs=0.01)
    twice = Counter(post.native_id for post in story(SEED))
    assert set(twice.values()) == {1, 2}
    assert (len(story(SEED)) - len(posts)) / len(posts) == pytest.approx(0.01, abs=0.002)
    texts = {post.native_id: post.text for post in posts}
    assert all(texts[post.native_id] == post.text for post in story(SEED))


def test_one_source_delivers_every_day_but_the_last() -> None:
    days = Counter(post.arrived_at.date() for post in story(SEED) if post.place == SILENT)
    assert len(days) == 7
    assert LAST_DAY.date() not in days


def test_outside_the_crisis_every_brand_keeps_its_mood() -> None:
    for brand in BRANDS:
        posts = [post for post in first() if post.brand == brand and post.scene in {"usual", "launch"}]
        assert negative_share(posts) == pytest.approx(0.26, abs=0.02)


def test_the_demo_is_a_source_whose_items_are_submissions() -> None:
    source = Demo("demo", Demo.Settings())
    assert isinstance(source, Source)
    for item, post in zip(items(source), story(SEED), strict=True):
        submission = Submission.model_validate_json(item.body)
        assert (submission.native_id, submission.source, submission.text) == (post.native_id, post.place, post.text)
        assert item.arrived_at == post.arrived_at


@pytest.mark.parametrize("read", [0, 1, 99, 100, 101, 3_333])
def test_reading_goes_on_after_any_item(read: int) -> None:
    everything = items(Demo("demo", Demo.Settings()))
    page = next(iter(Demo("demo", Demo.Settings(page_items=max(read, 1))).fetch(None)))
    cursor = page.cursor if read else None
    assert items(Demo("demo", Demo.Settings()), cursor) == everything[read:]


def test_at_the_end_there_is_nothing_more() -> None:
    *_, last = Demo("demo", Demo.Settings()).fetch(None)
    assert items(Demo("demo", Demo.Settings()), last.cursor) == []


@pytest.mark.parametrize("cursor", ["", "7:1", f"{SEED}:", f"{SEED}:-1", f"{SEED}:999999", "line 3"])
def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(FatalError, match="not of this demo"):
        next(Demo("demo", Demo.Settings()).fetch(cursor))


def test_a_closed_demo_ends_after_its_page() -> None:
    source = Demo("demo", Demo.Settings())
    pages = source.fetch(None)
    next(pages)
    source.close()
    assert list(pages) == []


def test_the_watchlists_know_each_brand_in_both_languages() -> None:
    lists = watchlists()
    assert len(lists) == len(BRANDS)
    for brand, watchlist in zip(BRANDS, lists, strict=True):
        names = watchlist["names"]
        assert isinstance(names, list)
        assert watchlist["id"] == brand.lower()
        assert brand in names
        assert any(re.search("[\u4e00-\u9fff]", str(name)) for name in names)
    assert CRISIS.watchlist in {watchlist["id"] for watchlist in lists}
