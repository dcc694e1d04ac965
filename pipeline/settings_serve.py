"""The `serve:` section: the scoring service, and how much of it one may ask for at once."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Serve(BaseModel):
    """`opinionwatch serve`: scoring over HTTP, without a store."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: Annotated[str, Field(description="Address to listen on. Anything but loopback needs `token_file`.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65535, description="0 picks a free port.")] = 8767
    public_url: Annotated[str | None, Field(description="Address that callers know, behind a proxy.")] = None
    token_file: Annotated[
        Path | None, Field(description="File with the access token that every request must carry.")
    ] = None
    body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024, description="A larger body is refused (413).")] = (
        1024 * 1024
    )
    texts: Annotated[int, Field(ge=1, le=10_000, description="Most texts in a request (413).")] = 256
    waiting_chars: Annotated[
        int, Field(ge=10_000, description="Characters that may wait to be read; beyond, requests are put off (503).")
    ] = 2_000_000
    at_once: Annotated[int, Field(ge=1, le=200, description="Most requests in hand; beyond, put off (503).")] = 100
    of_one: Annotated[int, Field(ge=1, le=200, description="Most of them from one address (429).")] = 50
    timeout_s: Annotated[float, Field(gt=0, le=300, description="Seconds to send a body, and to be answered.")] = 30.0
