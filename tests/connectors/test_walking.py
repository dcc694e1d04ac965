"""Walking back from the newest post: long backlogs, late posts, posts from the future, kills in between."""

import json
import time
from datetime import UTC, datetime

from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.walking import SEEN, Batch, Dated, Lane, Walking, WalkingSettings
from opinionwatch.pipeline.ports import Page

NOW = int(time.time())


class Shelf(Walking):
    """Numbered posts with times, ten at a time, newest first."""

    kind = "shelf"

    def __init__(self, posts: dict[int, int], late_s: int = 100, history_h: float = 1_000.0) -> None:
        super().__init__("name", "shelf", WalkingSettings(late_s=late_s, history_h=history_h))
        self.posts = posts
        self.asked = 0

    def lanes(self) -> list[str]:
        return ["all"]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        del lane, since
        self.asked += 1
        below = int(older) if older else 10**9
        ids = sorted((number for number in self.posts if number < below), reverse=True)[:10]
        posts = [Dated(self.posts[number], Entry(str(number), f"post {number}")) for number in ids]
        return Batch(posts, str(ids[-1]) if len(ids) == 10 else None)


def ids(pages: list[Page]) -> list[int]:
    return [int(json.loads(item.body)["native_id"]) for page in pages for item in page.items]


def steady(count: int, step_s: int = 10, first: int = 1) -> dict[int, int]:
    return {number: NOW - 200_000 + step_s * number for number in range(first, first + count)}


def test_a_walk_ends_where_the_last_one_began_and_asks_no_further() -> None:
    shelf = Shelf(steady(1000))
    pages = list(shelf.fetch(None))
    assert sorted(ids(pages)) == list(range(1, 1001))
    shelf.posts |= steady(25, first=1001)
    shelf.asked = 0
    more = list(shelf.fetch(pages[-1].cursor))
    assert sorted(ids(more)) == list(range(1001, 1026))
    assert shelf.asked <= 5


def test_posts_that_appear_during_a_walk_are_found_by_the_next_one() -> None:
    shelf = Shelf(steady(100))
    walk = shelf.fetch(None)
    pages = [next(walk), next(walk)]
    shelf.posts |= steady(30, first=101)
    pages += list(walk)
    pages += list(shelf.fetch(pages[-1].cursor))
    assert sorted(ids(pages)) == list(range(1, 131))


def test_a_walk_that_was_cut_off_goes_on_and_what_came_meanwhile_is_not_lost() -> None:
    posts = steady(300)
    found: list[int] = []
    cursor = None
    for life in range(60):
        walk = Shelf(posts).fetch(cursor)
        for page in [page for _, page in zip(range(2), walk, strict=False)]:
            found += ids([page])
            cursor = page.cursor
        posts |= steady(5, first=301 + 5 * life) if life < 20 else {}
    assert sorted(found) == list(range(1, 401)), "nothing lost, nothing twice"


def test_a_late_post_is_found_within_its_time_and_not_beyond() -> None:
    posts = steady(100)
    pages = list(Shelf(posts).fetch(None))
    newest = max(posts.values())
    posts |= {101: newest - 90, 102: newest - 500}
    assert ids(list(Shelf(posts).fetch(pages[-1].cursor))) == [101]


def test_a_post_from_the_future_does_not_hide_those_that_follow() -> None:
    now = int(time.time())
    posts = {1: now + 10**8}
    pages = list(Shelf(posts, late_s=3600).fetch(None))
    assert ids(pages) == [1]
    posts |= {2: now - 5, 3: now}
    assert sorted(ids(list(Shelf(posts, late_s=3600).fetch(pages[-1].cursor)))) == [2, 3]


def test_check_asks_once_and_says_what_it_saw() -> None:
    shelf = Shelf(steady(25))
    assert shelf.check() == "the service answers; 10 posts at the first look (all)"
    assert shelf.asked == 1


def test_the_first_poll_looks_back_only_so_far() -> None:
    posts = {number: NOW - 3600 * (50 - number) for number in range(1, 51)}
    assert min(ids(list(Shelf(posts, history_h=5.5).fetch(None)))) == 45


def test_memory_and_cursor_stay_small_on_a_long_walk() -> None:
    shelf = Shelf(steady(10_000))
    longest = max(len(page.cursor) for page in shelf.fetch(None))
    assert longest < 5_000


def test_a_lane_remembers_a_bounded_number_of_posts() -> None:
    posts = [Dated(NOW, Entry(str(number), "x")) for number in range(SEEN + 100)]
    _, lane, _, _ = Lane(floor=0, top=0).taking(Batch(posts, None), late_s=100, now=NOW)
    assert len(lane.seen) == SEEN


def test_a_cursor_since_a_moment_asks_for_all_that_came_after_it() -> None:
    posts = steady(500)
    cursor = Walking.cursor_since(["all"], posts[400])
    assert sorted(ids(list(Shelf(posts, late_s=0).fetch(cursor)))) == list(range(400, 501))


def test_a_backfill_is_a_walk_of_its_own_down_to_a_moment_and_goes_on_where_it_was_cut() -> None:
    posts = steady(500)
    since = datetime.fromtimestamp(posts[400], UTC)
    whole = list(Shelf(posts, late_s=0, history_h=0).backfill(since, None))
    assert sorted(ids(whole)) == list(range(400, 501))
    assert whole[-1].share == 1.0
    for number in (0, len(whole) // 2, len(whole) - 1):
        rest = list(Shelf(posts, late_s=0, history_h=0).backfill(since, whole[number].cursor))
        assert sorted(ids([*whole[: number + 1], *rest])) == list(range(400, 501))


def test_a_backfill_says_how_much_is_done_by_how_far_back_it_has_come() -> None:
    shelf = Shelf({number: NOW - 1000 * (100 - number) for number in range(1, 101)}, late_s=0)
    real = Shelf.ask

    def dated(self: Shelf, lane: str, older: str | None, since: int) -> Batch:
        batch = real(self, lane, older, since)
        told = [post._replace(entry=post.entry._replace(published_at=str(post.at))) for post in batch.posts]
        return Batch(told, batch.older)

    class Told(Shelf):
        ask = dated

    pages = list(Told(shelf.posts, late_s=0).backfill(datetime.fromtimestamp(NOW - 100_000, UTC), None))
    shares = [page.share or 0.0 for page in pages]
    assert shares == sorted(shares)
    assert 0.05 < shares[0] < 0.15 and 0.4 < shares[4] < 0.6 and shares[-1] == 1.0
