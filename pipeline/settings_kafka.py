"""The `kafka:` section: where the broker is, how it is reached, and how its topics are cut."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from opinionwatch.pipeline.loopback import is_loopback

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


class Kafka(BaseModel):
    """The broker that the daemons share. Without `servers` there is none, and only `opinionwatch run` works."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    servers: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}$")], ...],
        Field(description="Bootstrap servers, each `host:port`."),
    ] = ()
    prefix: Annotated[
        str, Field(min_length=1, max_length=100, pattern=r"^[\w.-]+$", description="First part of every topic's name.")
    ] = "opinionwatch"
    security: Annotated[Security, Field(description="How the broker is spoken to.")] = "PLAINTEXT"
    allow_plaintext: Annotated[
        bool, Field(description="Speak unencrypted to a broker that is not on this machine. Better: TLS.")
    ] = False
    ca_file: Annotated[Path | None, Field(description="CA that signed the broker; the system's if not given.")] = None
    cert_file: Annotated[Path | None, Field(description="Our own certificate, where the broker asks for one.")] = None
    key_file: Annotated[Path | None, Field(description="Its key, readable by this user only.")] = None
    mechanism: Annotated[Mechanism, Field(description="SASL mechanism.")] = "SCRAM-SHA-512"
    username: Annotated[str | None, Field(description="SASL user.")] = None
    password_file: Annotated[Path | None, Field(description="File with the SASL password.")] = None
    documents_partitions: Annotated[
        int, Field(gt=0, le=1000, description="Most score workers that can share the work. Fixed once made.")
    ] = 8
    mentions_partitions: Annotated[
        int, Field(gt=0, le=1000, description="Most trend workers that can share the watchlists. Fixed once made.")
    ] = 4
    replication: Annotated[
        int, Field(gt=0, le=9, description="Copies of every topic; 3 where there are 3 brokers.")
    ] = 1
    retention_h: Annotated[
        int, Field(ge=24, description="Hours that documents and mentions stay in their logs; bounds an outage.")
    ] = 168
    deadletters_retention_h: Annotated[int, Field(ge=24, description="Hours that dead letters stay in their log.")] = (
        2160
    )
    ingest: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[\w.-]+$",
            description="Name of this ingest daemon. Several beside each other have different names and sources.",
        ),
    ] = "ingest"
    in_flight_bytes: Annotated[
        int, Field(ge=1_000_000, description="Most bytes on their way to the broker; then sources are held back.")
    ] = 32_000_000
    connect_s: Annotated[float, Field(gt=0, le=60, description="Seconds to reach the broker before giving up.")] = 5
    delivery_s: Annotated[float, Field(gt=0, le=60, description="Seconds to store a record before giving up.")] = 15
    session_s: Annotated[
        float,
        Field(ge=6, le=60, description="Seconds without a sign of life after which others take a worker's share."),
    ] = 10
    heartbeat_s: Annotated[float, Field(gt=0, le=60, description="Seconds between two marks of progress.")] = 3
    silent_after_s: Annotated[
        float, Field(gt=0, description="A partition without progress for so long no longer holds up the others.")
    ] = 300

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        strange = [server for server in self.servers if not is_loopback(server.rpartition(":")[0])]
        if "PLAINTEXT" in self.security and strange and not self.allow_plaintext:
            raise ValueError(
                f"security is {self.security}, and {strange[0]} is not this machine: set `security: SASL_SSL` or "
                "`SSL`, or `allow_plaintext: true` if the network between is yours alone"
            )
        if self.security.startswith("SASL") and not (self.username and self.password_file):
            raise ValueError(f"security {self.security} needs `username` and `password_file`")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("`cert_file` and `key_file` belong together")
        return self
