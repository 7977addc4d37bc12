"""The loop of a worker that serves a data plane: one thread for all sockets, one beside it for long calls.

A call of a function that is quick runs where its bytes were received, and its outcome is sent before the next
socket is looked at. Anything else goes to the `Executor`. Instances, the supervisor's requests and calls are
served one after the other, so nothing in the worker needs a lock. Who does not take its outcomes is not read.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from lawow.channel.events import (
    Called,
    Cancelled,
    ChannelAsked,
    Event,
    FunctionAsked,
    Goodbye,
    Greeted,
    Lost,
    MoveAsked,
)
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
from lawow.channel.states import ConnectionState
from lawow.edge.messages import (
    DEADLINE,
    DEFECT,
    NEEDS_CODE,
    NO_SESSION,
    Admit,
    Dismiss,
    Failure,
    Message,
    Report,
    Request,
    Result,
    Trap,
    write_message,
    write_usage,
)
from lawow.edge.plane.client import Client, Connection, Job
from lawow.edge.plane.executor import Executor
from lawow.edge.plane.leases import Function, LeaseTable, OwnLease
from lawow.edge.plane.pipe import Pipe
from lawow.errors import FormatError, LawowError, RemoteProtocolError
from lawow.limits import CHANNEL, EDGE

__all__ = ["PlaneLoop", "PlaneParts", "Serves"]

RECEIVE_BYTES = 256 << 10
READS_AT_ONCE = 64  # then other connections have their turn
ACCEPTS_AT_ONCE = 16
TICK_SECONDS = 1.0
JOINED_BYTES = 16 << 10
SESSION_BYTES = 16
IN, OUT = select.EPOLLIN, select.EPOLLOUT
Received = tuple[Request, bytes | None]


class Serves(Protocol):
    """What the loop needs of the worker. One thread at a time, but for `interrupt`."""

    def answer(self, request: Request, result_bytes: int | None = None) -> Message:
        """Do what is asked."""

    def load(self, digest: str, code: bytes) -> None:
        """Keep a compiled module."""

    def keep(self, digest: str) -> bool:
        """Never let go of a module; False if it is not there."""

    def require_function(self, digest: str, export: str, signature: str) -> None:
        """Raise `LawowError` unless a kept module has the export with that signature."""

    def has_session(self, session: str) -> bool:
        """Whether an instance lives."""

    def interrupt(self) -> None:
        """Stop the call that runs on another thread."""


@dataclass(frozen=True, slots=True)
class PlaneParts:
    """What only a process without fences can make. `context`: of TLS, or None on loopback."""

    poll: select.epoll
    wakes: int
    context: ssl.SSLContext | None
    connections: int

    @classmethod
    def make(cls, context: ssl.SSLContext | None, connections: int) -> PlaneParts:
        """Make them."""
        return cls(select.epoll(), os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC), context, connections)


class PlaneLoop:
    """Serves the supervisor's socket and the data plane's until the former closes."""

    def __init__(
        self,
        worker: Serves,
        parts: PlaneParts,
        supervisor: socket.socket,
        receive: Callable[[], Received | None],
        listener: socket.socket,
        longest_seconds: float,
        *,
        runs_inline: bool,
    ) -> None:
        """`receive` takes the supervisor's next request, None at the end. Without `runs_inline` every call
        goes to the executor: granted host functions may take time that nothing can stop.
        """
        self._worker = worker
        self._parts = parts
        self._supervisor = supervisor
        self._receive_request = receive
        self._listener = listener
        self._longest_seconds = longest_seconds
        self._runs_inline = runs_inline
        self._leases = LeaseTable()
        self._executor = Executor(lambda: os.eventfd_write(parts.wakes, 1))
        self._connections: dict[int, Connection] = {}
        self._clients: dict[bytes, Client] = {}
        self._ready: deque[Client] = deque()
        self._again: set[int] = set()
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._request: Received | None = None
        self._ticked = 0.0
        self._ends_at = float("inf")
        self._is_broken = False

    def run(self) -> None:
        """Serve; returns when the supervisor has gone and clients have had their outcomes."""
        poll, listener = self._parts.poll, self._listener
        listener.setblocking(False)
        for descriptor in (self._supervisor.fileno(), listener.fileno(), self._parts.wakes):
            poll.register(descriptor, IN)
        while not self._is_broken and not self._is_drained():
            wait = 0.0 if self._again else TICK_SECONDS
            again, self._again = self._again, set()
            for descriptor, mask in [*poll.poll(wait), *((number, IN) for number in again)]:
                self._serve(descriptor, mask)
            self._dispatch()
            self._tick(monotonic())

    # sockets

    def _serve(self, descriptor: int, mask: int) -> None:
        connection = self._connections.get(descriptor)
        if connection is not None:
            if mask & OUT:
                connection.flush()
            if mask & ~OUT:
                self._read(connection)
            self._settle(descriptor, connection)
        elif descriptor == self._parts.wakes:
            os.eventfd_read(self._parts.wakes)
            self._executor.finish()
        elif descriptor == self._supervisor.fileno():
            self._take_request()
        elif descriptor == self._listener.fileno():
            self._accept()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # nobody waits, or the one who waited has gone
                return
            if len(self._connections) >= self._parts.connections:
                accepted.close()
                continue
            try:
                pipe = Pipe(accepted, self._parts.context)
            except OSError:
                accepted.close()
                continue
            server = ServerConnection(CHANNEL, lambda _, __, size: memoryview(bytearray(size)))
            connection = self._connections[pipe.fileno()] = Connection(pipe, server)
            server.tick(monotonic())
            self._parts.poll.register(pipe.fileno(), IN)
            connection.interest = IN

    def _read(self, connection: Connection) -> None:
        """Take what has come, and do what is quick at once."""
        try:
            for _ in range(READS_AT_ONCE):
                events = connection.receive(self._view) if connection.may_be_read else None
                if events is None:
                    return
                for event in events:
                    self._on_event(connection, event)
                connection.flush()
            self._again.add(connection.pipe.fileno())
        except RemoteProtocolError:  # GOODBYE is on its way out
            self._forget_client(connection)
            connection.flush()
            connection.is_over = True
        except OSError:
            connection.is_over = True

    def _settle(self, descriptor: int, connection: Connection) -> None:
        """Close what is over; listen for what matters next."""
        if connection.is_over:
            self._close(descriptor, connection)
            return
        interest = (IN if connection.may_be_read else 0) | (OUT if connection.pipe.waiting_bytes else 0)
        if connection.pipe.wants_write:
            interest |= OUT
        if interest != connection.interest:
            connection.interest = interest
            self._parts.poll.modify(descriptor, interest)
        if interest & IN and connection.pipe.has_decrypted:
            self._again.add(descriptor)

    def _close(self, descriptor: int, connection: Connection) -> None:
        del self._connections[descriptor]
        self._again.discard(descriptor)
        client = connection.client
        if client is not None and client.connection is connection:
            client.lose_connection()
        else:
            connection.end()

    def _forget_client(self, connection: Connection) -> None:
        """End the session of a client that broke the protocol."""
        client = connection.client
        if client is not None:
            self._end_client(client)

    def _end_client(self, client: Client) -> None:
        self._clients.pop(client.session.token, None)
        client.jobs.clear()
        if client.running is not None and self._executor_runs(client.running):
            client.running.is_cancelled = True
            self._worker.interrupt()

    def _executor_runs(self, job: Job) -> bool:
        return not self._executor.is_idle and job.client.running is job

    # events

    def _on_event(self, connection: Connection, event: Event) -> None:
        client = connection.client
        if isinstance(event, Greeted):
            self._on_greeted(connection, event)
        elif isinstance(event, Goodbye | Lost):
            connection.is_over = True
        elif client is None:
            return  # the protocol lets nothing else come before
        elif isinstance(event, Called):
            self._on_called(client, event)
        elif isinstance(event, FunctionAsked):
            self._on_bind(client, connection.server, event)
        elif isinstance(event, Cancelled):
            if client.cancel(event.id):
                self._worker.interrupt()
        elif isinstance(event, ChannelAsked | MoveAsked):
            connection.server.send_refused(event.id, "not-found", "this edge serves no channels yet")

    def _on_greeted(self, connection: Connection, event: Greeted) -> None:
        """Let a client in, with the session that it had if it is still there."""
        lease, server = self._leases.of_token(event.token), connection.server
        if lease is None:
            server.send_goodbye("unauthorized", "the token is not that of a lease with an instance here")
            return
        client = self._clients.get(event.session)
        if client is not None and client.lease is lease:
            self._part(client)
        elif len(self._clients) >= self._parts.connections:
            server.send_goodbye("busy", "too many clients", retry_after_ms=1000)
            return
        else:
            token = secrets.token_bytes(SESSION_BYTES)
            client = self._clients[token] = Client(lease, ServerSession(token, CHANNEL))
        connection.client, client.connection = client, connection
        for ended in server.send_welcome(client.session):
            self._on_event(connection, ended)
        if self._ends_at != float("inf"):
            server.send_drain("draining", "the edge is about to end")

    def _part(self, client: Client) -> None:
        """End the connection that a session has, before another one gets it."""
        former = client.connection
        if former is not None:
            self._connections.pop(former.pipe.fileno(), None)
            client.lose_connection()

    def _on_bind(self, client: Client, server: ServerConnection, asked: FunctionAsked) -> None:
        session = client.lease.target(asked.target)
        if session is None:
            server.send_refused(asked.id, "not-found", "the lease has no such target")
            return
        try:
            self._worker.require_function(client.lease.admitted.digest, asked.export, asked.signature)
        except LawowError as error:
            server.send_refused(asked.id, "signature-mismatch", str(error))
            return
        client.bind(asked, Function(client.lease, bool(session), asked.export, asked.signature))

    def _on_called(self, client: Client, called: Called) -> None:
        job = client.job(called, self._longest_seconds, self._buffer)
        if job is None:
            return
        client.lease.calls += 1
        is_next = self._executor.is_idle and not self._ready and self._request is None
        if self._runs_inline and is_next and job.function.is_quick and client.takes_outcomes:
            client.running = job
            message = self._answer(job)
            self._conclude(job, message)
            if isinstance(message, Result) and len(message.results) > JOINED_BYTES:
                client.flush()  # else together with the outcomes of what came in the same bytes
        else:
            client.jobs.append(job)
            if client not in self._ready:
                self._ready.append(client)

    # work

    def _answer(self, job: Job) -> Message:
        return self._ask(job.request(), CHANNEL.result_bytes)

    def _ask(self, request: Request, result_bytes: int | None = None) -> Message:
        try:
            return self._worker.answer(request, result_bytes)
        except (FormatError, MemoryError) as error:
            return Failure(DEFECT, f"{type(error).__name__}: {error}")

    def _conclude(self, job: Job, message: Message) -> None:
        """Note and tell what a call came to."""
        job.client.running = None
        if isinstance(message, Result):
            job.function.note(message.prepare_seconds + message.run_seconds)
        elif isinstance(message, Failure) and message.kind == DEFECT:
            self._is_broken = True
        if isinstance(message, Trap) or (isinstance(message, Failure) and message.kind in ENDINGS):
            self._note_loss(job.function)
        job.answer(message)

    def _note_loss(self, function: Function) -> None:
        session = function.lease.admitted.session
        if function.runs_in_session and not self._worker.has_session(session):
            self._leases.lose(session)

    def _dispatch(self) -> None:
        """Give the executor its next work: the supervisor's request first, then client after client."""
        while self._executor.is_idle and not self._is_broken:
            if self._request is not None:
                self._begin_request(*self._request)
                self._request = None
                continue
            job = self._next_job()
            if job is None:
                return
            if job.until <= monotonic():
                job.refuse("deadline", "the call had not begun when its deadline passed")
                job.client.flush()
                continue
            job.client.running = job
            self._start(job)

    def _next_job(self) -> Job | None:
        for _ in range(len(self._ready)):
            client = self._ready.popleft()
            if not client.jobs:
                continue
            if client.takes_outcomes:
                job = client.jobs.popleft()
                self._ready.append(client)
                return job
            self._ready.append(client)
        return None

    def _start(self, job: Job) -> None:
        self._executor.start(
            lambda: self._answer(job),
            lambda message: self._conclude_and_settle(job, message),
            within_seconds=job.until - monotonic() + EDGE.grace_seconds,
        )

    def _conclude_and_settle(self, job: Job, message: Message) -> None:
        self._conclude(job, message)
        job.client.flush()
        connection = job.client.connection
        if connection is not None:
            self._settle(connection.pipe.fileno(), connection)

    # the supervisor

    def _take_request(self) -> None:
        if self._request is not None or self._ends_at != float("inf"):
            return  # it asks one thing at a time
        received = self._receive_request()
        if received is None:
            self._drain()
        elif isinstance(received[0], Dismiss | Report):  # no business of the executor
            self._reply(self._administer(received[0]))
        else:
            self._request = received

    def _begin_request(self, request: Request, code: bytes | None) -> None:
        if code is not None:
            self._worker.load(request.digest, code)
        if isinstance(request, Admit):
            self._reply(self._admit(request))
        elif not self._connections:
            self._reply(self._ask(request))
        else:
            self._executor.start(lambda: self._ask(request), self._reply, within_seconds=float("inf"))

    def _administer(self, request: Dismiss | Report) -> Message:
        if isinstance(request, Report):
            return Result(0.0, 0.0, write_usage(self._leases.take_usage()))
        own = self._leases.dismiss(request.lease)
        if own is not None:
            self._send_away(own, request.code)
        return Result(0.0, 0.0, b"")

    def _admit(self, request: Admit) -> Message:
        if not self._worker.has_session(request.session):
            return Failure(NO_SESSION, "")
        if not self._worker.keep(request.digest):
            return Failure(NEEDS_CODE, "")
        self._leases.admit(request)
        return Result(0.0, 0.0, b"")

    def _reply(self, message: Message) -> None:
        self._supervisor.sendall(write_message(message))
        if isinstance(message, Failure) and message.kind == DEFECT:
            self._is_broken = True

    # ends

    def _send_away(self, lease: OwnLease, code: str) -> None:
        """End all sessions of a lease."""
        for client in [item for item in self._clients.values() if item.lease is lease]:
            self._end_client(client)
            connection = client.connection
            if connection is not None and connection.server.state is not ConnectionState.CLOSED:
                connection.server.send_goodbye(code, "the edge has ended the lease's part of the data plane")
                connection.flush()
                self._settle(connection.pipe.fileno(), connection)

    def _drain(self) -> None:
        """Take nothing new; let what has begun end."""
        self._ends_at = monotonic() + self._longest_seconds
        self._parts.poll.unregister(self._supervisor.fileno())
        self._parts.poll.unregister(self._listener.fileno())
        self._listener.close()
        for descriptor, connection in list(self._connections.items()):
            if connection.server.state is ConnectionState.OPEN:
                connection.server.send_drain("draining", "the edge is about to end")
                connection.flush()
            else:
                connection.is_over = True
            self._settle(descriptor, connection)

    def _is_drained(self) -> bool:
        """Whether all that was begun before the end has been answered; says goodbye to whom that is so."""
        if self._ends_at == float("inf"):
            return False
        for descriptor, connection in list(self._connections.items()):
            client = connection.client
            if client is not None and not client.session.calls and not connection.server.has_to_send:
                if connection.server.state is not ConnectionState.CLOSED:
                    connection.server.send_goodbye("draining")
                connection.flush()
                self._settle(descriptor, connection)
        return not self._connections or monotonic() > self._ends_at

    def _tick(self, now: float) -> None:
        """Look after time, once a second."""
        if now - self._ticked < TICK_SECONDS:
            return
        self._ticked = now
        if self._executor.is_overdue():
            os._exit(1)  # a guest that cannot be stopped; the supervisor sees the rest
        for descriptor, connection in list(self._connections.items()):
            if connection.server.tick(now):
                connection.is_over = True
            connection.flush()
            self._settle(descriptor, connection)
        for client in list(self._clients.values()):
            if client.connection is None and now - client.lost_at > CHANNEL.resume_seconds:
                self._end_client(client)


ENDINGS = (DEADLINE, NO_SESSION)
"""Kinds of failure after which an instance is gone."""
