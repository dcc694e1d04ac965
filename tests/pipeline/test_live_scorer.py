"""A model is swapped while the pipeline runs: nothing is lost or read by neither, and what is not whole stays out."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from opinionwatch.connectors import files
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Label, Reading
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.live_scorer import AGAIN_S, LiveScorer, in_force
from opinionwatch.pipeline.live_scorer import scorer as chosen_scorer
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.promotions import Promotion, Shelf
from opinionwatch.pipeline.settings import Settings
from tests.models.tiny import tiny_artefact
from tests.pipeline.rig import post, settings
from tests.pipeline.test_engine import URL, Listed, replay

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """Settings of a pipeline whose model calls everything positive."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pseudonym.key").write_bytes(b"the same authors in every folder")
    base = tiny_artefact(tmp_path / "base", "positive")
    scorer = {"kind": "neural", "artefact": base, "device": "cpu", "precision": "fp32"}
    return settings(tmp_path / "data", scorer=scorer, limits={"batch_documents": 20})


def promote(chosen: Settings, artefact: Path, version: str) -> str:
    """What the command does once the gate has opened; returns the name."""
    shelf = Shelf(chosen.data_dir)
    found = shelf.read()
    name = found.name_for(version)
    shelf.add(
        Promotion(
            name=name,
            version=version,
            manifest=shelf.keep(artefact, version),
            at=AT,
            by="dana",
            kind="promotion",
            before=found.current and found.current.name,
        )
    )
    return name


def version_of(artefact: Path, chosen: Settings) -> str:
    return chosen_scorer(chosen.model_copy(update={"scorer": choice(artefact)})).version


def choice(artefact: Path) -> object:
    return Settings.model_validate({"scorer": {"kind": "neural", "artefact": artefact, "device": "cpu"}}).scorer


class Impatient(LiveScorer):
    """Looks at the file before every batch, and does something between two passages of its life."""

    def __init__(
        self,
        chosen: Settings,
        deeds: dict[int, Callable[[], None]],
        load: Callable[[Settings], Scorer] = wiring.scorer,
    ) -> None:
        self._time = 0.0
        super().__init__(chosen, load, clock=self._tick)
        self._deeds, self._calls = deeds, 0

    def _tick(self) -> float:
        self._time += 10
        return self._time

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        self._calls += 1
        self._deeds.get(self._calls, lambda: None)()
        return super().score(passages)


def told(live: LiveScorer) -> Label:
    [reading] = live.score([Passage("the screen", "en")])
    return reading.sentiment.label


def test_a_swap_in_the_middle_of_a_stream_loses_nothing_and_every_document_bears_the_model_that_read_it(
    tmp_path: Path, chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PAGE_ITEMS", 20)
    path = tmp_path / "posts.jsonl"
    items = [
        post(number, f"Lumora screen number {number}", None, published_at=AT.isoformat()) for number in range(1000)
    ]
    path.write_bytes(b"".join(item.body + b"\n" for item in items))
    watched = chosen.model_copy(
        update={"sources": Settings.model_validate({"sources": [{**replay(path), "replay": None}]}).sources}
    )
    other = tiny_artefact(tmp_path / "other", "negative", "other")
    new = version_of(other, chosen)
    swaps: list[str] = []

    def loaded() -> None:
        assert live.loaded(60)

    live = Impatient(
        watched,
        {
            10: lambda: swaps.append(promote(watched, other, new)),
            14: loaded,
            25: lambda: swaps.append(promote(watched, tmp_path / "base", live_version)),
            29: loaded,
        },
    )
    live_version = live.version
    Engine(watched, URL, {"list": Listed()}, lambda _: live).run(Event(), until_exhausted=True)
    archive = SqliteArchive(watched.store_path)
    documents = [*archive.every_document()]
    by_model = Counter((each.scorer, each.reading.sentiment.label) for each in documents)
    assert len(documents) == 1000
    assert all(row.gap == row.pending == 0 for row in archive.ledger())
    assert {*by_model} == {(live_version, "positive"), (new, "negative"), (swaps[1], "positive")}
    assert min(by_model.values()) >= 100


def test_a_worker_takes_up_what_is_in_force_when_it_starts(tmp_path: Path, chosen: Settings) -> None:
    other = tiny_artefact(tmp_path / "other", "negative", "other")
    name = promote(chosen, other, version_of(other, chosen))
    live = LiveScorer(chosen)
    assert (live.version, told(live)) == (name, "negative")
    assert set(live.confusions) == {name}
    assert chosen_scorer(in_force(chosen)).version == name


def test_what_is_altered_after_its_promotion_is_refused_and_the_old_model_stays(
    tmp_path: Path, chosen: Settings
) -> None:
    live = Impatient(chosen, {})
    before = live.version
    other = tiny_artefact(tmp_path / "other", "negative", "other")
    version = version_of(other, chosen)
    shelf = Shelf(chosen.data_dir)
    shelf.keep(other, version)
    weights = shelf.copy(version) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    promote(chosen, other, version)
    live.renew()
    assert live.loaded(60)
    live.renew()
    assert (live.version, told(live)) == (before, "positive")
    with pytest.raises(SettingsError, match="was altered"):
        LiveScorer(chosen)


def test_another_artefact_under_the_same_name_is_refused(tmp_path: Path, chosen: Settings) -> None:
    other = tiny_artefact(tmp_path / "other", "negative", "other")
    version = version_of(other, chosen)
    promote(chosen, other, version)
    tiny_artefact(Shelf(chosen.data_dir).copy(version), "neutral", "third")
    with pytest.raises(SettingsError, match="another sha256"):
        LiveScorer(chosen)


def test_a_scorer_that_is_not_neural_is_what_the_settings_name(tmp_path: Path) -> None:
    plain = settings(tmp_path, scorer={"kind": "lexicon"})
    assert chosen_scorer(plain).version.startswith("lexicon")
    assert in_force(plain) is plain


def test_a_model_that_this_machine_cannot_hold_is_refused_and_the_next_one_is_taken_up(
    tmp_path: Path, chosen: Settings
) -> None:
    scorers = iter([wiring.scorer, too_large, wiring.scorer])

    def load(settings: Settings) -> Scorer:
        return next(scorers)(settings)

    live = Impatient(chosen, {}, load)
    before = live.version
    for kind, stays in (("large", True), ("small", False)):
        other = tiny_artefact(tmp_path / kind, "negative", kind)
        promote(chosen, other, version_of(other, chosen))
        live.renew()
        assert live.loaded(60)
        live.renew()
        assert (live.version == before) is stays
    assert told(live) == "negative"


def too_large(_: Settings) -> Scorer:
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_a_model_that_did_not_load_is_tried_again_after_a_minute_and_not_at_every_look(
    tmp_path: Path, chosen: Settings
) -> None:
    scorers = [wiring.scorer, too_large, wiring.scorer]

    def load(settings: Settings) -> Scorer:
        return scorers.pop(0)(settings)

    live = Impatient(chosen, {}, load)
    before = live.version
    other = tiny_artefact(tmp_path / "other", "negative", "other")
    promote(chosen, other, version_of(other, chosen))
    times: dict[int, float] = {}
    while live.version == before and live._time < 1000:
        live.renew()
        assert live.loaded(60)
        times.setdefault(len(scorers), live._time)
    assert told(live) == "negative"
    assert times[0] - times[1] >= AGAIN_S
