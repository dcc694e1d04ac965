"""A trained model on disk: a folder of five files that is either whole or refused.

`config.json` (shape, labels, calibration), `tokenizer.json`, `model.safetensors` (8-bit matrices, no pickles),
`card.md` for people, and `manifest.json` with the size and sha256 of the other four.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from tokenizers import Tokenizer
from torch import Tensor

from opinionwatch.models.calibrate import Calibration
from opinionwatch.models.companion import PREFIX, Companion, Mixing
from opinionwatch.models.decode import Decoding
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import LABELS
from opinionwatch.models.manifest import (
    CARD,
    CONFIG,
    FILES,
    MANIFEST,
    TOKENIZER,
    WEIGHTS,
    Entry,
    Manifest,
    checked,
    read,
    version_of,
)
from opinionwatch.models.quantise import narrow, widen
from opinionwatch.models.recipe import Body
from opinionwatch.models.registry import ARCHITECTURES
from opinionwatch.models.tokens import TextTokens
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import resolve

FORMAT = 1


class Config(BaseModel):
    """Everything about a model that is neither a weight nor a vocabulary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    body: Body
    backbone: dict[str, JsonValue]
    """The Hugging Face configuration of the body, as shortened."""
    labels: tuple[str, ...] = LABELS
    companion: Mixing | None = None
    """The linear companion, where there is one."""
    calibration: dict[str, Calibration] = Field(default_factory=dict)
    decoding: Decoding = Decoding()


class Artefact(NamedTuple):
    """A loaded model. `version` changes whenever its answers may."""

    version: str
    config: Config
    model: Encoder
    tokens: TextTokens
    companion: Companion | None = None


def save(
    folder: Path, config: Config, tokenizer: Tokenizer, model: Encoder, card: str, companion: Companion | None = None
) -> str:
    """Write the five files, the manifest last; returns the version."""
    config = config.model_copy(update={"companion": None if companion is None else companion.mixing})
    extra = {} if companion is None else companion.stored()
    tokenizer.no_padding()
    tokenizer.no_truncation()
    contents = {
        CONFIG: config.model_dump_json(indent=1).encode(),
        TOKENIZER: tokenizer.to_str().encode(),
        WEIGHTS: save_tensors(narrow(model.state_dict()) | extra),
        CARD: card.encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    files = {name: Entry(sha256=sha256(content).hexdigest(), size=len(content)) for name, content in contents.items()}
    (folder / MANIFEST).write_text(Manifest(files=files).model_dump_json(indent=1))
    return version_of(config.name, files)


def load(folder: Path) -> Artefact:
    """Read a folder that `save` wrote.

    Raises SettingsError with the reason: missing, truncated, altered or foreign files, pickles, an unknown format, a
    wrong label map, a tokenizer or weights of another shape, weights that are not finite.
    """
    manifest = read(folder)
    contents = {name: checked(folder / name, manifest.files[name]) for name in FILES}
    config = _config(folder, contents[CONFIG])
    kind = resolve(ARCHITECTURES, config.body.architecture, f"artefact {folder}: architecture")
    if not issubclass(kind, Encoder):
        raise SettingsError(f"artefact {folder}: '{config.body.architecture}' is not an Encoder")
    model = kind.from_config(config.backbone, config.body)
    try:
        # safetensors holds numbers only; a pickle under its name does not parse.
        weights = widen(load_tensors(contents[WEIGHTS]))
        companion = _companion(config, weights)
        model.load_state_dict(weights)
    except SafetensorError as error:
        raise SettingsError(f"artefact {folder}: {WEIGHTS} is not a safetensors file: {error}") from error
    except (RuntimeError, SettingsError) as error:
        raise SettingsError(f"artefact {folder}: {error}") from error
    tokenizer = _tokenizer(folder, contents[TOKENIZER])
    if tokenizer.get_vocab_size() > model.vocabulary:
        raise SettingsError(f"artefact {folder}: the tokenizer knows more pieces than the model's {model.vocabulary}")
    tokens = TextTokens(tokenizer, config.body.max_tokens)
    return Artefact(version_of(config.name, manifest.files), config, model, tokens, companion)


def _companion(config: Config, weights: dict[str, Tensor]) -> Companion | None:
    """Takes its weights out of all of them."""
    own = {name: weights.pop(name) for name in [*weights] if name.startswith(PREFIX)}
    if config.companion is not None:
        return Companion.restored(config.companion, own)
    if own:
        raise SettingsError(f"{CONFIG} does not name the companion that {WEIGHTS} holds")
    return None


def _tokenizer(folder: Path, content: bytes) -> Tokenizer:
    try:
        return Tokenizer.from_buffer(content)
    except Exception as error:  # tokenizers raises nothing more precise
        raise SettingsError(f"artefact {folder}: {TOKENIZER}: {error}") from error


def _config(folder: Path, content: bytes) -> Config:
    try:
        config = Config.model_validate(json.loads(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"artefact {folder}: {CONFIG}: {where}: {first['msg']}") from error
    if config.labels != LABELS:
        raise SettingsError(f"artefact {folder}: wrong label map {config.labels}; expected {LABELS}")
    return config
