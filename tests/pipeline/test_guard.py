"""Which addresses may be asked."""

import socket
from collections.abc import Callable

import pytest

from opinionwatch.pipeline.guard import Guard, resolve

# fmt: off
INSIDE = [
    "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0/", "http://0.0.0.0/", "http://2130706433/",
    "http://0x7f000001/", "http://0x7f.1/", "http://0x7F.0x0.0x0.0x1/", "http://017700000001/", "http://0177.0.0.1/",
    "http://127.0.0.01/", "http://127.000.000.001/", "http://1/", "http://127.0.0.1./", "http://localhost/",
    "http://LOCALHOST/", "http://localhost./", "http://ip6-localhost/", "http://[::1]/", "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::169.254.169.254]/", "http://[64:ff9b:1::1]/", "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/", "http://[2001:0:1:2:3:4:80ff:fffe]/", "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/", "http://[fe80::1%25lo]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/",
    "http://[fec0::1]/", "http://[ff02::1]/", "http://[2001:db8::1]/", "http://[3fff::1]/", "http://[100::1]/",
    "http://[::ffff:0:127.0.0.1]/", "http://[5f00::1]/", "http://10.0.0.1/", "http://10.255.255.255/",
    "http://172.16.0.1/", "http://172.31.255.254/", "http://192.168.0.1/", "http://192.168.1.1:8080/",
    "http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/", "http://2852039166/", "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/", "http://100.64.0.1/", "http://100.100.100.200/", "http://168.63.129.16/",
    "http://192.0.0.192/", "http://192.0.2.1/", "http://198.18.0.1/", "http://198.51.100.1/", "http://203.0.113.1/",
    "http://224.0.0.1/", "http://239.255.255.250/", "http://240.0.0.1/", "http://255.255.255.255/",
    "http://127。0。0。1/", "http://127．0．0．1/", "http://１２７.0.0.1/", "http://①②⑦.⓪.⓪.①/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://127%2e0%2e0%2e1/", "http://%6c%6f%63%61%6c%68%6f%73%74/", "https://127.0.0.1/", "https://[::1]/",
    "https://localhost/", "http://127.0.0.1:80/", "http://127.0.0.1:443/",
]
# fmt: on

MALFORMED = [
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "ftp://example.org/",
    "dict://127.0.0.1/",
    "jar:http://x!/",
    "data:text/xml,<a/>",
    "unix:///run/docker.sock",
    "ldap://127.0.0.1/",
    "javascript:alert(1)",
    "//example.org/feed",
    "example.org/feed",
    "/etc/passwd",
    "",
    "http:",
    "http://",
    "http:///feed",
    "http://user@example.org/",
    "http://user:pw@example.org/",
    "http://example.org@127.0.0.1/",
    "http://example.org:80@127.0.0.1/",
    "http://127.0.0.1\\@example.org/",
    "http://example.org\\@127.0.0.1/",
    "http://example.org /",
    " http://127.0.0.1/",
    "http://exam\tple.org/",
    "http://example.org\r\nHost: 127.0.0.1/",
    "http://example.org\x00.evil.test/",
    "http://example.org:22/",
    "http://example.org:6379/",
    "http://example.org:99999/",
    "http://example.org:-1/",
    "http://example.org:0/",
    "http://exa$mple.org/",
    "http://.../",
    "http://-a.test/",
    "http://" + "a" * 64 + ".test/",
    "http://" + "a." * 200 + "test/",
    "http://[::1/",
    "http://[v1.127]/",
    "http://[::1]:80:80/",
]


def answering(*addresses: str) -> Callable[[str, int], list[str]]:
    def resolve_any(host: str, port: int) -> list[str]:
        assert host and port
        return list(addresses)

    return resolve_any


def reach(url: str) -> list[str]:
    guard = Guard()
    target = guard.url(url)
    return guard.addresses(target.raw_host.decode("ascii"), target.port or 80)


def test_the_corpus_is_large_enough() -> None:
    assert len(set(INSIDE)) + len(set(MALFORMED)) >= 100


@pytest.mark.parametrize("url", INSIDE)
def test_no_spelling_of_an_inside_address_is_asked(url: str) -> None:
    with pytest.raises((ValueError, OSError)):
        reach(url)


@pytest.mark.parametrize("url", MALFORMED)
def test_no_malformed_url_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Guard().url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.215.14/",
        "https://example.org/a?b=c#d",
        "http://[2606:2800:21f:cb07::1]:8080/",
        "http://例え.jp/",
        "https://a_b.test./",
    ],
)
def test_ordinary_urls_pass(url: str) -> None:
    assert str(Guard().url(url)).startswith("http")


def test_a_host_with_one_inside_address_among_others_is_refused() -> None:
    mixed = Guard(resolve=answering("93.184.215.14", "10.0.0.8"))
    with pytest.raises(ValueError, match="not on the open internet; name it in allow_hosts"):
        mixed.addresses("mixed.test", 80)
    assert Guard(resolve=answering("93.184.215.14", "2606:2800:21f:cb07::1")).addresses("fine.test", 80)


def test_a_named_host_may_be_inside_and_use_any_port() -> None:
    guard = Guard(["RSSHub.internal.", "127.0.0.1", "[::1]"], resolve=answering("10.0.0.8"))
    assert guard.url("http://rsshub.internal:1200/x").port == 1200
    assert guard.addresses("rsshub.internal", 1200) == ["10.0.0.8"]
    assert guard.url("http://127.0.0.1:9/") and guard.url("http://[::1]:9/")
    for other in (
        "http://rsshub.internal.evil.test:1200/",
        "http://x.rsshub.internal:1200/",
        "http://127.0.0.2/",
        "http://127.1/",
    ):
        with pytest.raises(ValueError, match=r"allow_hosts|port|octets"):
            guard.url(other)


def test_the_resolver_of_this_machine_gives_plain_addresses() -> None:
    assert set(resolve("localhost", 80)) <= {"127.0.0.1", "::1"}
    with pytest.raises(socket.gaierror):
        resolve("nonexistent.invalid", 80)
