"""A client of the data plane: one connection to the worker that holds a lease's instance.

Many calls may be under way; `start` begins one, `wait` returns its outcome, `call` does both. Each runs at
most once. If the connection is lost, `wait` asks the edge on a new one what became of the calls: an outcome
that the edge has kept is returned, a call that never arrived is `HostLost` and may be made again, and what
nobody knows is `OutcomeUnknown`. The pin is checked before the token is sent. For one thread at a time, and
without threads of its own: the edge's PINGs are answered while it is in use, so call `look` at least once a
minute otherwise. Defined by docs/PROTOCOL.md.
"""

from __future__ import annotations

import select
import ssl
from collections import deque
from types import TracebackType

from lawow.channel.client import ClientConnection
from lawow.channel.events import (
    Bound,
    Event,
    Failed,
    Goodbye,
    NotStarted,
    Refused,
    Returned,
    Trapped,
    Unknown,
)
from lawow.channel.sessions import ClientSession
from lawow.channel.states import ConnectionState
from lawow.device.edge_client import EdgeProblem, printable
from lawow.device.trust import dial, is_loopback, normal_pin
from lawow.device.wire import Dial, Wire
from lawow.errors import (
    GuestTrap,
    HostLost,
    LawowError,
    LimitExceeded,
    LocalProtocolError,
    OutcomeUnknown,
    RemoteProtocolError,
    Unauthorized,
)
from lawow.errors import Refused as RefusedError

__all__ = ["DataClient", "Outcome", "error_of"]

RECEIVE_BYTES = 256 << 10
SEND_BYTES = 64 << 10  # TLS must be given the same bytes again after it could not write them
CONNECT_TRIES = 3
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
Outcome = Bound | Returned | Trapped | Refused | Failed | NotStarted | Unknown


class DataClient:
    """A session with one worker. Calls survive lost connections; the session ends with `close`."""

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        *,
        certificate_sha256: str = "",
        timeout_seconds: float = 30.0,
        connect: Dial | None = None,
    ) -> None:
        """`token` and `certificate_sha256` as the lease says; without the latter loopback alone is spoken to.

        `timeout_seconds` is how long an answer may take before the connection counts as lost. `connect` is
        another way there, such as `lawow.device.websocket.dial_websocket`; host and port then name it.
        """
        pin = normal_pin(certificate_sha256) if certificate_sha256 else None
        if connect is None and pin is None and not is_loopback(host):
            raise RefusedError(f"{host}: without a certificate's SHA-256 the token would go out in clear")
        self._name = f"{host}:{port}"
        self._dial = connect or (lambda: dial(host, port, pin, timeout_seconds))
        self._token = token.encode()
        self._timeout_seconds = timeout_seconds
        self._session = ClientSession()
        self._socket: Wire | None = None
        self._link = ClientConnection(self._session)
        self._unsent: deque[memoryview] = deque()
        self._outcomes: dict[int, Outcome] = {}
        self._goodbye: Goodbye | None = None

    def __enter__(self) -> DataClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; what is under way is of no interest any more."""
        if self._socket is not None and self._link.state is not ConnectionState.CLOSED:
            self._link.send_goodbye("done")
            self._try_to_flush()
        self._drop()

    def bind(self, target: str, export: str, signature: str) -> int:
        """Name a function, and return the number by which calls name it.

        `target` is ``session:`` and the lease for its instance, ``sha256:`` and the module for a fresh
        instance for each call. Raises `EdgeProblem`, `HostLost`, `Unauthorized`.
        """
        self._connect()
        bind_id = self._link.send_bind(target, export, signature)
        self._try_to_flush()
        outcome = self._outcome(bind_id)
        if not isinstance(outcome, Bound):
            raise error_of(outcome)
        return bind_id

    def call(self, function: int, arguments: bytes, deadline_seconds: float | None = None) -> Returned:
        """Call a function and return its outcome; `arguments` and results as in `lawow.channel.bodies`.

        Raises `GuestTrap`, `LimitExceeded` (the deadline), `EdgeProblem`, `HostLost` (it did not start),
        `OutcomeUnknown`.
        """
        return self.wait(self.start(function, arguments, deadline_seconds))

    def start(self, function: int, arguments: bytes, deadline_seconds: float | None = None) -> int:
        """Begin a call and return its number; many may be under way. Raises as `call`."""
        self._connect()
        while not self._link.can_call(len(arguments)):
            if self._link.state is not ConnectionState.OPEN or not self._session.calls:
                raise self._not_callable(len(arguments))
            self._receive()
        deadline_us = 0 if deadline_seconds is None else max(int(deadline_seconds * 1_000_000), 1)
        call_id = self._link.send_call(function, arguments, deadline_us)
        self._try_to_flush()  # what became of it is for `wait` to tell
        return call_id

    def wait(self, call_id: int) -> Returned:
        """Return the outcome of a call that was started. Raises as `call`."""
        outcome = self._outcome(call_id)
        if not isinstance(outcome, Returned):
            raise error_of(outcome)
        return outcome

    def cancel(self, call_id: int) -> None:
        """Say that nobody waits for a call; its outcome comes all the same, so `wait` for it."""
        if call_id not in self._outcomes and self._link.state is ConnectionState.OPEN:
            self._link.send_cancel(call_id)
            self._try_to_flush()

    def look(self) -> None:
        """Take in what has come meanwhile, and answer PINGs; waits for nothing.

        Raises `HostLost` if the connection has been lost: the session goes on with the next use.
        """
        if self._socket is not None:
            self._exchange(for_answer=False, looks=True)

    def cut(self) -> None:
        """Drop the connection as a lost network would; the session goes on with the next use."""
        self._drop()

    # inside

    def _outcome(self, call_id: int) -> Outcome:
        """Wait for the outcome of a call, over several connections if need be."""
        if call_id not in self._outcomes and call_id not in self._session.calls:
            raise LocalProtocolError(f"call {call_id} was never started, or its outcome was taken already")
        for tries_left in reversed(range(CONNECT_TRIES)):
            try:
                while call_id not in self._outcomes:
                    self._connect()
                    if call_id not in self._outcomes:  # a kept one comes right behind WELCOME
                        self._receive()
                return self._outcomes.pop(call_id)
            except HostLost as error:
                self._drop()
                if not tries_left:
                    raise OutcomeUnknown(f"{error}; the call may have run and was not sent again") from None
        raise AssertionError  # the last try returned or raised

    def _connect(self) -> None:
        """See that there is a connection that is open. Raises `HostLost`, `Refused`, `Unauthorized`."""
        if self._socket is not None and self._link.state is not ConnectionState.CLOSED:
            return
        self._drop()
        self._socket = self._dial()
        self._socket.setblocking(False)
        self._link = ClientConnection(self._session)
        self._goodbye = None
        self._link.send_hello(self._token)
        self._flush()
        while self._link.state is ConnectionState.GREETED:
            self._receive()
        if self._link.state is ConnectionState.CLOSED:  # GOODBYE was the answer
            raise HostLost(f"{self._name}: the edge is about to end")

    def _receive(self) -> None:
        """Wait until something comes. Raises `HostLost`, `RemoteProtocolError`, and for what GOODBYE says."""
        self._exchange(for_answer=True)
        if self._goodbye is not None:
            self._end()

    def _flush(self) -> None:
        """Send all that is due, and take in what comes meanwhile: the edge may wait for that."""
        if self._socket is not None:
            self._exchange(for_answer=False)

    def _exchange(self, *, for_answer: bool, looks: bool = False) -> None:
        """Send until nothing is due; with `for_answer` also receive something. Raises as `_receive`.

        With `looks` what has come is taken in first.
        """
        assert self._socket is not None  # `_connect` came before
        try:
            has_come = looks and self._take(self._socket)
            while not (self._send(self._socket) and (has_come or not for_answer)):
                if self._take(self._socket):
                    has_come = True
                else:
                    self._await(self._socket)
        except OSError as error:
            self._drop()
            raise HostLost(f"{self._name}: the connection was lost ({_reason(error)})") from None

    def _await(self, connection: Wire) -> None:
        """Wait until something can be received, or sent if something is due. Raises `TimeoutError`."""
        writers = [connection] if self._unsent else []
        if not any(select.select([connection], writers, [], self._timeout_seconds)):
            raise TimeoutError

    def _send(self, connection: Wire) -> bool:
        """Send what goes without waiting; tell whether that was all."""
        while True:
            if not self._unsent:
                self._unsent.extend(memoryview(item) for item in self._link.buffers_to_send())
            if not self._unsent:
                return True
            try:
                sent = connection.send(self._unsent[0][:SEND_BYTES])
            except NOT_NOW:
                return False
            self._unsent[0] = self._unsent[0][sent:]
            if not self._unsent[0]:
                self._unsent.popleft()

    def _take(self, connection: Wire) -> bool:
        """Take in what has come; tell whether that was anything."""
        has_come = False
        try:
            while data := connection.recv(RECEIVE_BYTES):
                has_come = True
                for event in self._link.receive_data(data):
                    self._note(event)
        except NOT_NOW:
            return has_come
        except RemoteProtocolError:
            self._drop()
            raise
        if not has_come:
            raise ConnectionResetError("the edge has closed it")
        return True

    def _note(self, event: Event) -> None:
        if isinstance(event, Outcome):
            self._outcomes[event.id] = event
        elif isinstance(event, Goodbye):
            self._goodbye = event

    def _end(self) -> None:
        """Deal with a GOODBYE. Calls that are still under way are asked about by the next connection."""
        goodbye, self._goodbye = self._goodbye, None
        self._drop()
        if goodbye is None or goodbye.code == "draining":
            return
        detail = printable(goodbye.detail) or printable(goodbye.code)
        if goodbye.code == "unauthorized":
            raise Unauthorized(f"{self._name}: {detail}")
        raise EdgeProblem(printable(goodbye.code), 0, f"{self._name}: {detail}")

    def _try_to_flush(self) -> None:
        """Send all that is due, as far as the connection lasts."""
        try:
            self._flush()
        except HostLost:
            return

    def _drop(self) -> None:
        self._link.connection_lost()
        self._unsent.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _not_callable(self, size: int) -> LawowError:
        if self._link.state is ConnectionState.OPEN:
            return LimitExceeded("call_bytes", size, "what the edge said in WELCOME")
        return HostLost(f"{self._name}: the edge takes no more calls; make a new lease elsewhere")


def error_of(outcome: Outcome) -> LawowError:
    """Return the error that an outcome stands for."""
    if isinstance(outcome, Trapped):
        frames = tuple(printable(name) for name in outcome.guest_frames)
        return GuestTrap(
            outcome.code, printable(outcome.detail), frames=frames, status=outcome.status or None
        )
    if isinstance(outcome, NotStarted):
        return HostLost("the call did not reach the edge and was not started")
    if isinstance(outcome, Refused | Failed):
        if outcome.code == "deadline":
            subject = printable(outcome.detail)
            return LimitExceeded("deadline_seconds", "more than that", "the call's", subject=subject)
        return EdgeProblem(printable(outcome.code), 0, printable(outcome.detail))
    return OutcomeUnknown("the session is gone on the edge; the call may have run and was not sent again")


def _reason(error: OSError) -> str:
    return "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
