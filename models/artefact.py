"""A trained model on disk: a folder of five files that is either whole or refused.

`config.json` (shape, labels, calibration), `tokenizer.json`, `model.safetensors` (8-bit matrices, no pickles),
`card.md` for people, and `manifest.json` with the size and sha256 of the other four.
"""

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
from opinionwatch.models.companion import PREFIX, Companion, Kept, Mixing
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
    version_of,
)
from opinionwatch.models.manifest import read as manifest_of
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


class Stored(NamedTuple):
    """What a folder holds, checked, with the network's weights as they are stored."""

    folder: Path
    version: str
    config: Config
    weights: dict[str, Tensor]
    tokens: TextTokens
    companion: Companion | None

    def finished(self, model: Encoder) -> Artefact:
        """The artefact with this network. Raises SettingsError when the tokenizer is another model's."""
        if self.tokens.tokenizer.get_vocab_size() > model.vocabulary:
            raise SettingsError(
                f"artefact {self.folder}: the tokenizer knows more pieces than the model's {model.vocabulary}"
            )
        return Artefact(self.version, self.config, model, self.tokens, self.companion)


def read(folder: Path) -> Stored:
    """Read a folder that `save` wrote.

    Raises SettingsError with the reason: missing, truncated, altered or foreign files, pickles, an unknown format, a
    wrong label map, no tokenizer, weights of a companion that are not finite or do not fit.
    """
    manifest = manifest_of(folder)
    contents = {name: checked(folder / name, manifest.files[name]) for name in FILES}
    config = _config(folder, contents[CONFIG])
    try:
        # safetensors holds numbers only; a pickle under its name does not parse.
        weights = load_tensors(contents[WEIGHTS])
        companion = _companion(config, weights)
    except SafetensorError as error:
        raise SettingsError(f"artefact {folder}: {WEIGHTS} is not a safetensors file: {error}") from error
    except SettingsError as error:
        raise SettingsError(f"artefact {folder}: {error}") from error
    tokens = TextTokens(_tokenizer(folder, contents[TOKENIZER]), config.body.max_tokens)
    return Stored(folder, version_of(config.name, manifest.files), config, weights, tokens, companion)


def load(folder: Path) -> Artefact:
    """Read a folder that `save` wrote and build its network, for training and whatever else wants gradients.

    Raises SettingsError as `read` does, and for weights of another shape or that are not finite.
    """
    return built(read(folder))


def built(stored: Stored) -> Artefact:
    """What was read, with its network. Raises SettingsError for weights of another shape or that are not finite."""
    config = stored.config
    kind = architecture(stored)
    try:
        model = kind.from_config(config.backbone, config.body)
        model.load_state_dict(widen(stored.weights))
    except (RuntimeError, SettingsError) as error:
        raise SettingsError(f"artefact {stored.folder}: {error}") from error
    return stored.finished(model)


def architecture(stored: Stored) -> type[Encoder]:
    """The class of an artefact's network. Raises SettingsError when there is none of that name."""
    name = stored.config.body.architecture
    kind = resolve(ARCHITECTURES, name, f"artefact {stored.folder}: architecture")
    if not issubclass(kind, Encoder):
        raise SettingsError(f"artefact {stored.folder}: '{name}' is not an Encoder")
    return kind


def _companion(config: Config, weights: dict[str, Tensor]) -> Companion | None:
    """Takes its weights out of all of them."""
    own = {name: weights.pop(name) for name in [*weights] if name.startswith(PREFIX)}
    if config.companion is not None:
        return Kept(config.companion, own)
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
        config = Config.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"artefact {folder}: {CONFIG}: {where}: {first['msg']}") from error
    if config.labels != LABELS:
        raise SettingsError(f"artefact {folder}: wrong label map {config.labels}; expected {LABELS}")
    return config
