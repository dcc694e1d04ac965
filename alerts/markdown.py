"""An alert in the small Markdown of chat robots, cut to a size in bytes.

These robots know no escape, so in strangers' text every character that could begin markup or a mention is replaced by
its full-width twin, which reads the same and means nothing, and `://` is broken, so that no client makes it a link.
"""

from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.plain import origin
from opinionwatch.alerts.stories import more, within
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message

_TWINS = str.maketrans("[]*_`<>~|\\&$@", "［］＊＿｀＜＞～｜＼＆＄＠")


def defused(text: str, limit: int | None = None) -> str:
    """One line that is only ever text.

    >>> defused("<@all> [bank](https://evil.example) *now*")
    '＜＠all＞ ［bank］(https:／／evil.example) ＊now＊'
    """
    return one_line(text, limit).translate(_TWINS).replace("://", ":／／").lstrip("#+-> ")


def markdown(message: Message, limit_bytes: int) -> str:
    """Title, summary, link and id always; facts, reasons, other stories and examples as far as there is room. Stories
    that there is none for are counted.
    """
    words, message = WORDS[message.lang], within(message)
    head = [f"### {defused(message.title, 200)}", defused(message.summary, 600)]
    tail = [*_link(message), f"{words.labels['id']} {defused(message.alert_id)}"]
    rows = [_row(label, value) for label, value in (*message.facts, *message.reasons)]
    body = rows + [
        "  ".join((f"**{defused(other.title, 120)}** {defused(other.summary, 300)}", *_link(other)))
        for other in message.others
    ]
    if message.examples:
        body.append(f"**{words.labels['examples']}**")
    body += [
        f"> {words.quoted.format(text=defused(quote(example)))}  {defused(origin(example))}"
        for example in message.examples
    ]
    left = limit_bytes - len(_joined([*head, *_counted(message, 0), *tail]).encode())
    kept: list[str] = []
    for line in body:
        left -= len(line.encode()) + 2
        if left < 0:
            break
        kept.append(line)
    return _joined([*head, *kept, *_counted(message, max(0, len(kept) - len(rows))), *tail])


def _row(label: str, value: str) -> str:
    return f"**{defused(label, 60)}** {defused(value, 500)}"


def _link(message: Message) -> list[str]:
    label, link = WORDS[message.lang].labels["link"], safe_url(message.link)
    return [f"[{label}]({link.replace('(', '%28').replace(')', '%29')})"] if link else []


def _counted(message: Message, told: int) -> list[str]:
    """How many of its stories are not told, if only so many are."""
    return [_row(label, number) for label, number in more(within(message, told))]


def _joined(lines: list[str]) -> str:
    return "\n\n".join(lines)
