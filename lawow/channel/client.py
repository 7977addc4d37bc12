"""The client's end: it opens the connection, calls and channels, and keeps the stationary end of a channel.

A session outlives its connections: give the same `ClientSession` to the next one, and `send_hello` asks what
became of the calls that have no outcome. Every call gets exactly one of `Returned`, `Trapped`, `Refused`,
`Failed`, `NotStarted` and `Unknown`.
"""

from __future__ import annotations

import struct

from lawow.channel.connection import Handler, require_step
from lawow.channel.events import (
    Bound,
    ChannelEnded,
    ChannelOpened,
    Draining,
    Event,
    Failed,
    Moved,
    MoveRefused,
    NotStarted,
    Refused,
    Returned,
    Trapped,
    Unknown,
    Welcomed,
)
from lawow.channel.exchange import ExchangingConnection
from lawow.channel.frames import MAGIC, MAX_ID, PART, VERSION, Op
from lawow.channel.inbox import Payload
from lawow.channel.payloads import (
    Ack,
    Bind,
    CallKnown,
    Hello,
    Kind,
    Mark,
    Move,
    Notice,
    Open,
    Opened,
    Policy,
    Refusal,
    Reset,
    Trap,
    Welcome,
    read_payload,
    write_payload,
)
from lawow.channel.payloads import Bound as BoundPayload
from lawow.channel.payloads import Moved as MovedPayload
from lawow.channel.sequences import ChannelEnd, Position
from lawow.channel.sessions import Call, ClientSession
from lawow.channel.states import CALL, CallState, ChannelState, ConnectionState, Direction, Role
from lawow.errors import LocalProtocolError, RemoteProtocolError
from lawow.limits import CHANNEL, ChannelLimits

__all__ = ["ClientConnection"]

CALL_FIELDS = struct.Struct("<II")
RESULT_FIELDS = struct.Struct("<II")
RESULT_PART_FIELDS = struct.Struct("<III")
ACK_CALLS = 64
ACK_BYTES = 64 << 10
SEND, RECEIVE = Direction.SEND, Direction.RECEIVE
AFTER_CALL = CALL[Role.CLIENT, CallState.IDLE, SEND, "CALL"]


class ClientConnection(ExchangingConnection):
    """One connection of a client."""

    session: ClientSession

    def __init__(self, session: ClientSession | None = None, limits: ChannelLimits = CHANNEL) -> None:
        super().__init__(Role.CLIENT, limits)
        self.session = ClientSession() if session is None else session
        self._asked_calls: tuple[int, ...] = ()
        self._server = Welcome(0, 0, 0, 0, 0, 0, 0, b"", b"", ())
        self._to_ack: list[int] = []
        self._to_ack_bytes = 0
        self._lost_before: list[Event] = []

    # opening

    def send_hello(self, token: bytes) -> None:
        """Introduce this client by its lease's token, and ask for the session to go on if there was one."""
        self._require(Op.HELLO)
        session = self.session
        self._lost_before = self._not_started(session.connection_lost())
        resumes = bool(session.token)
        self._asked_calls = tuple(session.calls) if resumes else ()
        marks = tuple(Mark(key, end.received) for key, end in session.channels.items()) if resumes else ()
        hello = Hello(
            MAGIC,
            VERSION,
            VERSION,
            self.limits.frame_bytes,
            self.limits.result_bytes,
            token,
            session.token,
            self._asked_calls,
            marks,
        )
        self._put(0, Op.HELLO, write_payload(hello))
        self._enter(ConnectionState.GREETED)

    # calls

    def can_call(self, size: int) -> bool:
        """Tell whether a call with so many bytes of arguments may be sent now."""
        session = self.session
        return (
            Op.CALL in self._may_send
            and self.state is ConnectionState.OPEN
            and len(session.calls) < self._server.calls
            and session.call_bytes + size <= self._server.call_bytes
        )

    def send_bind(self, target: str, export: str, signature: str) -> int:
        """Name a function, and return the id by which calls name it; they need not wait for `Bound`."""
        if self.session.bindings >= self._server.bindings:
            raise LocalProtocolError(
                f"{self.session.bindings} functions are bound, which is the server's limit"
            )
        payload = write_payload(Bind(target, export, signature))
        bind_id = self._begin(Op.BIND, 0)
        call = self.session.calls[bind_id] = Call(CallState.RUNNING, 0)
        call.is_binding = True
        self.session.bindings += 1
        self._put(bind_id, Op.BIND, payload)
        return bind_id

    def send_call(self, function: int, arguments: bytes, deadline_us: int = 0) -> int:
        """Call a bound function and return the call's id.

        `deadline_us` is how long it may take from its arrival on; 0 leaves that to the server. `arguments` is
        a body as in `lawow.channel.bodies`, and must not change before it was sent.
        """
        size = len(arguments)
        if not (0 < function <= MAX_ID and 0 <= deadline_us <= MAX_ID):
            raise LocalProtocolError(f"function {function} or deadline {deadline_us} is not a u32")
        fields = CALL_FIELDS.pack(function, deadline_us)
        call_id = self._begin(Op.CALL, size)
        call = self.session.calls[call_id] = Call(AFTER_CALL, size)
        self.session.call_bytes += size
        if not self._put_bulk(call_id, Op.CALL, fields, arguments, lambda: self._sent(call)):
            call.state = CallState.SENDING
        return call_id

    def send_cancel(self, call_id: int) -> None:
        """Tell the server that nobody waits for the outcome; one comes all the same."""
        self._require(Op.CANCEL)
        call = self.session.calls.get(call_id)
        if call is None:
            raise LocalProtocolError(f"call {call_id} has its outcome, or never was")
        call.state = self._call_step(call_id, call, SEND, "CANCEL")
        self._stop_stream(call_id)
        self._put(call_id, Op.CANCEL)

    # channels

    def send_open(
        self, name: str, type_name: str, *, kind: Kind = Kind.ENDPOINT, policy: Policy = Policy.BLOCK
    ) -> int:
        """Open a channel to an endpoint or a topic and return its id."""
        end = ChannelEnd(kind, policy, name, type_name, self.limits.window_bytes)
        return self.send_reopen(end, b"")

    def send_reopen(self, channel: ChannelEnd, ticket: bytes) -> int:
        """Go on with a channel whose flexible end has moved to this server; return its new id.

        Keep both until `ChannelOpened`: after `ChannelEnded` with the code ``not-opened`` try again.
        """
        if len(self.session.channels) >= self._server.channels:
            raise LocalProtocolError(f"{len(self.session.channels)} channels, which is the server's limit")
        payload = write_payload(
            Open(
                channel.window,
                channel.kind,
                channel.policy,
                channel.received,
                channel.name,
                channel.type,
                ticket,
            )
        )
        channel_id = self._next_id(Op.OPEN)
        channel.take(channel.received)  # what the former host sent is no business of this one
        channel.state = ChannelState.OPENING
        self.session.channels[channel_id] = channel
        self._put(channel_id, Op.OPEN, payload)
        return channel_id

    def send_move(self, channel_id: int, destination: str) -> None:
        """Ask the flexible end to move; what is sent meanwhile goes where it goes."""
        self._require(Op.MOVE)
        end = self.channel(channel_id)
        payload = write_payload(Move(destination))
        end.state = self._step(end, SEND, "MOVE")
        end.destination = destination
        self._put(channel_id, Op.MOVE, payload)

    # inside

    def _next_id(self, operation: Op) -> int:
        """Return a new id, if the connection may open something."""
        self._require(operation)
        if self.session.last_id >= MAX_ID:
            raise LocalProtocolError("the session has used all ids; begin a new one")
        self.session.last_id += 1
        return self.session.last_id

    def _begin(self, operation: Op, size: int) -> int:
        """Return the id of a new call that the server has room for."""
        session, server = self.session, self._server
        if len(session.calls) >= server.calls and operation in self._may_send:
            raise LocalProtocolError(f"{len(session.calls)} calls without an outcome, the server's limit")
        if session.call_bytes + size > server.call_bytes and operation in self._may_send:
            raise LocalProtocolError(
                f"arguments of {size} bytes beside {session.call_bytes} of calls without an outcome; the "
                f"server takes {server.call_bytes} in all"
            )
        return self._next_id(operation)

    def _sent(self, call: Call) -> None:
        """The last piece of a call's arguments has been given out."""
        call.state = self._call_step(0, call, SEND, "LAST")

    def _call_step(self, call_id: int, call: Call, direction: Direction, event: str) -> CallState:
        return require_step(CALL, self.role, call.state, direction, event, f"call {call_id}")

    def _is_old_id(self, frame_id: int) -> bool:
        return frame_id <= self.session.last_id

    def _all_handlers(self) -> dict[int, Handler]:
        return super()._all_handlers() | {
            Op.WELCOME: self._on_welcome,
            Op.DRAIN: self._on_drain,
            Op.GOODBYE: self._on_last_goodbye,
            Op.BOUND: self._on_bound,
            Op.RESULT: self._on_result,
            Op.TRAP: self._on_trap,
            Op.REFUSED: self._on_refused,
            Op.FAILED: self._on_failed,
            Op.CONTINUE: self._on_continue,
            Op.OPENED: self._on_opened,
            Op.MOVED: self._on_moved,
        }

    def _not_started(self, ids: list[int]) -> list[Event]:
        """Forget calls that never reached the server."""
        for call_id in ids:
            self._forget(call_id)
        return [NotStarted(call_id) for call_id in ids]

    def _forget(self, call_id: int) -> None:
        if self.session.end_call(call_id).is_binding:
            self.session.bindings -= 1

    def _on_welcome(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        self._require_connection_id(frame_id, Op.WELCOME)
        welcome = read_payload(Welcome, payload)
        if welcome.version != VERSION or welcome.resumed not in (0, 1):
            raise RemoteProtocolError(f"WELCOME to version {welcome.version} (allowed {VERSION})")
        if welcome.frame_bytes < self.limits.control_bytes:
            raise RemoteProtocolError(f"WELCOME with frames of {welcome.frame_bytes} bytes")
        self._server = welcome
        self._peer_frame_bytes = welcome.frame_bytes
        self._inbox.frame_bytes = self.limits.frame_bytes
        self._enter(ConnectionState.OPEN)
        events += [*self._lost_before, Welcomed(welcome.version, bool(welcome.resumed))]
        if welcome.resumed:
            self._resume(welcome, events)
        else:
            self._start_anew(events)
        self.session.token = welcome.session

    def _start_anew(self, events: list[Event]) -> None:
        """The server knows nothing of the former session."""
        session = self.session
        for call_id in list(session.calls):
            self._forget(call_id)
            events.append(Unknown(call_id))
        events += [ChannelEnded(channel_id, "session-lost", "") for channel_id in session.channels]
        session.channels.clear()
        session.bindings = 0

    def _resume(self, welcome: Welcome, events: list[Event]) -> None:
        if not self.session.token or len(welcome.calls_known) != len(self._asked_calls):
            raise RemoteProtocolError("WELCOME to a session that was not asked for")
        for call_id, known in zip(self._asked_calls, welcome.calls_known, strict=True):
            if known == CallKnown.NEVER_SEEN:
                events += self._not_started([call_id])
            elif known == CallKnown.FORGOTTEN:
                self._forget(call_id)
                events.append(Unknown(call_id))
            elif known not in (CallKnown.RUNNING, CallKnown.KEPT):
                raise RemoteProtocolError(f"WELCOME says {known} of call {call_id} (allowed 0 to 3)")
        received = {mark.id: mark.received for mark in welcome.channels_known}
        for channel_id, end in list(self.session.channels.items()):
            if channel_id in received:
                self._resume_channel(channel_id, end, received[channel_id])
            else:
                code = "not-opened" if end.state is ChannelState.OPENING else "session-lost"
                del self.session.channels[channel_id]
                events.append(ChannelEnded(channel_id, code, ""))

    def _resume_channel(self, channel_id: int, end: ChannelEnd, received: int) -> None:
        if end.state is ChannelState.OPENING:
            return
        end.write_again(received)
        self._put_credit(channel_id, end)
        self._write(channel_id, end)
        if end.state is ChannelState.MOVING:
            self._put(channel_id, Op.MOVE, write_payload(Move(end.destination)))

    def _on_drain(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        self._require_connection_id(frame_id, Op.DRAIN)
        notice = read_payload(Notice, payload)
        events.append(Draining(notice.last_id, notice.retry_after_ms, notice.code, notice.detail))
        self._enter(ConnectionState.DRAINING)
        self._drop_beyond(notice.last_id, events)

    def _on_last_goodbye(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        self._on_goodbye(frame_id, flags, payload, events)
        self._drop_beyond(read_payload(Notice, payload).last_id, events)

    def _drop_beyond(self, last_id: int, events: list[Event]) -> None:
        """Nothing with a higher id was started."""
        late = [call_id for call_id in self.session.calls if call_id > last_id]
        for call_id in late:
            self._stop_stream(call_id)
        events += self._not_started(late)
        for channel_id in [key for key in self.session.channels if key > last_id]:
            del self.session.channels[channel_id]
            events.append(ChannelEnded(channel_id, "not-opened", ""))

    def _end(self, frame_id: int, operation: Op, size: int = 0) -> Call:
        """Remove a call that has its outcome, and acknowledge outcomes now and then."""
        call = self.session.calls.get(frame_id)
        if call is None:
            raise RemoteProtocolError(f"{operation.name} for id {frame_id}, which waits for nothing")
        if call.is_binding and operation in (Op.RESULT, Op.TRAP, Op.FAILED):
            raise RemoteProtocolError(f"{operation.name} for a binding, id {frame_id}")
        then = self._call_step(frame_id, call, RECEIVE, operation.name)
        if then is CallState.STOPPING:
            self._stop_stream(frame_id)
            self._put(frame_id, Op.CANCEL)
        self._ended(frame_id, size)
        return call

    def _ended(self, call_id: int, size: int) -> None:
        self.session.end_call(call_id)
        self._to_ack.append(call_id)
        self._to_ack_bytes += size
        if len(self._to_ack) >= ACK_CALLS or self._to_ack_bytes >= ACK_BYTES:
            self._put(0, Op.ACK, write_payload(Ack(tuple(self._to_ack))))
            self._to_ack.clear()
            self._to_ack_bytes = 0

    def _on_bound(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        bound = read_payload(BoundPayload, payload)
        if not self._end(frame_id, Op.BOUND).is_binding:
            raise RemoteProtocolError(f"BOUND for a call, id {frame_id}")
        events.append(Bound(frame_id, bound.prepare_us))

    def _on_result(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        if flags & PART:
            self._on_result_part(frame_id, payload)
            return
        if not 8 <= len(payload) <= self.limits.result_bytes + 8:
            raise RemoteProtocolError(f"RESULT of {len(payload)} bytes")
        prepare_us, run_us = RESULT_FIELDS.unpack_from(payload)
        self._end(frame_id, Op.RESULT, len(payload))
        events.append(Returned(frame_id, prepare_us, run_us, payload[8:]))

    def _on_result_part(self, frame_id: int, payload: Payload) -> None:
        call = self.session.calls.get(frame_id)
        if call is None or call.is_binding or len(payload) < RESULT_PART_FIELDS.size:
            raise RemoteProtocolError(f"RESULT in parts for id {frame_id}")
        prepare_us, run_us, size = RESULT_PART_FIELDS.unpack_from(payload)
        first = payload[RESULT_PART_FIELDS.size :]
        if not len(first) < size <= self.limits.result_bytes:
            raise RemoteProtocolError(f"RESULT of {size} bytes (allowed {self.limits.result_bytes})")
        call.state = self._call_step(frame_id, call, RECEIVE, "RESULT_PART")
        call.expect(size, (prepare_us, run_us))
        call.add(first)

    def _on_continue(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        call = self.session.calls.get(frame_id)
        if call is None:
            self._continue_message(frame_id, payload, events)
            return
        filled = call.filled + len(payload)
        is_last = filled == call.expected
        call.state = self._call_step(frame_id, call, RECEIVE, "LAST" if is_last else "CONTINUE")
        if not payload or filled > call.expected:
            raise RemoteProtocolError(f"CONTINUE for id {frame_id} with {len(payload)} bytes")
        call.add(payload)
        if is_last:
            self._ended(frame_id, filled)
            assert call.parts is not None  # `expect` made it
            events.append(Returned(frame_id, *call.fields, call.parts))

    def _on_trap(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        trap = read_payload(Trap, payload)
        self._end(frame_id, Op.TRAP)
        events.append(
            Trapped(
                frame_id,
                trap.prepare_us,
                trap.run_us,
                trap.status,
                trap.code,
                trap.detail,
                trap.guest_frames,
            )
        )

    def _on_failed(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        refusal = read_payload(Refusal, payload)
        self._end(frame_id, Op.FAILED)
        events.append(Failed(frame_id, refusal.retry_after_ms, refusal.code, refusal.detail))

    def _on_refused(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        refusal = read_payload(Refusal, payload)
        if frame_id in self.session.calls:
            if self._end(frame_id, Op.REFUSED).is_binding:
                self.session.bindings -= 1
        elif not self._refuse_channel(frame_id, refusal, events):
            return
        events.append(Refused(frame_id, refusal.retry_after_ms, refusal.code, refusal.detail))

    def _refuse_channel(self, frame_id: int, refusal: Refusal, events: list[Event]) -> bool:
        """Take a refusal to open, or to move; tell whether it was the former."""
        end = self._found(frame_id, Op.REFUSED)
        if end is None:
            return False
        end.state = self._step(end, RECEIVE, "REFUSED")
        if end.state is ChannelState.CLOSED:
            del self.session.channels[frame_id]
            return True
        self._write(frame_id, end)
        events.append(MoveRefused(frame_id, refusal.code, refusal.detail))
        return False

    def _on_opened(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        opened = read_payload(Opened, payload)
        end = self._found(frame_id, Op.OPENED)
        if end is None:
            return
        was_opening = end.state is ChannelState.OPENING
        end.state = self._step(end, RECEIVE, "OPENED")
        if was_opening:
            end.peer_window = opened.window_bytes
            end.let_go(opened.received)
            end.write_again(opened.received)
            self._write(frame_id, end)
            end.state = ChannelState.CLIENT_CLOSED if end.closed else end.state
            events.append(ChannelOpened(frame_id))

    def _on_moved(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        moved = read_payload(MovedPayload, payload)
        end = self._found(frame_id, Op.MOVED)
        if end is None:
            return
        end.state = self._step(end, RECEIVE, "MOVED")
        if end.assembly is not None or moved.sent != end.received:
            raise RemoteProtocolError(f"MOVED after {moved.sent} messages, of which {end.received} came")
        end.let_go(moved.received)
        del self.session.channels[frame_id]
        self._put(frame_id, Op.RESET, write_payload(Reset("moved", "")))
        position = Position(moved.received, moved.sent)
        events.append(Moved(frame_id, moved.endpoint, moved.ticket, position, end))
