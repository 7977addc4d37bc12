"""Who is asking: bearer tokens, and a limit on guessing.

A token that is in force is always accepted, whatever others behind the same address did: thousands of phones
share the address of their carrier's gateway. With 256 random bits a guess is hopeless, so the limit on
failures does not protect the tokens; it protects the log and the database from noise. IPv6 peers are counted
by their /64.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from lawow.edge.tenants import Tenants
from lawow.limits import EDGE
from lawow.server.problems import Problem

__all__ = ["Authenticator", "FailureLimiter"]

ADDRESSES_REMEMBERED = 10_000
MAX_TOKEN_CHARACTERS = 200


@dataclass(slots=True)
class _Bucket:
    tokens: float
    updated: float


class FailureLimiter:
    """For each address `per_minute` failures at once, then one more each 60 / `per_minute` seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def count(self, address: str) -> float | None:
        """Count a failure. Return None if it is within the limit, else the seconds until one would be."""
        now = self._clock()
        key = _network(address)
        bucket = self._buckets.pop(key, None) or _Bucket(float(self._per_minute), now)
        bucket.tokens = min(self._per_minute, bucket.tokens + (now - bucket.updated) * self._per_minute / 60)
        bucket.updated = now
        self._buckets[key] = bucket
        if len(self._buckets) > ADDRESSES_REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        return (1 - bucket.tokens) * 60 / self._per_minute


class Authenticator:
    """Finds the tenant of a request."""

    def __init__(self, tenants: Tenants, per_minute: int = EDGE.failed_authentications_per_minute) -> None:
        self._tenants = tenants
        self._failures = FailureLimiter(per_minute)

    def tenant_of(self, authorization: list[bytes], address: str) -> str | Problem:
        """Return the tenant whom the Authorization headers name, or the answer to give instead."""
        token = _bearer(authorization)
        tenant = self._tenants.tenant_of(token) if token else None
        if tenant is not None:
            return tenant
        wait = self._failures.count(address)
        if wait is not None:
            return Problem("too-many-failures", "too many requests without a valid token", wait)
        if not authorization:
            return Problem("unauthorized", "the request has no header `Authorization: Bearer <token>`")
        return Problem("unauthorized", "the token is not valid here; `lawow token` on the edge makes one")


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
