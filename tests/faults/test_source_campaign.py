"""Every kind of source at once through a real Kafka, killed at random: nothing is lost, doubled or passed over."""

from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.registry import CONNECTORS
from tests.faults.source_campaign import SourceCampaign
from tests.faults.source_stands import DOCUMENTS, stands
from tests.services.kafka import Kafka
from tests.services.server import free_port, up

LEFT_OUT = {"demo", "mastodon_stream"}
"""A recording, and a stream whose own tests kill it."""


def test_every_kind_takes_part() -> None:
    assert set(DOCUMENTS) | LEFT_OUT == set(CONNECTORS)


def test_all_sources_together_survive_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))
    port = free_port()
    with up(Kafka()) as broker, stands(tmp_path / "stands", broker.address, port, 0.02) as made:
        campaign = SourceCampaign(tmp_path, broker, made, port, seed=5)
        try:
            verdict = campaign.run(kills=3, terms=0, brokers=0)
        finally:
            campaign.end()
    assert verdict.faults == dict.fromkeys(verdict.faults, 0), f"{verdict.text()}\n{campaign.said()}"
    assert verdict.replays > 0, "kills that nobody noticed prove nothing"
