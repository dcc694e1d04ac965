"""The other stories of a message, as far as a channel has room for them: what it has none for is counted."""

from collections.abc import Callable

from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message

MOST = 12
"""Other stories that people read in one message."""


def within(message: Message, most: int = MOST) -> Message:
    """The message with at most so many other stories; those left out are counted in `untold`."""
    left = len(message.others) - most
    if left <= 0:
        return message
    return message.model_copy(update={"others": message.others[:most], "untold": message.untold + left})


def more(message: Message) -> tuple[tuple[str, str], ...]:
    """Label and number of the stories that are left out; nothing when none is."""
    return ((WORDS[message.lang].labels["more"], str(message.untold)),) if message.untold else ()


def fitted(message: Message, dress: Callable[[Message], bytes], most_bytes: int) -> bytes:
    """The request that `dress` makes: examples, then other stories, are left out from the last while it is too long."""
    message = within(message)
    while len(request := dress(message)) > most_bytes and (message.examples or message.others):
        if message.examples:
            message = message.model_copy(update={"examples": message.examples[:-1]})
        else:
            message = within(message, len(message.others) - 1)
    return request
