"""A dry run: everything is decided, and what would be sent is written to the terminal instead."""

from collections.abc import Callable, Mapping

from opinionwatch.alerts.excuse import Excuse
from opinionwatch.alerts.terminal import Terminal
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Message
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Channel

REASON = "dry run: written to the terminal, not sent"


class Unsent:
    """Stands before a channel and keeps everything from it.

    Delivery: none. What an earlier life was sending when it died waits for the next real one.
    """

    def __init__(self, channel: Channel) -> None:
        """Stand before that channel."""
        self.name = channel.name

    def notify(self, message: Message) -> None:
        """Raises RetryableError."""
        del message
        raise RetryableError("dry run: it waits for a real one", after_s=3600)


def dry(channels: Mapping[str, Channel]) -> dict[str, Channel]:
    """The same names, and nobody behind them."""
    return {name: Unsent(channel) for name, channel in channels.items()}


def shown(
    excuse: Callable[[Delivery], Excuse | None],
    render: Callable[[Alert, bool], Message],
    terminal: Channel | None = None,
) -> Callable[[Delivery], Excuse | None]:
    """An excuse for every delivery: it is shown, and need not be sent any more. What `excuse` excuses is not shown, nor
    what an earlier life was sending.
    """
    screen = terminal or Terminal("dry run", Terminal.Settings(stream="stdout"))

    def reason(delivery: Delivery) -> Excuse | None:
        found = excuse(delivery)
        if delivery.state == "sending":
            return found
        if not found:
            message = render(delivery.alert, delivery.uncertain)
            screen.notify(message.model_copy(update={"title": f"{delivery.channel}: {message.title}"}))
        return found or Excuse(REASON)

    return reason
