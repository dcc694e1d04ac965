"""Brings saved objects into a Kibana, by its import API, and says what to do when it does not want them.

The contract, as Kibana 8 and 9 keep it: one multipart POST with a `file` whose name ends in `.ndjson`, and a header
`kbn-xsrf`; with `overwrite=true` the same objects replace themselves. An answer 200 may still say `success: false`.
"""

import ssl
from collections.abc import Sequence
from pathlib import Path

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.kibana_lens import Body
from opinionwatch.pipeline.kibana_objects import ndjson
from opinionwatch.pipeline.settings_kibana import Kibana

OLDEST = (8, 9)
"""The first Kibana that reads objects of our model versions."""
_WORDS = 300


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Version(_Lenient):
    number: str = ""


class _Status(_Lenient):
    version: _Version = _Version()


class _Refusal(_Lenient):
    type: str = ""
    message: str = ""


class _Refused(_Lenient):
    id: str
    type: str
    error: _Refusal = _Refusal()


class _Imported(_Lenient):
    success: bool
    successCount: int = 0  # noqa: N815 - Kibana's spelling
    errors: tuple[_Refused, ...] = ()


def apply(settings: Kibana, objects: Sequence[Body], transport: httpx2.BaseTransport | None = None) -> int:
    """Import the objects over earlier ones; returns how many Kibana has taken. Doing it again changes nothing.

    Raises SettingsError with the cure when the settings or rights are not enough, RetryableError when Kibana is not
    there (yet). `transport` replaces the network in tests of the network's own faults.
    """
    if settings.url is None:
        raise SettingsError("kibana.url is not set: write where Kibana is, for example http://127.0.0.1:5601")
    with httpx2.Client(
        base_url=settings.url.rstrip("/"),
        headers={"kbn-xsrf": "opinionwatch", **_key(settings)},
        auth=_login(settings),
        verify=_trusted(settings),
        timeout=settings.timeout_s,
        follow_redirects=False,
        trust_env=False,
        transport=transport,
    ) as client:
        _check_version(_ask(client, "GET", "/api/status"))
        if settings.space != "default":
            _ask(client, "GET", f"/api/spaces/space/{settings.space}", missing=_no_space(settings.space))
        name = f"{settings.path}/api/saved_objects/_import"
        file = {"file": ("opinionwatch.ndjson", ndjson(objects), "application/ndjson")}
        answer = _ask(client, "POST", name, params={"overwrite": "true"}, files=file)
    return _taken(answer, len(objects))


def _no_space(space: str) -> str:
    return f"kibana.space: there is no space `{space}`; make it in Kibana (Stack Management, Spaces) or name another"


def _ask(
    client: httpx2.Client,
    method: str,
    path: str,
    *,
    missing: str = "",
    params: dict[str, str] | None = None,
    files: dict[str, tuple[str, bytes, str]] | None = None,
) -> bytes:
    """One request; its body if it was answered 200."""
    try:
        response = client.request(method, path, params=params, files=files)
    except httpx2.TransportError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise SettingsError(
                "kibana.ca_file: Kibana's certificate is not one we trust; name the CA that signed it"
            ) from error
        raise RetryableError(f"Kibana cannot be reached at {client.base_url} ({type(error).__name__})") from error
    status, words = response.status_code, response.text[:_WORDS]
    if status == 200:
        return response.content
    if status == 404 and missing:
        raise SettingsError(missing)
    if status in (401, 403):
        what = "does not know us" if status == 401 else "does not let us import saved objects"
        raise SettingsError(
            f"Kibana {what} ({status}): check kibana.username and kibana.password_file, or kibana.api_key_file; the "
            "user needs the right to manage saved objects, dashboards, visualizations and data views in the space"
        )
    if 300 <= status < 400 or status == 404:
        raise SettingsError(f"kibana.url: {client.base_url} is not Kibana's address: {path} was answered {status}")
    if status == 429 or status >= 500:
        raise RetryableError(f"Kibana is not ready ({status}): {words}", after_s=5)
    raise SettingsError(f"Kibana does not take the dashboards ({status}): {words}")


def _check_version(body: bytes) -> None:
    """Without rights Kibana does not say its version; then the import tells."""
    try:
        number = _Status.model_validate_json(body).version.number
        version = tuple(int(part) for part in number.split(".")[:2])
    except (ValidationError, ValueError):
        return
    if version < OLDEST:
        raise SettingsError(f"Kibana {number} is too old for the dashboards: {'.'.join(map(str, OLDEST))} or newer")


def _taken(body: bytes, sent: int) -> int:
    try:
        imported = _Imported.model_validate_json(body)
    except ValidationError as error:
        raise RetryableError("Kibana's answer is not one of its import API: is a proxy in between?") from error
    if not imported.success or imported.errors:
        first = imported.errors[:3]
        named = "; ".join(f"{each.type} {each.id}: {each.error.type} {each.error.message}".strip() for each in first)
        raise SettingsError(f"Kibana took {imported.successCount} of {sent} objects; {named or 'it does not say why'}")
    if imported.successCount != sent:
        raise RetryableError(f"Kibana says it took {imported.successCount} of {sent} objects; try again")
    return imported.successCount


def _first_line(path: Path, field: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"kibana.{field}: cannot read {path} ({type(error).__name__})") from error
    if not lines or not lines[0].strip():
        raise SettingsError(f"kibana.{field}: {path} is empty; its first line must be the secret")
    return lines[0].strip()


def _login(settings: Kibana) -> httpx2.BasicAuth | None:
    if settings.username is None or settings.password_file is None:
        return None
    return httpx2.BasicAuth(settings.username, _first_line(settings.password_file, "password_file"))


def _key(settings: Kibana) -> dict[str, str]:
    if settings.api_key_file is None:
        return {}
    return {"authorization": f"ApiKey {_first_line(settings.api_key_file, 'api_key_file')}"}


def _trusted(settings: Kibana) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"kibana.ca_file: {settings.ca_file} is not a file of certificates") from error
