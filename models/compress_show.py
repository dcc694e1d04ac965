"""Shows what compressing an artefact gained and lost."""

from rich.console import Group, RenderableType
from rich.table import Table

from opinionwatch.models.compare_show import to_table as compared
from opinionwatch.models.compress import Compressed


def to_table(found: Compressed) -> RenderableType:
    """Size, speed where there were texts to read, and the comparison on labelled files where there were any."""
    table = Table("", "before", "after", "ratio", title=found.version)
    rows = (
        ("size, MB", found.bytes_before / 1e6, found.bytes_after / 1e6),
        ("CPU seconds a thousand texts", found.cpu_s_before, found.cpu_s_after),
    )
    for name, before, after in rows:
        if before:
            table.add_row(name, f"{before:.2f}", f"{after:.2f}", f"{after / before:.2f}")
    return table if found.quality is None else Group(table, compared(found.quality))
