"""The dashboards that are shipped, as the tests of Kibana share them."""

from pathlib import Path

from opinionwatch.pipeline.kibana_spec import Dashboard, load

FOLDER = Path(__file__).parents[2] / "compose" / "kibana"


def boards() -> tuple[Dashboard, ...]:
    """All of them."""
    return load(FOLDER)
