"""Whether a broker lets us in. kafka-python says only that it could not begin, and leaves a thread and sockets behind
each time; Faust says not even that. So the broker is asked first, with aiokafka's single connection, which tells a
refusal from a broker that is away and leaves nothing.
"""

import asyncio
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

from aiokafka import errors as aiokafka_errors
from aiokafka.conn import AIOKafkaConnection

from opinionwatch.pipeline.errors import FatalError, RetryableError

PAUSE_S = 0.2
"""Between two rounds at doors that nobody opens."""
GOODBYE_S = 1.0
"""How long a broker may take to hang up, too."""
_STRANGERS = (
    aiokafka_errors.SaslAuthenticationFailed,
    aiokafka_errors.AuthenticationFailedError,
    aiokafka_errors.AuthenticationMethodNotSupported,
    aiokafka_errors.UnsupportedSaslMechanismError,
    aiokafka_errors.IllegalSaslStateError,
)
_AWAY = (ConnectionRefusedError, TimeoutError, socket.gaierror)
"""Nobody is there at all; others do answer, but in another protocol, or are just stopping."""


class Connection(TypedDict, total=False):
    """The connection settings of kafka-python, which aiokafka shares by name."""

    bootstrap_servers: list[str]
    security_protocol: str
    ssl_context: ssl.SSLContext
    sasl_mechanism: str
    sasl_plain_username: str
    sasl_plain_password: str


def knock(settings: Connection, wait_s: float) -> None:
    """Be let in by one of the brokers, and leave.

    Raises FatalError that says what to do when the first one that answers refuses us, RetryableError when none answers
    within `wait_s` seconds.
    """
    # A thread of its own: whoever asks may be running an event loop already.
    with ThreadPoolExecutor(1, thread_name_prefix="door") as thread:
        thread.submit(asyncio.run, _let_in(settings, wait_s)).result()


async def _let_in(settings: Connection, wait_s: float) -> None:
    servers, end = settings["bootstrap_servers"], time.monotonic() + wait_s
    failed = "no answer"
    while True:
        for server in servers:
            try:
                await asyncio.wait_for(_visit(server, settings), wait_s / len(servers))
            except _STRANGERS as error:
                raise FatalError(
                    f"the broker at {server} refuses us ({type(error).__name__}): look at username, password_file and "
                    "mechanism beside servers in the settings"
                ) from error
            except ssl.SSLCertVerificationError as error:
                raise FatalError(
                    f"the broker at {server} shows a certificate that we do not trust ({error.verify_message}): it was "
                    "told nothing. Name the file with its authority's certificate as ca_file, and the server as its "
                    "certificate does"
                ) from error
            except (OSError, aiokafka_errors.KafkaError) as error:
                failed = type(error).__name__
                if not isinstance(error, _AWAY):
                    failed += "; if it runs, it is spoken to in another way: look at security in the settings"
            else:
                return
        if time.monotonic() + PAUSE_S > end:
            raise RetryableError(f"no answer from the broker at {', '.join(servers)} ({failed})", after_s=1)
        await asyncio.sleep(PAUSE_S)


async def _visit(server: str, settings: Connection) -> None:
    """One connection, through TLS and SASL, to its end."""
    host, _, port = server.rpartition(":")
    met = asyncio.Event()
    connection = AIOKafkaConnection(
        host.strip("[]"),
        int(port),
        security_protocol=settings["security_protocol"],
        ssl_context=settings.get("ssl_context"),
        sasl_mechanism=settings.get("sasl_mechanism"),
        sasl_plain_username=settings.get("sasl_plain_username"),
        sasl_plain_password=settings.get("sasl_plain_password"),
        on_close=lambda *_: met.set(),
    )
    try:
        await connection.connect()
    finally:
        gone = connection.close()
        if met.is_set():
            await asyncio.wait({gone}, timeout=GOODBYE_S)
