"""What a network does when a batch does not fit into memory."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from opinionwatch.models.artefact import read
from opinionwatch.models.network import Network
from opinionwatch.models.packed import States
from opinionwatch.models.packing import scoring
from opinionwatch.pipeline.errors import RejectedError

CPU = torch.device("cpu")
TEXTS = ["the battery is great", "味道很好，服务差", "slow " * 9, "x", "screen", "battery slow"]


class Small(nn.Module):
    """A body on a device that has room for so many tokens."""

    def __init__(self, body: nn.Module, room: int) -> None:
        super().__init__()
        self.config = body.config
        self.inner, self.room = body, room
        self.seen: list[int] = []

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        self.seen.append(input_ids.numel())
        if input_ids.numel() > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        found: States = self.inner(input_ids=input_ids, attention_mask=attention_mask)
        return found


def network(artefact: Path, room: int) -> tuple[Network, Small]:
    made = scoring(read(artefact), CPU, torch.float32)
    small = Small(made.model.body, room)
    made.model.body = small
    return Network(made.model, made.tokens, CPU, torch.float32), small


def test_a_batch_without_room_is_read_in_halves_and_says_the_same(artefact: Path) -> None:
    roomy, _ = network(artefact, 10_000)
    narrow, small = network(artefact, 24)
    for wanted, found in zip(roomy.read(TEXTS * 3), narrow.read(TEXTS * 3), strict=True):
        assert found.logits == pytest.approx(wanted.logits, abs=1e-4)
        assert [term[:3] for term in found.terms] == [term[:3] for term in wanted.terms]
    assert max(small.seen) > small.room


def test_a_text_that_has_no_room_by_itself_is_refused_for_that(artefact: Path) -> None:
    narrow, _ = network(artefact, 8)
    with pytest.raises(RejectedError, match="out_of_memory"):
        narrow.read(TEXTS)
    assert len(narrow.read(["x"])) == 1
