"""The client for Elasticsearch: built from the settings, and its errors named by what happens next."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from elasticsearch import ApiError, Elasticsearch, SerializationError, TransportError
from elasticsearch import ConnectionError as Unreachable
from elasticsearch.serializer import OrjsonSerializer

from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.settings_elastic import Elastic

DENIED = (401, 403)
BUSY = (408, 429, 502, 503, 504)
REFUSED = "look at elasticsearch.username and password_file or api_key_file, and at this user's role"


def connect(settings: Elastic) -> Elasticsearch:
    """A client; it connects at its first call. Safe for several threads. Retries are ours, so it has none.

    Raises SettingsError when a file with a secret or a certificate is not usable.
    """
    if settings.ca_file is not None and not settings.ca_file.is_file():
        raise SettingsError(f"elasticsearch.ca_file: there is no file {settings.ca_file}")
    password = _secret(settings.password_file, "password_file")
    tls: dict[str, Any] = {}
    if any(host.startswith("https:") for host in settings.hosts):
        tls["verify_certs"] = True
        if settings.ca_file is not None:
            tls["ca_certs"] = str(settings.ca_file)
    return Elasticsearch(
        list(settings.hosts),
        basic_auth=None if settings.username is None or password is None else (settings.username, password),
        api_key=_secret(settings.api_key_file, "api_key_file"),
        **tls,
        connections_per_node=settings.bulks_in_flight + 4,
        request_timeout=settings.timeout_s,
        max_retries=0,
        retry_on_timeout=False,
        http_compress=False,
        serializer=OrjsonSerializer(),
    )


def _secret(path: Path | None, field: str) -> str | None:
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"elasticsearch.{field}: cannot read {path} ({type(error).__name__})") from error
    if not lines or not lines[0].strip():
        raise SettingsError(f"elasticsearch.{field}: {path} is empty; its first line must be the secret")
    return lines[0].strip()


@contextmanager
def asking() -> Iterator[None]:
    """Ask Elasticsearch: RetryableError when it cannot answer now or will not answer us, FatalError when it never will.

    A refusal of our credentials is retryable: nothing is wrong with the records, and a person can mend it meanwhile. A
    daemon that is only just starting does not wait for that; see `knock`.
    """
    try:
        yield
    except ApiError as error:
        words = reason(error.body) or str(error.status_code)
        if error.status_code in DENIED:
            raise RetryableError(
                f"Elasticsearch refuses our credentials or rights ({words}): {REFUSED}", after_s=5
            ) from error
        if error.status_code in BUSY or error.status_code >= 500:
            raise RetryableError(f"Elasticsearch cannot answer now: {words}", after_s=2) from error
        raise FatalError(f"Elasticsearch does not understand us ({error.status_code}): {words}") from error
    except (TransportError, SerializationError) as error:
        doubt = distrust(error)
        if doubt is not None:
            raise FatalError(doubt) from error
        kind = "cannot be reached" if isinstance(error, Unreachable) else "does not answer"
        raise RetryableError(f"Elasticsearch {kind}: {type(error).__name__}", after_s=2) from error


def knock(client: Elasticsearch, prefix: str) -> None:
    """Be let in, before a daemon begins. Raises FatalError when the cluster refuses us or shows a certificate that we
    do not trust. One that is away or busy is no error: whoever writes waits for it.
    """
    try:
        client.indices.exists(index=index_of(prefix, "ledger"))
    except ApiError as error:
        if error.status_code in DENIED:
            raise FatalError(f"Elasticsearch refuses us ({error.status_code}): {REFUSED}") from error
    except TransportError as error:
        doubt = distrust(error)
        if doubt is not None:
            raise FatalError(doubt) from error


def distrust(error: Exception) -> str | None:
    """What to do when it is the certificate that keeps us from going on; None when it is something else."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return (
                f"Elasticsearch shows a certificate that we do not trust ({found.verify_message}): it was told "
                "nothing. Name the file with its authority's certificate as elasticsearch.ca_file, and its nodes in "
                "hosts as their certificates do"
            )
        below = [part for part in (*getattr(found, "errors", ()), *found.args) if isinstance(part, BaseException)]
        found = below[0] if below else found.__cause__
    return None


def reason(body: object) -> str:
    """What Elasticsearch says is wrong, in its words.

    >>> reason({"error": {"type": "mapper_parsing_exception", "reason": "no", "caused_by": {"reason": "why"}}})
    'mapper_parsing_exception: no: why'
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return str(error or "")
    parts = [str(error.get("type", "")), str(error.get("reason", ""))]
    cause = error.get("caused_by")
    while isinstance(cause, dict):
        parts.append(str(cause.get("reason", "")))
        cause = cause.get("caused_by")
    return ": ".join(part for part in parts if part)
