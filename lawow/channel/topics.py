"""One to many: a topic sends every message to all channels that were opened to it, and waits for none.

Each receiver chose a policy for itself: ``block`` makes `publish` impossible while it has no room,
``drop-oldest`` keeps at most a window of what waits and loses the front of it, ``disconnect`` ends its
channel. So a receiver that stalls costs at most two windows of memory, and delays nobody who did not ask.
"""

from __future__ import annotations

from collections import deque

from lawow.channel.payloads import Policy
from lawow.channel.sequences import MESSAGE_BYTES, ChannelEnd
from lawow.channel.server import ServerConnection
from lawow.errors import LocalProtocolError

__all__ = ["Topic"]


class _Receiver:
    """A channel that is open to the topic, and what waits for it."""

    __slots__ = ("channel_id", "connection", "dropped", "end", "waiting", "waiting_bytes")

    def __init__(self, connection: ServerConnection, channel_id: int, end: ChannelEnd) -> None:
        self.connection = connection
        self.channel_id = channel_id
        self.end = end
        self.waiting: deque[tuple[int, bytes]] = deque()  # how many were dropped before, and the message
        self.waiting_bytes = 0
        self.dropped = 0  # behind the last that waits

    def has_room(self, size: int) -> bool:
        """Whether a message can go out at once."""
        return not self.waiting and self.connection.can_send(self.channel_id, size)

    def wait(self, value: bytes) -> None:
        """Queue a message, and drop the oldest ones that have no room beside it."""
        self.waiting.append((self.dropped, value))
        self.waiting_bytes += len(value) + MESSAGE_BYTES
        self.dropped = 0
        while self.waiting_bytes > self.end.peer_window:
            before, oldest = self.waiting.popleft()
            self.waiting_bytes -= len(oldest) + MESSAGE_BYTES
            self._add_dropped(before + 1)

    def write(self) -> None:
        """Send what waits, as far as there is room."""
        while self.waiting and self.connection.can_send(self.channel_id, len(self.waiting[0][1])):
            before, value = self.waiting.popleft()
            self.waiting_bytes -= len(value) + MESSAGE_BYTES
            self.end.skip(before)
            self.connection.send_message(self.channel_id, value)

    def _add_dropped(self, count: int) -> None:
        if self.waiting:
            before, value = self.waiting[0]
            self.waiting[0] = (before + count, value)
        else:
            self.dropped += count


class Topic:
    """The receivers of one topic. Nothing in here opens, closes or names it."""

    def __init__(self) -> None:
        self._receivers: dict[int, _Receiver] = {}

    def __len__(self) -> int:
        return len(self._receivers)

    def join(self, connection: ServerConnection, channel_id: int) -> None:
        """Add an opened channel, or tell that a session's channel has another connection now."""
        end = connection.channel(channel_id)
        known = self._receivers.get(id(end))
        if known is None:
            self._receivers[id(end)] = _Receiver(connection, channel_id, end)
        else:
            known.connection = connection
            known.write()

    def leave(self, end: ChannelEnd) -> None:
        """Forget a channel that has ended; one that never joined does no harm."""
        self._receivers.pop(id(end), None)

    def can_publish(self, size: int) -> bool:
        """Tell whether every receiver with the policy ``block`` has room for a message of `size` bytes."""
        return all(
            receiver.has_room(size)
            for receiver in self._receivers.values()
            if receiver.end.policy is Policy.BLOCK
        )

    def publish(self, value: bytes) -> list[ChannelEnd]:
        """Send a message to all; return the channels that ended because they were too slow.

        Raises `LocalProtocolError`, and sends it to nobody, unless `can_publish`.
        """
        if not self.can_publish(len(value)):
            raise LocalProtocolError("a receiver that the topic must wait for has no room; wait for Writable")
        slow: list[ChannelEnd] = []
        for receiver in list(self._receivers.values()):
            if receiver.has_room(len(value)):
                receiver.connection.send_message(receiver.channel_id, value)
            elif receiver.end.policy is Policy.DROP_OLDEST:
                receiver.wait(value)
            else:
                slow.append(self._disconnect(receiver))
        return slow

    def writable(self, end: ChannelEnd) -> None:
        """A receiver has given credit: send what waits for it."""
        receiver = self._receivers.get(id(end))
        if receiver is not None:
            receiver.write()

    def _disconnect(self, receiver: _Receiver) -> ChannelEnd:
        self.leave(receiver.end)
        receiver.connection.end_channel(receiver.channel_id, "slow", "the receiver was too slow")
        return receiver.end
