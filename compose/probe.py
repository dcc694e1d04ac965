#!/opt/opinionwatch/bin/python -IS
"""probe PATH [PORT]: exits 0 when http://127.0.0.1:PORT PATH answers 200 within 4 s.

The daemons listen on loopback only, so health checks of Docker and Kubernetes run this inside the container. It imports
nothing of opinionwatch and starts in a few hundredths of a second.
"""

import http.client
import os
import sys


def main() -> int:
    """Ask once."""
    path = sys.argv[1] if len(sys.argv) > 1 else "/healthz"
    port = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("OPINIONWATCH__MONITOR__PORT", "9461"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        words = answer.read(400).decode("utf-8", "replace").strip()
    except OSError as error:
        print(f"{path}: {error}")
        return 1
    finally:
        connection.close()
    print(f"{path}: {answer.status} {words}")
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
