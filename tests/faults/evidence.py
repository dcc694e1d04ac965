"""What long campaigns share as commands: services of their own, progress for people, and a folder that stays as
evidence unless all was well.
"""

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from tests.services.pair import Services, running

Say = Callable[[str], None]
Campaign = Callable[[Path, Services, Say], tuple[bool, Mapping[str, object]]]
"""In a folder, on services, with a way to say how it is going: whether all was well, and everything that was found."""


def gathered(name: str, campaign: Campaign) -> int:
    """Run it: lines for people to standard error, JSON to standard output. Returns the exit status."""
    folder, began = Path(mkdtemp(prefix=f"opinionwatch-{name}-", dir="/var/tmp")), time.monotonic()

    def say(what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {what}\n")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing that was started outlives us
    with running() as started:
        clean, told = campaign(folder, started, say)
    sys.stdout.write(json.dumps(told, indent=2, default=vars) + "\n")
    if clean:
        rmtree(folder)
    else:
        sys.stderr.write(f"everything that was written is in {folder}\n")
    return 0 if clean else 1
