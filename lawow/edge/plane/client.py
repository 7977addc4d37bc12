"""One client of the data plane: its connection, if it has one, and the session that outlives connections.

Bytes become calls here, and outcomes become bytes. Which call runs when is the business of
`lawow.edge.plane.loop`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from lawow.channel.events import Called, Cancelled, Event, FunctionAsked
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
from lawow.channel.states import ConnectionState
from lawow.edge.messages import (
    BAD_ARGUMENTS,
    BAD_MODULE,
    DEADLINE,
    DEFECT,
    NEEDS_CODE,
    NO_ROOM,
    NO_SESSION,
    TOO_LARGE,
    Call,
    Failure,
    Message,
    Result,
    Trap,
)
from lawow.edge.plane.burst import Burst, burst_in
from lawow.edge.plane.leases import Function, OwnLease
from lawow.edge.plane.parts import Serves
from lawow.edge.plane.pipe import Pipe
from lawow.errors import FormatError, LocalProtocolError
from lawow.limits import CHANNEL

__all__ = ["Client", "Connection", "Job"]

MICROSECONDS = 1_000_000
BACKLOG_BYTES = 256 << 10
"""Who leaves so much of what was sent to it untaken is not read, and none of its calls begin."""
REFUSED = {
    BAD_ARGUMENTS: ("bad-arguments", 0),
    NEEDS_CODE: ("busy", 1000),
    NO_ROOM: ("busy", 1000),
    NO_SESSION: ("session-lost", 0),
}
"""Kinds of failure after which nothing was begun: code, and after how many milliseconds to come back."""
FAILED = {BAD_MODULE: "bad-module", DEADLINE: "deadline", TOO_LARGE: "too-large", DEFECT: "defect"}


@dataclass(slots=True)
class Job:
    """A call that waits or runs. `link` is the connection that it came over."""

    client: Client
    link: ServerConnection
    id: int
    function: Function
    arguments: bytes | memoryview
    came: float
    until: float
    is_cancelled: bool = False

    def work(self, worker: Serves) -> Message:
        """Let the worker do it."""
        function, admitted = self.function, self.function.lease.admitted
        left = max(self.until - monotonic(), 0.001)
        if function.core_params is not None and function.runs_in_session:
            message = worker.call_core(admitted.session, function.export, bytes(self.arguments), left)
            function.learn(message.run_seconds if isinstance(message, Result) else left)
            return message
        session = admitted.session if function.runs_in_session else ""
        signature, arguments = function.signature, self.arguments
        call = Call(admitted.digest, False, function.export, signature, left, arguments, session)
        return worker.answer(call, CHANNEL.result_bytes)

    def answer(self, message: Message, now: float) -> None:
        """Put the outcome where the next `flush` sends it, or keep it for a client that is away."""
        try:
            outcome = self._answer(message)
        except LocalProtocolError as error:  # larger than the client takes
            outcome = "too-large"
            self.link.send_failed(self.id, outcome, str(error))
        self.function.lease.note(outcome, now - self.came)

    def refuse_if_late(self, now: float) -> bool:
        """Say that it was not begun, if it is too late for that."""
        if self.until > now:
            return False
        self.link.send_refused(self.id, "deadline", "the call had not begun when its deadline passed")
        self.function.lease.note("deadline", now - self.came)
        return True

    def refuse_cancelled(self) -> None:
        """Say that it was not begun, because its client does not want it any more."""
        self.link.send_refused(self.id, "cancelled", "the client has cancelled the call before it began")

    def _answer(self, message: Message) -> str:
        """Tell the client, and return one of `lawow.edge.usage.OUTCOMES`."""
        link = self.link
        if isinstance(message, Result):
            prepare_us = int(message.prepare_seconds * MICROSECONDS)
            link.send_result(self.id, message.results, prepare_us, int(message.run_seconds * MICROSECONDS))
            return "ok"
        if isinstance(message, Trap):
            link.send_trap(self.id, message.code, message.message, message.frames)
            return "trap"
        assert isinstance(message, Failure)  # a worker answers a call with nothing else
        if message.kind in REFUSED:
            code, retry_after_ms = REFUSED[message.kind]
            link.send_refused(self.id, code, message.message, retry_after_ms)
        elif self.is_cancelled:
            code = "cancelled"
            link.send_failed(self.id, code, "the call was stopped because its client cancelled it")
        else:
            code = FAILED.get(message.kind, "defect")
            link.send_failed(self.id, code, message.message)
        return code


class Client:
    """A session, and the connection that it has at the moment."""

    def __init__(self, lease: OwnLease, session: ServerSession) -> None:
        self.lease = lease
        self.session = session
        self.functions: dict[int, Function] = {}
        self.jobs: deque[Job] = deque()
        self.is_ready = False  # stands in the queue of those who have jobs
        self.running: Job | None = None
        self.apart: Burst | None = None  # goes on, while another thread leads
        self.connection: Connection | None = None
        self.lost_at = 0.0
        self.has_left = False  # by its own will, though it may come back

    @property
    def is_answered(self) -> bool:
        """Whether it has all outcomes, and its connection everything else that was to be said."""
        connection = self.connection
        return not self.session.calls and not (connection and connection.server.has_to_send)

    @property
    def takes_outcomes(self) -> bool:
        """Whether there is no such backlog that further outcomes had better wait."""
        return self.connection is None or self.connection.pipe.waiting_bytes < BACKLOG_BYTES

    def refuse_late(self, now: float) -> bool:
        """Refuse the calls that wait beyond their deadline; tell whether there were any."""
        late = [job for job in self.jobs if job.refuse_if_late(now)]
        for job in late:
            self.jobs.remove(job)
        return bool(late)

    def cancel(self, call_id: int) -> bool:
        """Drop a call that has not begun; tell whether it runs, so that it has to be stopped."""
        if self.running is not None and self.running.id == call_id:
            self.running.is_cancelled = True
            return True
        for job in self.jobs:
            if job.id == call_id:
                self.jobs.remove(job)
                job.refuse_cancelled()
                return False
        for job in self._apart():
            if job.id == call_id:
                job.is_cancelled = True  # whether it has begun is not known here yet
        return False

    def stop(self) -> bool:
        """Drop what has not begun; tell whether something runs, which has to be stopped."""
        self.jobs.clear()
        for job in (*self._apart(), *((self.running,) if self.running else ())):
            job.is_cancelled = True
        return self.running is not None or self.apart is not None

    def queue_first(self, jobs: Sequence[Job]) -> None:
        """Put calls in front of what came later; refuse those that were cancelled meanwhile."""
        for job in reversed(jobs):
            if job.is_cancelled:
                job.refuse_cancelled()
            else:
                self.jobs.appendleft(job)

    def _apart(self) -> Sequence[Job]:
        return self.apart.jobs or () if self.apart is not None else ()

    def bind(self, asked: FunctionAsked, function: Function) -> None:
        """Remember a function, and say so."""
        self.functions[asked.id] = function
        assert self.connection is not None  # it has just asked
        self.connection.server.send_bound(asked.id)

    def job(
        self, called: Called, longest_seconds: float, buffer: object, came: float | None = None
    ) -> Job | None:
        """Return a call as a job; None if it was refused: no such function, or other arguments than its.

        Arguments that lie in `buffer`, where the next bytes will be received, are copied. It came now, or
        at another time.
        """
        assert self.connection is not None  # it has just called
        link = self.connection.server
        function = self.functions.get(called.function)
        if function is None:
            detail = f"there is no function {called.function}; its binding was refused, or never asked for"
            link.send_refused(called.id, "not-found", detail)
            return None
        arguments = called.arguments
        if not isinstance(arguments, bytes):
            view = memoryview(arguments)
            arguments = bytes(view) if view.obj is buffer else view
        try:
            function.require_fit(arguments)
        except FormatError as error:
            link.send_refused(called.id, "bad-arguments", str(error))
            return None
        seconds = called.deadline_us / MICROSECONDS
        if not 0 < seconds < longest_seconds:
            seconds = longest_seconds
        now = monotonic() if came is None else came
        return Job(self, link, called.id, function, arguments, now, now + seconds)

    def lose_connection(self) -> None:
        """Take note that the connection is over; calls go on."""
        if self.connection is not None:
            for event in self.connection.end():
                if isinstance(event, Cancelled):
                    self.cancel(event.id)
            self.connection = None
        self.lost_at = monotonic()


class Connection:
    """Bytes of one socket, in and out of a `ServerConnection`."""

    def __init__(self, pipe: Pipe, server: ServerConnection) -> None:
        self.pipe = pipe
        self.descriptor = pipe.fileno()
        self.server = server
        self.client: Client | None = None
        self.is_over = False
        self.is_full = False  # the last time as much came as was asked for: there may be more
        self.interest = 0  # what the loop waits for

    def receive(self, buffer: memoryview, burst_seconds: float = 0.0) -> list[Event] | Burst | None:
        """Receive once and return what it means; None: nothing has come.

        With `burst_seconds`, the most that a call may take, quick calls are returned as they came.

        Raises `OSError` when the connection is over, `RemoteProtocolError` when it has to be.

        Large arguments go straight to their memory, all else through `buffer`, which events point into.
        """
        place = self.server.receive_buffer()
        target = buffer if place is None else place
        count = self.pipe.receive_into(target)
        self.is_full = count == len(target)
        if count <= 0:
            return None
        if burst_seconds and self.client is not None and self.server.is_between_frames:
            burst = burst_in(self.client, self.server, buffer[:count], burst_seconds)
            if burst is not None:
                return burst
        return (
            self.server.receive_data(buffer[:count]) if place is None else self.server.bytes_received(count)
        )

    @property
    def may_be_read(self) -> bool:
        """Whether more work can be taken."""
        return not self.is_over and self.pipe.waiting_bytes < BACKLOG_BYTES

    def flush(self) -> None:
        """Send what is due, piece by piece as far as the other end takes it; sets `is_over`."""
        pipe, server = self.pipe, self.server
        try:
            if pipe.waiting_bytes or pipe.wants_write:
                pipe.flush()
            while server.has_to_send and not pipe.waiting_bytes:
                pipe.send(server.buffers_to_send())
        except OSError:
            self.is_over = True
        if self.server.state is ConnectionState.CLOSED and not self.pipe.waiting_bytes:
            self.is_over = True

    def end(self) -> list[Event]:
        """Close it for good; returns what that ends."""
        self.is_over = True
        self.pipe.close()
        return self.server.connection_lost()
