"""A delivery that a notifier cannot read is told, and not passed over in silence."""

from collections.abc import Mapping
from pathlib import Path

from opinionwatch.pipeline.elastic_client import connect
from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_records import delivery_source
from tests.pipeline.daemons import Daemons
from tests.pipeline.sample import delivery


def test_a_notifier_that_cannot_read_what_to_send_ends_and_says_so(services: Mapping[str, str], tmp_path: Path) -> None:
    daemons = Daemons(
        tmp_path / "cluster",
        services,
        watchlists=[{"id": "lumora", "names": ["Lumora"]}],
        channels=[{"name": "here", "kind": "terminal"}],
    )
    daemons.prepared()
    elastic = daemons.settings.elasticsearch
    torn = {**delivery_source(delivery(1)), "record": {"what": "is this?"}}
    with connect(elastic) as client:
        client.index(index=index_of(elastic.prefix, "deliveries"), id="torn", document=torn, refresh=True)
    try:
        assert daemons.start("notify").wait(120) == 1
        said = (daemons.folder / "notify.err").read_text()
        assert "delivery torn" in said
        assert "Traceback" not in said
    finally:
        daemons.kill()
