"""The ports of what is told: the outbox, and the notes beside it."""

from datetime import datetime
from typing import Protocol

from opinionwatch.pipeline.contracts_trend import Delivery


class Notes(Protocol):
    """Small texts by name that outlive a process, kept beside the outbox by whoever owns it."""

    def note(self, name: str) -> str | None:
        """What was kept last under the name."""
        ...

    def keep(self, name: str, text: str) -> None:
        """Replace it; durable when it returns."""
        ...


class Outbox(Protocol):
    """Where deliveries wait: written in the same transaction as the decision, read by the notifier."""

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        """Pending deliveries whose time has come, oldest first, and those an earlier life left in `sending`."""
        ...

    def save(self, *deliveries: Delivery) -> None:
        """Replace the deliveries' state, or add those that are new; durable when it returns. All or none where the
        store has transactions, else what is new first.
        """
        ...

    def put_off(self, delivery: Delivery) -> None:
        """Replace one that is there by what it says now, though it may never have been tried: `save` takes such a one
        for new, and leaves what is there.
        """
        ...
