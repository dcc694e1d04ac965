"""A second model in the shadow: it reads what comes while it watches, once, and counts both sides alike."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from threading import Event

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Reading, ScoredDocument, Sentiment
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.shadow import Shadow, follow
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.watchlists import watchlists
from tests.pipeline.rig import Words
from tests.pipeline.sample import NOON, document, mention, reading, scored, toward

WATCHED = watchlists(({"id": "lumora", "names": ["Lumora"]},))


def store(path: Path, *wholes: ScoredDocument) -> None:
    open_ = SqliteStore(path)
    with open_.transaction():
        open_.admit([whole.document for whole in wholes])
        open_.write([record for whole in wholes for record in (whole, mention(whole))])
    open_.close()


def watched(path: Path, stop: Event, seconds: float = 0, most: int = 1000) -> Shadow:
    return follow(
        SqliteArchive(path), Words(), WATCHED, since=NOON - timedelta(days=1), seconds=seconds, most=most, stop=stop
    )


def test_what_comes_while_it_watches_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "o.db"

    class Coming(Event):
        """Lets something come at each wait, three times."""

        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            self.waits += 1
            store(path, scored(document(self.waits, f"Lumora is great {self.waits}"), "negative"))
            return self.waits == 3

    store(path, scored(document(100)))
    found = watched(path, Coming(), seconds=3600)
    assert found.texts == 3
    assert found.table["negative"] == {"negative": 1, "neutral": 0, "positive": 2}
    assert round(found.parted, 3) == 0.667
    [hour] = found.hours
    assert (hour.mentions, hour.negative, hour.negative_shadow) == (3, 3, 1)
    assert [(each.old, each.new) for each in found.examples] == [("negative", "positive")] * 2


def test_what_the_shadow_cannot_read_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    store(path, scored(document(1, "poison")), scored(document(2)))
    found = watched(path, Event())
    assert (found.texts, found.refused) == (1, 1)


class First(Words):
    """One that takes every text well, and calls it bad for what is named at its beginning."""

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        return [
            reading("positive").model_copy(
                update={"targets": tuple(self._toward(places) for places in passage.targets)}
            )
            for passage in passages
        ]

    def _toward(self, places: Sequence[tuple[int, int]]) -> Sentiment:
        return reading("negative" if (0, 6) in places else "positive").sentiment


def test_hours_are_counted_by_what_each_model_says_of_the_watchlist(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    first, second = (scored(document(at, text)) for at, text in ((1, "Lumora loses"), (2, "it wins over Lumora")))
    store(path, toward(first, "positive"), toward(second, "negative"))
    found = follow(
        SqliteArchive(path), First(), WATCHED, since=NOON - timedelta(days=1), seconds=0, most=10, stop=Event()
    )
    assert found.table["negative"]["positive"] == 2
    [hour] = found.hours
    assert (hour.mentions, hour.negative, hour.negative_shadow) == (2, 1, 1)
    other = watchlists(({"id": "lumora", "names": ["Nobody"]},))
    found = follow(
        SqliteArchive(path), First(), other, since=NOON - timedelta(days=1), seconds=0, most=10, stop=Event()
    )
    assert [(hour.negative, hour.negative_shadow) for hour in found.hours] == [(1, 0)]


def test_at_most_so_many_are_read_the_newest_of_them(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    store(path, *(scored(document(at, f"post {at}", published_at=NOON + timedelta(hours=at))) for at in range(6)))
    found = watched(path, Event(), seconds=3600, most=2)
    assert found.texts == 2
    assert [hour.start for hour in found.hours] == [NOON + timedelta(hours=4), NOON + timedelta(hours=5)]
    assert watched(tmp_path / "o.db", Event(), most=10).texts == 6
