"""Teachers: trained first, each by its recipe, then asked once for every text that the student will read."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import structlog
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from opinionwatch.models.artefact import load
from opinionwatch.models.checkpoint import written_whole
from opinionwatch.models.device import pick_device, pick_dtype
from opinionwatch.models.manifest import MANIFEST
from opinionwatch.models.network import Network
from opinionwatch.models.recipe import Distillation
from opinionwatch.pipeline.errors import SettingsError

log = structlog.get_logger(__name__)
READ_ROWS, TOKENS_PER_BATCH = 4096, 16_384
ANSWERS = "teachers.safetensors"


def answers(artefacts: Sequence[Path], texts: Sequence[str], plan: Distillation, out: Path) -> Tensor:
    """Softened log-probabilities (n, 3) of the teachers' mean, in the order of `texts`.

    They are kept in the run folder, so that a resumed run does not ask again. Raises SettingsError for an artefact that
    cannot be loaded.
    """
    key = _key(artefacts, texts, plan)
    path = out / ANSWERS
    if path.exists() and (found := _kept(path, key)) is not None:
        return found
    told = [_ask(artefact, texts) for artefact in artefacts]
    softened = torch.stack([(logits / plan.temperature).softmax(-1) for logits in told]).mean(0).clamp(min=1e-8).log()
    with written_whole(path) as beside:
        save_file({"answers": softened.contiguous()}, beside, metadata={"key": key})
    return softened


def _kept(path: Path, key: str) -> Tensor | None:
    """The answers of a run before; None where they are to other questions, or the file is not whole."""
    try:
        with safe_open(path, "pt") as kept:
            found: Tensor | None = kept.get_tensor("answers") if (kept.metadata() or {}).get("key") == key else None
    except SafetensorError:
        return None
    return found


def _ask(artefact: Path, texts: Sequence[str]) -> Tensor:
    stored = load(artefact)
    device = pick_device()
    network = Network(
        stored.model, stored.tokens, device, pick_dtype(device), TOKENS_PER_BATCH, companion=stored.companion
    )
    distinct = [*dict.fromkeys(texts)]
    place = {text: at for at, text in enumerate(distinct)}
    logits = torch.cat(
        [
            torch.tensor(network.moods(distinct[at : at + READ_ROWS])).view(-1, 3)
            for at in range(0, len(distinct), READ_ROWS)
        ]
    )
    log.info("distil.teacher", version=stored.version, texts=len(distinct))
    return logits[torch.tensor([place[text] for text in texts])]


def _key(artefacts: Sequence[Path], texts: Sequence[str], plan: Distillation) -> str:
    """What the answers depend on."""
    digest = sha256(plan.model_dump_json().encode())
    for artefact in artefacts:
        try:
            digest.update((artefact / MANIFEST).read_bytes())
        except OSError as error:
            raise SettingsError(f"teacher {artefact}: {error}") from error
    for text in texts:
        digest.update(text.encode(errors="replace") + b"\0")
    return digest.hexdigest()
