"""The Remote Offload Handler of a host: its end of every offloading, from a module's bytes to its state.

It takes modules in (by parts, only what the host lacks), gives them an instance in the tenant's worker,
lends it to calls, carries its state both ways, and clears up when the lease ends. One for each host; leases
of other hosts never reach it. Requests that change one lease at the same time are refused as `Conflict`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

from lawow.edge.data_plane import DataPlane, Endpoint, HttpOnly, StateKeeper
from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.lease_states import ENDED, WITH_INSTANCE, Event, State, next_state
from lawow.edge.leases import Lease, LeaseBook
from lawow.edge.partial_uploads import PartialUploads
from lawow.edge.refusals import BadModule, Conflict, NotFound, SessionLost

__all__ = ["Place", "RemoteOffloadHandler"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the instance of a lease is: the tenant whose worker holds it, its module, its session there."""

    tenant: str
    digest: str
    session: str


class RemoteOffloadHandler:
    """The leases of one host. For one event loop."""

    def __init__(
        self,
        handler: ExecutionHandler,
        leases: LeaseBook,
        uploads: PartialUploads,
        data_plane: DataPlane | None = None,
        states: StateKeeper | None = None,
    ) -> None:
        self._handler = handler
        self._leases = leases
        self._uploads = uploads
        self._data_plane = HttpOnly() if data_plane is None else data_plane
        self._states = states
        self._sessions: dict[str, str] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._changing: set[str] = set()

    def recover(self) -> int:
        """Rest all leases whose instances ended with the process before, sweep uploads; return how many."""
        held = self._leases.held()
        for lease in held:
            if lease.state in WITH_INSTANCE and not lease.shared_lease and lease not in self._leases.due():
                self._leases.move(lease, Event.REST, "the edge was started again")
        return self._uploads.recover(held)

    def has_module(self, lease: Lease) -> bool:
        """Tell whether the host has the module of a lease, so that nothing need be transferred."""
        owner = self._leases.owner_of(lease)
        try:
            self._handler.store.get(owner.tenant, owner.digest)
        except NotFound:
            return False
        return True

    def offset(self, lease: Lease) -> int:
        """Return how many bytes of the module an upload has brought."""
        return self._uploads.offset(lease)

    def endpoint(self, lease: Lease) -> Endpoint | None:
        """Return the lease's part of the data plane, if one is open and the instance lives."""
        opened = self._endpoints.get(lease.id)
        if opened is None or self._loss(self._leases.owner_of(lease)) is not None:
            return None
        return opened

    async def receive(
        self, lease: Lease, offset: int, *, is_last: bool, chunks: AsyncIterator[bytes]
    ) -> tuple[Lease, int]:
        """Take more of the module, and all of it with `is_last`: then it is stored, valid and compiled.

        Returns the lease and the number of bytes that have come. Raises `BadModule` for another digest than
        the lease's, and the upload begins again; else as `PartialUploads.append`, `ExecutionHandler`.
        """
        with self._alone(lease):
            if lease.shared_lease or self.has_module(lease):
                raise Conflict("the host has this module; there is nothing to transfer")
            if next_state(lease.state, Event.TRANSFER) is not lease.state:
                lease = await asyncio.to_thread(self._leases.move, lease, Event.TRANSFER)
            received = await self._uploads.append(lease, offset, chunks)
            lease = await asyncio.to_thread(partial(self._leases.renew, lease, by_use=True))
            if is_last:
                await self._complete(lease, received)
            return lease, received

    async def initialise(self, lease: Lease, deadline_seconds: float) -> Lease:
        """Give the lease an instance, or join it to the shared one. Raises `Conflict`, as `open_session`."""
        with self._alone(lease):
            if lease.state in WITH_INSTANCE and self._loss(lease) is None:
                return lease
            if lease.state in WITH_INSTANCE:
                lease = await self._rest(lease, self._loss(lease) or "")
            next_state(lease.state, Event.INITIALISE)
            if not self.has_module(lease):
                raise Conflict("the host lacks the module; transfer it first")
            owner = self._leases.owner_of(lease)
            if lease.shared_lease:
                if self._loss(owner) is not None:
                    raise Conflict("the owner's instance rests; its owner has to initialise it")
                session = self._sessions[owner.id]
            else:
                session = await self._handler.open_session(lease.tenant, lease.digest, deadline_seconds)
                self._sessions[lease.id] = session
            moved = await asyncio.to_thread(self._leases.move, lease, Event.INITIALISE)
            await self._open_data_plane(moved, session)
            return moved

    async def remove_module(self, tenant: str, digest: str) -> None:
        """Take a module from the tenant.

        Raises as `ExecutionHandler.remove_module`, and `Conflict` while a lease is for it.
        """
        for lease in await asyncio.to_thread(self._leases.of_tenant, tenant):
            if lease.digest == digest and not lease.shared_lease and lease.state not in ENDED:
                raise Conflict(f"lease {lease.id} is for sha256:{digest}; end it first")
        await self._handler.remove_module(tenant, digest)

    async def rest(self, lease: Lease) -> Lease:
        """End the instance and keep the code. Raises `Conflict`."""
        with self._alone(lease):
            return await self._rest(lease, "")

    @asynccontextmanager
    async def using(self, lease: Lease, *, is_use: bool = True) -> AsyncIterator[Place]:
        """Lend the instance to a call; the lease is renewed by it, and rests when its instance is lost.

        A call that `is_use` no use renews nothing.

        Raises `SessionLost` if it was lost before, `Conflict` if there is none, `LeaseEnded`.
        """
        next_state(lease.state, Event.CALL)
        owner = self._leases.owner_of(lease)
        loss = self._loss(owner)
        if loss is not None:
            await self._note_loss(owner, loss)
            raise SessionLost(f"the instance is lost with all its state: {loss}; initialise the lease again")
        try:
            yield Place(owner.tenant, owner.digest, self._sessions[owner.id])
        finally:
            loss = self._loss(owner)
            if loss is not None:
                await self._note_loss(owner, loss)
        if is_use:
            await self._note_use(lease, owner)

    async def snapshot(self, lease: Lease) -> bytes:
        """Return the instance's state. Raises `Conflict` where this edge takes no snapshots."""
        states = self._state_keeper(lease)
        async with self.using(lease) as place:
            return await states.snapshot(place.tenant, place.digest, place.session)

    async def restore(self, lease: Lease, state: bytes) -> None:
        """Put an instance in that state in the place of the lease's own, which stays if that fails.

        Raises as `snapshot`, and what a state that is none of the module's does.
        """
        states = self._state_keeper(lease)
        with self._alone(lease):
            async with self.using(lease) as place:
                session = await states.begin(place.tenant, place.digest, state)
                self._sessions[lease.id] = session
                self._close_session(lease, place.session)
            await self._open_data_plane(lease, session)

    async def end(self, lease: Lease, event: Event, reason: str = "") -> Lease:
        """End a lease and clear up after it; ``recall`` and ``expire``. Raises `LeaseEnded`."""
        with self._alone(lease):
            moved = await asyncio.to_thread(self._leases.move, lease, event, reason)
            await self.clear(lease)
            return moved

    async def clear(self, lease: Lease) -> None:
        """End the instance and the upload of a lease that has ended; no effect if there is neither."""
        self._endpoints.pop(lease.id, None)
        await self._data_plane.close(lease)
        session = self._sessions.pop(lease.id, None)
        if session is not None:
            self._close_session(lease, session)
        await asyncio.to_thread(self._uploads.remove, lease)

    def with_session(self) -> set[str]:
        """Return the ids of leases that have an instance here, for whoever looks for ended ones."""
        return {*self._sessions, *self._endpoints}

    async def _complete(self, lease: Lease, size_bytes: int) -> None:
        """Keep a module all of whose bytes have come; a wrong one is thrown away."""
        try:
            actual = self._uploads.digest(lease)
            if actual != lease.digest:
                raise BadModule(
                    f"the module's SHA-256 is {actual}, the lease says {lease.digest}; begin again"
                )
            path = self._uploads.path(lease)
            await self._handler.keep_file(lease.tenant, path, size_bytes, lease.digest)
        except BadModule:
            await asyncio.to_thread(self._uploads.remove, lease)
            raise
        await asyncio.to_thread(self._uploads.remove, lease)

    async def _rest(self, lease: Lease, reason: str) -> Lease:
        moved = await asyncio.to_thread(self._leases.move, lease, Event.REST, reason)
        self._endpoints.pop(lease.id, None)
        await self._data_plane.close(lease)
        session = self._sessions.pop(lease.id, None)
        if session is not None:
            self._close_session(lease, session)
        return moved

    async def _open_data_plane(self, lease: Lease, session: str) -> None:
        opened = await self._data_plane.open(lease, session)
        if opened is not None:
            self._endpoints[lease.id] = opened

    def _close_session(self, lease: Lease, session: str) -> None:
        try:
            self._handler.supervisor.close_session(lease.tenant, session)
        except (NotFound, SessionLost):
            return  # it ended by itself

    def _loss(self, owner: Lease) -> str | None:
        """Return why there is no instance, or None if there is one."""
        session = self._sessions.get(owner.id)
        if session is None:
            return "the instance rests"
        try:
            self._handler.supervisor.digest_of_session(owner.tenant, session)
        except NotFound:
            return "nothing had used it for too long"
        except SessionLost as error:
            return str(error).partition(": ")[2] or str(error)
        return None

    async def _note_loss(self, owner: Lease, reason: str) -> None:
        """Let the lease rest whose instance is lost."""
        self._sessions.pop(owner.id, None)
        current = await asyncio.to_thread(self._leases.get, owner.tenant, owner.id)
        if current.state in WITH_INSTANCE:
            await self._rest(current, reason)

    async def _note_use(self, lease: Lease, owner: Lease) -> None:
        """Write down what a use changes, which most uses do not."""
        for item in {lease.id: lease, owner.id: owner}.values():
            if item.state is State.INITIALISED:
                await asyncio.to_thread(self._leases.move, item, Event.CALL)
            else:
                await asyncio.to_thread(partial(self._leases.renew, item, by_use=True))

    def _state_keeper(self, lease: Lease) -> StateKeeper:
        if lease.shared_lease:
            raise NotFound("the state of a shared instance is its owner's")
        if self._states is None:
            raise Conflict("this edge takes no snapshots of instances")
        return self._states

    @contextmanager
    def _alone(self, lease: Lease) -> Iterator[None]:
        """Hold a lease for one change. Raises `Conflict` if another is under way."""
        if lease.id in self._changing:
            raise Conflict("another request changes this lease at the moment; try again")
        self._changing.add(lease.id)
        try:
            yield
        finally:
            self._changing.discard(lease.id)
