"""What a process keeps in memory, and what it can do about it."""

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Return freed memory to the operating system, on a C library that can (glibc); elsewhere nothing happens.

    Loading a model takes for a moment several times what the model keeps.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
