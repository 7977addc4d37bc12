"""Who is asking: bearer tokens, client certificates, and a limit on guessing.

A token that is in force is always accepted, whatever others behind the same address did: thousands of phones
share the address of their carrier's gateway. With 256 random bits a guess is hopeless, so the limit on
failures does not protect the tokens; it protects the log and the database from noise. IPv6 peers are counted
by their /64. A request with both a token and a certificate is its tenant's only if both are.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

from fastapi import Request

from lawow.edge.rates import RateLimiter
from lawow.edge.refusals import Forbidden, NotFound
from lawow.edge.tenants import Identity, Tenants
from lawow.limits import EDGE
from lawow.server.client_certificates import ClientCertificate
from lawow.server.problems import Problem

__all__ = ["PUBLIC_SCOPE", "SCOPE_KEY", "Authenticator", "FailureLimiter", "authorize", "scope_of"]

MAX_TOKEN_CHARACTERS = 200
SCOPE_KEY = "x-lawow-scope"
"""Where a route says in its OpenAPI operation which scope it needs."""
PUBLIC_SCOPE = "public"
"""What a route says there that is for everybody."""


class FailureLimiter:
    """For each address `per_minute` failures at once, then one more each 60 / `per_minute` seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._rates = RateLimiter(clock)

    def count(self, address: str) -> float | None:
        """Count a failure. Return None if it is within the limit, else the seconds until one would be."""
        return self._rates.take(_network(address), self._per_minute / 60, self._per_minute)


class Authenticator:
    """Finds out who sent a request."""

    def __init__(self, tenants: Tenants, per_minute: int = EDGE.failed_authentications_per_minute) -> None:
        self._tenants = tenants
        self._failures = FailureLimiter(per_minute)

    def identify(
        self, authorization: list[bytes], address: str, certificate: ClientCertificate | None = None
    ) -> Identity | Problem:
        """Return whom the Authorization headers and the certificate name, or the answer to give instead."""
        identity = self._identity(authorization, certificate)
        if identity is not None:
            return identity
        wait = self._failures.count(address)
        if wait is not None:
            return Problem("too-many-failures", "too many requests without a valid token", wait)
        if not authorization and certificate is None:
            return Problem("unauthorized", "the request has no header `Authorization: Bearer <token>`")
        if not authorization:
            return Problem("unauthorized", "the client certificate is not valid here, or not any more")
        return Problem("unauthorized", "the token is not valid here; `lawow token` on the edge makes one")

    def _identity(self, authorization: list[bytes], certificate: ClientCertificate | None) -> Identity | None:
        by_certificate = self._of_certificate(certificate) if certificate is not None else None
        if not authorization:
            return by_certificate
        token = _bearer(authorization)
        by_token = self._tenants.identify(token) if token else None
        if certificate is None or by_token is None:
            return by_token
        if by_certificate is None or by_certificate.tenant != by_token.tenant:
            return None
        return Identity(
            by_token.tenant,
            by_token.scopes & by_certificate.scopes,
            by_token.credential,
            by_token.modules,
            by_token.requests_per_second,
        )

    def _of_certificate(self, certificate: ClientCertificate) -> Identity | None:
        """Return what a certificate that the TLS layer has verified stands for now."""
        in_force = certificate.not_after_unix > time.time()
        if not in_force or self._tenants.is_certificate_revoked(certificate.serial):
            return None
        if not self._tenants.exists(certificate.tenant):
            return None
        return Identity(certificate.tenant, certificate.scopes, f"c{certificate.serial}")


async def authorize(request: Request) -> None:
    """Let a request through to its route only with the scope and for the module that its credential names.

    A dependency of the whole application, so that no route can be added without it. Raises `Forbidden` for a
    scope that is missing, before anything is looked up; `NotFound` for a module that the token is not for.
    """
    identity = getattr(request.state, "identity", None)
    scope = scope_of(request.scope.get("route"))
    if scope is None:
        return
    if not isinstance(identity, Identity) or scope not in identity.scopes:
        raise Forbidden(
            f"this needs a token with the scope {scope}: `lawow token --scope {scope}` on the edge"
        )
    digest = str(request.path_params.get("digest", "")).removeprefix("sha256:")
    if digest and not identity.may_use(digest):
        raise NotFound(f"there is no module sha256:{digest}; upload it first")


def scope_of(route: object) -> str | None:
    """Return the scope that a route needs: None if it is for everybody, admin if it does not say."""
    declared = str((getattr(route, "openapi_extra", None) or {}).get(SCOPE_KEY, "admin"))
    return None if declared == PUBLIC_SCOPE else declared


def _bearer(values: list[bytes]) -> str | None:
    """Return the token of exactly one well-formed header."""
    if len(values) != 1 or len(values[0]) > MAX_TOKEN_CHARACTERS:
        return None
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer" or not token.isascii():
        return None
    return token.strip().decode("ascii")


def _network(address: str) -> str:
    """Return the address, or the /64 of an IPv6 address: one host commonly has all of it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
