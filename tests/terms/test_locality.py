"""What counts as this machine, as a vouched network, and as the cloud; no spelling fools it."""

from __future__ import annotations

import pytest

from hroute.terms.locality import Address, classify, of_ip, parse


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434", "http://127.8.9.10", "http://[::1]:8080/v1", "http://localhost:11434", "http://LOCALHOST/",
        "unix:/run/ollama.sock", "http+unix://%2Frun%2Follama.sock", "127.0.0.1:11434", "localhost:11434", "HTTPS://127.0.0.1",
    ],
)  # fmt: skip
def test_loopback_and_sockets_are_this_machine(url: str) -> None:
    assert classify(url) == "machine"


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.5", "http://172.31.255.1:80", "http://192.168.1.20:11434/v1", "http://[fd12:3456::1]", "http://100.64.0.1"],
)  # fmt: skip
def test_private_ranges_are_a_network(url: str) -> None:
    assert classify(url) == "network"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.anthropic.com", "http://8.8.8.8", "http://172.32.0.1", "http://100.128.0.1", "http://0.0.0.0:11434", "http://[::]",
        "http://169.254.169.254/latest", "http://169.254.1.1", "http://[fe80::1]", "http://[fd00:ec2::254]", "http://100.100.100.200",
        "http://[::ffff:127.0.0.1]", "http://[::ffff:10.0.0.1]", "http://[::ffff:7f00:1]", "http://[::127.0.0.1]", "http://[64:ff9b::7f00:1]",
        "http://ollama.internal:11434", "http://localhost.evil.example", "ftp://127.0.0.1",
    ],
)  # fmt: skip
def test_everything_else_is_the_cloud(url: str) -> None:
    assert classify(url) == "cloud"


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/", "http://0x7f000001", "http://0x7f.0.0.1", "http://0177.0.0.1", "http://127.1", "http://127.0.0.01",
        "http://127.0.0.1@evil.example/", "http://evil.example#@127.0.0.1/", "http://evil.example\\@127.0.0.1/", "http://127.0.0.1\\.evil.example",
        "http://127.0.0.1./", "http://localhost./", "http://１２７.0.0.1", "http://127。0。0。1", "http://127.0.0.1%2eevil.example",
        "http://[::1%25lo]/", "http://[::1", "http://::1/", "http://127.0.0.1:80:90", "http://127.0.0.1:99999", "http://127.0.0.1:-1",
        "http:///127.0.0.1", "http://", "", "http://127.0.0.1\t.evil.example", "http://127.0.0.1 .evil", "//127.0.0.1", "http://a:b@localhost",
        "http://[::1]evil.example", "http://[localhost]/",
    ],
)  # fmt: skip
def test_an_odd_spelling_is_never_local(url: str) -> None:
    assert classify(url) == "cloud"


def test_in_process_is_this_machine_and_no_address_is_the_cloud() -> None:
    assert classify(None, in_process=True) == "machine"
    assert classify(None) == "cloud"


def test_an_address_is_read_as_the_transport_will_dial_it() -> None:
    assert parse("http://LOCALHOST:11434/v1?x=1") == Address("http", "localhost", 11434)
    assert parse("https://[::1]") == Address("https", "::1", None)


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_a_peer_address_is_judged_alone(ip: str) -> None:
    assert of_ip(ip) == "machine"
    assert of_ip(f"::ffff:{ip}") == "cloud"
