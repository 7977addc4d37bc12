"""The address of the edge is checked where it is given."""

from __future__ import annotations

import pytest

from lawow.errors import UsageError
from lawow.refactor.edge_properties import EdgeProperties, with_mode


def test_the_file_holds_what_was_given_in_the_format_of_java_properties() -> None:
    pin = ":".join(["AB"] * 32)
    properties = EdgeProperties("https://edge.example:8443/", pin, "to\\ken", 5)
    assert properties.to_bytes().decode().splitlines() == [
        f"certificate.sha256={'ab' * 32}",
        "edge=https://edge.example:8443",
        "timeout.seconds=5",
        "token=to\\\\ken",
    ]


def test_what_an_elastic_app_does_stands_behind_what_its_own_file_says() -> None:
    own = b"edge=https://edge.example\nshadow=1"
    assert with_mode(own, "auto", ("a", "b"), 1e-5) == own + b"\nmode=auto\npure=a b\nshadow=1e-05\n"
    assert with_mode(own, "auto", ()) == own + b"\nmode=auto\npure=\n"


@pytest.mark.parametrize(
    "address",
    [
        "https://h",
        "https://[2001:db8::1]:1",
        "http://127.0.0.1:80",
        "http://localhost",
        "http://[::1]:9",
        "HTTPS://h",
    ],
)
def test_addresses_that_the_stub_library_accepts_are_accepted(address: str) -> None:
    assert EdgeProperties(address).edge == address


@pytest.mark.parametrize(
    "address",
    [
        "edge:8443",
        "http://edge.example",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "https://",
        "https://user@h",
        "https://h?q",
        "https://h#f",
        "https://h:99999",
        "https://h h",
        "https://[::1",
        "",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="--edge"):
        EdgeProperties(address)


@pytest.mark.parametrize("pin", ["", "ab", "g" * 64, "ab" * 33])
def test_a_pin_is_64_digits(pin: str) -> None:
    with pytest.raises(UsageError, match="64 hex digits"):
        EdgeProperties("https://h", pin)


@pytest.mark.parametrize("token", ["", "two words", "é", "a\nb", "x" * 5000])
def test_a_token_is_one_printable_word(token: str) -> None:
    with pytest.raises(UsageError, match="--token-file"):
        EdgeProperties("https://h", token=token)


@pytest.mark.parametrize("seconds", [0, -1, 86_401])
def test_a_timeout_is_a_second_to_a_day(seconds: int) -> None:
    with pytest.raises(UsageError, match="--timeout"):
        EdgeProperties("https://h", timeout_seconds=seconds)
