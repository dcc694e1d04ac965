"""Forms: read within bounds, and believed only when they come from a page of ours (double-submit cookie).

A form carries the token that the browser also holds in a SameSite=Strict cookie: another site can neither read nor
send it.
"""

from secrets import compare_digest, token_urlsafe
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opinionwatch.pipeline.settings import Web

FORM_COOKIE = "ow_form"
FORM_FIELD = "form_token"
MOST_BYTES = 16 * 1024


def form_token(request: Request) -> tuple[str, bool]:
    """This browser's token, and whether it was made just now."""
    token = request.cookies.get(FORM_COOKIE, "")
    return (token, False) if 20 <= len(token) <= 100 and token.isascii() else (token_urlsafe(32), True)


def set_cookie(response: Response, key: str, value: str, web: Web, max_age_s: int | None = None) -> None:
    """Set a cookie that no script reads and no other site sends."""
    secure = (web.public_url or "").startswith("https://")
    response.set_cookie(key, value, max_age=max_age_s, httponly=True, samesite="strict", secure=secure)


async def body(request: Request, kind: str) -> bytes:
    """The body of a request. Raises HTTPException 415 for another content type and 413 beyond 16 KiB."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise HTTPException(415, f"send it as {kind}")
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BYTES:
            raise HTTPException(413, f"at most {MOST_BYTES} bytes")
    return data


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that was sent from our own page. Raises HTTPException 403 for any other."""
    data = await body(request, "application/x-www-form-urlencoded")
    try:
        fields = dict(parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=50, errors="strict"))
    except (UnicodeDecodeError, ValueError) as error:
        raise HTTPException(400, "the form is not readable") from error
    same_site = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    cookie, sent = request.cookies.get(FORM_COOKIE, ""), fields.pop(FORM_FIELD, "")
    if not (same_site and cookie and compare_digest(cookie.encode(), sent.encode("utf-8", "replace"))):
        raise HTTPException(403, "reload_form")
    return fields
