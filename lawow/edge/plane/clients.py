"""The clients of a worker: who is let in, what they ask for, and whose call is next.

Calls wait in a queue of each client, and clients take turns. Who does not take his outcomes has no turn.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable

from lawow.channel.events import (
    Called,
    Cancelled,
    Event,
    FunctionAsked,
    Goodbye,
    Greeted,
    Lost,
)
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
from lawow.channel.states import ConnectionState
from lawow.edge.messages import Message, Result
from lawow.edge.plane.burst import Burst, Progress
from lawow.edge.plane.channels import Channels
from lawow.edge.plane.client import Client, Connection, Job
from lawow.edge.plane.leases import Function, LeaseTable, OwnLease
from lawow.edge.plane.parts import Serves
from lawow.errors import LawowError
from lawow.limits import CHANNEL

__all__ = ["ENDING", "Clients"]

SESSION_BYTES = 16
ENDING = "the edge is about to end"
RETURN_SECONDS = 2.0
"""How long an edge that ends waits for a lost client with a flexible end; clients try again each second."""


class Clients:
    """All sessions of one worker's data plane, with a connection or without."""

    def __init__(
        self,
        worker: Serves,
        leases: LeaseTable,
        channels: Channels,
        most: int,
        longest_seconds: float,
        close: Callable[[Connection], object],
    ) -> None:
        """There are at most so many. `close` ends a connection whose session has another one now."""
        self._worker = worker
        self._leases = leases
        self._channels = channels
        self._most = most
        self._longest_seconds = longest_seconds
        self._close = close
        self._by_token: dict[bytes, Client] = {}
        self._ready: deque[Client] = deque()
        self.drained_at: float | None = None  # since when nobody new is let in

    # events

    def handle(self, connection: Connection, event: Event, buffer: object) -> None:
        """Do what an event asks for. Payloads that lie in `buffer` are copied if they are kept."""
        client = connection.client
        if isinstance(event, Called):
            if client is not None:
                self._on_called(client, event, buffer)
        elif isinstance(event, Greeted):
            if connection.server.state is not ConnectionState.CLOSED:  # else GOODBYE came in the same bytes
                self._on_greeted(connection, event)
        elif isinstance(event, Goodbye | Lost):
            connection.is_over = True
            if client is not None and isinstance(event, Goodbye) and event.is_farewell:
                client.has_left = True
                self._channels.leave_topics(client)
        elif client is None:
            return  # the protocol lets nothing else come before
        elif isinstance(event, FunctionAsked):
            self._on_bind(client, connection.server, event)
        elif isinstance(event, Cancelled):
            if client.cancel(event.id):
                self._worker.interrupt()
        else:
            self._channels.handle(client, connection.server, event)

    def _on_greeted(self, connection: Connection, event: Greeted) -> None:
        """Let a client in, with the session that it had if it is still there."""
        lease, server = self._leases.of_token(event.token), connection.server
        if lease is None:
            server.send_goodbye("unauthorized", "the token is not that of a lease with an instance here")
            return
        client = self._by_token.get(event.session)
        if client is not None and client.lease is lease:
            if client.connection is not None:
                self._close(client.connection)
        elif self.drained_at is not None:
            server.send_goodbye("draining", ENDING)
            return
        elif not self._has_room():
            server.send_goodbye("busy", "too many clients", retry_after_ms=1000)
            return
        else:
            token = secrets.token_bytes(SESSION_BYTES)
            client = self._by_token[token] = Client(lease, ServerSession(token, CHANNEL))
        connection.client, client.connection, client.has_left = client, connection, False
        for ended in server.send_welcome(client.session):
            self.handle(connection, ended, None)
        self._channels.resume(client, server)
        if self.drained_at is not None:
            server.send_drain("draining", ENDING)

    def _has_room(self) -> bool:
        """Tell whether one more client may come, perhaps in the place of one that has gone.

        It is the one that has been gone for longest and has left neither a call nor a channel behind: with
        many clients that come and go, places would be held for `CHANNEL.resume_seconds` each.
        """
        if len(self._by_token) < self._most:
            return True
        idle = (item for item in self._by_token.values() if item.connection is None and not item.jobs)
        gone = [item for item in idle if not item.session.calls and not item.session.channels]
        if gone:
            self.end(min(gone, key=lambda item: item.lost_at))
        return bool(gone)

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

    def _on_called(self, client: Client, called: Called, buffer: object) -> None:
        job = client.job(called, self._longest_seconds, buffer)
        if job is None:
            return
        client.lease.calls += 1
        client.jobs.append(job)
        self._stand_in_line(client)

    def _stand_in_line(self, client: Client) -> None:
        if not client.is_ready and client.jobs:
            client.is_ready = True
            self._ready.append(client)

    # bursts

    def take_apart(self, burst: Burst) -> None:
        """Make jobs of the calls of a burst of which the client has not heard. Raises `RemoteProtocolError`.

        What else came with them is handled.
        """
        client, jobs, is_whole = burst.client, burst.begin_jobs(), True
        client.apart = burst
        for event in burst.link.receive_data(burst.rest):
            assert client.connection is not None  # it was there when the burst came, and this is at once
            if is_whole and isinstance(event, Called) and event.function == burst.function_id:
                job = client.job(event, self._longest_seconds, None, burst.came)
                is_whole = job is not None
                if job is not None:
                    client.lease.calls += 1
                    jobs.append(job)
            else:
                is_whole = False
                self.handle(client.connection, event, None)

    def settle_parted(self, burst: Burst, parted: Progress, now: float) -> None:
        """Tell the outcomes that there are while one call of a burst goes on alone."""
        burst.tell(parted, now)
        running = burst.client.running = burst.open_job(parted)
        self._queue_rest(burst, parted)
        if running is not None and running.is_cancelled:
            self._worker.interrupt()

    def conclude_burst(self, burst: Burst, message: Message, now: float) -> None:
        """Tell what came of a burst. Raises `RemoteProtocolError` for what came behind it."""
        client, is_apart = burst.client, burst.jobs is not None
        burst.learn(now)
        if is_apart:
            burst.tell(burst.progress, now)
        else:
            burst.commit(now)
            if burst.is_answered:
                return
            self.take_apart(burst)
        job, client.running = burst.open_job(burst.progress), None
        if job is not None:  # it trapped, or ended its guest with success
            job.answer(Result(0.0, message.run_seconds, b"") if isinstance(message, Result) else message, now)
        self._queue_rest(burst, burst.progress)

    def _queue_rest(self, burst: Burst, progress: Progress) -> None:
        """Let the calls of a burst that have not begun wait like others, once."""
        client = burst.client
        if client.apart is burst:
            client.apart = None
            client.queue_first(burst.jobs_to_begin(progress))
            self._stand_in_line(client)

    # turns

    def next_job(self) -> Job | None:
        """Return the call that is to run now, of the client whose turn it is."""
        for _ in range(len(self._ready)):
            client = self._ready[0]
            if not client.jobs:
                client.is_ready = False
                self._ready.popleft()
                continue
            self._ready.rotate(-1)
            if client.takes_outcomes:
                job = client.running = client.jobs.popleft()
                return job
        return None

    def refuse_late(self, now: float) -> set[Connection]:
        """Refuse calls that did not begin before their deadline; return the connections that are to be told.

        A call whose client has cancelled it before the guest could be stopped is stopped now.
        """
        told = set()
        for client in self._by_token.values():
            if client.refuse_late(now) and client.connection is not None:
                told.add(client.connection)
            if client.running is not None and client.running.is_cancelled:
                self._worker.interrupt()
        return told

    # ends

    def end(self, client: Client) -> None:
        """Forget a session; what it has asked for is dropped, or stopped."""
        self._by_token.pop(client.session.token, None)
        self._channels.forget(client)
        if client.stop():
            self._worker.interrupt()

    def end_lost(self, now: float) -> None:
        """Forget the sessions to which nobody came back."""
        for client in list(self._by_token.values()):
            if client.connection is None and now - client.lost_at > CHANNEL.resume_seconds:
                self.end(client)

    def await_ends(self, now: float) -> bool:
        """Tell whether a client has not heard yet, and may still hear, where its flexible ends have gone."""
        since = now if self.drained_at is None else self.drained_at
        return any(
            client.connection is not None
            or not (client.has_left or now - max(client.lost_at, since) > RETURN_SECONDS)
            for client in self._by_token.values()
            if self._channels.holds_an_end_of(client)
        )

    def send_away(self, lease: OwnLease, code: str) -> list[Connection]:
        """End all sessions of a lease; return the connections over which they are told."""
        told = []
        for client in [item for item in self._by_token.values() if item.lease is lease]:
            self.end(client)
            connection = client.connection
            if connection is not None and connection.server.state is not ConnectionState.CLOSED:
                connection.server.send_goodbye(code, "the edge has ended the lease's part of the data plane")
                told.append(connection)
        return told
