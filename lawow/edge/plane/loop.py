"""The loop of a worker that serves a data plane: sockets, calls and the supervisor's requests in turns.

A call runs where its bytes were received, between two sockets. While one takes longer than a millisecond,
another thread goes on with the loop (`lawow.edge.plane.crew`), so everything in here is written to be left
behind wherever a call begins: what is due next stands in the loop's own state, never on the stack. Outcomes
of what came together are sent together. Who does not take his outcomes is not read.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from time import monotonic

from lawow.channel.states import ConnectionState
from lawow.edge.messages import DEADLINE, DEFECT, NO_SESSION, Failure, Listen, Message, Result, Trap
from lawow.edge.plane.burst import Burst
from lawow.edge.plane.channel import Delivery
from lawow.edge.plane.channels import Channels
from lawow.edge.plane.client import Connection, Job
from lawow.edge.plane.clients import ENDING, Clients
from lawow.edge.plane.crew import Crew
from lawow.edge.plane.door import Door
from lawow.edge.plane.leases import LeaseTable, OwnLease
from lawow.edge.plane.orders import Order, Orders, Received
from lawow.edge.plane.parts import PlaneParts, Serves
from lawow.errors import FormatError, RemoteProtocolError
from lawow.limits import EDGE

__all__ = ["PlaneLoop"]

RECEIVE_BYTES = 256 << 10
ACCEPTS_AT_ONCE = 16
READS_AT_ONCE = 64  # then other connections have their turn
WORK_SECONDS = 0.002  # then sockets have their turn
TICK_SECONDS = 1.0
JOINED_BYTES = 16 << 10
IN, OUT = select.EPOLLIN, select.EPOLLOUT
NEVER = float("inf")
PART_SECONDS = 0.002  # between two looks whether a burst that takes long has come apart
_Item = Burst | Job | Order | Delivery
ENDINGS = (DEADLINE, NO_SESSION)
"""Kinds of failure after which an instance is gone."""


class PlaneLoop:
    """Serves the supervisor's socket and the data plane's until the former closes."""

    def __init__(
        self,
        worker: Serves,
        parts: PlaneParts,
        supervisor: socket.socket,
        receive: Callable[[], Received | None],
        listener: socket.socket,
        terms: Listen,
    ) -> None:
        """`receive` takes the supervisor's next request, None at the end."""
        self._worker = worker
        self._parts = parts
        self._longest_seconds = terms.call_seconds
        self._leases = LeaseTable()
        self._channels = Channels(worker, terms.call_seconds, terms.channels)
        self._clients = Clients(
            worker, self._leases, self._channels, parts.connections, terms.call_seconds, self._close
        )
        self._orders = Orders(worker, self._leases, supervisor, receive, self._send_away)
        self._door = Door(listener, parts, self._close)
        self._wake = lambda: os.eventfd_write(parts.wakes, 1)
        self._crew: Crew[_Item] = Crew(self._lead, self._wake)
        self._connections: dict[int, Connection] = {}
        self._again: set[int] = set()  # descriptors with bytes that the poll does not tell of
        self._unsent: set[Connection] = set()  # to be flushed and settled when there is no quick work left
        self._is_behind = False
        self._prefers_messages = False
        self._burst: Burst | None = None  # has just come
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._ticked = 0.0
        self._ends_at = NEVER
        self._is_broken = False

    def run(self) -> None:
        """Serve; returns when the supervisor has gone and clients have had their outcomes."""
        for descriptor in (self._orders.fileno(), self._parts.wakes):
            self._parts.poll.register(descriptor, IN)
        self._door.open()
        self._crew.run()

    def _lead(self) -> bool:
        """Serve until the end (True), or until another thread does (False)."""
        self._part_burst()
        self._settle_unsent()
        while not (self._is_broken or (self._ends_at != NEVER and self._is_drained())):
            wait = TICK_SECONDS if self._crew.at_work is None else self._part_burst()
            wait = 0.0 if self._again or self._is_behind else wait
            for descriptor, mask in [*self._parts.poll.poll(wait), *((number, IN) for number in self._again)]:
                self._serve(descriptor, mask)
                if not self._work():
                    return False
            if self._is_behind and not self._work():
                return False
            self._tick(monotonic())
        return True

    # sockets

    def _serve(self, descriptor: int, mask: int) -> None:
        connection = self._connections.get(descriptor)
        if connection is not None:
            self._again.discard(descriptor)
            self._unsent.add(connection)
            if mask & ~OUT:
                self._read(connection)
        elif descriptor == self._parts.wakes:
            os.eventfd_read(self._parts.wakes)
            self._settle_parted()
            done = self._crew.take_done()
            if done is not None:
                self._conclude(*done, monotonic())
        elif descriptor == self._orders.fileno():
            if self._orders.next is None and self._ends_at == NEVER and not self._orders.take():
                self._drain()
        elif self._door.has(descriptor):
            self._accept()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            accepted = self._door.accept()
            if accepted is None:
                return
            self._connections[accepted.descriptor] = accepted
            accepted.interest = IN
            self._parts.poll.register(accepted.descriptor, IN)

    def _read(self, connection: Connection) -> None:
        """Take what has come."""
        burst_seconds = self._longest_seconds if self._crew.at_work is None else 0.0
        try:
            for _ in range(READS_AT_ONCE):
                events = connection.receive(self._view, burst_seconds) if connection.may_be_read else None
                if events is None:
                    return
                if isinstance(events, Burst):
                    self._burst = events
                    break
                for event in events:
                    self._clients.handle(connection, event, self._buffer)
                if connection.client is not None:
                    self._door.forget(connection)
                if events:
                    break
            if connection.is_full:
                self._again.add(connection.descriptor)
        except RemoteProtocolError:
            self._violated(connection)
        except OSError:
            connection.is_over = True

    def _violated(self, connection: Connection) -> None:
        """End a connection and its session; GOODBYE is on its way out."""
        if connection.client is not None:
            self._clients.end(connection.client)
        connection.flush()
        connection.is_over = True

    def _settle_unsent(self) -> None:
        """Send what is due; then close what is over, and listen for what matters next."""
        if self._channels.touched:
            self._unsent |= self._channels.take_touched()
        while self._unsent:
            connection = self._unsent.pop()
            connection.flush()
            if self._connections.get(connection.descriptor) is connection:
                self._settle(connection)

    def _settle(self, connection: Connection) -> None:
        if connection.is_over:
            self._close(connection)
            return
        pipe = connection.pipe
        if connection.interest == IN and not (pipe.waiting_bytes or pipe.wants_write or pipe.has_decrypted):
            return  # as most are after each of their calls
        interest = (IN if connection.may_be_read else 0) | (OUT if pipe.waiting_bytes else 0)
        if pipe.wants_write:
            interest |= OUT
        if interest != connection.interest:
            connection.interest = interest
            self._parts.poll.modify(connection.descriptor, interest)
        if interest & IN and connection.pipe.has_decrypted:
            self._again.add(connection.descriptor)

    def _close(self, connection: Connection) -> None:
        del self._connections[connection.descriptor]
        self._again.discard(connection.descriptor)
        self._door.forget(connection)
        client = connection.client
        if client is not None and client.connection is connection:
            client.lose_connection()
        else:
            connection.end()

    # work

    def _work(self) -> bool:
        """Do what waits, for a while; False if another thread leads by now, because something takes long."""
        crew, began = self._crew, 0.0
        self._is_behind = False
        burst, self._burst = self._burst, None
        if burst is not None:  # it has just come, from a client who had nothing waiting
            message = crew.do(burst, self._answer, burst.until)
            if message is None:
                return False
            self._conclude_burst(burst, message, monotonic())
        while crew.at_work is None and not self._is_broken:
            item = self._next()
            if item is None:
                break
            message = crew.do(item, self._answer, item.until)
            if message is None:
                return False
            now = monotonic()
            self._conclude(item, message, now)
            began = began or now
            if now > began + WORK_SECONDS:
                self._is_behind = True
                break
        self._settle_unsent()
        return True

    def _next(self) -> _Item | None:
        """Return what is to be done now: the supervisor's request, else calls and messages by turns."""
        order = self._orders.next
        if order is not None:
            self._orders.next = None
            return order
        if not self._channels.has_work:
            return self._clients.next_job()
        self._prefers_messages = not self._prefers_messages
        if self._prefers_messages:
            return self._channels.next_delivery() or self._clients.next_job()
        return self._clients.next_job() or self._channels.next_delivery()

    def _answer(self, item: _Item) -> Message:
        """Do it; the thread that does may not be the one that leads when it ends."""
        try:
            return item.work(self._worker)
        except (FormatError, MemoryError) as error:
            return Failure(DEFECT, f"{type(error).__name__}: {error}")

    def _conclude(self, item: _Item, message: Message, now: float) -> None:
        """Note and tell what came of it."""
        if isinstance(item, Burst):
            self._conclude_burst(item, message, now)
            return
        is_ending = not isinstance(message, Result) and self._ends_an_instance(message)
        if isinstance(item, Job):
            item.client.running = None
            if is_ending and item.function.runs_in_session:
                self._note_loss(item.function.lease.admitted.session)
            item.answer(message, now)
            connection = item.client.connection
            if connection is not None:
                self._unsent.add(connection)
                if isinstance(message, Result) and len(message.results) > JOINED_BYTES:
                    connection.flush()  # else together with the outcomes of what came in the same bytes
        elif isinstance(item, Order):
            self._orders.conclude(item, message)
        else:
            self._conclude_delivery(item, message, is_ending)

    def _ends_an_instance(self, message: Message) -> bool:
        """Tell whether an instance may be gone, and take note of a defect, after which the worker ends."""
        kind = message.kind if isinstance(message, Failure) else ""
        self._is_broken = self._is_broken or kind == DEFECT
        return isinstance(message, Trap) or kind in ENDINGS

    def _conclude_burst(self, burst: Burst, message: Message, now: float) -> None:
        if not isinstance(message, Result) and self._ends_an_instance(message):
            self._note_loss(burst.function.lease.admitted.session)
        connection = burst.client.connection
        try:
            self._clients.conclude_burst(burst, message, now)
        except RemoteProtocolError:
            if connection is not None:
                self._violated(connection)
        if connection is not None:
            self._unsent.add(connection)

    def _part_burst(self) -> float:
        """Take a burst that another thread is at apart, as far as it is not yet; return how long to wait."""
        burst = self._crew.at_work
        if not isinstance(burst, Burst):
            return TICK_SECONDS
        connection = burst.client.connection
        if burst.jobs is None and connection is not None:
            burst.wake = self._wake
            self._unsent.add(connection)
            try:
                self._clients.take_apart(burst)
            except RemoteProtocolError:
                self._violated(connection)
        if burst.client.apart is not burst:
            return TICK_SECONDS
        self._worker.part(burst)
        return PART_SECONDS

    def _settle_parted(self) -> None:
        """Tell what is known of a burst of which one call goes on."""
        burst = self._crew.at_work
        if isinstance(burst, Burst) and burst.parted is not None and burst.client.apart is burst:
            self._clients.settle_parted(burst, burst.parted, monotonic())
            if burst.client.connection is not None:
                self._unsent.add(burst.client.connection)

    def _conclude_delivery(self, item: Delivery, message: Message, is_ending: bool) -> None:
        client = item.channel.client
        if is_ending:
            self._note_loss(client.lease.admitted.session)
        self._channels.conclude(item, message)
        if client.connection is not None:
            self._unsent.add(client.connection)

    def _note_loss(self, session: str) -> None:
        if not self._worker.has_session(session):
            self._leases.lose(session)

    # ends

    def _send_away(self, lease: OwnLease, code: str) -> None:
        self._unsent.update(self._clients.send_away(lease, code))

    def _drain(self) -> None:
        """Take nothing new; let what has begun end, and flexible ends leave."""
        now = monotonic()
        self._ends_at = now + self._longest_seconds
        self._clients.drained_at = now
        self._parts.poll.unregister(self._orders.fileno())
        for connection in self._connections.values():
            if connection.server.state is ConnectionState.OPEN:
                connection.server.send_drain("draining", ENDING)
            else:
                connection.is_over = True
            self._unsent.add(connection)
        self._channels.send_home()

    def _is_drained(self) -> bool:
        """Whether all that was begun before the end has been answered; says goodbye to whom that is so.

        The door stays open for clients that were lost before they knew where their flexible ends go.
        """
        now = monotonic()
        awaits_anybody = self._clients.await_ends(now)
        if not awaits_anybody:
            self._door.close()
        for connection in self._connections.values():
            client = connection.client
            if client is not None and client.is_answered and not self._channels.holds_an_end_of(client):
                if connection.server.state is not ConnectionState.CLOSED:
                    connection.server.send_goodbye("draining")
                self._unsent.add(connection)
        self._settle_unsent()
        are_there = any(connection.client is not None for connection in self._connections.values())
        return now > self._ends_at or not (are_there or awaits_anybody)

    def _tick(self, now: float) -> None:
        """Look after time, once a second."""
        if now - self._ticked < TICK_SECONDS:
            return
        self._ticked = now
        if self._crew.is_overdue(now - EDGE.grace_seconds):
            os._exit(1)  # a guest that cannot be stopped; the supervisor sees the rest
        if self._ends_at == NEVER:
            self._door.open()
        for connection in self._connections.values():
            if connection.server.tick(now):
                connection.is_over = True
            self._unsent.add(connection)
        self._unsent.update(self._clients.refuse_late(now))
        self._clients.end_lost(now)
        self._settle_unsent()
