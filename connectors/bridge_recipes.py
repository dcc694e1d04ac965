"""What is known of the paths of bridges: `recipes/bridge.yaml`, read."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Formatter

import yaml
from pydantic import BaseModel, ConfigDict


class Recipe(BaseModel):
    """What is known of one path of a bridge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    platform: str
    lang: str
    needs: str
    """What has to be set up in the bridge before this works; empty: nothing."""

    @property
    def parameters(self) -> set[str]:
        """The names in braces."""
        return {name for _, name, _, _ in Formatter().parse(self.path) if name}


@cache
def recipes() -> Mapping[str, Recipe]:
    """All recipes there are."""
    text = files(__package__).joinpath("recipes/bridge.yaml").read_text("utf-8")
    return {name: Recipe.model_validate(told) for name, told in yaml.safe_load(text).items()}
