"""Shows how far a training run is, in a terminal."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """How far, how long, how long still, and a line of words; nothing where there is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        """`console` is standard error unless another is given."""
        console = console or Console(stderr=True)
        self.shown = console.is_terminal
        self._bar = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not self.shown,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0)

    def begin(self) -> None:
        """Show it."""
        self._bar.start()

    def moved(self, share: float) -> None:
        """So much of the run, from 0 to 1, is done."""
        self._bar.update(self._task, completed=share)

    def say(self, words: str) -> None:
        """What stands beside it."""
        self._bar.update(self._task, description=words)

    def end(self) -> None:
        """Take it away."""
        self._bar.stop()
