"""Every class of hostile input becomes what it must, and its neighbours do not notice."""

from datetime import UTC, datetime
from random import Random
from time import perf_counter

import pytest

from opinionwatch.pipeline.accept import Accept, Arrival
from opinionwatch.pipeline.contracts import DeadLetter, Document, Drop
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.errors import DEAD_REASONS
from opinionwatch.pipeline.match import MatchStage
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.read import Read
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.stages import chain
from opinionwatch.pipeline.watchlists import Watchlist
from tests.pipeline.poison import CLASSES, DEAD, Poison, record

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
LIMITS = Limits(record_bytes=1_000_000)


def arrival(body: bytes) -> Arrival:
    return Arrival("forum", "jsonl", "forum.jsonl", Item(body))


def accept(*bodies: bytes) -> list[Document | DeadLetter]:
    found = Accept(LIMITS, "default", b"key")([arrival(body) for body in bodies], NOW)
    return [each for each in found if not isinstance(each, Deletion)]


def test_there_are_forty_classes_and_their_names_differ() -> None:
    assert len(CLASSES) >= 40
    assert len({poison.name for poison in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("poison", CLASSES, ids=lambda poison: poison.name)
def test_poison_ends_as_declared(poison: Poison) -> None:
    for seed in range(5):
        body = poison.body(f"p{seed}", Random(seed), LIMITS)
        assert b"\n" not in body
        (outcome,) = accept(body)
        if poison.dead:
            assert isinstance(outcome, DeadLetter)
            assert outcome.reason == poison.dead
            assert outcome.native_id == (f"p{seed}" if poison.named else None)
            assert outcome.raw.isprintable()
            assert len(outcome.raw) <= 4096
        else:
            assert isinstance(outcome, Document), outcome
            assert outcome.native_id.isprintable()
            assert not poison.named or outcome.native_id == f"p{seed}"
            assert poison.flags <= set(outcome.flags)
            assert len(outcome.text) <= LIMITS.text_chars
            assert outcome.text.replace("\n", "").replace("\u200d", "").isprintable()
        outcome.model_dump_json().encode("utf-8")


def test_every_poison_goes_through_the_score_hops_pure_stages() -> None:
    bodies = [poison.body(f"p{at}", Random(at), LIMITS) for at, poison in enumerate(CLASSES)]
    hop = chain(Read(), MatchStage([Watchlist(id="lumora", name="Lumora")]))
    accepted = [outcome for outcome in accept(*bodies) if isinstance(outcome, Document)]
    assert len(accepted) == len(CLASSES) - len(DEAD)
    outcome = hop(accepted, NOW)
    assert len(outcome) == len(accepted)
    dropped = {record.id for record in outcome if isinstance(record, Drop)}
    assert all(document.id not in dropped for document in accepted if "Lumora" in document.text)


def test_neighbours_of_poison_are_accepted_in_their_order() -> None:
    bodies: list[bytes] = []
    for at, poison in enumerate(DEAD):
        bodies += [record(f"healthy{at}", f"all is well {at}"), poison.body(f"p{at}", Random(at), LIMITS)]
    outcome = accept(*bodies)
    healthy = [document.native_id for document in outcome if isinstance(document, Document)]
    assert healthy == [f"healthy{at}" for at in range(len(DEAD))]
    assert len(outcome) == len(bodies)


def test_every_reason_of_the_edge_is_reached() -> None:
    of_later_stages = {"stage_failed", "model_output", "out_of_memory", "index_refused", "crash_loop"}
    reached = {str(poison.dead) for poison in DEAD}
    assert reached <= set(DEAD_REASONS)
    assert {"bad_encoding", "malformed_json", "too_deep", "too_large", "not_an_object"} <= reached
    assert {"invalid_field", "missing_field", "empty_text"} <= reached
    assert not reached & of_later_stages


def test_no_poison_holds_up_the_stream() -> None:
    for poison in CLASSES:
        body = poison.body("p", Random(0), LIMITS)
        began = perf_counter()
        accept(body)
        # Ten thousand characters of the worst kind take some 50 ms here; quadratic time would take minutes.
        assert perf_counter() - began < 3, poison.name
