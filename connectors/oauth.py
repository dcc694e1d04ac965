"""OAuth 2.0 for applications: a token for a client's id and secret, kept until it ends or is revoked."""

import time

from opinionwatch.connectors.api import Api, Param, basic
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.http import Client, RefusedError

MARGIN_S = 60.0
"""So long before its end a token is renewed."""


class SignedIn:
    """Asks a service with a token of the grant `client_credentials` (RFC 6749, section 4.4). Raises like `Api`."""

    def __init__(self, client: Client, api: Api, token_url: str, client_id: str, key: str) -> None:
        self._client = client
        self._api = api
        self._token_url = token_url
        self._basic = basic(client_id, key)
        self._token: tuple[str, float] | None = None

    def get(self, path: str, **params: Param) -> Found:
        """GET; a token that was revoked before its time is renewed once."""
        try:
            return self._ask(path, params)
        except RefusedError as error:
            if error.status != 401:
                raise
            self._token = None
            return self._ask(path, params)

    def _ask(self, path: str, params: dict[str, Param]) -> Found:
        if self._token is None or self._token[1] < time.monotonic():
            self._token = self._sign_in()
        return self._api.with_headers({"authorization": f"Bearer {self._token[0]}"}).get(path, **params)

    def _sign_in(self) -> tuple[str, float]:
        headers = {**self._basic, "content-type": "application/x-www-form-urlencoded"}
        answer = self._client.post(self._token_url, b"grant_type=client_credentials", headers)
        token = Found.read(answer.body, self._api.host).demand("")
        lasts_s = token.number("expires_in") or 3600.0
        return token.need("access_token"), time.monotonic() + max(0.0, lasts_s - MARGIN_S)
