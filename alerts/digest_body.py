"""A digest as an e-mail: a plain part, and an HTML part with a chart for every watchlist in it."""

from email.headerregistry import Address
from email.message import EmailMessage

from jinja2 import Environment, StrictUndefined

from opinionwatch.alerts.digest_words import DIGEST
from opinionwatch.alerts.email_body import INK, framed, message_id, started, token
from opinionwatch.alerts.escape import one_line, safe_url
from opinionwatch.pipeline.contracts_digest import Digest

_HTML = """\
<h1 style="margin:0 0 8px;font-size:20px">{{ digest.title }}</h1>
<p style="margin:0 0 16px;font-size:16px">{{ digest.summary }}</p>
{% if digest.repeat %}<p>{{ words["repeat"] }}</p>{% endif %}
<table role="presentation" style="border-collapse:collapse;width:100%">
{% for label, value in digest.facts %}{{ row(label, value) }}{% endfor %}</table>
{% for section in digest.sections %}
<h2 style="margin:24px 0 4px;font-size:17px;border-top:1px solid #cbd2d9;padding-top:16px">{{ section.name }}</h2>
<table role="presentation" style="border-collapse:collapse;width:100%">
{% for label, value in section.facts %}{{ row(label, value) }}{% endfor %}</table>
{% if section.chart_png %}<p style="margin:8px 0"><img src="cid:{{ cids[loop.index0] }}" width="632" \
alt="{{ words["chart"] }}" style="max-width:100%;height:auto"></p>{% endif %}
{% for story in section.stories %}<div style="margin:0 0 12px;padding:2px 0 2px 12px;border-left:3px solid #b3261e">\
<strong>{{ story.title }}</strong><br>{{ story.summary }}<br><small style="color:#616e7c">{{ story.when }}\
{% if story.answers %} · {{ story.answers }}{% endif %}\
{% set link = web(story.link) %}{% if link %} · <a href="{{ link }}" style="color:#0b5cad">{{ words["link"] }}</a>\
{% endif %}</small></div>
{% endfor %}{% endfor %}
{% if digest.calm %}<h2 style="margin:24px 0 4px;font-size:16px">{{ words["calm"] }}</h2>
<p>{{ digest.calm|join(" · ") }}</p>{% endif %}
{% if digest.undelivered %}<h2 style="margin:24px 0 4px;font-size:16px">{{ words["undelivered"] }}</h2>
<table role="presentation" style="border-collapse:collapse;width:100%">
{% for reason, count in digest.undelivered %}{{ row(count, reason) }}{% endfor %}</table>{% endif %}
<p style="margin:20px 0 0">{% set link = web(digest.link) %}{% if link %}<a href="{{ link }}" style="color:#0b5cad">\
{{ words["link"] }}</a>{% endif %}</p>
<p style="margin:16px 0 0;color:#616e7c;font-size:12px">opinionwatch · {{ words["id"] }} {{ digest.id }}</p>
"""
_ROW = """\
{% macro row(label, value) %}<tr><th style="text-align:left;vertical-align:top;padding:4px 16px 4px 0;\
white-space:nowrap;width:1%">{{ label }}</th><td style="padding:4px 0">{{ value }}</td></tr>{% endmacro %}"""
_TEMPLATE = Environment(autoescape=True, undefined=StrictUndefined).from_string(_ROW + _HTML)


def compose_digest(digest: Digest, sender: Address, recipients: tuple[str, ...], unsubscribe: str = "") -> EmailMessage:
    """The e-mail. Its Message-ID follows from the digest's id, so that a repetition is the same e-mail."""
    mail = started(digest.title, sender, recipients, digest.at, unsubscribe)
    mail["Message-ID"] = message_id(digest.id, sender.domain)
    mail.set_content(plain_digest(digest), cte="base64" if digest.lang == "zh" else "quoted-printable")
    cids = [f"chart{place}.{token(digest.id)}@{sender.domain}" for place in range(len(digest.sections))]
    mail.add_alternative(html_digest(digest, cids), subtype="html", cte="base64")
    _, rich = mail.iter_parts()
    for place, section in enumerate(digest.sections):
        if section.chart_png:
            rich.add_related(
                section.chart_png,
                "image",
                "png",
                cid=f"<{cids[place]}>",
                disposition="inline",
                filename=f"chart{place}.png",
            )
    if rich.is_multipart():
        rich.set_boundary(f"=_{token(digest.id)}.related")
    mail.set_boundary(f"=_{token(digest.id)}.alternative")
    return mail


def html_digest(digest: Digest, cids: list[str]) -> str:
    """The HTML part; everything is escaped by jinja2."""
    body = _TEMPLATE.render(digest=digest, words=DIGEST[digest.lang], cids=cids, web=safe_url)
    return framed(digest.lang, digest.title, INK, body)


def plain_digest(digest: Digest) -> str:
    """The plain part, which is also what `notify digest --dry-run` prints."""
    words = DIGEST[digest.lang]
    lines = [digest.title, "", digest.summary, *([words["repeat"]] if digest.repeat else []), ""]
    lines += [f"{label}: {value}" for label, value in digest.facts]
    for section in digest.sections:
        lines += ["", f"== {section.name}", *(f"{label}: {value}" for label, value in section.facts)]
        for story in section.stories:
            lines += ["", f"* {story.title}", f"  {story.summary}", f"  {story.when}"]
            lines += [f"  {story.answers}"] if story.answers else []
            lines.append(f"  {one_line(story.link)}")
    if digest.calm:
        lines += ["", f"{words['calm']}: {', '.join(digest.calm)}"]
    if digest.undelivered:
        lines += ["", f"{words['undelivered']}:", *(f"  {count} × {reason}" for reason, count in digest.undelivered)]
    lines += ["", f"{words['link']}: {one_line(digest.link)}", f"{words['id']}: {digest.id}"]
    return "\n".join(lines) + "\n"
