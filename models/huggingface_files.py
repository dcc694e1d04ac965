"""Finds a foreign model's files and loads them, or says why not. Nothing in them is ever run or unpickled."""

import re
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from opinionwatch.pipeline.errors import SettingsError

_HUB_ID = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?")
_QUERY = re.compile(r"[?]\S*=\S*")
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors"]
"""What is fetched from the hub: no pickles, no code."""
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


class Loaded(NamedTuple):
    """A classifier, its tokenizer, and a hash of everything that was loaded."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digest: str


def load(model: str, revision: str | None) -> Loaded:
    """Load a folder, or a model of the hub (which alone uses the network).

    Raises SettingsError with the reason: no such model, missing files, weights only as pickles, code of its own,
    damaged weights, no classification head, NaN.
    """
    folder = _folder(model, revision)
    _refuse(folder, model)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, split_special_tokens=True
        )
        network, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    # transformers and safetensors have no common error; these are what damaged or foreign files lead to.
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        ImportError,
        SafetensorError,
    ) as error:
        raise SettingsError(f"scorer.model: cannot load {model}: {_first_line(error)}") from error
    if report["missing_keys"] or report["mismatched_keys"]:
        lacking = ", ".join(sorted(map(str, report["missing_keys"] or report["mismatched_keys"]))[:3])
        raise SettingsError(f"scorer.model: {model} is no trained classifier: its weights lack {lacking}")
    if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
        raise SettingsError(f"scorer.model: {model} has weights that are not finite numbers")
    return Loaded(network, tokenizer, _digest(folder))


def _folder(model: str, revision: str | None) -> Path:
    folder = Path(model)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or model.startswith((".", "~")) or not _HUB_ID.fullmatch(model):
        raise SettingsError(f"scorer.model: there is no folder {model}, and it is no hub id such as `owner/name`")
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=_WANTED))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"scorer.model: no folder {model} here, and the hub did not give it: {_first_line(error)}"
        ) from error


def _refuse(folder: Path, model: str) -> None:
    names = {path.name for path in folder.iterdir()}
    if not any(name.endswith(".safetensors") for name in names):
        pickled = sorted(name for name in names if name.endswith(_PICKLED))
        why = f" ({', '.join(pickled)} may run code when loaded; convert them)" if pickled else ""
        raise SettingsError(f"scorer.model: {model} has no weights as safetensors{why}")
    if "config.json" not in names:
        raise SettingsError(f"scorer.model: {model} has no config.json")
    if not any("token" in name or "vocab" in name or name.endswith(".model") for name in names):
        raise SettingsError(f"scorer.model: {model} has no tokenizer files")


def _digest(folder: Path) -> str:
    digest = sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(path.match(pattern) for pattern in _WANTED):
            digest.update(f"{path.name}:{path.stat().st_size}:".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()[:12]


def _first_line(error: BaseException) -> str:
    """What went wrong in one line, without the query of any address in it."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {_QUERY.sub('', line)[:300]}"
