"""Shows an explanation in a terminal: the text, coloured by what each word adds, and how faithful that is."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from opinionwatch.models.explain import Explanation

FOR, AGAINST = "black on green", "black on red"
FAINT = 0.15
"""Words below this share of the heaviest word stay without colour; below half of it they are only tinted."""


def to_text(text: str, found: Explanation) -> RenderableType:
    """For people. Green speaks for the label, red against it."""
    table = Table("words taken out", *(f"{share:.0%}" for share in found.shares), title="is it true of the model?")
    table.add_row("heaviest first", *(f"{chance:.2f}" for chance in found.curve))
    table.add_row("at random", *(f"{chance:.2f}" for chance in found.random_curve))
    head = f"{found.label} {found.probability:.0%}"
    verdict = f"faithfulness {found.faithfulness:+.2f} (above 0: these words matter more than others)"
    return Group(Text(head, style="bold"), coloured(text, found), table, Text(verdict))


def coloured(text: str, found: Explanation) -> Text:
    """The text with a colour for each word; what could steer a terminal is made visible."""
    shown = Text("".join(sign if sign.isprintable() else "·" for sign in text))
    most = max((abs(word.weight) for word in found.words), default=0.0)
    for word in found.words:
        share = abs(word.weight) / most if most else 0.0
        if share >= FAINT:
            style = FOR if word.weight > 0 else AGAINST
            shown.stylize(style if share >= 0.5 else style.removeprefix("black on "), *word.span)
    return shown
