"""An alert as plain text: the plain part of an e-mail, and what services without markup get."""

from collections.abc import Callable

from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.stories import more, within
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Exemplar, Message


def plain(message: Message, clean: Callable[[str], str] = one_line) -> str:
    """The text. Everything but our own labels and addresses passes `clean`."""
    labels, message = WORDS[message.lang].labels, within(message)
    lines = [clean(message.title), "", clean(message.summary), ""]
    lines += [f"{clean(label)}: {clean(value)}" for label, value in (*message.facts, *message.reasons)]
    for other in message.others:
        lines += ["", clean(other.title), f"  {clean(other.summary)}", f"    {one_line(other.link)}"]
    if message.untold:
        lines += ["", *(f"{label}: {number}" for label, number in more(message))]
    if message.examples:
        lines += ["", f"{labels['examples']}:"]
    for example in message.examples:
        lines.append(f"  {WORDS[message.lang].quoted.format(text=clean(quote(example)))}")
        lines.append(f"    {clean(origin(example))}")
        if (url := safe_url(example.url)) is not None:
            lines.append(f"    {url}")
    lines += ["", f"{labels['link']}: {one_line(message.link)}"]
    if message.dashboard:
        lines.append(f"{labels['dashboard']}: {one_line(message.dashboard)}")
    lines.append(f"{labels['id']}: {one_line(message.alert_id)}")
    lines += [f"{labels[verb]}: {one_line(url)}" for verb, url in message.answers]
    return "\n".join(lines) + "\n"


def origin(example: Exemplar) -> str:
    """Where and when a post stood."""
    return f"{one_line(example.source, 64)} · {example.published_at:%Y-%m-%d %H:%M} UTC"
