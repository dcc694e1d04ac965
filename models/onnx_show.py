"""Shows what an exported model is like."""

from rich.console import Group, RenderableType

from opinionwatch.models.compress_show import to_table as cost
from opinionwatch.models.onnx_export import Exported


def to_table(found: Exported) -> RenderableType:
    """Likeness to the network, then size, speed, and what is lost where there were labelled files."""
    same = found.likeness
    told = (
        f"{same.sentences} sentences beside the network: largest difference of a logit {same.largest:.1e}, "
        f"{same.flips} labels differ"
    )
    return Group(cost(found.cost), told)
