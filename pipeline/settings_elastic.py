"""The `elasticsearch:` section: where the cluster is, how it is reached, and how much is sent at once."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from opinionwatch.pipeline.loopback import is_loopback


class Elastic(BaseModel):
    """The cluster that the daemons index into. Certificates are always checked: there is no switch."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    hosts: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="Addresses of the cluster's nodes, e.g. `https://es.internal:9200`."),
    ] = ("http://127.0.0.1:9200",)
    prefix: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="First part of every index's and template's name.")
    ] = "opinionwatch"
    username: Annotated[str | None, Field(description="For basic authentication, with `password_file`.")] = None
    password_file: Annotated[Path | None, Field(description="File whose first line is the password.")] = None
    api_key_file: Annotated[
        Path | None, Field(description="File with an API key as Kibana shows it (base64 of id:key), instead of a user.")
    ] = None
    ca_file: Annotated[
        Path | None,
        Field(description="Certificate of the authority that signed the cluster's, if it is a private one."),
    ] = None
    allow_plaintext: Annotated[
        bool, Field(description="Accept http:// to another machine: everything, passwords too, can be read on the way.")
    ] = False
    shards: Annotated[
        int, Field(ge=1, le=64, description="Primary shards of an index of documents and the ledger.")
    ] = 1
    replicas: Annotated[
        str, Field(pattern=r"^\d-(\d|all)$", description="Copies, from-to: as many as the cluster has nodes for.")
    ] = "0-1"
    bulk_bytes: Annotated[int, Field(ge=10_000, le=50_000_000, description="Most bytes of one bulk request.")] = (
        4_000_000
    )
    bulks_in_flight: Annotated[int, Field(ge=1, le=16, description="Bulk requests sent at the same time.")] = 2
    timeout_s: Annotated[float, Field(ge=1, le=600, description="Seconds to wait for an answer.")] = 60
    keep_months: Annotated[
        int, Field(ge=1, le=240, description="Whole months that `index retire` keeps, the current one not counted.")
    ] = 13

    @model_validator(mode="after")
    def _safe(self) -> Self:
        for host in self.hosts:
            parts = urlsplit(host)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.port is None:
                raise ValueError("hosts: write scheme, name and port, e.g. https://es.internal:9200")
            if parts.username or parts.password:
                raise ValueError("hosts: no password in an address; use `username` and `password_file`")
            if parts.scheme == "http" and not self.allow_plaintext and not is_loopback(parts.hostname):
                raise ValueError(
                    f"hosts: http:// to {parts.hostname} can be read on the way; use https://, or set "
                    "`allow_plaintext: true` inside a network of your own"
                )
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together")
        if self.api_key_file is not None and self.username is not None:
            raise ValueError("give either username and password_file or api_key_file, not both")
        return self
