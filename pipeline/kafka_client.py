"""How every client of ours reaches the broker, and what its errors mean here."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import errors as kafka_errors

from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.kafka_door import Connection, knock
from opinionwatch.pipeline.log import FencedError
from opinionwatch.pipeline.settings_kafka import Kafka

RECONNECT_MS = 2000
"""Longest pause between two attempts to reach a broker that is away; kafka-python's own is half a minute."""
_REFUSED = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)
_FENCED = (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)


def tls_context(kafka: Kafka) -> ssl.SSLContext | None:
    """What TLS is checked against: always the broker's certificate and name. None without TLS.

    Raises SettingsError for files that cannot be used.
    """
    if not kafka.security.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=str(kafka.ca_file) if kafka.ca_file else None)
        if kafka.cert_file is not None and kafka.key_file is not None:
            context.load_cert_chain(kafka.cert_file, kafka.key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"kafka.ca_file, cert_file, key_file: {error}") from error
    return context


def password(kafka: Kafka) -> str:
    """The SASL password. Raises SettingsError when its file cannot be read or is empty."""
    if kafka.password_file is None:
        return ""
    try:
        secret = kafka.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"kafka.password_file: cannot read {kafka.password_file}") from error
    if not secret:
        raise SettingsError(f"kafka.password_file: {kafka.password_file} is empty")
    return secret


def connection(kafka: Kafka) -> Connection:
    """How to connect. Raises SettingsError when no broker is named, or when a file of the settings cannot be read."""
    if not kafka.servers:
        raise SettingsError("no broker in the settings: name it under `kafka: {servers: [host:9092]}`")
    found = Connection(bootstrap_servers=list(kafka.servers), security_protocol=kafka.security)
    context = tls_context(kafka)
    if context is not None:
        found["ssl_context"] = context
    if kafka.security.startswith("SASL"):
        found["sasl_mechanism"] = kafka.mechanism
        found["sasl_plain_username"] = kafka.username or ""
        found["sasl_plain_password"] = password(kafka)
    return found


def admitted(kafka: Kafka) -> Connection:
    """How to connect, once a broker lets us in: to be asked for before each client is made.

    Raises what `connection` raises, FatalError when a broker refuses us, RetryableError when none answers within
    `kafka.connect_s`.
    """
    found = connection(kafka)
    knock(found, kafka.connect_s)
    return found


@contextmanager
def speaking(kafka: Kafka, what: str) -> Iterator[None]:
    """Speak to the broker: RetryableError while it is away, FatalError when it refuses us, FencedError when somebody
    else owns what we write.
    """
    try:
        yield
    except _FENCED as error:
        raise FencedError(f"{what}: another process has taken over") from error
    except _REFUSED as error:
        raise FatalError(
            f"{what}: the broker at {', '.join(kafka.servers)} refuses us ({type(error).__name__}): look at "
            "kafka.username, password_file and what this user may do"
        ) from error
    except kafka_errors.MessageSizeTooLargeError as error:
        raise FatalError(f"{what}: a record is larger than the broker takes: raise its message.max.bytes") from error
    except (kafka_errors.KafkaError, OSError) as error:
        if any(isinstance(part, _FENCED) for part in _parts(error)):
            raise FencedError(f"{what}: another process has taken over") from error
        words = " ".join(str(error).split())[:200]
        raise RetryableError(
            f"{what}: no answer from the broker at {', '.join(kafka.servers)} ({type(error).__name__}: {words})",
            after_s=1,
        ) from error


def _parts(error: Exception) -> list[object]:
    """What an error is made of: the client wraps the one that came first into those that follow from it."""
    return [part for arg in error.args for part in (arg if isinstance(arg, tuple) else (arg,))]
