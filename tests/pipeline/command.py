"""The command line, run in this process: what it says, and how it ends. Anything but an exit fails the test."""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from opinionwatch.pipeline import cli


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything, with lines that were wrapped for the terminal put together again."""
        return " ".join((self.out + self.err).split())


class Command:
    """Runs `opinionwatch` with arguments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        # The logs would stay bound to the standard error of one test.
        monkeypatch.setattr(cli, "quiet_logs", lambda: None)
        # This process goes on.
        monkeypatch.setattr(cli, "leaving", lambda _code: None)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("NO_COLOR", "1")

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Ended:
        """Run it to its end."""
        streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["opinionwatch", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            with pytest.raises(SystemExit) as exit_:
                cli.main()
            written = [self._text(streams[name]) for name in ("stdout", "stderr")]
        return Ended(exit_.value.code if isinstance(exit_.value.code, int) else int(bool(exit_.value.code)), *written)

    @staticmethod
    def _text(stream: io.TextIOWrapper) -> str:
        stream.flush()
        buffer = stream.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode("utf-8")


def lines(text: str) -> Sequence[str]:
    """Lines as a program reads them: only a newline ends one."""
    return text.removesuffix("\n").split("\n") if text else []
