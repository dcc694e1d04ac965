"""Recorded passes, with a recorder for a machine that cannot record: what is played runs again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from opinionwatch.models.attention import Attend
from opinionwatch.models.graphs import FEWEST, SIZES, WARM, Graphs, Recorder, captured

from .texts_apart import one_by_one

SIZE, LONGEST = 8, 30
CPU = torch.device("cpu")


def states(ids: Tensor, places: Tensor, attend: Attend) -> Tensor:
    """Something of each token that depends on its text, its number and its place."""
    rows = (ids + 10 * places).unsqueeze(1).float() / torch.arange(1, 3 * SIZE + 1)
    return attend(rows, SIZE)


def graphs(recorded: list[int] | None = None) -> Graphs:
    made = [] if recorded is None else recorded

    def record(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        made.append(len(run()))
        return run

    return Graphs(states, CPU, LONGEST, Recorder(one_by_one, record))


def played(of: Graphs, lengths: list[int], first: int = 3) -> Tensor:
    recording = of.take(lengths)
    assert recording is not None
    return recording(*tokens(lengths, first), lengths)


def tokens(lengths: list[int], first: int) -> tuple[Tensor, Tensor]:
    ids = torch.arange(first, first + sum(lengths))
    return ids, torch.cat([torch.arange(length) for length in lengths])


def alone(lengths: list[int], first: int = 3) -> Tensor:
    """The same texts, each in a pass of its own."""
    ids, places = tokens(lengths, first)
    parts = zip(ids.split(lengths), places.split(lengths), strict=True)
    return torch.cat([played(graphs(), [len(own)], int(own[0])) for own, _ in parts])


def test_a_recording_gives_what_a_run_gives_whatever_was_played_before() -> None:
    one = graphs()
    for lengths, first in (([20, 20, 20], 3), ([7, 2], 40), ([30], 5), ([2] * 30, 9)):
        assert torch.allclose(played(one, lengths, first), alone(lengths, first), atol=1e-5)


def test_each_size_is_recorded_once_when_it_is_first_wanted() -> None:
    recorded: list[int] = []
    one = graphs(recorded)
    for lengths in ([3], [20, 20, 20], [30, 30, 30], [30, 29, 28]):
        played(one, lengths)
    assert recorded == [64, 128]


def test_states_outlive_the_next_play() -> None:
    one = graphs()
    first = played(one, [5, 4])
    kept = first.clone()
    played(one, [9, 9], 30)
    assert torch.equal(first, kept)


def test_what_is_too_large_or_too_long_or_in_too_many_texts_is_not_recorded() -> None:
    one = graphs()
    assert one.take([LONGEST + 1]) is None
    assert one.take([LONGEST] * (SIZES[-1] // LONGEST + 1)) is None
    assert one.take([1] * (SIZES[-1] // FEWEST + 1)) is None
    assert one.take([1] * 33) is not None


def test_a_capture_warms_up_beside_and_lets_other_threads_allocate(monkeypatch: pytest.MonkeyPatch) -> None:
    # No GPU here: PyTorch's own entry points write down how they are called.
    calls: list[str] = []

    class Stream:
        def __init__(self, name: str = "side") -> None:
            self.name = name

        def wait_stream(self, other: "Stream") -> None:
            calls.append(f"{self.name} waits for {other.name}")

    class Graph:
        def replay(self) -> None:
            calls.append("replay")

    @contextmanager
    def entered(what: object, capture_error_mode: str = "global") -> Iterator[None]:
        calls.append(f"capture {capture_error_mode}" if isinstance(what, Graph) else "enter")
        yield

    for name, fake in {
        "device": entered,
        "stream": entered,
        "graph": entered,
        "Stream": Stream,
        "CUDAGraph": Graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream("main"))

    def run() -> Tensor:
        calls.append("run")
        return torch.ones(2)

    play = captured(torch.device("cuda", 0), run)
    beside = ["enter", "side waits for main", "enter", *["run"] * WARM, "main waits for side"]
    assert calls == [*beside, "capture thread_local", "run"]
    assert play() is play()
    assert calls[-2:] == ["replay", "replay"]
