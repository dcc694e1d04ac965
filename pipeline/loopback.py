"""Whether a host of the settings is this machine: what is said to it needs no encryption and no token."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether only this machine is reached by that name or address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "[::1]", "LOCALHOST.", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
