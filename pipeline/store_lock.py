"""One runtime a store: a lock that the operating system takes back when its holder dies, however it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opinionwatch.pipeline.errors import FatalError, SettingsError


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder` as its only runtime. Raises FatalError when another process does, SettingsError when it cannot be
    written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "runtime.lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"data_dir: {folder} cannot be written ({error.strerror}): name a folder that can"
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FatalError(
                f"another opinionwatch already runs on {folder}: stop it, or give this one its own `data_dir`"
            ) from error
        yield
