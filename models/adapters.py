"""Training few weights in place of all: adapters from `peft`, worn while training and merged into the body afterwards.

Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (ICLR 2022); Liu et al., Few-Shot Parameter-Efficient
Fine-Tuning is Better and Cheaper than In-Context Learning (IA3, NeurIPS 2022). An artefact of such a run is like any
other. Prefixes and prompts are not offered: they cannot be merged, and encoders of transformers 5 take none.
"""

from collections.abc import Callable

from torch import nn

from opinionwatch.models.recipe import Adapters
from opinionwatch.pipeline.errors import SettingsError


def wear(body: nn.Module, adapters: Adapters) -> Callable[[], None]:
    """Put adapters into a body, whose own weights stay as they are from now on; returns what merges them into it.

    Raises SettingsError without `peft`, or when no layer of the body has one of the names.
    """
    try:
        from peft import IA3Config, IA3Model, LoraConfig, LoraModel
    except ImportError as error:
        raise SettingsError("recipe: `adapters` needs peft: pip install 'opinionwatch[adapters]'") from error
    names = [*adapters.modules]
    try:
        if adapters.kind == "lora":
            lora = LoraConfig(
                r=adapters.rank, lora_alpha=adapters.alpha, lora_dropout=adapters.dropout, target_modules=names
            )
            worn: LoraModel | IA3Model = LoraModel(body, lora, "default")
        else:
            worn = IA3Model(body, IA3Config(target_modules=names, feedforward_modules=[]), "default")
    except ValueError as error:
        layers = {name.rpartition(".")[2] for name, part in body.named_modules() if isinstance(part, nn.Linear)}
        raise SettingsError(f"recipe: adapters.modules: {error} The body has: {', '.join(sorted(layers))}") from error

    def merge() -> None:
        worn.merge_and_unload()
        body.requires_grad_(requires_grad=True)

    return merge
