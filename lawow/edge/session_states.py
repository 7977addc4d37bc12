"""The states of leases' instances, as sessions of this host give and take them."""

from __future__ import annotations

from lawow.edge.execution_handler import ExecutionHandler

__all__ = ["SessionStates"]


class SessionStates:
    """A `StateKeeper` over an execution handler. States held in memory at a time are bounded by it."""

    def __init__(self, handler: ExecutionHandler) -> None:
        self._handler = handler

    async def snapshot(self, tenant: str, digest: str, session: str) -> bytes:
        """Return the state of a session, which goes on. Raises as `ExecutionHandler.state_of_session`."""
        with self._handler.moving_state(tenant):
            return await self._handler.state_of_session(
                tenant, session, self._handler.limits.deadline_seconds
            )

    async def begin(self, tenant: str, digest: str, state: bytes) -> str:
        """Make a session that goes on where `state` was taken. Raises as `ExecutionHandler.open_session`."""
        with self._handler.moving_state(tenant):
            deadline = self._handler.limits.deadline_seconds
            return await self._handler.open_session(tenant, digest, deadline, state)
