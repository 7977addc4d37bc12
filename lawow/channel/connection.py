"""One end of a connection of the data plane, without sockets and without a clock.

Bytes go in by `receive_data`, which returns events; bytes come out of `data_to_send`. What the owner does in
answer to an event is a method ``send_*`` of `lawow.channel.client` or `lawow.channel.server`. A violation by
the other end raises `RemoteProtocolError` out of `receive_data`, and nothing else does: whatever arrived in
the same bytes is void, a GOODBYE waits in `data_to_send`, and the connection and its session are over. Wrong
use of an object raises `LocalProtocolError`, and nothing was sent. Defined by docs/PROTOCOL.md.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from lawow.channel.events import Event, Goodbye, Lost
from lawow.channel.frames import BULK, COUNTED_BYTES, HEAD, OPTIONAL, PART, Op, frame
from lawow.channel.inbox import PLACED, Frame, Inbox, Payload, Place
from lawow.channel.payloads import Echo, Notice, read_payload, write_payload
from lawow.channel.states import CONNECTION, ConnectionState, Direction, Role, State, Table
from lawow.errors import LocalProtocolError, RemoteProtocolError
from lawow.limits import ChannelLimits

__all__ = ["Connection", "Handler", "require_step"]

SIZE = struct.Struct("<I")
STREAM_BYTES = 256 << 10  # of each large payload between two looks at what else there is to send
JOIN_BYTES = 64 << 10  # below that a copy costs less than one more buffer
CRITICAL_FLAGS = 0x00FF
MAX_DETAIL_CHARACTERS = 1_000

Handler = Callable[[int, int, Payload, list[Event]], None]
S = TypeVar("S", bound=State)


def require_step(table: Table[S], role: Role, state: S, direction: Direction, event: str, subject: str) -> S:
    """Return the next state of a call or a channel. Raises the protocol error of whoever is wrong."""
    then = table.get((role, state, direction, event))
    if then is None:
        error = LocalProtocolError if direction is Direction.SEND else RemoteProtocolError
        raise error(f"{event} is not allowed while {subject} is {state.value}")
    return then


def _operations(role: Role, direction: Direction) -> dict[State, frozenset[Op]]:
    """Return what may be sent or received in each state of a connection."""
    found: dict[State, set[Op]] = {state: set() for state in ConnectionState}
    for of_role, state, way, event in CONNECTION:
        if (of_role, way) == (role, direction):
            found[state].add(Op[event.removesuffix("_PART")])
    return {state: frozenset(operations) for state, operations in found.items()}


MAY = {(role, way): _operations(role, way) for role in Role for way in Direction}


class _Stream:
    """A large payload on its way out; `done` is called when its last byte has been given out."""

    __slots__ = ("done", "id", "rest")

    def __init__(self, stream_id: int, rest: memoryview, done: Callable[[], object]) -> None:
        self.id = stream_id
        self.rest = rest
        self.done = done


class Connection:
    """What both ends have in common. `state` is one of `ConnectionState`."""

    def __init__(self, role: Role, limits: ChannelLimits, place: Place | None = None) -> None:
        self.role = role
        self.limits = limits
        self.state = ConnectionState.NEW
        self._inbox = Inbox(limits.control_bytes, limits.control_bytes, place)
        self._out: list[bytes | memoryview] = []
        self._streams: deque[_Stream] = deque()
        self._peer_frame_bytes = limits.control_bytes
        self._heard = False
        self._now = 0.0
        self._started_at: float | None = None
        self._heard_at = 0.0
        self._pings = 0
        self._partial_at: tuple[int, float] = (0, 0.0)
        self._handlers: dict[int, Handler] = {}
        self._enter(ConnectionState.NEW)

    # bytes

    def receive_data(self, data: bytes | memoryview) -> list[Event]:
        """Take bytes from the other end and return what they mean.

        Payloads in events may be views of `data`. Raises `RemoteProtocolError`; bytes that come after the
        connection's end are ignored.
        """
        if self.state is ConnectionState.CLOSED:
            return []
        return self._handle(self._inbox.frames(data))

    def receive_buffer(self) -> memoryview | None:
        """Return where the next bytes belong, if a payload is being received straight into its memory.

        Write there and call `bytes_received`, or go on with `receive_data`, which copies.
        """
        return None if self.state is ConnectionState.CLOSED else self._inbox.buffer()

    def bytes_received(self, count: int) -> list[Event]:
        """Take note of `count` bytes written to the start of `receive_buffer`; as `receive_data`."""
        return [] if self.state is ConnectionState.CLOSED else self._handle(self._inbox.received(count))

    @property
    def has_to_send(self) -> bool:
        """Whether `buffers_to_send` would return anything."""
        return bool(self._out or self._streams)

    def buffers_to_send(self) -> list[bytes | memoryview]:
        """Return what is to be sent now, in order.

        Of each payload that is larger than a frame that is a piece: call again when it has been written, so
        that other frames get between, and a slow receiver holds up nothing but memory of this end's owner.
        """
        for _ in range(len(self._streams)):
            self._send_piece()
        out, self._out = self._out, []
        return out

    def data_to_send(self) -> bytes:
        """Return `buffers_to_send` as one piece."""
        return b"".join(self.buffers_to_send())

    # the connection as such

    def send_goodbye(self, code: str, detail: str = "", *, retry_after_ms: int = 0) -> None:
        """End the connection; what was received up to now was seen."""
        self._require(Op.GOODBYE)
        self._streams.clear()
        notice = Notice(self._seen_id(), retry_after_ms, code, detail[:MAX_DETAIL_CHARACTERS])
        self._put(0, Op.GOODBYE, write_payload(notice))
        self._enter(ConnectionState.CLOSED)

    def connection_lost(self) -> list[Event]:
        """Take note that the transport is closed; the session may go on with another connection.

        Call it once for every connection, however it ended, and do as the events say.
        """
        self._enter(ConnectionState.CLOSED)
        self._out.clear()
        self._streams.clear()
        return []

    def tick(self, now: float) -> list[Event]:
        """Look after time: PING after silence, `Lost` for an end that is silent or too slow.

        `now` is in seconds and never goes back; once a second is often enough.
        """
        self._now = now
        if self.state is ConnectionState.CLOSED:
            return []
        if self._started_at is None or self._heard:
            self._heard, self._heard_at, self._pings = False, now, 0
        self._started_at = now if self._started_at is None else self._started_at
        if self._is_too_slow(now, self._started_at):
            return self._lost("too-slow")
        if now - self._heard_at > self.limits.ping_seconds * (self._pings + 1):
            return self._miss()
        return []

    # inside

    def _handle(self, frames: Iterable[Frame]) -> list[Event]:
        events: list[Event] = []
        try:
            for frame_id, operation, flags, payload in frames:
                if flags & CRITICAL_FLAGS and 0 <= operation < OPTIONAL:
                    self._require_flags(operation, flags)
                handler = self._handlers.get(operation)
                if handler is not None:
                    handler(frame_id, flags, payload, events)
                    if self.state is ConnectionState.CLOSED:
                        break
                elif operation < OPTIONAL or operation == PLACED:
                    self._unexpected(operation)
        except RemoteProtocolError as error:
            self._violated(str(error))
            raise
        self._heard = True
        self._note_seen()
        return events

    def _note_seen(self) -> None:
        """Take note that the events of all frames so far reach the owner."""

    def _seen_id(self) -> int:
        """Return the highest id whose event has reached the owner."""
        return 0

    def _require_flags(self, operation: int, flags: int) -> None:
        if flags & CRITICAL_FLAGS & ~PART or operation not in BULK:
            raise RemoteProtocolError(f"flags {flags:#06x} on operation {operation:#x}")

    def _unexpected(self, operation: int) -> None:
        try:
            name = Op(operation).name
        except ValueError:
            raise RemoteProtocolError(f"operation {operation:#x} is not one of this version") from None
        raise RemoteProtocolError(f"{name} is not allowed while the connection is {self.state.value}")

    def _violated(self, detail: str) -> None:
        if Op.GOODBYE in MAY[self.role, Direction.SEND][self.state]:
            self._out.clear()
            self.send_goodbye("protocol-error", detail)
        self._enter(ConnectionState.CLOSED)

    def _enter(self, state: ConnectionState) -> None:
        """Go to a state, in which other operations are taken."""
        self.state = state
        self._may_send = MAY[self.role, Direction.SEND][state]
        handlers = self._all_handlers()
        allowed = MAY[self.role, Direction.RECEIVE][state]
        self._handlers = {operation: handlers[operation] for operation in allowed}
        if Op.CONTINUE in allowed and PLACED in handlers:
            self._handlers[PLACED] = handlers[PLACED]

    def _all_handlers(self) -> dict[int, Handler]:
        return {Op.PING: self._on_ping, Op.PONG: self._on_pong, Op.GOODBYE: self._on_goodbye}

    def _require(self, operation: Op) -> None:
        if operation not in self._may_send:
            raise LocalProtocolError(
                f"{operation.name} cannot be sent while the connection is {self.state.value}"
            )

    def _put(self, frame_id: int, operation: Op, payload: bytes = b"") -> None:
        self._out.append(frame(frame_id, operation, payload))

    def _put_bulk(
        self,
        frame_id: int,
        operation: Op,
        fields: bytes,
        payload: bytes | memoryview,
        done: Callable[[], object],
    ) -> bool:
        """Send a payload, in parts if it must be; tell whether it is whole. Else `done` is called later."""
        size = len(fields) + len(payload)
        if size <= self._peer_frame_bytes:
            self._put_pieces(HEAD.pack(size + COUNTED_BYTES, frame_id, operation, 0) + fields, payload)
            return True
        first = self._peer_frame_bytes - len(fields) - SIZE.size
        head = HEAD.pack(self._peer_frame_bytes + COUNTED_BYTES, frame_id, operation, PART)
        view = memoryview(payload)
        self._put_pieces(head + fields + SIZE.pack(len(payload)), view[:first])
        self._streams.append(_Stream(frame_id, view[first:], done))
        return False

    def _put_pieces(self, head: bytes, payload: bytes | memoryview) -> None:
        if len(payload) <= JOIN_BYTES:
            self._out.append(head + payload)
        else:
            self._out += (head, payload)

    def _send_piece(self) -> None:
        """Give out the next piece of the payload whose turn it is."""
        stream = self._streams.popleft()
        size = min(len(stream.rest), self._peer_frame_bytes, STREAM_BYTES)
        self._put_pieces(HEAD.pack(size + COUNTED_BYTES, stream.id, Op.CONTINUE, 0), stream.rest[:size])
        stream.rest = stream.rest[size:]
        if stream.rest:
            self._streams.append(stream)
        else:
            stream.done()

    def _stop_stream(self, frame_id: int) -> None:
        self._streams = deque(stream for stream in self._streams if stream.id != frame_id)

    def _is_too_slow(self, now: float, started_at: float) -> bool:
        if self.state in (ConnectionState.NEW, ConnectionState.GREETED):
            return now - started_at > self.limits.handshake_seconds
        if self._inbox.is_empty or self._partial_at[0] != self._inbox.begun:
            self._partial_at = (self._inbox.begun, now)
        return now - self._partial_at[1] > self.limits.frame_seconds

    def _miss(self) -> list[Event]:
        if self._pings >= self.limits.pings_missed:
            return self._lost("idle")
        self._pings += 1
        if Op.PING in self._may_send:
            self._put(0, Op.PING, write_payload(Echo(self._pings)))
        return []

    def _lost(self, code: str) -> list[Event]:
        if Op.GOODBYE in self._may_send:
            self.send_goodbye(code)
        self._enter(ConnectionState.CLOSED)
        return [Lost(code)]

    def _on_ping(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        self._require_connection_id(frame_id, Op.PING)
        echo = read_payload(Echo, payload)
        self._put(0, Op.PONG, write_payload(echo))

    def _on_pong(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        self._require_connection_id(frame_id, Op.PONG)
        read_payload(Echo, payload)

    def _on_goodbye(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        self._require_connection_id(frame_id, Op.GOODBYE)
        notice = read_payload(Notice, payload)
        events.append(Goodbye(notice.last_id, notice.retry_after_ms, notice.code, notice.detail))
        self._enter(ConnectionState.CLOSED)

    def _require_connection_id(self, frame_id: int, operation: Op) -> None:
        if frame_id:
            raise RemoteProtocolError(
                f"{operation.name} with id {frame_id}; it belongs to the connection, id 0"
            )
