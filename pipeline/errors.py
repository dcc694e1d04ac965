"""The errors, named by what happens next.

    OpinionwatchError
     ├─ SettingsError    refuse to start; exit 2, name the field and the cure
     ├─ FatalError       stop the runtime, cursors and offsets untouched
     ├─ RetryableError   back off, then the same batch again
     └─ RejectedError    this record to the dead letters, the stream goes on

Third-party errors are wrapped where they enter (`raise … from error`), without URLs' queries and without secrets.
"""

from typing import Literal, get_args

DeadReason = Literal[
    "bad_encoding",  # the bytes are no text in the declared encoding
    "malformed_json",  # not JSON: syntax, NaN or Infinity, truncated, duplicate keys
    "too_deep",  # nested beyond what any document needs
    "too_large",  # more bytes than `limits.record_bytes`
    "not_an_object",  # JSON, but not an object
    "invalid_field",  # a field of the wrong type, out of range, or unknown
    "missing_field",  # a required field is not there
    "empty_text",  # nothing readable is left after cleaning
    "stage_failed",  # a stage refuses this one record and accepts its neighbours
    "model_output",  # the scorer answered with NaN, a wrong shape or a wrong label
    "out_of_memory",  # the scorer has no room for this record alone
    "index_refused",  # the index refuses this record for ever; its words are in `detail`
    "channel_refused",  # a channel will never take this message; its words are in `detail`
    "crash_loop",  # the process died on this record again and again
]
"""Why a record is a dead letter. The list is closed: a new reason is a new line here, with its meaning."""

DEAD_REASONS: tuple[str, ...] = get_args(DeadReason)


class OpinionwatchError(Exception):
    """Base of everything this program raises on purpose."""


class SettingsError(OpinionwatchError):
    """The settings cannot work. The message names the field and what to write instead."""


class FatalError(OpinionwatchError):
    """Going on would lose or falsify something: stop, and leave every cursor where it was."""


class RetryableError(OpinionwatchError):
    """The world is not ready (a lock, a time-out, a 503). Try the same batch again after `after_s` seconds."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class RejectedError(OpinionwatchError):
    """This record will never work. It becomes a dead letter with `reason`; its neighbours go on."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: DeadReason = reason
        self.detail = detail
