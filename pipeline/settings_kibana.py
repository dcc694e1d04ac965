"""The `kibana:` section: where Kibana is, who we are there, and where its dashboards lie."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from opinionwatch.pipeline.loopback import is_loopback


class Kibana(BaseModel):
    """The Kibana that shows the indices. Without `url` alerts link to our own page only."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[
        str | None,
        Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", description="Kibana's address for our requests."),
    ] = None
    public_url: Annotated[
        str | None,
        Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", description="Its address for people; `url` if not given."),
    ] = None
    space: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", description="Kibana space of the dashboards.")] = "default"
    folder: Annotated[Path, Field(description="Folder with the dashboards' files.")] = Path("compose/kibana")
    username: Annotated[str | None, Field(description="User to log in as.")] = None
    password_file: Annotated[Path | None, Field(description="File whose first line is the user's password.")] = None
    api_key_file: Annotated[
        Path | None, Field(description="File whose first line is an API key (encoded), instead of user and password.")
    ] = None
    ca_file: Annotated[Path | None, Field(description="CA that signed Kibana; the system's if not given.")] = None
    allow_plaintext: Annotated[
        bool, Field(description="Send the password unencrypted to a Kibana that is not on this machine. Better: https.")
    ] = False
    timeout_s: Annotated[float, Field(gt=0, le=300, description="Seconds to wait for an answer.")] = 60

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        parts = urlsplit(self.url or "")
        if parts.scheme == "http" and not is_loopback(parts.hostname or "") and not self.allow_plaintext:
            raise ValueError(
                f"url: {parts.hostname} is not this machine: use https, or `allow_plaintext: true` if the network "
                "between is yours alone"
            )
        if (self.username is None) != (self.password_file is None):
            raise ValueError("`username` and `password_file` belong together")
        if self.username is not None and self.api_key_file is not None:
            raise ValueError("give either `username` and `password_file`, or `api_key_file`")
        return self

    @property
    def shown_url(self) -> str | None:
        """Where people find it, without a slash at the end."""
        found = self.public_url or self.url
        return found.rstrip("/") if found else None

    @property
    def path(self) -> str:
        """What stands before every path within the space."""
        return "" if self.space == "default" else f"/s/{self.space}"
