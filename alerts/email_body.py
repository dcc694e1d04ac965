"""An alert as an e-mail: a plain part, an HTML part with the chart in it, and the headers that thread and file it."""

import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from jinja2 import Environment, StrictUndefined

from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.plain import origin, plain
from opinionwatch.alerts.stories import more, within
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message

_FRAME = """\
<!DOCTYPE html>
<html lang="{{ lang }}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ title }}</title></head>
<body style="margin:0;padding:16px;background:#f4f5f7;color:#1f2933;\
font-family:system-ui,-apple-system,'Segoe UI','PingFang SC','Microsoft YaHei',sans-serif;\
font-size:15px;line-height:1.5">
<div style="max-width:680px;margin:0 auto;background:#fff;border-top:4px solid {{ colour }};padding:20px 24px">
{{ body|safe }}</div></body></html>
"""
_HTML = """\
<h1 style="margin:0 0 8px;font-size:20px">{{ title }}</h1>
<p style="margin:0 0 16px;font-size:16px">{{ summary }}</p>
{% if chart %}<p style="margin:0 0 16px"><img src="cid:{{ chart }}" width="632" alt="{{ labels.chart }}" \
style="max-width:100%;height:auto"></p>{% endif %}
<table role="presentation" style="border-collapse:collapse;width:100%">
{% for label, value in rows %}<tr>\
<th style="text-align:left;vertical-align:top;padding:4px 16px 4px 0;white-space:nowrap">{{ label }}</th>\
<td style="padding:4px 0">{{ value }}</td></tr>
{% endfor %}</table>
{% for other in others %}<p style="margin:12px 0 0"><strong>{{ other.title }}</strong><br>{{ other.summary }}\
{% if other.link %}<br><a href="{{ other.link }}" style="color:#0b5cad">{{ labels.link }}</a>{% endif %}</p>
{% endfor %}{% for label, number in more %}<p style="margin:12px 0 0"><strong>{{ label }}</strong> {{ number }}</p>
{% endfor %}{% if examples %}<h2 style="margin:20px 0 8px;font-size:16px">{{ labels.examples }}</h2>{% endif %}
{% for example in examples %}<blockquote style="margin:0 0 12px;padding:2px 0 2px 12px;border-left:3px solid #cbd2d9">\
{{ example.text }}<br><small style="color:#616e7c">{{ example.origin }}\
{% if example.url %} · <a href="{{ example.url }}" rel="noopener noreferrer">{{ example.url }}</a>{% endif %}</small>
</blockquote>
{% endfor %}<p style="margin:20px 0 0">{% if link %}<a href="{{ link }}" style="color:#0b5cad">{{ labels.link }}</a>\
{% endif %}{% if dashboard %}<br><a href="{{ dashboard }}" style="color:#0b5cad">\
{{ labels.dashboard }}</a>{% endif %}</p>
{% if answers %}<p style="margin:12px 0 0">{% for label, url in answers %}{% if not loop.first %} · {% endif %}\
<a href="{{ url }}" style="color:#0b5cad">{{ label }}</a>{% endfor %}</p>{% endif %}
<p style="margin:16px 0 0;color:#616e7c;font-size:12px">opinionwatch · {{ labels.id }} {{ id }}</p>
"""
_ENVIRONMENT = Environment(autoescape=True, undefined=StrictUndefined)
_OUTSIDE, _INSIDE = (_ENVIRONMENT.from_string(text) for text in (_FRAME, _HTML))
INK = "#3c4650"
_COLOURS = {"info": "#2f6fab", "warning": "#b7791f", "critical": "#b3261e"}


def started(
    title: str, sender: Address, recipients: tuple[str, ...], at: datetime, unsubscribe: str = ""
) -> EmailMessage:
    """A mail with the headers that all of ours have. `unsubscribe` is an address of a list, mailto: or https.

    `EmailMessage` refuses line breaks in headers; beyond that no header holds anything but our words and a clean line.
    """
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = f"[opinionwatch] {one_line(title, 200)}"
    mail["From"] = sender
    mail["To"] = recipients
    mail["Date"] = format_datetime(at)
    mail["List-Id"] = f"opinionwatch alerts <alerts.opinionwatch.{sender.domain}>"
    if unsubscribe:  # RFC 2369
        mail["List-Unsubscribe"] = f"<{unsubscribe}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    return mail


def compose(message: Message, sender: Address, recipients: tuple[str, ...], unsubscribe: str = "") -> EmailMessage:
    """The e-mail. The same message gives the same bytes: Message-ID, date and boundaries follow from the alert."""
    mail = started(message.title, sender, recipients, message.at, unsubscribe)
    mail["Message-ID"] = message_id(message.alert_id, sender.domain)
    if message.opened_id and message.opened_id != message.alert_id:
        opening = message_id(message.opened_id, sender.domain)
        mail["In-Reply-To"] = opening
        mail["References"] = opening
    mail.set_content(plain(message), cte="base64" if message.lang == "zh" else "quoted-printable")
    chart = f"chart.{token(message.alert_id)}@{sender.domain}" if message.chart_png else ""
    mail.add_alternative(html(message, chart), subtype="html", cte="base64")
    if message.chart_png:
        _, rich = mail.iter_parts()
        rich.add_related(
            message.chart_png, "image", "png", cid=f"<{chart}>", disposition="inline", filename="chart.png"
        )
        rich.set_boundary(f"=_{token(message.alert_id)}.related")
    mail.set_boundary(f"=_{token(message.alert_id)}.alternative")
    return mail


def message_id(alert_id: str, domain: str) -> str:
    """The Message-ID of an alert: the same after every restart, so that a repetition is the same e-mail."""
    return f"<{token(alert_id)}@{domain}>"


def html(message: Message, chart: str) -> str:
    """The HTML part; `chart` is the content id of the picture, empty without one. Everything is escaped by jinja2."""
    words, message = WORDS[message.lang], within(message)
    body = _INSIDE.render(
        title=one_line(message.title),
        summary=one_line(message.summary),
        labels=words.labels,
        rows=[(one_line(label), one_line(value)) for label, value in (*message.facts, *message.reasons)],
        others=[
            {"title": one_line(other.title), "summary": one_line(other.summary), "link": safe_url(other.link)}
            for other in message.others
        ],
        more=more(message),
        examples=[
            {
                "text": words.quoted.format(text=quote(example)),
                "origin": origin(example),
                "url": safe_url(example.url),
            }
            for example in message.examples
        ],
        chart=chart,
        link=safe_url(message.link),
        dashboard=safe_url(message.dashboard),
        answers=[(words.labels[verb], url) for verb, address in message.answers if (url := safe_url(address))],
        id=message.alert_id,
    )
    return framed(message.lang, message.title, _COLOURS[message.severity], body)


def framed(lang: str, title: str, colour: str, body: str) -> str:
    """A whole page around a `body` that a template of ours has rendered."""
    return _OUTSIDE.render(lang=lang, title=one_line(title), colour=colour, body=body)


def token(text: str) -> str:
    """What of a text may stand in an id of a mail."""
    return re.sub(r"[^A-Za-z0-9-]", "", text)
