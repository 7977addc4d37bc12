"""The seams between the control plane and what other parts of an edge may provide: data plane, snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lawow.edge.leases import Lease

__all__ = ["DataPlane", "Endpoint", "HttpOnly", "StateKeeper"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a device reaches the instance of its lease without HTTP; the lease's token opens it.

    `websocket` is a path at the edge's own URL where the same is reached through it.
    """

    host: str
    port: int
    certificate_sha256: str
    websocket: str | None = None
    protocol: str = "lawow/1"

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "host": self.host,
            "port": self.port,
            "protocol": self.protocol,
            "certificate_sha256": self.certificate_sha256,
            "websocket": self.websocket,
        }


class DataPlane(Protocol):
    """Opens and closes a lease's part of the data plane."""

    async def open(self, lease: Lease, session: str) -> Endpoint | None:
        """Let the holder of the lease's token (`LeaseBook.of_token`) call the instance `session`.

        Called whenever the lease gets an instance. None: calls go by HTTP.
        """

    async def close(self, lease: Lease) -> None:
        """End what `open` began; called when the instance or the lease ends, also if nothing was opened."""


class HttpOnly:
    """No data plane: calls of a lease go by HTTP."""

    async def open(self, lease: Lease, session: str) -> Endpoint | None:
        """Open nothing."""
        return None

    async def close(self, lease: Lease) -> None:
        """Nothing was opened."""


class StateKeeper(Protocol):
    """Reads the state of a live instance, and makes one in a state; nobody else looks into the bytes."""

    async def snapshot(self, tenant: str, digest: str, session: str) -> bytes:
        """Return the state of a tenant's session. Raises what `Supervisor.run` raises."""

    async def begin(self, tenant: str, digest: str, state: bytes) -> str:
        """Make a session that goes on where `state` was taken, and return its name."""
