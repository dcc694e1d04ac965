"""Several alerts of one group as one message, and the words for why somebody is told."""

from collections.abc import Sequence

from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Delivery, Message

_RANK = {"info": 0, "warning": 1, "critical": 2}


def lead(deliveries: Sequence[Delivery]) -> Delivery:
    """Whose message it is: what goes on before what has ended, the gravest, the latest; so a repetition has it too."""
    return max(
        deliveries,
        key=lambda one: (
            one.alert.event != "resolved" or all(other.alert.event == "resolved" for other in deliveries),
            _RANK[one.alert.episode.severity],
            one.alert.at,
            one.id,
        ),
    )


def latest(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The last word of every episode: what came before it in the same message is in it."""
    last: dict[str, Delivery] = {}
    for one in sorted(deliveries, key=lambda one: (one.alert.at, one.id)):
        last[one.alert.episode.id] = one
    return list(last.values())


def joined(first: Message, others: Sequence[Message]) -> Message:
    """One message: the first as it is, with every other story, of which a channel tells what it has room for."""
    return first.model_copy(update={"others": tuple(others)}) if others else first


def explained(message: Message, delivery: Delivery) -> Message:
    """The message with the reason why this channel gets it, when it is not an ordinary one."""
    if delivery.purpose == "alert" or (delivery.purpose == "escalation" and message.event == "resolved"):
        return message
    words = WORDS[message.lang]
    return message.model_copy(
        update={"facts": (*message.facts, (words.labels["note"], words.purposes[delivery.purpose]))}
    )
