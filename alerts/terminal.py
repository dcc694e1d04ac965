"""Alerts on the terminal."""

import io
import sys
from typing import Annotated, Literal

from pydantic import Field
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from opinionwatch.alerts.channel import ChannelSettings
from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.stories import more, within
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message, Severity
from opinionwatch.pipeline.errors import RetryableError

_COLOURS: dict[Severity, str] = {"info": "cyan", "warning": "yellow", "critical": "red"}


class Terminal:
    """Write each alert as a panel, in one piece, to standard error or standard output.

    Colour only where a terminal reads it; characters that its encoding lacks become `?`. Nothing in a post can move
    the cursor, colour the text or reverse its direction: it is written as text, without control characters.

    Delivery: at least once. A crash between the write and its record repeats the panel, marked as sent again.
    """

    class Settings(ChannelSettings):
        """Settings of the terminal channel."""

        info: Annotated[bool, Field(description="Whether information (a volume surge, …) is shown too.")] = True
        stream: Annotated[Literal["stderr", "stdout"], Field(description="Where to write.")] = "stderr"
        width: Annotated[int, Field(ge=40, le=300, description="Columns at most.")] = 100

    def __init__(self, name: str, settings: Settings) -> None:
        """A channel of that name."""
        self.name = name
        self.settings = settings

    def notify(self, message: Message) -> None:
        """Write the panel. Raises RetryableError when nobody can be written to now."""
        stream = sys.stdout if self.settings.stream == "stdout" else sys.stderr
        if stream is None or stream.closed:
            raise RetryableError(f"{self.settings.stream} is closed")
        encoding = stream.encoding or "utf-8"
        console = Console(
            file=io.TextIOWrapper(io.BytesIO(), encoding=encoding),  # where rich learns which boxes can be drawn
            force_terminal=stream.isatty(),
            width=min(self.settings.width, Console(file=stream).width),
            highlight=False,
            markup=False,
            emoji=False,
        )
        with console.capture() as drawn:
            console.print(panel(message))
        try:
            stream.write(drawn.get().encode(encoding, "replace").decode(encoding))
            stream.flush()
        except OSError as error:
            raise RetryableError(f"{self.settings.stream} cannot be written: {error.strerror}") from error


def panel(message: Message) -> Panel:
    """The alert as a rich panel. Strangers' text is only ever in `Text`, which knows no markup."""
    labels, message = WORDS[message.lang].labels, within(message)
    colour = _COLOURS[message.severity]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in (*message.facts, *message.reasons):
        table.add_row(Text(one_line(label)), Text(one_line(value)))
    lines: list[RenderableType] = [Text(one_line(message.summary)), Text(""), table]
    for other in message.others:
        lines += [Text(""), Text(one_line(other.title), style="bold"), Text(f"  {one_line(other.summary)}")]
        lines.append(Text(f"  {one_line(other.link)}", style="dim"))
    lines += [Text(f"{label}: {number}", style="bold") for label, number in more(message)]
    if message.examples:
        lines += [Text(""), Text(labels["examples"], style="bold")]
    for example in message.examples:
        said = WORDS[message.lang].quoted.format(text=quote(example))
        origin = f"{one_line(example.source, 64)} · {example.published_at:%Y-%m-%d %H:%M} UTC"
        lines.append(Text.assemble("• ", said, (f"  {origin}", "dim")))
        if (url := safe_url(example.url)) is not None:
            lines.append(Text(f"  {url}", style="dim"))
    lines += [Text(""), Text.assemble((f"{labels['link']}: ", "bold"), one_line(message.link))]
    if message.dashboard:
        lines.append(Text.assemble((f"{labels['dashboard']}: ", "bold"), one_line(message.dashboard)))
    lines.append(Text(f"{labels['id']} {message.alert_id}", style="dim"))
    return Panel(Group(*lines), title=Text(one_line(message.title), style=f"bold {colour}"), border_style=colour)
