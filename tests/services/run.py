"""`make services` and `make services-stop`: a real Kafka and a real Elasticsearch on this machine, for anybody.

    python -m tests.services.run start | stop

The addresses are written to `.services/addresses.json` and `.services/env`. Tests use what is running there, and start
their own for one session when nothing is.
"""

import json
import sys
from pathlib import Path

from tests.services.artifacts import UnavailableError
from tests.services.docker import end_container
from tests.services.pair import made
from tests.services.server import end, listens

FOLDER = Path(__file__).resolve().parents[2] / ".services"
ADDRESSES = FOLDER / "addresses.json"


def given() -> dict[str, str] | None:
    """The addresses of services that `make services` started and that still listen, by name."""
    if not ADDRESSES.exists():
        return None
    found: dict[str, str] = json.loads(ADDRESSES.read_text(encoding="utf-8"))["addresses"]
    alive = all(listens(int(address.rpartition(":")[2])) for address in found.values())
    return found if alive else None


def start() -> int:
    """Start both, unless they run already."""
    if given() is None:
        stop()
        services = made(leashed=False)
        try:
            services.up()
        except UnavailableError:
            services.remove()
            raise
        both = {"kafka": services.kafka, "elasticsearch": services.elasticsearch}
        FOLDER.mkdir(exist_ok=True)
        facts = {
            "addresses": {name: service.address for name, service in both.items()},
            "handles": [dict(service.handle) for service in both.values()],
        }
        ADDRESSES.write_text(json.dumps(facts, indent=2), encoding="utf-8")
        (FOLDER / "env").write_text(
            f"OPINIONWATCH__ELASTICSEARCH__HOSTS='[\"{services.elasticsearch.address}\"]'\n"
            f"OPINIONWATCH__KAFKA__SERVERS='[\"{services.kafka.address}\"]'\n",
            encoding="utf-8",
        )
    sys.stdout.write(
        "".join(f"{name:14}{address}\n" for name, address in (given() or {}).items())
        + f"for the commands: set -a; . {FOLDER / 'env'}; set +a\n"
    )
    return 0


def stop() -> int:
    """Stop what `start` started, by its process ids, and delete what it wrote."""
    if ADDRESSES.exists():
        for handle in json.loads(ADDRESSES.read_text(encoding="utf-8"))["handles"]:
            if "container" in handle:
                end_container(handle)
            else:
                end(handle)
        ADDRESSES.unlink()
        (FOLDER / "env").unlink(missing_ok=True)
    return 0


def main() -> int:
    """The command."""
    try:
        return {"start": start, "stop": stop}[sys.argv[1]]()
    except UnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
