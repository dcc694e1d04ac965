"""From an artefact to the network that scores with it: packed where its body is a BERT, as it was trained elsewhere."""

import torch

from opinionwatch.models.artefact import Artefact, Stored, architecture, load
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.kernels import available
from opinionwatch.models.packed import PackedBody, Shape, shape_of
from opinionwatch.models.quantise import Widened, widen
from opinionwatch.models.reach import reaches, sample
from opinionwatch.models.ways import Ways, ways
from opinionwatch.pipeline.errors import SettingsError

BODY = "body."
"""What the names of a body's weights begin with."""
PACKS_ON = ("cpu", "cuda")


def scoring(stored: Stored, device: torch.device, dtype: torch.dtype, *, eight: bool = False) -> Artefact:
    """The artefact with a network that scores on this device.

    With `eight` its products run in 8 bits. Raises SettingsError for weights that do not fit, and where there are no
    8 bits.
    """
    config = stored.config
    shape = shape_of(config.backbone, config.body.layers) if architecture(stored) is Encoder else None
    if eight and (shape is None or device.type != "cpu" or not available()):
        raise SettingsError("scorer.precision: int8 is for BERT bodies on an x86 CPU; write auto")
    if dtype == torch.float16 and device.type == "cpu":
        raise SettingsError("scorer.precision: fp16 is for accelerators; write auto")
    if shape is None or device.type not in PACKS_ON:
        return load(stored.folder)
    try:
        return stored.finished(packed(stored, shape, _ways(stored, shape, device, dtype, eight=eight)))
    except (RuntimeError, SettingsError) as error:
        raise SettingsError(f"artefact {stored.folder}: {error}") from error


def packed(stored: Stored, shape: Shape, chosen: Ways) -> Encoder:
    """The network, its body packed. Raises SettingsError or PyTorch's RuntimeError for weights that do not fit."""
    settings = stored.config.body
    model = Encoder(PackedBody(shape, _body(stored), chosen, settings.max_tokens), settings)
    model.load_state_dict(widen({name: weight for name, weight in stored.weights.items() if not name.startswith(BODY)}))
    return model


def _ways(stored: Stored, shape: Shape, device: torch.device, dtype: torch.dtype, *, eight: bool) -> Ways:
    if not eight:
        return ways(device, dtype)
    return ways(device, dtype, reaches(shape, _body(stored), stored.tokens, sample()))


def _body(stored: Stored) -> Widened:
    return Widened(
        {name.removeprefix(BODY): weight for name, weight in stored.weights.items() if name.startswith(BODY)}
    )
