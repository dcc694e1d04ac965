"""What the tests of single services share."""

import json
from collections.abc import Iterable, Mapping

from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.pipeline.ports import Page, Source
from tests.connectors.imitation import Imitation
from tests.contract.source_suite import build

HISTORY_H = 100_000


def source(kind: str, service: Imitation, **given: object) -> Source:
    """A source that asks an imitation from its first post on."""
    assert kind in CONNECTORS
    return build(kind, url=service.url, allow_hosts=["127.0.0.1"], history_h=HISTORY_H, **given)


def bodies(pages: Iterable[Page]) -> list[Mapping[str, object]]:
    """The submissions in pages."""
    return [json.loads(item.body) for page in pages for item in page.items]


def ids(pages: Iterable[Page]) -> list[str]:
    """Their native ids."""
    return [str(body["native_id"]) for body in bodies(pages)]
