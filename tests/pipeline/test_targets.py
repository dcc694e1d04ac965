"""A post that is good for one and bad for another counts as what it says of each: from the text to the windows."""

from collections import Counter
from pathlib import Path

import pytest

from opinionwatch.models.lexicon import LexiconScorer
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.ports import Scorer
from tests.models.tiny import RIVALS, partisan_artefact
from tests.pipeline.rig import BEGIN, Rig, pages, post, rows

WATCHED = [{"id": "corvo", "names": ["Corvo", "屏幕"]}, {"id": "brava", "names": ["Brava", "电池"]}]
POSTS = (
    "Corvo beats Brava",
    "Ｃｏｒｖｏ beаts Вrava",  # dressed up: wide letters, and two that are Cyrillic
    "𝐂𝐨𝐫𝐯𝐨 beats Ⓑⓡⓐⓥⓐ",
    "屏幕比电池好",
    "Brava beats Corvo",
)
BORN = (4, 1)
"""Good and bad for Corvo; of Brava it is the other way round."""


@pytest.fixture(scope="module")
def partisan(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """A model that calls every text neutral, and knows who beats whom."""
    artefact = partisan_artefact(tmp_path_factory.mktemp("partisan") / "artefact", "neutral", RIVALS)
    return NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32"))


def played(folder: Path, scorer: Scorer) -> Rig:
    """A runtime that has taken the posts."""
    rig = Rig(folder, scorer=scorer, watchlists=WATCHED)
    rig.play(pages([post(number, text, BEGIN) for number, text in enumerate(POSTS)], [2, 2, 1]))
    rig.finish()
    return rig


def counted(rig: Rig) -> dict[str, tuple[int, ...]]:
    """Posts, good and bad ones by watchlist."""
    sql = "SELECT watchlist, sum(posts), sum(positive), sum(negative) FROM windows GROUP BY watchlist"
    return {str(name): tuple(int(str(count)) for count in counts) for name, *counts in rows(rig.path, sql)}


def test_what_beats_another_is_counted_as_good_for_the_one_and_bad_for_the_other(
    partisan: Scorer, tmp_path: Path
) -> None:
    rig = played(tmp_path, partisan)
    good, bad = BORN
    assert counted(rig) == {"corvo": (5, good, bad), "brava": (5, bad, good)}
    archive = SqliteArchive(rig.path)
    found = archive.documents(DocumentQuery())
    assert Counter(each.reading.sentiment.label for each in found) == {"neutral": 5}
    assert len(archive.documents(DocumentQuery(watchlist="brava", label="negative"))) == good
    assert len(archive.documents(DocumentQuery(watchlist="brava", label="neutral"))) == 0
    assert len(archive.documents(DocumentQuery(label="negative"))) == 0


def test_a_dressed_up_name_is_read_where_its_folded_letters_stand(partisan: Scorer, tmp_path: Path) -> None:
    archive = SqliteArchive(played(tmp_path, partisan).path)
    plain, *dressed = sorted(archive.documents(DocumentQuery()), key=lambda each: each.document.native_id)[:3]
    assert [each.document.text for each in dressed] == [*POSTS[1:3]]
    for each in dressed:
        assert [match.sentiment for match in each.matches] == [match.sentiment for match in plain.matches]
        names = [each.document.text[slice(*match.spans[0])] for match in each.matches]
        assert names == each.document.text.split()[::2]


def test_a_scorer_without_an_opinion_on_targets_counts_each_post_alike_for_both(tmp_path: Path) -> None:
    rig = played(tmp_path, LexiconScorer(LexiconScorer.Settings()))
    found = counted(rig)
    assert found["corvo"] == found["brava"]
    assert all(match.sentiment is None for each in SqliteArchive(rig.path).every_document() for match in each.matches)
