"""Host functions by which a guest takes and gives messages of channels: the grant ``channel``.

A module imports them from ``lawow:channel``::

    receive(address: i32, capacity: i32) -> i32    size of the next message, which is copied and taken if it
                                                   fits; -1: there is none
    room() -> i32                                  size of the largest message that can be sent; -1: none
    send(address: i32, length: i32) -> i32         1: it goes out when the call has returned; 0: no room
    publish(name: i32, name_length: i32, address: i32, length: i32) -> i32       the same, to a topic

A message is one value of the channel's type, laid out as an argument is (docs/edge.md, "Values"). Nothing in
here waits: whoever runs the guest puts a `Mailbox` in place before the call, and looks into it afterwards, so
a call that traps has taken and sent nothing. Without one there are no messages and there is no room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lawow.runtime.host_functions import GuestMemory, HostFunction

__all__ = ["FUNCTIONS", "Mailbox", "mailbox_in_place"]

MODULE = "lawow:channel"
NAME_BYTES = 256
Check = Callable[[bytes], object]
Publish = Callable[[str, int], bool]


class Mailbox:
    """What one call of a guest finds and leaves. `taken` counts the messages that it took, from the front."""

    def __init__(
        self,
        arrived: list[bytes],
        room_bytes: int,
        message_bytes: int,
        check: Check,
        may_publish: Publish,
    ) -> None:
        """Each message to send counts `message_bytes` on top of its own, together at most `room_bytes`.

        `check` raises for what is no value of the channel's type; `may_publish` tells whether a topic takes
        so many bytes.
        """
        self._waiting = deque(arrived)
        self._room_bytes = room_bytes
        self._message_bytes = message_bytes
        self._check = check
        self._may_publish = may_publish
        self.taken = 0
        self.sent: list[bytes] = []
        self.published: list[tuple[str, bytes]] = []

    def receive(self, memory: GuestMemory, address: int, capacity: int) -> int:
        """See the module."""
        if not self._waiting:
            return -1
        size = len(self._waiting[0])
        if size <= capacity:
            memory.write(address, self._waiting.popleft())
            self.taken += 1
        return size

    def room(self, memory: GuestMemory) -> int:
        """See the module."""
        return max(self._room_bytes - self._message_bytes, -1)

    def send(self, memory: GuestMemory, address: int, length: int) -> int:
        """See the module."""
        if length + self._message_bytes > self._room_bytes:
            return 0
        value = memory.read(address, length)
        self._check(value)
        self._room_bytes -= length + self._message_bytes
        self.sent.append(value)
        return 1

    def publish(
        self, memory: GuestMemory, name_address: int, name_length: int, address: int, length: int
    ) -> int:
        """See the module."""
        if name_length > NAME_BYTES:
            raise ValueError(f"the name of a topic has at most {NAME_BYTES} bytes")
        name = memory.read(name_address, name_length).decode()
        if not self._may_publish(name, length + self._message_bytes):
            return 0
        self.published.append((name, memory.read(address, length)))
        return 1


_in_place: list[Mailbox] = []
"""At most one: a worker runs one guest at a time."""


@contextmanager
def mailbox_in_place(mailbox: Mailbox) -> Iterator[None]:
    """Let the guest that runs meanwhile use a mailbox."""
    _in_place.append(mailbox)
    try:
        yield
    finally:
        _in_place.clear()


def _receive(memory: GuestMemory, address: int, capacity: int) -> int:
    return _in_place[0].receive(memory, address, capacity) if _in_place else -1


def _room(memory: GuestMemory) -> int:
    return _in_place[0].room(memory) if _in_place else -1


def _send(memory: GuestMemory, address: int, length: int) -> int:
    return _in_place[0].send(memory, address, length) if _in_place else 0


def _publish(memory: GuestMemory, name: int, name_length: int, address: int, length: int) -> int:
    return _in_place[0].publish(memory, name, name_length, address, length) if _in_place else 0


FUNCTIONS = (
    HostFunction(MODULE, "receive", "ii>i", _receive),
    HostFunction(MODULE, "room", ">i", _room),
    HostFunction(MODULE, "send", "ii>i", _send),
    HostFunction(MODULE, "publish", "iiii>i", _publish),
)
