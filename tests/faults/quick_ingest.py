"""`opinionwatch ingest` without its manners: an imitation on this machine may be asked as fast as it answers.

python -m tests.faults.quick_ingest -c opinionwatch.yaml
"""

import sys
from pathlib import Path

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.cli import main

if __name__ == "__main__":
    vars(http)["SHARED"] = Hosts(per_s=10_000, burst=10_000)
    sys.argv = [str(Path(sys.argv[0]).with_name("opinionwatch")), "ingest", *sys.argv[1:]]
    main()
