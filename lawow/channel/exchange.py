"""What both ends of a connection do for channels: messages, credit, closing, ending.

Opening and moving differ between the ends: `lawow.channel.client` and `lawow.channel.server`.
Defined by docs/PROTOCOL.md, "Channels".
"""

from __future__ import annotations

import struct

from lawow.channel.connection import Connection, Handler, require_step
from lawow.channel.events import ChannelEnded, Event, Message, PeerClosed, Writable
from lawow.channel.frames import COUNTED_BYTES, HEAD, PART, Op
from lawow.channel.inbox import Payload
from lawow.channel.payloads import Close, Credit, Reset, read_payload, write_payload
from lawow.channel.sequences import ChannelEnd
from lawow.channel.sessions import Session
from lawow.channel.states import CHANNEL, ChannelState, Direction, Role
from lawow.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["ExchangingConnection"]

SEQUENCE = struct.Struct("<Q")
PART_FIELDS = struct.Struct("<QI")
SEND, RECEIVE = Direction.SEND, Direction.RECEIVE


class ExchangingConnection(Connection):
    """A connection with a session, over whose channels messages go both ways."""

    session: Session

    def channel(self, channel_id: int) -> ChannelEnd:
        """Return an open channel. Raises `LocalProtocolError` if there is none with this id."""
        found = self.session.channels.get(channel_id)
        if found is None:
            raise LocalProtocolError(f"there is no channel {channel_id}")
        return found

    def can_send(self, channel_id: int, size: int) -> bool:
        """Tell whether a message of `size` bytes has room in the receiver's window now."""
        return Op.MESSAGE in self._may_send and self.channel(channel_id).room_for(size)

    def send_message(self, channel_id: int, value: bytes) -> int:
        """Send a message and return its sequence number; it is kept until the receiver has taken it."""
        self._require(Op.MESSAGE)
        end = self.channel(channel_id)
        if not self._is_held(end):
            self._step(end, SEND, "MESSAGE")
        sequence = end.keep(value)
        self._write(channel_id, end)
        return sequence

    def send_credit(self, channel_id: int, taken: int) -> None:
        """Say that all messages up to `taken` are taken: they count no longer, and will not come again."""
        self._require(Op.CREDIT)
        end = self.channel(channel_id)
        state = self._step(end, SEND, "CREDIT")
        if end.take(taken):
            end.state = state
            self._put_credit(channel_id, end)
        self._settle(channel_id, end)

    def send_close(self, channel_id: int) -> None:
        """Send no more messages; those of the other end still come."""
        self._require(Op.CLOSE)
        end = self.channel(channel_id)
        end.state = self._step(end, SEND, "CLOSE")
        end.keep_close()
        self._write(channel_id, end)

    def send_reset(self, channel_id: int, code: str, detail: str = "") -> None:
        """End a channel in both directions, whatever is on its way."""
        self._require(Op.RESET)
        end = self.channel(channel_id)
        end.state = self._step(end, SEND, "RESET")
        self._put(channel_id, Op.RESET, write_payload(Reset(code, detail)))
        del self.session.channels[channel_id]

    def end_channel(self, channel_id: int, code: str, detail: str = "") -> None:
        """End a channel as `send_reset` does; a client that is away learns it when it comes back."""
        if Op.RESET in self._may_send:
            self.send_reset(channel_id, code, detail)
        else:
            self.channel(channel_id).state = ChannelState.CLOSED
            del self.session.channels[channel_id]

    def _all_handlers(self) -> dict[int, Handler]:
        return super()._all_handlers() | {
            Op.MESSAGE: self._on_message,
            Op.CREDIT: self._on_credit,
            Op.CLOSE: self._on_close,
            Op.RESET: self._on_reset,
        }

    def _is_old_id(self, frame_id: int) -> bool:
        """Tell whether the client has used this id."""
        raise NotImplementedError

    def _found(self, frame_id: int, operation: Op) -> ChannelEnd | None:
        """Return the channel a frame is for, or None for one that has ended. Raises `RemoteProtocolError`."""
        end = self.session.channels.get(frame_id)
        if end is None and not (frame_id and self._is_old_id(frame_id)):
            raise RemoteProtocolError(f"{operation.name} for id {frame_id}, which was never opened")
        return end

    def _step(self, end: ChannelEnd, direction: Direction, event: str) -> ChannelState:
        subject = f"channel {end.name!r:.80}"
        return require_step(CHANNEL, self.role, end.state, direction, event, subject)

    def _put_message(self, channel_id: int, sequence: int, value: bytes) -> None:
        """Send a message in as many frames as it needs; it is no larger than a window."""
        size = SEQUENCE.size + len(value)
        if size <= self._peer_frame_bytes:
            head = HEAD.pack(size + COUNTED_BYTES, channel_id, Op.MESSAGE, 0)
            self._put_pieces(head + SEQUENCE.pack(sequence), value)
            return
        view = memoryview(value)
        first = self._peer_frame_bytes - PART_FIELDS.size
        head = HEAD.pack(self._peer_frame_bytes + COUNTED_BYTES, channel_id, Op.MESSAGE, PART)
        self._put_pieces(head + PART_FIELDS.pack(sequence, len(value)), view[:first])
        for at in range(first, len(value), self._peer_frame_bytes):
            piece = view[at : at + self._peer_frame_bytes]
            self._put_pieces(HEAD.pack(len(piece) + COUNTED_BYTES, channel_id, Op.CONTINUE, 0), piece)

    def _put_credit(self, channel_id: int, end: ChannelEnd) -> None:
        self._put(channel_id, Op.CREDIT, write_payload(Credit(end.taken, end.window)))

    def _is_held(self, end: ChannelEnd) -> bool:
        """Whether messages are only kept, because the other end moves: they go where it goes."""
        return end.state is ChannelState.MOVING and self.role is Role.CLIENT

    def _write(self, channel_id: int, end: ChannelEnd) -> None:
        """Send what was not sent yet and the window has room for."""
        if end.state is ChannelState.OPENING or self._is_held(end):
            return
        for sequence, value in end.to_write():
            if value is None:
                self._put(channel_id, Op.CLOSE, write_payload(Close(sequence)))
            else:
                self._put_message(channel_id, sequence, value)

    def _on_message(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        end = self._found(frame_id, Op.MESSAGE)
        if end is None:
            return
        fields = PART_FIELDS if flags & PART else SEQUENCE
        if len(payload) < fields.size:
            raise RemoteProtocolError(f"MESSAGE of {len(payload)} bytes (allowed {fields.size} or more)")
        then = self._step(end, RECEIVE, "MESSAGE_PART" if flags & PART else "MESSAGE")
        if end.assembly is not None:
            raise RemoteProtocolError("MESSAGE within another one on the same channel")
        numbers = fields.unpack_from(payload)
        if flags & PART:
            self._collect(end, numbers[0], numbers[1], payload[fields.size :])
        elif then is not ChannelState.MOVED:
            self._deliver(frame_id, end, numbers[0], payload[fields.size :], events)

    def _collect(self, end: ChannelEnd, sequence: int, size: int, first: Payload) -> None:
        if size > end.window or len(first) >= size:
            raise RemoteProtocolError(f"MESSAGE of {size} bytes in parts; the window has {end.window}")
        end.assembly = (sequence, size, bytearray(first))

    def _continue_message(self, frame_id: int, payload: Payload, events: list[Event]) -> None:
        """Take the next piece of a message."""
        end = self._found(frame_id, Op.CONTINUE)
        if end is None:
            return
        if end.assembly is None:
            raise RemoteProtocolError(f"CONTINUE for id {frame_id}, of which nothing is incomplete")
        sequence, size, parts = end.assembly
        parts += payload
        if not payload or len(parts) > size:
            raise RemoteProtocolError(f"CONTINUE for id {frame_id} with {len(payload)} bytes")
        then = self._step(end, RECEIVE, "LAST" if len(parts) == size else "CONTINUE")
        if len(parts) == size:
            end.assembly = None
            if then is not ChannelState.MOVED:
                self._deliver(frame_id, end, sequence, parts, events)

    def _deliver(
        self, frame_id: int, end: ChannelEnd, sequence: int, value: Payload, events: list[Event]
    ) -> None:
        missed = end.accept(sequence, value)
        if missed is not None:
            events.append(Message(frame_id, sequence, missed, value))

    def _on_credit(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        credit = read_payload(Credit, payload)
        end = self._found(frame_id, Op.CREDIT)
        if end is None:
            return
        end.state = self._step(end, RECEIVE, "CREDIT")
        end.let_go(credit.taken)
        end.peer_window = credit.window_bytes
        if end.state is not ChannelState.MOVED:
            events.append(Writable(frame_id, credit.taken))
            if end.written < end.sent:
                self._write(frame_id, end)
            self._settle(frame_id, end)

    def _on_close(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        close = read_payload(Close, payload)
        end = self._found(frame_id, Op.CLOSE)
        if end is None:
            return
        then = self._step(end, RECEIVE, "CLOSE")
        if end.assembly is not None:
            raise RemoteProtocolError("CLOSE within a message")
        if then is ChannelState.MOVED or not end.accept_close(close.sequence):
            return
        end.state = then
        events.append(PeerClosed(frame_id))
        self._write(frame_id, end)
        if end.taken == end.close_received:
            self._put_credit(frame_id, end)
        self._settle(frame_id, end)

    def _on_reset(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        reset = read_payload(Reset, payload)
        end = self._found(frame_id, Op.RESET)
        if end is None:
            return
        was_moved = end.state is ChannelState.MOVED
        end.state = self._step(end, RECEIVE, "RESET")
        del self.session.channels[frame_id]
        events.append(ChannelEnded(frame_id, "moved" if was_moved else reset.code, reset.detail))

    def _settle(self, channel_id: int, end: ChannelEnd) -> None:
        """Forget a channel of which nothing is on its way any more."""
        if end.state is ChannelState.BOTH_CLOSED and end.is_settled:
            end.state = ChannelState.CLOSED
            del self.session.channels[channel_id]
