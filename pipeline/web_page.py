"""Templates made into pages: which language, what every page shows, and where its styles and scripts lie."""

from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from opinionwatch.pipeline.mention import differs
from opinionwatch.pipeline.web_forms import FORM_COOKIE, form_token, set_cookie
from opinionwatch.pipeline.web_site import Site
from opinionwatch.pipeline.web_text import shown, web_link
from opinionwatch.pipeline.web_tongue import LANGS, Lang, Tongue
from opinionwatch.pipeline.web_words import WORDS

FOLDER = Path(__file__).with_name("page")
STATIC = FOLDER / "static"
LANG_COOKIE = "ow_lang"
A_YEAR_S = 365 * 24 * 3600
SYMBOLS = {"negative": "▼", "neutral": "●", "positive": "▲", "unsure": "?"}
DELIVERY_SYMBOLS = {"pending": "○", "sending": "◐", "sent": "✓", "failed": "✗", "suppressed": "‖"}
"""Shapes beside the colours, for whoever does not see them."""


class Pages:
    """The templates, filled with what one site shows."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def page(self, request: Request, template: str, /, **context: object) -> HTMLResponse:
        """A whole page in the reader's language."""
        tongue, now = self.tongue(request), self.site.now()
        response = self._response(
            request,
            template,
            200,
            now=now,
            alarms=self.site.alarms(),
            ago=lambda moment: tongue.ago(moment, now),
            **context,
        )
        if request.query_params.get("lang") in LANGS:
            set_cookie(response, LANG_COOKIE, tongue.lang, self.site.web, max_age_s=A_YEAR_S)
        return response

    def bare(self, request: Request, template: str, status: int = 200, /, **context: object) -> HTMLResponse:
        """A page that needs nothing from the archive: for errors and for the door."""
        return self._response(request, template, status, now=None, alarms=(), **context)

    def _response(self, request: Request, template: str, status: int, /, **context: object) -> HTMLResponse:
        tongue = self.tongue(request)
        token, is_new = form_token(request)
        html = (
            _environment()
            .get_template(template)
            .render(
                context,
                t=tongue,
                name=self.site.name,
                guarded=self.site.web.token_file is not None,
                path=request.url.path,
                languages=_languages(request, tongue.lang),
                form_token=token,
            )
        )
        response = HTMLResponse(html, status)
        if is_new:
            set_cookie(response, FORM_COOKIE, token, self.site.web)
        return response

    def tongue(self, request: Request) -> Tongue:
        """The reader's language: asked for in the address, remembered, preferred by the browser, or the settings'."""
        return Tongue(_language(request, self.site.lang))


@lru_cache
def _environment() -> Environment:
    """The templates. Everything in them is escaped, and an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        version=_version(),
        known_words=WORDS,
        symbols=SYMBOLS,
        delivery_symbols=DELIVERY_SYMBOLS,
        web_link=web_link,
        shown=shown,
        differs=differs,
    )
    return environment


def _language(request: Request, default: Lang) -> Lang:
    for wish in (request.query_params.get("lang"), request.cookies.get(LANG_COOKIE)):
        for lang in LANGS:
            if wish == lang:
                return lang
    preferred: list[tuple[float, Lang]] = []
    for part in request.headers.get("accept-language", "")[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        preferred += [(quality, lang) for lang in LANGS if tag.lower().split("-")[0] == lang]
    return max(preferred, key=lambda one: one[0], default=(0.0, default))[1]


def _languages(request: Request, current: Lang) -> list[tuple[Lang, str, bool]]:
    """Each language, the address of this page in it, and whether it is the one."""
    return [(lang, "?" + request.url.include_query_params(lang=lang).query, lang == current) for lang in LANGS]


def _version() -> str:
    """Changes with every style and script, so that browsers may keep them."""
    digest = blake2b(digest_size=6)
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()
