"""Client certificates: what one says about its holder, and the connection that it came with.

The TLS layer verifies chain, time and signature against ``--client-ca``; here only the subject alternative
name is read: one URI ``lawow://tenant.lawow.internal/NAME?scope=call&scope=read``. A certificate without it,
with two of them, or with one that does not parse, is nobody's, and spoils a token that comes along with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography import x509

from lawow.edge.policies import SCOPES

__all__ = ["NOBODY", "URI_HOST", "ClientCertificate", "Connection", "read_client_certificate", "tenant_uri"]

URI_HOST = "tenant.lawow.internal"
"""A host that no resolver knows; authorities constrain their names by it."""
MAX_URI_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What matters of a verified certificate; `serial` in hex."""

    tenant: str
    scopes: frozenset[str]
    serial: str
    not_after_unix: float


class Connection:
    """One TCP or TLS connection: whose it is, and what certificate its client showed."""

    __slots__ = ("_leave", "_tenant", "certificate")

    def __init__(self, der: bytes | None) -> None:
        self.certificate = read_client_certificate(der) if der else None
        self._tenant: str | None = None
        self._leave: Callable[[str], None] | None = None

    def belong_to(self, tenant: str, enter: Callable[[str], None], leave: Callable[[str], None]) -> None:
        """Count as a tenant's from its first request on. Raises what `enter` raises beyond its quota."""
        if tenant == self._tenant:
            return
        enter(tenant)
        self.close()
        self._tenant, self._leave = tenant, leave

    def close(self) -> None:
        """Count no more."""
        if self._tenant is not None and self._leave is not None:
            self._leave(self._tenant)
        self._tenant = None


def tenant_uri(tenant: str, scopes: tuple[str, ...]) -> str:
    """Return the name that a certificate for a tenant has."""
    return f"lawow://{URI_HOST}/{tenant}?{urlencode([('scope', scope) for scope in scopes])}"


NOBODY = ClientCertificate("", frozenset(), "", 0.0)


def read_client_certificate(der: bytes) -> ClientCertificate:
    """Return what a certificate in DER says, or `NOBODY`, which never is in force."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return NOBODY
    if len(uris) != 1 or len(uris[0]) > MAX_URI_CHARACTERS:
        return NOBODY
    try:
        parts = urlsplit(uris[0])
        scopes = frozenset(
            value for key, value in parse_qsl(parts.query, strict_parsing=True) if key == "scope"
        )
    except ValueError:
        return NOBODY
    if parts.scheme != "lawow" or parts.netloc != URI_HOST or not scopes or not scopes <= set(SCOPES):
        return NOBODY
    return ClientCertificate(
        parts.path.removeprefix("/"),
        scopes,
        f"{certificate.serial_number:x}",
        certificate.not_valid_after_utc.timestamp(),
    )
