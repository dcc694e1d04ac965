"""A recurrent layer that reads a padded batch as if every text stood alone."""

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Recurrent(nn.Module):
    """A GRU or an LSTM in both directions: vectors (B, L, W) → (B, L, 2·hidden). Padding is packed away, so that the
    backward direction starts at a text's own end.
    """

    def __init__(self, cell: nn.GRU | nn.LSTM) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """States of the tokens."""
        packed = pack_padded_sequence(vectors, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.cell(packed)[0], batch_first=True, total_length=vectors.shape[1])
        return states
