"""Long short-term memory (Hochreiter and Schmidhuber 1997) in both directions, with attention pooling (Yang et al.,
Hierarchical Attention Networks for Document Classification, NAACL 2016).
"""

from torch import nn

from opinionwatch.models.heads import AttentionPooling
from opinionwatch.models.recipe import Body
from opinionwatch.models.recurrent import Recurrent
from opinionwatch.models.scratch import Scratch


class Lstm(Scratch):
    """A bidirectional LSTM; what counts for the sentiment is learnt."""

    sixteen_bits = False
    # oneDNN refuses some shapes of recurrent layers in bf16.

    @classmethod
    def build(cls, width: int, settings: Body) -> tuple[nn.Module, int]:
        """`depth` layers, `hidden` states each way."""
        cell = nn.LSTM(width, settings.hidden, settings.depth, batch_first=True, bidirectional=True)
        return Recurrent(cell), 2 * settings.hidden

    @classmethod
    def pool(cls, hidden: int) -> nn.Module | None:
        """Attention with one learnt query."""
        return AttentionPooling(hidden)
