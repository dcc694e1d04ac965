"""From settings to parts: everything the plan names is built, and mistakes are refused before anything starts."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from opinionwatch.alerts.terminal import Terminal
from opinionwatch.connectors.jsonl import Jsonl
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.accept import Arrival
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import DeadLetter, Document, Drop, Mention, Reading, ScoredDocument
from opinionwatch.pipeline.contracts_trend import Delivery, Message
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.ports import Channel, Passage, Source, StatefulStage
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.ticks import Progress
from tests.alerts.sample import crisis
from tests.pipeline.rig import BEGIN, Words, post, settings
from tests.pipeline.sample import reading


class Own:
    """A scorer of somebody else's.

    Answers with what it was told.
    """

    version = "own-1"

    class Settings(BaseModel):
        """What it can be told."""

        model_config = ConfigDict(extra="forbid")
        loud: bool = False

    def __init__(self, chosen: Settings) -> None:
        self.chosen = chosen

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """The same for all."""
        return [reading("neutral") for _ in passages]


class Quiet:
    """A channel of somebody else's, without settings that it keeps.

    Delivery: never.
    """

    name = "quiet"

    def notify(self, message: Message) -> None:
        """Says nothing."""
        del message


def test_a_record_goes_through_the_hops_that_were_built(tmp_path: Path) -> None:
    hops = wiring.hops(settings(tmp_path), Words(), {"quiet": Quiet()})
    texts = ("The Lumora battery is awful", "about nothing", "", "Lumora poison")
    arrivals = [Arrival("feed", "jsonl", "x", post(number, text, BEGIN)) for number, text in enumerate(texts)]
    accepted = hops.ingest(arrivals, BEGIN)
    documents = [record for record in accepted if isinstance(record, Document)]
    assert [type(record) for record in accepted].count(DeadLetter) == 1
    outcome = hops.score(documents, BEGIN)
    assert sorted(type(record).__name__ for record in outcome) == ["DeadLetter", "Drop", "Mention", "ScoredDocument"]
    assert {type(record) for record in outcome} == {ScoredDocument, Mention, Drop, DeadLetter}
    trend = hops.trend()
    assert isinstance(trend, StatefulStage)
    mentions = [record for record in outcome if isinstance(record, Mention)]
    assert trend([*mentions, Progress(BEGIN + timedelta(minutes=10))], BEGIN)
    assert hops.trend() is not trend
    [delivery] = hops.notify([crisis()], BEGIN)
    assert isinstance(delivery, Delivery)
    assert (delivery.channel, delivery.state) == ("quiet", "pending")


def test_information_goes_to_channels_that_want_it(tmp_path: Path) -> None:
    told: dict[str, Channel] = {"screen": Terminal("screen", Terminal.Settings(info=True)), "quiet": Quiet()}
    hops = wiring.hops(settings(tmp_path), Words(), told)
    states = {each.channel: each.state for each in hops.notify([crisis(kind="volume surge", severity="info")], BEGIN)}
    assert states == {"screen": "pending", "quiet": "suppressed"}


@pytest.mark.parametrize("error", [RetryableError("later"), FatalError("stop")])
def test_what_is_about_the_world_passes_through_the_hops(tmp_path: Path, error: Exception) -> None:
    class Away(Words):
        """Not there."""

        def score(self, passages: Sequence[Passage]) -> list[Reading]:
            assert passages
            raise error

    hops = wiring.hops(settings(tmp_path), Away(), {})
    documents = hops.ingest([Arrival("feed", "jsonl", "x", post(1, "Lumora", BEGIN))], BEGIN)
    with pytest.raises(type(error)):
        hops.score([each for each in documents if isinstance(each, Document)], BEGIN)


def test_the_pseudonym_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    chosen = settings(tmp_path / "new" / "data")
    key = wiring.pseudonym_key(chosen)
    assert len(key) == 32
    assert wiring.pseudonym_key(chosen) == key
    path = tmp_path / "new" / "data" / "pseudonym.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["pseudonym.key"]
    assert wiring.pseudonym_key(settings(tmp_path / "other")) != key


@pytest.mark.parametrize("left", [b"", b"short", b"x" * 33])
def test_a_damaged_pseudonym_key_is_refused_and_never_replaced(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "pseudonym.key").write_bytes(left)
    with pytest.raises(SettingsError, match="is damaged: restore it"):
        wiring.pseudonym_key(settings(tmp_path))
    assert (tmp_path / "pseudonym.key").read_bytes() == left


def test_sources_are_built_by_kind_with_their_own_settings(tmp_path: Path) -> None:
    source = {"name": "posts", "kind": "jsonl", "path": str(tmp_path / "a.jsonl"), "instance": "main"}
    [built] = wiring.sources(
        settings(
            tmp_path,
            sources=[
                source,
            ],
        )
    )
    assert isinstance(built, Jsonl)
    assert isinstance(built, Source)
    assert (built.name, built.kind, built.instance) == ("posts", "jsonl", "main")


def test_a_scorer_of_somebody_elses_is_named_and_told_in_the_settings(tmp_path: Path) -> None:
    chosen = settings(tmp_path, scorer={"kind": f"{__name__}:Own", "loud": True})
    built = wiring.scorer(chosen)
    assert built.version == "own-1"
    assert getattr(built, "chosen").loud  # noqa: B009 - no attribute of the port
    with pytest.raises(SettingsError, match="did you mean 'loud'"):
        wiring.scorer(settings(tmp_path, scorer={"kind": f"{__name__}:Own", "lod": True}))
    with pytest.raises(SettingsError, match="scorer: Quiet has no `Settings`"):
        wiring.scorer(settings(tmp_path, scorer={"kind": f"{__name__}:Quiet"}))


def test_an_alert_is_rendered_in_the_language_and_with_the_name_of_the_settings(tmp_path: Path) -> None:
    watchlists = [{"id": "lumora", "name": "流墨手机", "names": ["Lumora"]}]
    chosen = load(None, {"data_dir": tmp_path, "watchlists": watchlists, "language": "zh", "zone": "Asia/Shanghai"})
    SqliteStore(chosen.store_path).close()
    rendered = wiring.renderer(chosen, "https://mood.example", SqliteArchive(chosen.store_path))
    message = rendered(crisis(), True)
    assert message.lang == "zh"
    assert "流墨手机" in message.title
    assert message.repeat
    assert message.link.startswith("https://mood.example/episodes/")
    assert message.chart_png is None


def test_with_a_kibana_an_alert_leads_to_its_dashboard_too(tmp_path: Path) -> None:
    kibana = {"url": "https://kibana.example", "space": "mood"}
    chosen = load(None, {"data_dir": tmp_path, "kibana": kibana, "elasticsearch": {"prefix": "acme"}})
    SqliteStore(chosen.store_path).close()
    message = wiring.renderer(chosen, "https://mood.example", SqliteArchive(chosen.store_path))(crisis(), False)
    assert message.link.startswith("https://mood.example/episodes/")
    assert message.dashboard.startswith("https://kibana.example/s/mood/app/dashboards#/view/acme-episode?")
    without = wiring.renderer(load(None, {"data_dir": tmp_path}), "x", SqliteArchive(chosen.store_path))
    assert without(crisis(), False).dashboard == ""


def test_the_sample_message_is_labelled_as_a_test(tmp_path: Path) -> None:
    assert wiring.sample_message(settings(tmp_path)).event == "test"


def test_buttons_that_nobody_would_hear_are_refused(tmp_path: Path) -> None:
    bot = {"name": "desk", "kind": "slack_bot", "token": "xoxb-1", "channel": "C1", "buttons": True}
    with pytest.raises(SettingsError, match=r"channels\.desk\.buttons: nobody hears them; write web\.slack_signing"):
        wiring.channels(settings(tmp_path, channels=[bot]))
    heard = settings(tmp_path, channels=[bot], web={"slack_signing_secret_file": tmp_path / "signing"})
    assert set(wiring.channels(heard)) == {"desk"}
