"""The server's end: it answers each call with one outcome, and serves the flexible end of channels.

The owner finds or makes a `ServerSession` when it is greeted. Outcomes are kept there until the client has
acknowledged them, within limits, so that a client that lost its connection gets them from the next one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

from lawow.channel.connection import Handler, require_step
from lawow.channel.events import (
    Called,
    Cancelled,
    ChannelEnded,
    Event,
    FunctionAsked,
    Greeted,
    Lost,
)
from lawow.channel.frames import COUNTED_BYTES, HEAD, PART, VERSION, Op, frame
from lawow.channel.inbox import PLACED, Payload
from lawow.channel.payloads import (
    Ack,
    Bind,
    Bound,
    Hello,
    Mark,
    Nothing,
    Notice,
    Opened,
    Refusal,
    Trap,
    Welcome,
    read_payload,
    write_payload,
)
from lawow.channel.served_channels import ServedChannels
from lawow.channel.sessions import Call, ServerSession
from lawow.channel.states import CALL, CallState, ChannelState, ConnectionState, Direction, Role
from lawow.errors import LocalProtocolError, RemoteProtocolError
from lawow.limits import CHANNEL, ChannelLimits

__all__ = ["PayloadBuffer", "ServerConnection"]

CALL_FIELDS = struct.Struct("<II")
CALL_HEAD = struct.Struct(HEAD.format + "II")
CALL_PART_FIELDS = struct.Struct("<III")
RESULT_FIELDS = struct.Struct("<II")
SIZE_BYTES = 4
SMALL_BYTES = 1 << 10
RESULT, CALL_OPERATION = int(Op.RESULT), int(Op.CALL)
MAX_TEXT_CHARACTERS = 1_000
MAX_GUEST_FRAMES = 16
MAX_GUEST_FRAME_CHARACTERS = 200
SEND, RECEIVE = Direction.SEND, Direction.RECEIVE
AFTER_CALL = CALL[Role.SERVER, CallState.IDLE, RECEIVE, "CALL"]
AFTER_OUTCOME = {
    Op[event]: CALL[Role.SERVER, AFTER_CALL, SEND, event]
    for event in ("BOUND", "RESULT", "TRAP", "REFUSED", "FAILED")
}
"""Both looked up once in the table of states: a lookup takes half as long as all else that a call needs."""

PayloadBuffer = Callable[[int, int, int], memoryview | None]
"""Takes call id, function and the arguments' size; returns memory of that size for them, or None. Nothing is
written there any more once `Called` or `Cancelled` was returned or the call was refused."""


class ServerConnection(ServedChannels):
    """One connection of a server. With `payload_buffer`, large arguments go where it says."""

    def __init__(self, limits: ChannelLimits = CHANNEL, payload_buffer: PayloadBuffer | None = None) -> None:
        super().__init__(Role.SERVER, limits, self._place if payload_buffer else None)
        self.session = ServerSession(b"", limits)
        self._payload_buffer = payload_buffer
        self._hello = Hello(b"", 0, 0, 0, 0, b"", b"", (), ())
        self._seen = 0
        self._passes_on = self._pass_on

    # the connection

    def receive_data(self, data: bytes | memoryview) -> list[Event]:
        """As `Connection.receive_data`. The small calls that `data` begins with take a shorter way."""
        if not self.is_between_frames:
            return super().receive_data(data)
        events: list[Event] = []
        taken = self._take_calls(data, events)
        if taken < len(data):
            return events + super().receive_data(data[taken:])
        self._heard = True
        self._note_seen()
        return events

    def _take_calls(self, data: bytes | memoryview, events: list[Event]) -> int:
        """Begin the calls whose small frames `data` begins with; return their length.

        Whatever is not as it should be is left to the handlers, which say what is wrong.
        """
        session, most, size = self.session, self.limits.calls, len(data)
        calls, at = session.calls, 0
        while size - at >= CALL_HEAD.size:
            length, frame_id, operation, flags, function, deadline_us = CALL_HEAD.unpack_from(data, at)
            start, stop = at + CALL_HEAD.size, at + SIZE_BYTES + length
            if (
                operation != CALL_OPERATION
                or flags
                or not start <= stop <= size
                or stop - start > SMALL_BYTES
                or frame_id <= session.last_id
                or len(calls) >= most
                or session.call_bytes + stop - start > self.limits.call_bytes
            ):
                break
            session.last_id = frame_id
            session.call_bytes += stop - start
            calls[frame_id] = Call(AFTER_CALL, stop - start)
            events.append(Called(frame_id, function, deadline_us, bytes(data[start:stop])))
            at = stop
        return at

    def send_welcome(self, session: ServerSession) -> list[Event]:
        """Accept the client, with a new session or the one that it asked for; returns what that ends.

        Nothing may be received any more from the connection that had the session before: call its
        `connection_lost` first.
        """
        self._require(Op.WELCOME)
        hello = self._hello
        resumed = bool(hello.session) and hello.session == session.token
        if not resumed and session.last_id:
            raise LocalProtocolError("a session that was in use is welcome only to a client that asks for it")
        self.session = session
        self._seen = session.last_id
        events = self._drop_unlisted() if resumed else []
        known = session.answer(hello.calls) if resumed else b""
        marks = tuple(Mark(key, end.received) for key, end in session.channels.items())
        limits = self.limits
        welcome = Welcome(
            VERSION,
            int(resumed),
            limits.frame_bytes,
            limits.call_bytes,
            limits.calls,
            limits.bindings,
            limits.channels,
            session.token,
            known,
            marks,
        )
        self._put(0, Op.WELCOME, write_payload(welcome))
        self._inbox.frame_bytes = limits.frame_bytes
        self._enter(ConnectionState.OPEN)
        session.deliver = self._passes_on
        if resumed:
            self._resume()
        return events

    def send_drain(self, code: str, detail: str = "", *, retry_after_ms: int = 0) -> None:
        """Take nothing new; what was seen goes on. End with `send_goodbye` when `session.calls` is empty."""
        self._require(Op.DRAIN)
        notice = Notice(self._seen, retry_after_ms, code, detail[:MAX_TEXT_CHARACTERS])
        self._put(0, Op.DRAIN, write_payload(notice))
        self._enter(ConnectionState.DRAINING)

    def connection_lost(self) -> list[Event]:
        """As `Connection.connection_lost`; outcomes that come now wait for the session's next connection."""
        super().connection_lost()
        if self.session.deliver is not self._passes_on:
            return []
        self.session.deliver = None
        return [Cancelled(call_id) for call_id in self.session.connection_lost()]

    @property
    def is_between_frames(self) -> bool:
        """Whether the next byte that comes is the first one of a frame, and a call may come."""
        return self.state is ConnectionState.OPEN and self._inbox.is_empty

    @property
    def result_bytes(self) -> int:
        """The largest result that the client takes."""
        return self._hello.result_bytes

    # outcomes

    def send_bound(self, bind_id: int, prepare_us: int = 0) -> None:
        """The function is there."""
        self._answer(bind_id, Op.BOUND, write_payload(Bound(prepare_us)))

    def send_result(self, call_id: int, results: bytes, prepare_us: int = 0, run_us: int = 0) -> None:
        """Return results, a body as in `lawow.channel.bodies`. Raises `LocalProtocolError` if too large.

        This and the other outcomes may be sent after the connection was lost, by the object that had the
        call: the session passes them on.
        """
        if len(results) > self._hello.result_bytes:
            raise LocalProtocolError(
                f"results of {len(results)} bytes; the client takes {self._hello.result_bytes}"
            )
        payload = RESULT_FIELDS.pack(prepare_us, run_us) + results
        session, size = self.session, len(payload)
        call = session.calls.get(call_id)
        if (
            call is None
            or call.state is not AFTER_CALL
            or call.is_binding
            or session.deliver is not self._passes_on
            or self.state is not ConnectionState.OPEN
            or size > SMALL_BYTES
        ):
            self._answer(call_id, Op.RESULT, payload)
            return
        session.kept.keep(call_id, RESULT, payload, self._now)  # what `_answer` does for most, in less time
        del session.calls[call_id]
        session.call_bytes -= call.size
        self._out.append(HEAD.pack(size + COUNTED_BYTES, call_id, RESULT, 0) + payload)

    def send_results(self, answers: bytes, outcomes: Iterable[tuple[int, bytes]], count: int) -> None:
        """Return the results of calls that came first, of those received, as whole RESULT frames.

        The owner has read those calls itself (`lawow.channel.bursts`); what came behind them goes to
        `receive_data`. `outcomes` are ids and payloads of the frames, all of which have the same length.
        """
        if self.state is not ConnectionState.OPEN:
            raise LocalProtocolError(f"no calls come while the connection is {self.state.value}")
        session = self.session
        _, session.last_id, _, _ = HEAD.unpack_from(answers, len(answers) - len(answers) // count)
        if count == 1:
            session.kept.keep(session.last_id, RESULT, answers[HEAD.size :], self._now)
        else:
            size = len(answers) - count * HEAD.size
            session.kept.keep_all(RESULT, outcomes, count, size, self._now)
        self._out.append(answers)
        self._heard = True
        self._note_seen()

    def send_trap(
        self,
        call_id: int,
        code: str,
        detail: str,
        guest_frames: Sequence[str] = (),
        status: int = 0,
        *,
        prepare_us: int = 0,
        run_us: int = 0,
    ) -> None:
        """Say that the guest trapped; long texts are cut."""
        shown = tuple(text[:MAX_GUEST_FRAME_CHARACTERS] for text in guest_frames[:MAX_GUEST_FRAMES])
        trap = Trap(prepare_us, run_us, status, code, detail[:MAX_TEXT_CHARACTERS], shown)
        self._answer(call_id, Op.TRAP, write_payload(trap))

    def send_refused(self, frame_id: int, code: str, detail: str, retry_after_ms: int = 0) -> None:
        """Say that nothing was begun, of a call, a binding, a channel to open, or a move."""
        payload = write_payload(Refusal(retry_after_ms, code, detail[:MAX_TEXT_CHARACTERS]))
        if frame_id in self.session.channels:
            self._refuse_channel(frame_id, payload)
        else:
            self._inbox.divert(frame_id)
            self._answer(frame_id, Op.REFUSED, payload)

    def send_failed(self, call_id: int, code: str, detail: str, retry_after_ms: int = 0) -> None:
        """Say that the call was begun and has no result."""
        payload = write_payload(Refusal(retry_after_ms, code, detail[:MAX_TEXT_CHARACTERS]))
        self._answer(call_id, Op.FAILED, payload)

    # inside

    def _answer(self, call_id: int, operation: Op, payload: bytes) -> None:
        """Send the outcome of a call, or keep it for a client that is away."""
        session = self.session
        call = session.calls.get(call_id)
        if call is None or call.state is CallState.STOPPING:
            raise LocalProtocolError(f"call {call_id} has its outcome already, or never was")
        if operation is not Op.REFUSED and call.is_binding is not (operation is Op.BOUND):
            raise LocalProtocolError(f"{operation.name} is no answer to id {call_id}")
        if call.state is AFTER_CALL:
            then = AFTER_OUTCOME[operation]
        else:
            then = require_step(CALL, self.role, call.state, SEND, operation.name, f"call {call_id}")
        if then is CallState.DONE:
            session.kept.keep(call_id, operation, payload, self._now)
            session.bindings -= call.is_binding and operation is Op.REFUSED
        call.state = then
        if session.deliver is None:
            session.end_call(call_id)
        else:
            session.deliver(call_id, operation, payload)

    def _pass_on(self, call_id: int, operation: int, payload: bytes) -> None:
        """Send an outcome, and forget the call with its last byte."""
        end_call = self.session.end_call
        if operation not in self._may_send:
            end_call(call_id)
            return
        if len(payload) <= self._peer_frame_bytes:
            self._put_pieces(HEAD.pack(len(payload) + COUNTED_BYTES, call_id, operation, 0), payload)
        elif not self._put_bulk(
            call_id, Op.RESULT, payload[:8], memoryview(payload)[8:], lambda: end_call(call_id)
        ):
            self.session.calls[call_id].state = CallState.ANSWERING
            return
        if self.session.calls[call_id].state is CallState.DONE:
            end_call(call_id)

    def _drop_unlisted(self) -> list[Event]:
        """Forget what the client has already or has given up."""
        session = self.session
        session.kept.drop_others(set(self._hello.calls))
        listed = {mark.id for mark in self._hello.channels}
        gone = [channel_id for channel_id in session.channels if channel_id not in listed]
        for channel_id in gone:
            del session.channels[channel_id]
        return [ChannelEnded(channel_id, "reset", "") for channel_id in gone]

    def _resume(self) -> None:
        """Send again what the client has not received."""
        for call_id in self._hello.calls:
            if call_id in self.session.kept:
                self._send_kept(call_id, *self.session.kept.get(call_id))
        for mark in self._hello.channels:
            end = self.session.channels.get(mark.id)
            if end is None or end.state is ChannelState.OPENING:
                continue
            if end.received == end.started_at:  # the client may not know yet that it is open
                self._put(mark.id, Op.OPENED, write_payload(Opened(end.window, end.started_at)))
            end.write_again(mark.received)
            self._put_credit(mark.id, end)
            self._write(mark.id, end)
            if end.state is ChannelState.MOVED:
                self._put(mark.id, Op.MOVED, end.moved)

    def _send_kept(self, call_id: int, operation: int, payload: bytes) -> None:
        if len(payload) <= self._peer_frame_bytes:
            self._out.append(frame(call_id, operation, payload))
        else:
            self._put_bulk(call_id, Op.RESULT, payload[:8], memoryview(payload)[8:], lambda: None)

    def _note_seen(self) -> None:
        self._seen = self.session.last_id

    def _seen_id(self) -> int:
        return self._seen

    def tick(self, now: float) -> list[Event]:
        """As `Connection.tick`; outcomes that are too old are let go."""
        self.session.kept.expire(now)
        return super().tick(now)

    def _is_old_id(self, frame_id: int) -> bool:
        return frame_id <= self.session.last_id or self.state is ConnectionState.DRAINING

    def _all_handlers(self) -> dict[int, Handler]:
        opens = (self._on_bind, self._on_call, self._on_open)
        if self.state is ConnectionState.DRAINING:
            opens = (self._on_late, self._on_late, self._on_late)
        return super()._all_handlers() | {
            Op.HELLO: self._on_hello,
            Op.ACK: self._on_ack,
            Op.BIND: opens[0],
            Op.CALL: opens[1],
            Op.CANCEL: self._on_cancel,
            Op.CONTINUE: self._on_continue,
            PLACED: self._on_placed,
            Op.OPEN: opens[2],
            Op.MOVE: self._on_move,
        }

    def _on_late(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        """Drop what the client opened before it knew of DRAIN, which tells it that this was not seen."""

    def _on_hello(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        self._require_connection_id(frame_id, Op.HELLO)
        hello = read_payload(Hello, payload)
        self._enter(ConnectionState.GREETED)
        if not hello.lowest <= VERSION <= hello.highest:
            versions = f"{hello.lowest} to {hello.highest}"
            self.send_goodbye("version", f"this end speaks version {VERSION}, the other one {versions}")
            events.append(Lost("version"))
            return
        if hello.frame_bytes < self.limits.control_bytes:
            raise RemoteProtocolError(f"HELLO with frames of {hello.frame_bytes} bytes")
        if _repeats(hello.calls) or _repeats([mark.id for mark in hello.channels]):
            raise RemoteProtocolError("HELLO names a call or a channel twice")
        self._hello = hello
        self._peer_frame_bytes = hello.frame_bytes
        events.append(Greeted(VERSION, hello.token, hello.session))

    def _on_ack(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        self._require_connection_id(frame_id, Op.ACK)
        for call_id in read_payload(Ack, payload).ids:
            self.session.kept.drop(call_id)

    def _begin(self, frame_id: int, size: int, state: CallState) -> Call:
        """Take note of a new call, if it is one and there is room for it."""
        session, limits = self.session, self.limits
        if frame_id <= session.last_id:
            raise RemoteProtocolError(f"id {frame_id} after id {session.last_id}; each must be larger")
        if len(session.calls) >= limits.calls:
            raise RemoteProtocolError(f"more than {limits.calls} calls without an outcome")
        session.call_bytes += size
        if session.call_bytes > limits.call_bytes:
            raise RemoteProtocolError(
                f"calls without an outcome have {session.call_bytes} bytes (allowed {limits.call_bytes})"
            )
        session.last_id = frame_id
        call = session.calls[frame_id] = Call(state, size)
        return call

    def _on_bind(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        bind = read_payload(Bind, payload)
        if self.session.bindings >= self.limits.bindings:
            raise RemoteProtocolError(f"more than {self.limits.bindings} functions")
        self._begin(frame_id, 0, CallState.RUNNING).is_binding = True
        self.session.bindings += 1
        events.append(FunctionAsked(frame_id, bind.target, bind.export, bind.signature))

    def _on_call(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        size = len(payload)
        if flags & PART:
            self._on_call_part(frame_id, payload)
        elif size < 8:
            raise RemoteProtocolError(f"CALL of {size} bytes (allowed 8 or more)")
        else:
            function, deadline_us = CALL_FIELDS.unpack_from(payload)
            self._begin(frame_id, size - 8, AFTER_CALL)
            events.append(Called(frame_id, function, deadline_us, payload[8:]))

    def _on_call_part(self, frame_id: int, payload: Payload) -> None:
        call, _ = self._expect(frame_id, PART, bytes(payload[:12]), len(payload))
        call.add(payload[12:])

    def _expect(self, frame_id: int, flags: int, head: bytes, size: int) -> tuple[Call, int]:
        """Begin a call whose arguments are not all here; return it and how long the fields of CALL are."""
        fields = CALL_PART_FIELDS if flags & PART else CALL_FIELDS
        if len(head) < fields.size:
            raise RemoteProtocolError(f"CALL of {size} bytes (allowed {fields.size} or more)")
        numbers = fields.unpack_from(head)
        first = size - fields.size
        whole = numbers[2] if flags & PART else first
        if flags & PART and first >= whole:
            raise RemoteProtocolError(f"CALL with {first} bytes of {whole} is no part")
        call = self._begin(frame_id, whole, CallState.SENDING if flags & PART else AFTER_CALL)
        memory = self._payload_buffer(frame_id, numbers[0], whole) if self._payload_buffer else None
        if memory is not None and memory.nbytes != whole:
            raise LocalProtocolError(f"memory of {memory.nbytes} bytes for arguments of {whole}")
        call.expect(whole, (numbers[0], numbers[1]), memory)
        return call, fields.size

    def _place(
        self, frame_id: int, operation: int, flags: int, head: bytes, size: int
    ) -> tuple[int, memoryview | None]:
        """Tell the inbox where a large frame's payload belongs."""
        call = self.session.calls.get(frame_id)
        if operation == Op.CALL and Op.CALL in self._handlers and self.state is ConnectionState.OPEN:
            self._require_flags(operation, flags)
            call, fields = self._expect(frame_id, flags, head, size)
        elif operation == Op.CONTINUE:
            fields = 0
        else:
            return 0, None
        if call is None or not isinstance(call.parts, memoryview) or call.state is CallState.STOPPING:
            return fields, None
        stop = call.filled + size - fields
        if stop > call.expected:
            raise RemoteProtocolError(f"id {frame_id} with {stop} bytes (allowed {call.expected})")
        return fields, call.parts[call.filled : stop]

    def _on_placed(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        """A large frame is complete, in its place or in memory of the inbox."""
        call = self.session.calls.get(frame_id)
        is_in_place = isinstance(payload, memoryview)
        if call is None:
            self._continue_message(frame_id, payload, events)
        elif call.state is AFTER_CALL and call.parts is not None:
            call.add(payload, is_in_place=is_in_place)
            self._arrived(frame_id, call, events)
        else:
            self._continue_call(frame_id, call, payload, events, is_in_place)

    def _on_continue(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        call = self.session.calls.get(frame_id)
        if call is None:
            self._continue_message(frame_id, payload, events)
        else:
            self._continue_call(frame_id, call, payload, events, False)

    def _continue_call(
        self, frame_id: int, call: Call, payload: Payload, events: list[Event], is_in_place: bool
    ) -> None:
        filled = call.filled + len(payload)
        was_stopping = call.state is CallState.STOPPING
        call.state = self._call_step(frame_id, call, "LAST" if filled == call.expected else "CONTINUE")
        if not payload or filled > call.expected:
            raise RemoteProtocolError(f"CONTINUE for id {frame_id} with {len(payload)} bytes")
        if was_stopping:
            call.filled = filled
            if call.state is CallState.DONE:
                self.session.end_call(frame_id)
            return
        call.add(payload, is_in_place=is_in_place)
        if filled == call.expected:
            self._arrived(frame_id, call, events)

    def _arrived(self, frame_id: int, call: Call, events: list[Event]) -> None:
        """All arguments of a call are here."""
        assert call.parts is not None  # `_expect` made it
        events.append(Called(frame_id, *call.fields, call.parts))
        call.parts = None

    def _call_step(self, call_id: int, call: Call, event: str) -> CallState:
        return require_step(CALL, self.role, call.state, RECEIVE, event, f"call {call_id}")

    def _on_cancel(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        read_payload(Nothing, payload)
        call = self.session.calls.get(frame_id)
        if call is None:
            self._found(frame_id, Op.CANCEL)
            return
        was = call.state
        call.state = self._call_step(frame_id, call, "CANCEL")
        if was is CallState.STOPPING:
            self.session.end_call(frame_id)
        elif was is not CallState.ANSWERING:
            events.append(Cancelled(frame_id))
        if was is CallState.SENDING:
            self.send_refused(
                frame_id, "cancelled", "the client has cancelled the call before it was complete"
            )


def _repeats(ids: Sequence[int]) -> bool:
    """Whether an id stands there twice: each costs as much as what is kept for it."""
    return len(set(ids)) < len(ids)
