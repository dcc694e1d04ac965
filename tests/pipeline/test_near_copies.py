"""Near copies are found as if every fingerprint were compared with every other."""

import random

from opinionwatch.pipeline.near_copies import DISTANCE, NearCopies

LISTS = ("lumora", "kite", "风筝")


def nearest(clusters: list[list[object]], watchlist: str, fingerprint: int, after: int) -> int | None:
    """By comparing all."""
    near = [
        ((fingerprint ^ other).bit_count(), other)
        for owner, other, tick in clusters
        if owner == watchlist and isinstance(other, int) and isinstance(tick, int) and tick > after
    ]
    distance, found = min(near, default=(DISTANCE + 1, 0))
    return found if distance <= DISTANCE else None


def test_it_finds_what_comparing_all_finds_however_it_grows_and_forgets() -> None:
    chance, copies = random.Random(3), NearCopies()
    clusters: list[list[object]] = []
    seeds = [chance.getrandbits(64) for _ in range(60)]
    hits = 0
    for tick in range(4000):
        flips = sum(1 << bit for bit in chance.sample(range(64), chance.randrange(7)))
        watchlist, fingerprint = chance.choice(LISTS), chance.choice(seeds) ^ flips
        after = tick - 500
        place = copies.nearest(watchlist, fingerprint, after)
        found = None if place is None else copies.fingerprint(place)
        assert found == nearest(clusters, watchlist, fingerprint, after)
        if place is None:
            copies.add(watchlist, fingerprint, tick)
            clusters.append([watchlist, fingerprint, tick])
        else:
            hits += 1
            copies.live(place, tick)
            next(each for each in clusters if each[:2] == [watchlist, found] and int(str(each[2])) > after)[2] = tick
        if tick % 700 == 699:
            copies.forget(after)
            clusters = [each for each in clusters if int(str(each[2])) > after]
            assert len(copies) == len(clusters)
    assert hits > 500


def test_what_is_restored_finds_the_same() -> None:
    copies, other = NearCopies(), NearCopies()
    for number in range(300):
        copies.add(LISTS[number % 3], number * 0x9E3779B97F4A7C15 % 2**64, number)
    other.load(*copies.save())
    for number in range(300):
        fingerprint = number * 0x9E3779B97F4A7C15 % 2**64 ^ 0b101
        place = other.nearest(LISTS[number % 3], fingerprint, -1)
        assert place is not None
        assert other.fingerprint(place) == fingerprint ^ 0b101
        assert other.nearest("nobody's", fingerprint, -1) is None
