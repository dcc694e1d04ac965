"""A web service that answers JSON: where it is, who we are there, and what it says."""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import orjson

from opinionwatch.connectors.found import Found
from opinionwatch.connectors.http import Client
from opinionwatch.pipeline.reveal import reveal

Param = str | int | None


def bearer(name: str, file: Path | None, field: str = "token_file", scheme: str = "Bearer") -> dict[str, str]:
    """The header that carries a token; none without a file. Raises SettingsError when the file cannot be read."""
    token = secret(name, file, field)
    return {"authorization": f"{scheme} {token}"} if token else {}


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic authentication (RFC 7617)."""
    return {"authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def secret(name: str, file: Path | None, field: str) -> str | None:
    """The first line of a file; None without a file. Raises SettingsError when it cannot be read or is empty."""
    found = reveal(None, file, f"sources.{name}.{field.removesuffix('_file')}")
    return found.get_secret_value() if found else None


class Api:
    """Asks one service. Raises what `Client` raises, and RetryableError when the answer is no JSON."""

    def __init__(
        self,
        client: Client,
        base: str,
        headers: Mapping[str, str] | None = None,
        always: Mapping[str, Param] | None = None,
    ) -> None:
        """`always`: parameters of every question."""
        self._client = client
        self._always = always or {}
        self._base = base.rstrip("/")
        self._headers = {"accept": "application/json", **(headers or {})}
        self.host = urlsplit(base).hostname or base

    def get(self, path: str, **params: Param) -> Found:
        """GET; parameters that are None are left out."""
        answer = self._client.get(self._address(path, params), self._headers)
        return Found.read(answer.body, self.host)

    def post(self, path: str, told: object, **params: Param) -> Found:
        """POST JSON, for questions that are too long for an address."""
        headers = {**self._headers, "content-type": "application/json"}
        answer = self._client.post(self._address(path, params), orjson.dumps(told), headers)
        return Found.read(answer.body, self.host)

    def with_headers(self, headers: Mapping[str, str]) -> "Api":
        """The same service, asked with other headers."""
        return Api(self._client, self._base, {**self._headers, **headers}, self._always)

    def _address(self, path: str, params: Mapping[str, Param]) -> str:
        asked = {**self._always, **params}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return f"{self._base}/{path}" + (f"?{query}" if query else "")
