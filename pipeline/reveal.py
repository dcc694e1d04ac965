"""Secrets of the settings: written there, or better, in a file of their own."""

from pathlib import Path

from pydantic import SecretStr

from opinionwatch.pipeline.errors import SettingsError


def reveal(secret: SecretStr | None, file: Path | None, what: str) -> SecretStr | None:
    """The secret itself or the first line of its file; None when neither is given.

    Raises SettingsError when both are given, or when the file cannot be read or is empty. It never shows the secret.
    """
    if secret is not None and file is not None:
        raise SettingsError(f"{what}: give either {what} or {what}_file, not both")
    if file is None:
        return secret
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{what}_file: cannot read {file} ({type(error).__name__})") from error
    if not lines or not lines[0].strip():
        raise SettingsError(f"{what}_file: {file} is empty; its first line must be the secret")
    return SecretStr(lines[0].strip())
