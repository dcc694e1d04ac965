"""Gated recurrent units (Cho et al., EMNLP 2014) in both directions; the sentiment is read off their mean."""

from torch import nn

from opinionwatch.models.recipe import Body
from opinionwatch.models.recurrent import Recurrent
from opinionwatch.models.scratch import Scratch


class Gru(Scratch):
    """A bidirectional GRU."""

    sixteen_bits = False
    # oneDNN refuses some shapes of recurrent layers in bf16.

    @classmethod
    def build(cls, width: int, settings: Body) -> tuple[nn.Module, int]:
        """`depth` layers, `hidden` states each way."""
        cell = nn.GRU(width, settings.hidden, settings.depth, batch_first=True, bidirectional=True)
        return Recurrent(cell), 2 * settings.hidden
