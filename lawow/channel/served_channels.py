"""What a server's end does for channels beside what both ends do: opening them, refusing, moving.

The flexible end of a channel is the server's; `lawow.channel.exchange` has messages, credit and closing.
Defined by docs/PROTOCOL.md, "Channels" and "Moving".
"""

from __future__ import annotations

from lawow.channel.events import ChannelAsked, Event, MoveAsked
from lawow.channel.exchange import ExchangingConnection
from lawow.channel.frames import Op
from lawow.channel.inbox import Payload
from lawow.channel.payloads import Kind, Move, Moved, Open, Opened, Policy, read_payload, write_payload
from lawow.channel.sequences import ChannelEnd, Position
from lawow.channel.sessions import ServerSession
from lawow.channel.states import ChannelState, Direction
from lawow.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["ServedChannels"]

SEND, RECEIVE = Direction.SEND, Direction.RECEIVE


class ServedChannels(ExchangingConnection):
    """The part of a server's connection that is about channels."""

    session: ServerSession

    def send_opened(self, channel_id: int, position: Position | None = None) -> None:
        """Accept a channel; with a `position` it goes on where the flexible end's former host stopped.

        Raises `LocalProtocolError` if the client has received another number of messages than were sent.
        """
        self._require(Op.OPENED)
        end = self.channel(channel_id)
        at = Position() if position is None else position
        if at.sent != end.asked_received:
            raise LocalProtocolError(
                f"the client has received {end.asked_received} messages, sent were {at.sent}; refuse it"
            )
        end.state = self._step(end, SEND, "OPENED")
        end.start_at(at)
        self._put(channel_id, Op.OPENED, write_payload(Opened(end.window, at.received)))

    def send_moved(self, channel_id: int, endpoint: str, ticket: bytes) -> Position:
        """Say where the frozen flexible end goes on, and return the position that its next host needs.

        What it did not take (`send_credit`) goes to the next host. An empty endpoint is the client itself.
        """
        self._require(Op.MOVED)
        end = self.channel(channel_id)
        payload = write_payload(Moved(end.taken, end.sent, endpoint, ticket))
        end.state = self._step(end, SEND, "MOVED")
        end.moved = payload
        self._put(channel_id, Op.MOVED, payload)
        return Position(end.taken, end.sent)

    # inside

    def _refuse_channel(self, channel_id: int, payload: bytes) -> None:
        self._require(Op.REFUSED)
        end = self.channel(channel_id)
        end.state = self._step(end, SEND, "REFUSED")
        if end.state is ChannelState.CLOSED:
            del self.session.channels[channel_id]
        self._put(channel_id, Op.REFUSED, payload)

    def _on_open(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        asked = read_payload(Open, payload)
        session, limits = self.session, self.limits
        if asked.kind not in set(Kind) or asked.policy not in set(Policy):
            raise RemoteProtocolError(
                f"OPEN of kind {asked.kind} with policy {asked.policy} (allowed 0 to 1, 2)"
            )
        if asked.received and not asked.ticket:
            raise RemoteProtocolError(f"OPEN after {asked.received} messages without a ticket")
        if len(session.channels) >= limits.channels:
            raise RemoteProtocolError(f"more than {limits.channels} channels")
        if frame_id <= session.last_id:
            raise RemoteProtocolError(f"id {frame_id} after id {session.last_id}; each must be larger")
        session.last_id = frame_id
        kind, policy = Kind(asked.kind), Policy(asked.policy)
        end = ChannelEnd(kind, policy, asked.name, asked.type, limits.window_bytes)
        end.peer_window, end.asked_received = asked.window_bytes, asked.received
        end.state = ChannelState.OPENING
        session.channels[frame_id] = end
        events.append(
            ChannelAsked(frame_id, kind, policy, asked.name, asked.type, asked.received, asked.ticket)
        )

    def _on_move(self, frame_id: int, flags: int, payload: Payload, events: list[Event]) -> None:
        move = read_payload(Move, payload)
        end = self._found(frame_id, Op.MOVE)
        if end is None:
            return
        was = end.state
        end.state = self._step(end, RECEIVE, "MOVE")
        if was is ChannelState.OPEN:
            events.append(MoveAsked(frame_id, move.destination))
