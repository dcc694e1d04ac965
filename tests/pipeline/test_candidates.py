"""Names that stand beside a watchlist's own."""

import random

from opinionwatch.pipeline.candidates import MIN_TEXTS, Candidate, Cooccurring

FILLER = ("the battery is fine today", "what a match", "Rain again in the north", "我今天去了公园", "明天再说吧")


def found(
    matched: list[str], others: list[str], own: tuple[str, ...] = ("Lumora", "流墨"), limit: int = 10
) -> list[Candidate]:
    counting = Cooccurring(own)
    for text in matched:
        counting.add(text, matched=True)
    for text in others:
        counting.add(text, matched=False)
    return counting.best(limit)


def test_a_product_that_always_stands_beside_the_brand_is_found_with_what_naming_it_would_add() -> None:
    matched = [f"My Lumora Zephyr X2 broke, number {n}" for n in range(10)]
    others = [*(f"the Zephyr X2 is loud {n}" for n in range(4)), *(FILLER * 20)]
    best = found(matched, others)
    names = {candidate.name: candidate for candidate in best}
    assert (names["Zephyr X2"].beside, names["Zephyr X2"].alone) == (10, 4)
    assert any("Zephyr X2" in name for name in names)
    assert not any(name in ("My", "number") for name in names)


def test_a_chinese_name_is_found_without_a_dictionary_and_its_pieces_are_not() -> None:
    around = ("觉得{}还行", "买{}吧", "听说{}降价", "流墨的{}发烫", "{}续航差")
    matched = ["流墨 " + around[n % 5].format("星辰折叠") for n in range(15)]
    names = [candidate.name for candidate in found(matched, list(FILLER * 30))]
    assert names[0] == "星辰折叠"
    assert not any(name != "星辰折叠" and name in "星辰折叠" for name in names)


def test_tags_and_titles_count() -> None:
    matched = [f"Lumora 流墨 #电池门# 看《科技晚报》 #{n}" for n in range(8)]
    names = [candidate.name for candidate in found(matched, list(FILLER * 20))]
    assert "电池门" in " ".join(names)
    assert any("科技晚报" in name for name in names)


def test_a_capitalised_word_is_no_name_when_it_is_also_written_small() -> None:
    matched = [f"Battery of my Lumora died {n}" for n in range(20)]
    others = [f"the battery is fine {n}" for n in range(20)]
    assert [candidate.name for candidate in found(matched, others)] == []


def test_chance_is_not_told() -> None:
    dice = random.Random(3)
    names = ("Alba", "Brigo", "Cando", "Dorvi", "Elmon")
    texts = [f"seen {dice.choice(names)} and {dice.choice(names)} {n}" for n in range(400)]
    assert found([f"Lumora {text}" for text in texts[:200]], texts[200:]) == []
    rare = [f"Lumora and Nixor {n}" for n in range(MIN_TEXTS - 1)]
    assert found(rare, list(FILLER * 20)) == []


def test_own_names_are_not_offered_again() -> None:
    matched = [f"Lumora LumoraCare 流墨手机 {n}" for n in range(9)]
    assert found(matched, list(FILLER * 20)) == []


def test_a_long_text_is_looked_at_up_to_its_limit() -> None:
    matched = ["x" * 3000 + " Zephyr"] * 9
    assert found(matched, list(FILLER * 20)) == []
