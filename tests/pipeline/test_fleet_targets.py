"""What a text says of a watchlist goes through the logs as through one process: the same ledger, and windows of it."""

import random
from pathlib import Path

import orjson
import pytest

from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.work_score import ScoreWork
from tests.pipeline.fleet import Fleet, Storm
from tests.pipeline.rig import Rig, Torn, pages, rows, story
from tests.pipeline.test_fleet import assert_same

DOCUMENTS = "SELECT d.label, m.label, d.body FROM documents d JOIN mentions m ON m.document_id = d.id"


class TornFleet(Fleet):
    """Every score worker tells what is said of a name from what a text says."""

    def scorer(self, words: Scorer | None = None) -> ScoreWork:
        """Another score worker."""
        return super().scorer(words or Torn())


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of an undisturbed embedded run."""
    rig = Rig(tmp_path_factory.mktemp("embedded"), scorer=Torn())
    rig.play(pages(story(), [37] * 100))
    rig.finish()
    return rig.path


def test_a_document_keeps_its_own_label_and_its_mention_and_window_count_what_is_said_of_the_watchlist(
    embedded: Path,
) -> None:
    found = rows(embedded, DOCUMENTS)
    apart = [body for own, toward, body in found if own != toward]
    assert 20 < len(apart) < len(found)
    for body in apart:
        kept = orjson.loads(body)  # type: ignore[arg-type]  # a blob
        assert kept["reading"]["sentiment"]["label"] != kept["matches"][0]["sentiment"]["label"]
        assert "targets" not in kept["reading"]
    [(posts, negative, positive)] = rows(embedded, "SELECT sum(posts), sum(negative), sum(positive) FROM windows")
    said = [toward for _, toward, _ in found]
    assert (posts, negative, positive) == (len(said), said.count("negative"), said.count("positive"))
    texts = [own for own, _, _ in found]
    assert texts.count("negative") != negative


@pytest.mark.parametrize("seed", range(2))
def test_daemons_come_to_the_same_ledger(seed: int, embedded: Path, tmp_path: Path) -> None:
    dice = random.Random(seed)
    storm = Storm(TornFleet(tmp_path, dice), pages(story(), [dice.randint(1, 9) for _ in range(300)]))
    storm.run()
    assert_same(storm.fleet, embedded)


def test_the_log_is_read_again_from_the_store_as_it_was_written(tmp_path: Path) -> None:
    rig = Rig(tmp_path, scorer=Torn())
    rig.play(pages(story(days=1), [50] * 20))
    said = [mention for chunk in rig.store.mentions(after=0) for mention in chunk]
    labels = [label for (label,) in rows(rig.path, "SELECT label FROM mentions ORDER BY seq")]
    assert [mention.reading.sentiment.label for mention in said] == labels
    assert any(own != toward for own, toward, _ in rows(rig.path, DOCUMENTS))
    rig.finish()
