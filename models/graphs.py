"""Passes of a packed body recorded once and played back: CUDA graphs, for batches so small that launching their kernels
is what takes time.

A recording has a fixed size, so there is one for each of a few sizes in tokens, made when it is first wanted. A batch
is copied to the front of the smallest that holds it; what lies behind belongs to no text, and rows do not read each
other outside of their text. Larger batches keep a GPU busy anyway, and run as they are.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from opinionwatch.models.attention import Attend, Kernel, bounds, within

SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Tokens."""
FEWEST = 2
"""Tokens of a text: its start and its end."""
WARM = 3
"""Runs before the recording, in which libraries choose their algorithms."""
Core = Callable[[Tensor, Tensor, Attend], Tensor]
"""Ids (T,), places in their texts (T,), attention → states (T, H)."""
Record = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""From a run on tensors that stay where they are, to what runs it again and gives the states, at the same place."""


class Recorder(NamedTuple):
    """What a recording is made with."""

    kernel: Kernel
    record: Record


def captured(device: torch.device, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A CUDA graph of the run."""
    with torch.cuda.device(device):
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # untyped in torch
        main = torch.cuda.current_stream()
        side.wait_stream(main)
        with torch.cuda.stream(side):
            for _ in range(WARM):
                run()
        main.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # A model that is promoted is loaded by another thread meanwhile: its allocations are none of the recording's.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            states = run()

    def play() -> Tensor:
        graph.replay()
        return states

    return play


class Graphs:
    """The recordings of one body."""

    def __init__(self, core: Core, device: torch.device, longest: int, recorder: Recorder) -> None:
        """`longest` is how many tokens a text may have."""
        self._core, self._device, self._longest, self._recorder = core, device, longest, recorder
        self._made = dict[int, Recording]()

    def take(self, lengths: Sequence[int]) -> "Recording | None":
        """The recording for texts of these lengths; None where there is none of their size."""
        tokens = sum(lengths)
        size = next((each for each in SIZES if tokens <= each and len(lengths) <= each // FEWEST), None)
        if size is None or max(lengths) > self._longest:
            return None
        if size not in self._made:
            self._made[size] = Recording(self._core, size, self._device, self._longest, self._recorder)
        return self._made[size]


class Recording:
    """One pass of at most `size` tokens."""

    def __init__(self, core: Core, size: int, device: torch.device, longest: int, recorder: Recorder) -> None:
        self._ids = torch.zeros(size, dtype=torch.int64, device=device)
        self._places = torch.zeros(size, dtype=torch.int64, device=device)
        self._ends = torch.zeros(size // FEWEST + 1, dtype=torch.int32, device=device)
        attend = within(recorder.kernel, self._ends, longest)
        self._play = recorder.record(lambda: core(self._ids, self._places, attend))

    def __call__(self, ids: Tensor, places: Tensor, lengths: Sequence[int]) -> Tensor:
        """States (T, H) of the tokens (T,) of texts of these lengths."""
        self._ids[: len(ids)].copy_(ids)
        self._places[: len(ids)].copy_(places)
        ends = bounds(lengths)
        ends += [ends[-1]] * (len(self._ends) - len(ends))
        self._ends.copy_(torch.tensor(ends, dtype=torch.int32))
        # A copy: the next batch is played into the same place.
        return self._play()[: len(ids)].clone()
