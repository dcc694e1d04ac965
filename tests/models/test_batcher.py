from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.models.batcher import groups, packs, width

LENGTHS = st.lists(st.integers(2, 128), max_size=60)


@given(LENGTHS, st.integers(1, 600))
def test_every_text_is_in_one_group_of_its_own_width_within_the_budget(lengths: list[int], budget: int) -> None:
    found = list(groups(lengths, budget))
    assert sorted(at for group in found for at in group.indices) == list(range(len(lengths)))
    for group in found:
        assert {width(lengths[at]) for at in group.indices} == {group.width}
        assert len(group.indices) == 1 or len(group.indices) * group.width <= budget


@given(LENGTHS)
def test_the_longest_texts_come_first(lengths: list[int]) -> None:
    widths = [group.width for group in groups(lengths, 256)]
    assert widths == sorted(widths, reverse=True)


@given(st.integers(1, 512))
def test_a_width_holds_its_text_with_little_padding(tokens: int) -> None:
    assert tokens <= width(tokens) < tokens + 16


@given(LENGTHS, st.integers(1, 600))
def test_every_text_is_in_one_pack_within_the_budget_and_equal_ones_are_neighbours(
    lengths: list[int], budget: int
) -> None:
    found = list(packs(lengths, budget))
    assert sorted(at for group in found for at in group.indices) == list(range(len(lengths)))
    assert [lengths[at] for group in found for at in group.indices] == sorted(lengths, reverse=True)
    for group in found:
        sizes = [lengths[at] for at in group.indices]
        assert max(sizes) == group.width
        assert len(sizes) == 1 or sum(sizes) <= budget
