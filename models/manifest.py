"""What an artefact's folder holds, and what can be said about a model without loading it; needs no torch."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opinionwatch.pipeline.contracts import Confusion
from opinionwatch.pipeline.errors import SettingsError

CONFIG, TOKENIZER, WEIGHTS, CARD, MANIFEST = (
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "card.md",
    "manifest.json",
)
FILES = (CONFIG, TOKENIZER, WEIGHTS, CARD)
DEFAULT = Path(__file__).parent / "default"
"""The artefact that ships with the package."""


class Entry(BaseModel):
    """One file of the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """What the folder holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    files: dict[str, Entry]


def read(folder: Path) -> Manifest:
    """The manifest of a folder that holds just what it must. Raises SettingsError with the reason when it does not."""
    if not folder.is_dir():
        raise SettingsError(f"artefact {folder}: there is no such folder")
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise SettingsError(f"artefact {folder}: {MANIFEST} is missing") from error
    except ValidationError as error:
        raise SettingsError(f"artefact {folder}: {MANIFEST} is damaged: {error.errors()[0]['msg']}") from error
    if foreign := sorted(set(manifest.files) ^ set(FILES)):
        raise SettingsError(f"artefact {folder}: the manifest must list {', '.join(FILES)}; wrong: {foreign[0]}")
    present = {path.name for path in folder.iterdir()}
    if extra := sorted(present - {*FILES, MANIFEST}):
        raise SettingsError(f"artefact {folder}: '{extra[0]}' does not belong there (pickles are never read)")
    return manifest


def checked(path: Path, entry: Entry) -> bytes:
    """The content of a file, if it is the manifest's. Raises SettingsError when it is not."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"artefact {path.parent}: {path.name} is missing") from error
    if len(content) != entry.size:
        raise SettingsError(f"artefact {path.parent}: {path.name} has {len(content)} bytes, not {entry.size}")
    if sha256(content).hexdigest() != entry.sha256:
        raise SettingsError(f"artefact {path.parent}: {path.name} was altered (sha256 differs from the manifest)")
    return content


def version_of(name: str, files: Mapping[str, Entry]) -> str:
    """Name and the hash of everything that answers depend on, which the card is not."""
    parts = "".join(files[part].sha256 for part in (CONFIG, TOKENIZER, WEIGHTS))
    return f"{name}-{sha256(parts.encode()).hexdigest()[:12]}"


class _Errors(BaseModel):
    confusion: Confusion | None = None


class _Told(BaseModel):
    """What of a model's configuration can be used without the model."""

    name: str
    calibration: dict[str, _Errors] = Field(default_factory=dict)


class Counted:
    """What a neural scorer would say about its errors, from its artefact's folder: for those who do not score."""

    def __init__(self, options: Mapping[str, object]) -> None:
        """`options` are the scorer's in the settings. Raises SettingsError when its artefact is not whole."""
        folder = Path(str(options.get("artefact", DEFAULT)))
        manifest = read(folder)
        try:
            told = _Told.model_validate_json(checked(folder / CONFIG, manifest.files[CONFIG]))
        except ValidationError as error:
            raise SettingsError(f"artefact {folder}: {CONFIG}: {error.errors()[0]['msg']}") from error
        self.version = version_of(told.name, manifest.files)
        """As the loaded scorer's."""
        self.confusion: Mapping[str, Confusion] = {
            lang: own.confusion for lang, own in told.calibration.items() if own.confusion is not None
        }
