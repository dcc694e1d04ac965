"""Which addresses may be asked: nothing inside our own network unless the settings name it.

Checked are the form of the URL, then every address its host resolves to; the connection goes to a checked address, so
a second answer of the resolver (DNS rebinding) is never asked for. Redirects pass the same way.
"""

import re
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx2

PORTS = frozenset({80, 443, 8080, 8443})
"""Ports of hosts that the settings do not name."""

_NAME = re.compile(
    r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)
_NUMBER = re.compile(r"(0x[0-9a-f]*|\d+)\.?$")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_DOCUMENTATION = IPv6Network("3fff::/20")
_SPECIAL = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv4Network("168.63.129.16"))
"""Look public to the standard library and are not: protocol assignments, 6to4 relays, a cloud's metadata service."""


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in found))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the open internet, also when it hides in another one.

    >>> [is_public(ip_address(a)) for a in ("93.184.215.14", "127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1")]
    [True, False, False, False]
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        return address in _UNICAST and address.is_global and address not in _6TO4 and address not in _DOCUMENTATION
    hidden = address.is_multicast or address.is_reserved or any(address in network for network in _SPECIAL)
    return address.is_global and not hidden


def host_name(entry: str) -> str:
    """One spelling for a host: lower case, IDNA, no brackets, no final dot. Raises ValueError when it is none."""
    try:
        return httpx2.URL(f"http://{entry}/").raw_host.decode("ascii").rstrip(".")
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise ValueError(f"'{entry}' is no host") from error


class Guard:
    """Says which URLs and addresses may be asked. Raises ValueError with the reason and the cure."""

    def __init__(self, allow_hosts: Iterable[str] = (), resolve: Callable[[str, int], list[str]] = resolve) -> None:
        self._allowed = {host_name(host) for host in allow_hosts}
        self._resolve = resolve

    def url(self, text: str) -> httpx2.URL:
        """The URL, if its form is harmless."""
        if _FORBIDDEN.search(text):
            raise ValueError("a URL holds no spaces, control characters or backslashes")
        try:
            url = httpx2.URL(text)
        except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
            raise ValueError(f"no URL: {error}") from error
        if url.scheme not in ("http", "https"):
            raise ValueError(f"'{url.scheme or 'no scheme'}' is not asked, only http and https")
        if url.userinfo:
            raise ValueError("a name or password does not belong into a URL")
        host = url.raw_host.decode("ascii")
        self._check_host(host)
        port = url.port if url.port is not None else 443 if url.scheme == "https" else 80
        if port not in PORTS and not self._names(host):
            raise ValueError(f"port {port} is not asked; name the host in allow_hosts if it is yours")
        return url

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of them checked. Raises OSError when it has none."""
        self._check_host(host)
        try:
            found = self._resolve(host, port)
        except UnicodeError as error:
            raise ValueError(f"'{host}' is no host") from error
        if not self._names(host):
            for address in found:
                self._check(address, host)
        return found

    def _names(self, host: str) -> bool:
        return host.rstrip(".") in self._allowed

    def _check_host(self, host: str) -> None:
        if ":" in host:
            self._check(host, host)
        elif not _NAME.fullmatch(host):
            raise ValueError("no host name")
        elif _NUMBER.search(host):
            try:
                self._check(str(IPv4Address(host)), host)
            except ValueError as error:
                raise ValueError(f"{host}: {error}") from error

    def _check(self, address: str, host: str) -> None:
        if not is_public(ip_address(address)) and not self._names(host):
            raise ValueError(f"{host} is not on the open internet; name it in allow_hosts if it is yours")
