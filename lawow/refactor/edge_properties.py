"""The file that tells the slim app where its edge is: `assets/lawow/edge.properties`.

Only what the stub library (`dev.lawow.Configuration`) accepts is written, so that a wrong address is
found on the developer's machine and not on a phone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from lawow.errors import UsageError

__all__ = ["DEFAULT_EDGE", "PATH", "EdgeProperties", "with_mode"]

PATH = "assets/lawow/edge.properties"
DEFAULT_EDGE = "https://127.0.0.1:8443"
"""Where an app looks for its edge when nothing tells it: the device itself, as with ``adb reverse``."""

LOOPBACK = re.compile(r"localhost|\[::1\]|127(?:\.[0-9]{1,3}){3}")
MAX_TIMEOUT_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class EdgeProperties:
    """Address of the edge; hex SHA-256 of its only trusted certificate; bearer token; longest time for a
    call; where elastic methods run, the hex SHA-256 of modules whose calls may run twice, and the share of
    the calls that are compared with the original.
    """

    edge: str
    certificate_sha256: str | None = None
    token: str | None = None
    timeout_seconds: int | None = None
    mode: str | None = None
    pure: tuple[str, ...] = ()
    shadow: float | None = None

    def __post_init__(self) -> None:
        _require_edge(self.edge)
        if self.certificate_sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.pin or ""):
            raise UsageError(
                f"--certificate-sha256: found {self.certificate_sha256}, allowed are 64 hex digits"
            )
        if self.token is not None and not re.fullmatch(r"[\x21-\x7e]{1,4096}", self.token):
            raise UsageError("--token-file: must hold one token of printable ASCII, without spaces")
        if self.timeout_seconds is not None and not 0 < self.timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise UsageError(
                f"--timeout: found {self.timeout_seconds}, allowed is 1 to {MAX_TIMEOUT_SECONDS}"
            )

    @property
    def pin(self) -> str | None:
        """The certificate's digest as 64 lower-case digits."""
        return self.certificate_sha256 and self.certificate_sha256.replace(":", "").lower()

    @property
    def is_plain(self) -> bool:
        """Whether the address is http, which only reaches this device itself."""
        return self.edge.lower().startswith("http:")

    def to_bytes(self) -> bytes:
        """Return the file in the format of `java.util.Properties`, UTF-8, keys sorted."""
        values = {
            "certificate.sha256": self.pin,
            "edge": self.edge.rstrip("/"),
            "mode": self.mode,
            "pure": " ".join(self.pure) or None,
            "shadow": None if self.shadow is None else f"{self.shadow:g}",
            "timeout.seconds": None if self.timeout_seconds is None else str(self.timeout_seconds),
            "token": self.token,
        }
        lines = [f"{key}={_escape(value)}\n" for key, value in values.items() if value is not None]
        return "".join(lines).encode()


def with_mode(content: bytes, mode: str, pure: tuple[str, ...], shadow: float | None = None) -> bytes:
    """Return an app's own file with these keys; of a key that stands twice, Java takes the last."""
    more = "" if shadow is None else f"shadow={shadow:g}\n"
    return content + f"\nmode={mode}\npure={' '.join(pure)}\n{more}".encode()


def _require_edge(text: str) -> None:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"--edge: {text} is not a URL: {error}") from None
    clean = not (parts.query or parts.fragment or parts.username) and re.fullmatch(r"[\x21-\x7e]+", text)
    if not host or not clean:
        raise UsageError(f"--edge: found {text!r}, allowed is https://HOST:PORT")
    loopback = LOOPBACK.fullmatch(parts.netloc.rpartition(":")[0] if parts.port else parts.netloc)
    if parts.scheme.lower() != "https" and not (parts.scheme.lower() == "http" and loopback):
        raise UsageError(
            f"--edge: found {text}, allowed is https://HOST:PORT"
            " (http only for 127.0.0.1: the token would be readable)"
        )


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\")
