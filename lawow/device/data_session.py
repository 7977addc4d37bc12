"""The data plane as a device speaks it: calls and elastic channels over one connection that is resumed.

TLS 1.3 by the pin that the lease gave; plain TCP to loopback alone; where a lease's port cannot be reached, a
WebSocket at the edge's own. A call is at most once: after a lost
connection the session is resumed and says what became of it, and what cannot be resumed is `OutcomeUnknown`.
One thread of its own serves all calls and channels of a client, which may be used from many threads.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from importlib.util import find_spec

from lawow.channel.bodies import read_returned, write_arguments
from lawow.channel.client import ClientConnection
from lawow.channel.documents import Value, arguments_of_values, values_of_returned
from lawow.channel.events import (
    ChannelEnded,
    ChannelOpened,
    Event,
    Failed,
    Goodbye,
    Message,
    Moved,
    MoveRefused,
    NotStarted,
    PeerClosed,
    Refused,
    Returned,
    Unknown,
    Welcomed,
    Writable,
)
from lawow.channel.exchange import ExchangingConnection
from lawow.channel.sequences import ChannelEnd
from lawow.channel.sessions import ClientSession
from lawow.channel.states import ConnectionState
from lawow.device.cancel import Cancel
from lawow.device.data_client import Outcome, error_of
from lawow.device.edge_client import EdgeClient, printable
from lawow.device.link import Link
from lawow.device.trust import CONNECT_SECONDS, dial
from lawow.device.wire import Dial, Ways, Wire
from lawow.errors import (
    FormatError,
    HostLost,
    LawowError,
    LimitExceeded,
    OutcomeUnknown,
    RemoteProtocolError,
    Unauthorized,
)
from lawow.errors import Refused as RefusedError
from lawow.formats.signature import parse_typed_signature
from lawow.limits import CHANNEL, EDGE, ChannelLimits

__all__ = ["ChannelEvent", "DataSession", "dial"]

PROTOCOL = "lawow/1"
PORT_SECONDS = 3.0  # for a port where there is another way, too: firewalls often say nothing at all
RESUME_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.05  # between two tries to connect again; doubled up to a second
REFUSALS = 4  # in a row: nobody listens there any more, so no network is to be waited for
LOOK_SECONDS = 0.25  # how often a call that may be given up looks whether there is still a connection
ANSWER_GRACE_SECONDS = 5.0  # beyond its deadline, for the way of a call and of its outcome
ChannelEvent = ChannelEnded | ChannelOpened | Message | Moved | MoveRefused | PeerClosed | Refused | Writable
Key = tuple[str, str, str]
Listener = Callable[[ChannelEvent], None]


class _Patience:
    """How long to try to connect again, and how often; anew once a connection has been greeted.

    A host that accepts and hangs up must not be called without end, or without pause.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """A connection works."""
        self._ends: float | None = None
        self._pause_seconds = 0.0

    @property
    def has_more(self) -> bool:
        """Whether another try may be made; the time begins with the first question."""
        now = time.monotonic()
        if self._ends is None:
            self._ends = now + self._seconds
        return now < self._ends

    def pause(self) -> None:
        """Wait before a try: not at all before the first, then twice as long each time, up to a second."""
        time.sleep(self._pause_seconds)
        self._pause_seconds = min(max(2 * self._pause_seconds, FIRST_PAUSE_SECONDS), 1.0)


class DataSession:
    """One session on one host. Use as a context manager, or `close` it.

    `connect` gives a connection, and is called again when that is lost, for `resume_seconds`.
    `greeting_seconds` is how long it took until the host had answered.
    """

    def __init__(
        self,
        connect: Dial,
        token: bytes,
        *,
        limits: ChannelLimits = CHANNEL,
        resume_seconds: float = RESUME_SECONDS,
    ) -> None:
        """Connect and greet. Raises `HostLost`, `Refused` (certificate, token)."""
        self.lock = threading.RLock()
        self._dial = connect
        self._token = token
        self._limits = limits
        self._patience = _Patience(resume_seconds)
        self._session = ClientSession()
        self._connection = ClientConnection(self._session, limits)
        self._changed = threading.Condition(self.lock)
        self._functions: dict[Key, int] = {}
        self._waiting: dict[int, Future[Outcome]] = {}
        self._listeners: dict[int, Listener] = {}
        self._ended: LawowError | None = None
        self._is_closed = False
        self._lost_at: float | None = None
        began = time.monotonic()
        self._link = self._linked(connect())
        self._thread = threading.Thread(target=self._serve, name="lawow-data-plane", daemon=True)
        self._thread.start()
        try:
            self._until_open(time.monotonic() + CONNECT_SECONDS)
        except LawowError:
            self.close()
            raise
        self.greeting_seconds = time.monotonic() - began

    @classmethod
    def of_endpoint(
        cls, endpoint: Mapping[str, object], token: str, edge: EdgeClient | None = None
    ) -> DataSession:
        """Connect to the endpoint of a lease. Raises `RemoteProtocolError` for one that is none.

        With its `edge`, a port that cannot be reached is replaced by a WebSocket at the edge's own.
        """
        host, port, pin = (endpoint.get(key) for key in ("host", "port", "certificate_sha256"))
        if not (isinstance(host, str) and isinstance(port, int) and isinstance(pin, str)):
            raise RemoteProtocolError("the lease's endpoint lacks host, port or certificate")
        if endpoint.get("protocol") != PROTOCOL:
            raise RemoteProtocolError(f"the lease's endpoint does not speak {PROTOCOL}")
        path = endpoint.get("websocket")
        if edge is None or not isinstance(path, str) or find_spec("websockets") is None:
            return cls(lambda: dial(host, port, pin or None), token.encode())
        from lawow.device.websocket import dial_websocket  # an extra, and some milliseconds

        ways = Ways(lambda: dial(host, port, pin or None, PORT_SECONDS), lambda: dial_websocket(edge, path))
        return cls(ways, token.encode())

    def __enter__(self) -> DataSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye; calls without an outcome are `OutcomeUnknown`, channels have ended."""
        with self.lock:
            self._is_closed = True
            if self._connection.state is ConnectionState.OPEN:
                for channel_id in list(self._session.channels):
                    self._connection.end_channel(channel_id, "closed")
                self._connection.send_goodbye("")
            self._changed.notify_all()
        self._link.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(CONNECT_SECONDS)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at the moment, as far as is known."""
        return self._connection.state is ConnectionState.OPEN

    @property
    def is_over(self) -> bool:
        """Whether the session has ended, so that it takes no more calls."""
        return self._is_closed or self._ended is not None

    # calls

    def call(
        self,
        target: str,
        export: str,
        signature: str,
        values: Sequence[Value],
        *,
        deadline_seconds: float | None = None,
        cancel: Cancel | None = None,
        on_edge: Callable[[float], None] | None = None,
        patience_seconds: float | None = None,
        may_repeat: bool = False,
    ) -> tuple[tuple[Value, ...], Mapping[int, Sequence[int | float]]]:
        """Call an export of a target (docs/PROTOCOL.md, "Calls and bindings").

        Returns results and changed lists. Raises as `lawow.device.edge_client.EdgeClient.call`, and
        `OutcomeUnknown` as soon as `cancel` is set after the call was sent. `on_edge` is told the seconds of
        preparing and running, if it returned. `patience_seconds` after the connection was lost, a call is
        given up that was not sent, and one that `may_repeat`, since nobody needs to know what became of it.
        """
        parsed = parse_typed_signature(signature)
        arguments = arguments_of_values(parsed, values)
        seconds = EDGE.deadline_seconds if deadline_seconds is None else deadline_seconds
        body = write_arguments(arguments)
        ends = time.monotonic() + seconds + ANSWER_GRACE_SECONDS
        latest = ends if patience_seconds is None else min(ends, self._lost_since() + patience_seconds)
        call_id, future = self._begin((target, export, signature), body, deadline_seconds, latest)
        if cancel is not None:
            cancel.on_set(lambda: self._cancel(call_id))
        try:
            outcome = self._outcome(future, ends, patience_seconds if may_repeat else None)
        except FutureTimeout:
            self._cancel(call_id)
            raise OutcomeUnknown(f"{export}: the edge gave no outcome in time ({seconds} s)") from None
        results = _results_of(outcome, export)
        if on_edge is not None and isinstance(outcome, Returned):
            on_edge((outcome.prepare_us + outcome.run_us) / 1e6)
        try:
            return values_of_returned(parsed, read_returned(parsed, arguments, results))
        except FormatError as error:
            raise RemoteProtocolError(
                f"the edge answered with other results than {signature}: {error}"
            ) from None

    # channels: for `lawow.device.elastic_channel`

    @property
    def exchange(self) -> ExchangingConnection:
        """The connection, which may be closed at the moment."""
        return self._connection

    def wake(self) -> None:
        """There may be something to send."""
        self._link.wake()

    def open_channel(self, end: ChannelEnd, ticket: bytes, listener: Listener) -> int:
        """Open a channel, or go on with one that has moved here; return its id."""
        with self.lock:
            self._until_open(time.monotonic() + CONNECT_SECONDS)
            channel_id = self._connection.send_reopen(end, ticket)
            known = self._session.channels  # those that ended by this end's own doing told no listener
            self._listeners = {key: item for key, item in self._listeners.items() if key in known}
            self._listeners[channel_id] = listener
        self.wake()
        return channel_id

    def move_channel(self, channel_id: int, destination: str) -> None:
        """Ask the flexible end to move. Raises `LocalProtocolError` for a channel that is not open."""
        with self.lock:
            self._until_open(time.monotonic() + CONNECT_SECONDS)
            self._connection.send_move(channel_id, destination)
        self.wake()

    # inside: calls

    def _begin(
        self, key: Key, body: bytes, deadline_seconds: float | None, ends: float
    ) -> tuple[int, Future[Outcome]]:
        deadline_us = 0 if deadline_seconds is None else max(round(deadline_seconds * 1_000_000), 1)
        future: Future[Outcome] = Future()
        with self.lock:
            self._until_open(ends)
            most = min(self._limits.call_bytes, CHANNEL.call_bytes)
            if len(body) > most:
                raise LimitExceeded("call_bytes", len(body), most)
            function = self._functions.get(key) or self._bind(key)
            while not self._connection.can_call(len(body)):
                self._wait(ends)
                function = self._functions.get(key) or self._bind(key)
            call_id = self._connection.send_call(function, body, min(deadline_us, 0xFFFFFFFF))
            self._waiting[call_id] = future
        self.wake()
        return call_id, future

    def _outcome(self, future: Future[Outcome], ends: float, patience_seconds: float | None) -> Outcome:
        """Wait for an outcome. Raises `FutureTimeout` at the end, or if no connection came back in time."""
        if patience_seconds is None:
            return future.result(max(ends - time.monotonic(), 0.001))
        while (left := ends - time.monotonic()) > 0:
            with contextlib.suppress(FutureTimeout):
                return future.result(min(left, LOOK_SECONDS))
            if time.monotonic() > self._lost_since() + patience_seconds:
                break
        raise FutureTimeout

    def _lost_since(self) -> float:
        """Return when the connection was lost, by `time.monotonic`; now if there is one."""
        lost_at = self._lost_at
        return time.monotonic() if lost_at is None else lost_at

    def _bind(self, key: Key) -> int:
        self._until_open(time.monotonic() + CONNECT_SECONDS)
        bind_id = self._connection.send_bind(*key)
        self._functions[key] = bind_id
        return bind_id

    def _cancel(self, call_id: int) -> None:
        with self.lock, contextlib.suppress(LawowError):  # the connection is lost
            future = self._waiting.pop(call_id, None)
            if future is None:  # it has its outcome
                return
            future.set_result(Unknown(call_id))
            self._connection.send_cancel(call_id)
        self.wake()

    def _until_open(self, ends: float) -> None:
        """Wait for a connection that takes calls. Raises `HostLost`, `Unauthorized`."""
        with self.lock:
            while self._ended is None and self._connection.state is not ConnectionState.OPEN:
                self._wait(ends)
            if self._ended is not None:
                raise type(self._ended)(str(self._ended))

    def _wait(self, ends: float) -> None:
        if self._is_closed:
            raise HostLost("this session with the edge is closed; the call was not sent")
        if not self._changed.wait(ends - time.monotonic()) and time.monotonic() >= ends:
            raise HostLost("the edge did not answer in time; the call was not sent")

    # inside: the thread

    def _serve(self) -> None:
        """Run one connection after the other until there is no use in it."""
        while True:
            self._link.run()
            with self.lock:
                self._lost_at = self._lost_at or time.monotonic()
                self._connection.connection_lost()
                if self._is_closed or self._ended is not None:
                    break
            if not self._reconnect():
                break
        with self.lock:
            self._ended = self._ended or HostLost("the connection to the edge is lost")
            self._give_up()
            self._changed.notify_all()

    def _reconnect(self) -> bool:
        refusals = 0
        while not self._is_closed and self._patience.has_more and refusals < REFUSALS:
            self._patience.pause()
            try:
                self._link = self._linked(self._dial())
                return True
            except RefusedError as error:  # another certificate: nobody to resume with
                self._ended = error
                return False
            except HostLost as lost:
                refusals = refusals + 1 if isinstance(lost.__cause__, ConnectionRefusedError) else 0
        return False

    def _linked(self, wire: Wire) -> Link:
        with self.lock:
            self._connection = ClientConnection(self._session, self._limits)
            self._connection.send_hello(self._token)
        return Link(wire, self._connection, self.lock, self._handle)

    def _handle(self, event: Event) -> None:
        """Take an event; the lock is held."""
        if isinstance(event, ChannelEvent) and event.id in self._listeners:
            self._tell(event)
        elif isinstance(event, Outcome):
            self._finish(event)
        elif isinstance(event, Welcomed):
            self._welcome(event)
        elif isinstance(event, Goodbye) and event.code in ("unauthorized", "version"):
            kind = Unauthorized if event.code == "unauthorized" else HostLost
            self._ended = kind(f"the edge says goodbye: {printable(event.code)}: {printable(event.detail)}")
        self._changed.notify_all()

    def _welcome(self, event: Welcomed) -> None:
        self._patience.renew()
        self._lost_at = None
        if not event.resumed:
            self._functions.clear()
        for channel_id, listener in list(self._listeners.items()):
            listener(Writable(channel_id, 0))  # or may be: what waits looks again

    def _finish(self, event: Outcome) -> None:
        future = self._waiting.pop(event.id, None)
        if future is not None:
            future.set_result(event)
        elif isinstance(event, Refused | NotStarted | Unknown):  # of a binding: it is made again
            self._functions = {key: item for key, item in self._functions.items() if item != event.id}

    def _tell(self, event: ChannelEvent) -> None:
        is_over = isinstance(event, ChannelEnded | Moved | Refused)
        listener = self._listeners.pop(event.id) if is_over else self._listeners[event.id]
        listener(event)

    def _give_up(self) -> None:
        for call_id, future in self._waiting.items():
            future.set_result(Unknown(call_id))
        self._waiting.clear()
        for channel_id in list(self._listeners):
            self._tell(ChannelEnded(channel_id, "session-lost", "the connection is lost"))


def _results_of(outcome: Outcome, export: str) -> bytes:
    """Return the body of the results. Raises the error that another outcome stands for."""
    if isinstance(outcome, Returned):
        return bytes(outcome.results)
    if isinstance(outcome, Failed) and outcome.code != "deadline":
        detail = printable(outcome.detail) or printable(outcome.code)
        raise OutcomeUnknown(f"{export}: {detail}; it was begun, and how far it got is unknown")
    raise error_of(outcome)
