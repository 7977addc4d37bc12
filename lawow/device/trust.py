"""Trust in an edge by its certificate's SHA-256, for every kind of connection; and `dial`, to a worker."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ipaddress
import re
import socket
import ssl

from lawow.errors import HostLost, LawowError, Refused, UsageError

__all__ = ["dial", "is_loopback", "normal_pin", "pinned_context", "require_pin"]

CONNECT_SECONDS = 10.0
PIN = re.compile(r"[0-9a-f]{64}")


def dial(
    host: str, port: int, certificate_sha256: str | None, timeout_seconds: float = CONNECT_SECONDS
) -> socket.socket:
    """Connect by TLS 1.3 with that pin; without one in clear, to loopback alone.

    Raises `HostLost`, whose cause tells a closed port, and `Refused` for another certificate.
    """
    name = f"{host}:{port}"
    if certificate_sha256 is None and not is_loopback(host):
        raise Refused(
            f"{name}: only to loopback; without a certificate's SHA-256 the token would go out in clear"
        )
    try:
        connected = socket.create_connection((host, port), timeout_seconds)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise HostLost(f"{name}: cannot be reached ({error})") from error
    if certificate_sha256 is None:
        return connected
    return _secured(connected, host, normal_pin(certificate_sha256), name)


def _secured(connected: socket.socket, host: str, pin: str, name: str) -> ssl.SSLSocket:
    """Put TLS 1.3 over a connection, and close it if that, or the pin, fails."""
    context = pinned_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        wrapped = context.wrap_socket(connected, server_hostname=host)
    except OSError as error:
        connected.close()
        raise HostLost(f"{name}: no TLS 1.3 there ({error})") from None
    try:
        require_pin(wrapped, pin, name)
    except LawowError:
        wrapped.close()
        raise
    return wrapped


def pinned_context() -> ssl.SSLContext:
    """Return what asks no authority: call `require_pin` after the handshake, before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def require_pin(connection: ssl.SSLSocket, pin: str, name: str) -> None:
    """Raise `Refused` unless the leaf certificate is the pinned one and in force."""
    der = connection.getpeercert(binary_form=True) or b""
    found = hashlib.sha256(der).hexdigest()
    if not hmac.compare_digest(found, pin):
        raise Refused(
            f"{name}: the certificate has the SHA-256 {found}, not the pinned {pin}; nothing was sent"
        )
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    now = datetime.datetime.now(datetime.UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Refused(
            f"{name}: the pinned certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} "
            f"to {certificate.not_valid_after_utc:%Y-%m-%d}, not now; nothing was sent"
        )


def normal_pin(text: str) -> str:
    """Accept hex in either case, with or without colons. Raises `UsageError`."""
    pin = text.replace(":", "").lower()
    if not PIN.fullmatch(pin):
        raise UsageError("a certificate's SHA-256 has 64 hex digits")
    return pin


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, so that nothing crosses a network."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
