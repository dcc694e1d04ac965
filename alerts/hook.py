"""What channels with a web hook of their own share: its settings, and the answers of robots that say no with 200."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, ValidationError

from opinionwatch.alerts.channel import ChannelSettings, reveal, webhook_url
from opinionwatch.alerts.escape import one_line
from opinionwatch.alerts.post import Post, Reply
from opinionwatch.pipeline.errors import RejectedError, RetryableError


class HookSettings(ChannelSettings):
    """What every web hook can be told."""

    url: Annotated[SecretStr | None, Field(description="Address of the web hook. It is a secret.")] = None
    url_file: Annotated[Path | None, Field(description="File whose first line is that address.")] = None
    allow_private: Annotated[
        bool, Field(description="Whether it may be on this machine or in your own network, also by plain http.")
    ] = False
    timeout_s: Annotated[float, Field(gt=0, le=120, description="Seconds to wait for an answer.")] = 15.0

    def address(self, name: str, default: str | None = None) -> SecretStr:
        """Where channel `name` posts to; `default` when nothing is given. Raises SettingsError."""
        what = f"channels.{name}.url"
        given = reveal(self.url, self.url_file, what)
        if given is None and default is not None:
            given = SecretStr(default)
        return webhook_url(given, what, allow_private=self.allow_private)

    def post(self, service: str, *, judged: Collection[int] = ()) -> Post:
        """How it posts. Answers with a status in `judged` are not refusals by themselves."""
        return Post(service, timeout_s=self.timeout_s, allow_private=self.allow_private, judged=judged)


class SignedHookSettings(HookSettings):
    """What a web hook can be told that may have a secret to sign with."""

    secret: Annotated[
        SecretStr | None,
        Field(description="The robot's signing secret (加签, 签名校验); none: not signed."),
    ] = None
    secret_file: Annotated[Path | None, Field(description="File whose first line is that secret.")] = None

    def signing_secret(self, name: str) -> SecretStr | None:
        """The secret of channel `name`, from wherever it is. Raises SettingsError."""
        return reveal(self.secret, self.secret_file, f"channels.{name}.secret")


class _Verdict(BaseModel):
    """What robots answer; DingTalk and WeCom call it errcode, Feishu code."""

    errcode: int | None = None
    errmsg: str = ""
    code: int | None = None
    msg: str = ""


def settle(service: str, reply: Reply, passing: Collection[int]) -> None:
    """Believe a robot's own code. Raises RetryableError for the codes in `passing` and for an answer that is none,
    RejectedError for every other but 0.
    """
    try:
        verdict = _Verdict.model_validate_json(reply.body)
    except ValidationError:
        raise RetryableError(f"{service} answered with something else than its JSON") from None
    code = verdict.errcode if verdict.errcode is not None else verdict.code
    if code == 0:
        return
    said = f"{service} answered code {code} {one_line(verdict.errmsg or verdict.msg, 120)}".rstrip()
    if code is None or code in passing:
        raise RetryableError(said, after_s=60.0)
    raise RejectedError("channel_refused", said)
