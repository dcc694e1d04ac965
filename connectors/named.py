"""What every source has that is no poller of web services: a name, what it reads, how often, and an end."""

from threading import Event


class Named:
    """Base of such sources: a source adds `kind`, `Settings` and `fetch`, and looks at `self._closing`."""

    def __init__(self, name: str, instance: str, interval_s: float | None = None) -> None:
        """`interval_s` None: it is fetched once, and runs until it is exhausted or closed."""
        self.name = name
        self.instance = instance
        self.interval_s = interval_s
        self.replays = False
        self._closing = Event()

    def close(self) -> None:
        """Stop soon."""
        self._closing.set()
