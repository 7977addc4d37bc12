"""What both ends of an elastic channel are to a program: messages go in and come out, in order, each once.

An end outlives its connections and, on the flexible side, its hosts: it is attached to whatever carries it at
the moment. A program that does not receive stops the other end's sending when the window is full; what waits
here is a window, and one more for each move meanwhile. Sync and async calls may be mixed. Locks are taken in
the order carrier, end.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from lawow.channel.documents import Value
from lawow.channel.events import Message
from lawow.channel.exchange import ExchangingConnection
from lawow.channel.messages import pack_message, require_message_type, unpack_message
from lawow.channel.sequences import MESSAGE_BYTES, ChannelEnd
from lawow.channel.states import ChannelState
from lawow.errors import FormatError, LawowError, LimitExceeded, LocalProtocolError, RemoteProtocolError
from lawow.limits import CHANNEL

__all__ = ["Carrier", "ChannelClosed", "MessageEnd"]

ANSWER_BYTES = CHANNEL.window_bytes // 2
T = TypeVar("T")


class ChannelClosed(LawowError):
    """The other end has closed, and all that it sent was received; or this end was closed."""


class Carrier(Protocol):
    """What carries an end: a connection, its lock, and a way to tell that there is something to send."""

    lock: threading.RLock

    @property
    def exchange(self) -> ExchangingConnection:
        """The connection, which may be closed at the moment."""

    def wake(self) -> None:
        """There may be something to send."""


class MessageEnd:
    """One end. `missed` counts messages of a topic that were dropped because this end was too slow."""

    def __init__(self, name: str, type_name: str) -> None:
        """`type_name` is a WIT type of `MESSAGE_TYPES`. Raises `FormatError` for another."""
        require_message_type(type_name)
        self.name = name
        self.type_name = type_name
        self.missed = 0
        self._changed = threading.Condition()
        self._version = 0
        self._watchers: list[Callable[[], object]] = []
        self._arrived: deque[tuple[int, int, bytes]] = deque()  # sequence, missed before it, value
        self._carried: tuple[Carrier, int] | None = None
        self._peer_closed = False
        self._is_closed = False
        self._ended: LawowError | None = None

    # for programs

    def send(self, value: Value, *, timeout_seconds: float | None = None) -> None:
        """Send a message; waits while the other end has no room, moves, or cannot be reached.

        Raises `FormatError` for a value that is not of the channel's type, `LimitExceeded` for one that is
        larger than a window or when the time is over (nothing was sent then), `ChannelClosed`, `HostLost`.
        """
        data = self._packed(value)
        self._until(lambda: self._try_send(data), timeout_seconds)

    async def send_async(self, value: Value, *, timeout_seconds: float | None = None) -> None:
        """Send a message, as `send`."""
        data = self._packed(value)
        await self._until_async(lambda: self._try_send(data), timeout_seconds)

    def receive(self, *, timeout_seconds: float | None = None) -> Value:
        """Return the next message. Raises `LimitExceeded` in time, `ChannelClosed`, `HostLost`."""
        return self._unpacked(self._until(self._try_receive, timeout_seconds))

    async def receive_async(self, *, timeout_seconds: float | None = None) -> Value:
        """Return the next message, as `receive`. A task that is cancelled has taken none."""
        return self._unpacked(await self._until_async(self._try_receive, timeout_seconds))

    def answer(self, function: Callable[[Value], Value], *, timeout_seconds: float | None = None) -> None:
        """Take the next message and send what `function` makes of it, in one step to a move.

        `function` runs while the carrier is held, so it should be quick; an answer has half a window at most.
        Raises as `send` and `receive`.
        """
        self._until(lambda: self._try_answer(function), timeout_seconds)

    def __iter__(self) -> MessageEnd:
        return self

    def __next__(self) -> Value:
        try:
            return self.receive()
        except ChannelClosed:
            raise StopIteration from None

    def __aiter__(self) -> MessageEnd:
        return self

    async def __anext__(self) -> Value:
        try:
            return await self.receive_async()
        except ChannelClosed:
            raise StopAsyncIteration from None

    def close(self, *, timeout_seconds: float | None = None) -> None:
        """Send no more; the other end still receives all that was sent, and may go on sending."""
        self._until(self._try_close, timeout_seconds)

    # for carriers, which hold their lock

    def attach(self, carrier: Carrier, channel_id: int) -> None:
        """Go on over this carrier."""
        self._carried = (carrier, channel_id)
        self.poke()

    def detach(self, *, forgets_untaken: bool = False) -> None:
        """Wait for another carrier; what was not taken comes again there if it is forgotten here."""
        with self._changed:
            self._carried = None
            if forgets_untaken:
                self._arrived.clear()

    def deliver(self, message: Message) -> None:
        """Queue a message."""
        with self._changed:
            self._arrived.append((message.sequence, message.missed, bytes(message.value)))
        self.poke()

    def peer_closed(self) -> None:
        """The other end sends no more."""
        self._peer_closed = True
        self.poke()

    def end(self, error: LawowError) -> None:
        """Nothing comes or goes any more; what has come can still be received."""
        self._ended = self._ended or error
        self._carried = None
        self.poke()

    def poke(self) -> None:
        """Something has changed: let all that wait look again."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    # inside

    def _packed(self, value: Value, most: int = CHANNEL.window_bytes - MESSAGE_BYTES) -> bytes:
        data = pack_message(self.type_name, value)
        if len(data) > most:
            raise LimitExceeded("window_bytes", len(data), most, subject=f"channel {self.name}: a message")
        return data

    def _unpacked(self, data: bytes) -> Value:
        try:
            return unpack_message(self.type_name, data)
        except FormatError as error:
            raise RemoteProtocolError(
                f"channel {self.name}: a message is no {self.type_name}: {error}"
            ) from None

    def _try_send(self, data: bytes) -> bool | None:
        carried = self._require_carried()
        if carried is None:
            return None
        carrier, channel_id = carried
        with carrier.lock:
            if self._carried != carried or not carrier.exchange.can_send(channel_id, len(data)):
                return None
            carrier.exchange.send_message(channel_id, data)
        carrier.wake()
        return True

    def _try_receive(self) -> bytes | None:
        carried = self._carried
        if carried is None:
            return self._pop()
        with carried[0].lock:  # taken and credited are one step to a move
            data = self._pop(carried)
        carried[0].wake()
        return data

    def _try_answer(self, function: Callable[[Value], Value]) -> bool | None:
        carried = self._require_carried()
        if carried is None:
            return None
        carrier, channel_id = carried
        with carrier.lock:
            if self._carried != carried or not carrier.exchange.can_send(channel_id, ANSWER_BYTES):
                return None
            data = self._pop(carried)
            if data is None:
                return None
            answer = self._packed(function(self._unpacked(data)), ANSWER_BYTES)
            carrier.exchange.send_message(channel_id, answer)
        carrier.wake()
        return True

    def _pop(self, carried: tuple[Carrier, int] | None = None) -> bytes | None:
        """Take the first message, and tell the other end that it was taken."""
        with self._changed:
            if not self._arrived:
                if self._peer_closed:
                    raise ChannelClosed(f"channel {self.name}: the other end has closed it")
                self._raise_if_ended()
                return None
            sequence, missed, data = self._arrived.popleft()
        self.missed += missed
        if carried is not None and self._carried == carried:
            _credit(*carried, sequence)
        return data

    def _try_close(self) -> bool | None:
        carried = self._require_carried()
        if carried is None:
            return None
        carrier, channel_id = carried
        with carrier.lock:
            if self._carried != carried or not self._may_close(carrier.exchange, channel_id):
                return None
            carrier.exchange.send_close(channel_id)
            self._is_closed = True
        carrier.wake()
        return True

    def _may_close(self, exchange: ExchangingConnection, channel_id: int) -> bool:
        is_moving = exchange.channel(channel_id).state is ChannelState.MOVING
        return exchange.can_send(channel_id, 0) and not is_moving

    def _require_carried(self) -> tuple[Carrier, int] | None:
        if self._is_closed:
            raise ChannelClosed(f"channel {self.name}: this end is closed")
        self._raise_if_ended()
        return self._carried

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise type(self._ended)(str(self._ended))

    def _until(self, attempt: Callable[[], T | None], timeout_seconds: float | None) -> T:
        """Repeat an attempt after each change until it gives something."""
        ends = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            version = self._version
            found = attempt()
            if found is not None:
                return found
            left = None if ends is None else ends - time.monotonic()
            with self._changed:
                if not self._changed.wait_for(lambda seen=version: self._version != seen, left):  # type: ignore[misc]
                    raise _too_late(self.name, timeout_seconds)

    async def _until_async(self, attempt: Callable[[], T | None], timeout_seconds: float | None) -> T:
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    version = self._version
                    found = attempt()
                    if found is not None:
                        return found
                    await self._change_after(version)
        except TimeoutError:
            raise _too_late(self.name, timeout_seconds) from None

    async def _change_after(self, version: int) -> None:
        """Wait until something has changed since `version`."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        with self._changed:
            if self._version != version:
                return
            self._watchers.append(lambda: _wake_loop(loop, changed))
        await changed.wait()


def _credit(carrier: Carrier, channel_id: int, sequence: int) -> None:
    """Say that a message was taken; if the connection is lost, its successor says it."""
    exchange = carrier.exchange
    end: ChannelEnd | None = exchange.session.channels.get(channel_id)
    if end is None:
        return
    try:
        exchange.send_credit(channel_id, sequence)
    except LocalProtocolError:  # the connection is lost, or the other end is moving
        end.take(min(sequence, end.received))


def _wake_loop(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(changed.set)


def _too_late(name: str, seconds: float | None) -> LimitExceeded:
    return LimitExceeded("timeout_seconds", "over", seconds, subject=f"channel {name}")
