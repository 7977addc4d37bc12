"""Origins as operators write them and as browsers do."""

from __future__ import annotations

import pytest

from lawow.errors import UsageError
from lawow.server.websocket_gate import normal_origin


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://app.example", "https://app.example"),
        ("https://app.example/", "https://app.example"),
        ("https://App.Example:443", "https://app.example"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:8443", "http://127.0.0.1:8443"),
        ("https://[2001:DB8::7]:8443", "https://[2001:db8::7]:8443"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(written: str, sent: str) -> None:
    assert normal_origin(written) == sent


@pytest.mark.parametrize(
    "written",
    ["", "*", "null", "app.example", "ftp://app.example", "https://", "https://a/b", "https://a?b", "https://u@a",
     "https://a:99999", "https://[::1"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="is no origin"):
        normal_origin(written)
