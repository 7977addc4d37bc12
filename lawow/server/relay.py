"""One WebSocket connection of a client, relayed to the worker that holds its lease's instance.

Bytes alone are carried here. A binary message is any cut of the stream of frames, so nothing waits for the
rest of one; what the frames say, and whether the client's token is right, is the worker's business, as on its
own port. Text, compression, messages beyond `ChannelLimits.websocket_bytes` and floods of pings end the
connection. Neither end is read while the other does not take what came, and a client that does not read is
cut off. Source: RFC 6455; the `websockets` package knows its frames.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from dataclasses import dataclass
from typing import Protocol, cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from lawow.edge.refusals import QuotaExceeded
from lawow.limits import CHANNEL, EdgeLimits
from lawow.server.pace import ReadingPace

__all__ = ["Facts", "Overseer", "Relay"]

BUFFER_BYTES = 256 << 10
"""So much may wait for the client, and as much for the worker; one read comes on top."""
TURN_BYTES = 16 << 10
"""Of messages as small as a ping, this is 20 ms of work; then other connections have their turn."""
CLIENT, WORKER = "client", "worker"
DATA = (Opcode.BINARY, Opcode.CONT)


@dataclass(slots=True)
class Facts:
    """What the log tells of a connection. `tenant` is whose worker it reaches."""

    tenant: str
    address: str
    received_bytes: int = 0
    sent_bytes: int = 0


class Overseer(Protocol):
    """Who answers for all relays."""

    def note_answer(self, relay: Relay) -> None:
        """The worker answers for the first time. Raises `QuotaExceeded`: then the client is sent away."""

    def note_end(self, relay: Relay, error: Exception | None) -> None:
        """The connection is over."""

    def end_code(self) -> CloseCode:
        """Return why a worker ends a connection in good order."""


class Relay(asyncio.Protocol):
    """The client's end; `_WorkerEnd` is the other."""

    def __init__(
        self,
        websocket: ServerProtocol,
        accepted: Response,
        worker: socket.socket,
        facts: Facts,
        overseer: Overseer,
        limits: EdgeLimits,
    ) -> None:
        """`accepted` answers the client's request as soon as the worker can be spoken to."""
        self.facts = facts
        self._websocket = websocket
        self._accepted = accepted
        self._socket = worker
        self._overseer = overseer
        self._limits = limits
        self._worker: asyncio.Transport | None = None
        self._received: deque[memoryview] = deque()
        self._waits_for = {WORKER}
        self._is_due = False
        self._is_paused = False
        self._has_answered = False
        self._controls = 0
        self._counted_since = 0.0
        self._end_timer: asyncio.TimerHandle | None = None

    # the client's connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over from HTTP, and connect to the worker."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(BUFFER_BYTES)
        self._pace = ReadingPace(self._transport, self._limits)
        self._loop = asyncio.get_running_loop()
        self._joining = self._loop.create_task(self._join())

    async def _join(self) -> None:
        try:
            await self._loop.create_unix_connection(lambda: _WorkerEnd(self), sock=self._socket)
        except OSError:
            self._socket.close()
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the worker know; calls go on in the session."""
        self._pace.end()
        self._received.clear()
        if self._end_timer is not None:
            self._end_timer.cancel()
        if self._worker is not None:
            self._worker.close()
        self._overseer.note_end(self, exc)

    def data_received(self, data: bytes) -> None:
        """Work on what has come, or keep it until it is its turn."""
        self._received.append(memoryview(data))
        if not self._is_due:
            self._go_on()

    def pause_writing(self) -> None:
        """The client reads more slowly than its worker answers."""
        self._pace.begin()
        self._hold(CLIENT)
        if self._worker is not None and not self._worker.is_closing():
            self._worker.pause_reading()

    def resume_writing(self) -> None:
        """The client has read."""
        self._pace.end()
        if self._worker is not None and not self._worker.is_closing():
            self._worker.resume_reading()
        self._release(CLIENT)

    def close(self, code: CloseCode, reason: str = "") -> None:
        """End it in good order, with what the client has still to read."""
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(code, reason)
            self._flush()
            self._await_end()

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()

    @property
    def code(self) -> int | None:
        """The close code, None if it ended without one."""
        close = self._websocket.close_sent or self._websocket.close_rcvd
        return None if close is None else int(close.code)

    @property
    def has_answered(self) -> bool:
        """Whether the worker has said anything, if only that it knows no such token."""
        return self._has_answered

    # the worker's end

    def joined(self, worker: asyncio.Transport) -> None:
        """The worker can be spoken to: accept the client."""
        self._worker = worker
        if self._transport.is_closing():
            worker.close()
            return
        worker.set_write_buffer_limits(BUFFER_BYTES)
        self._websocket.send_response(self._accepted)
        self._flush()
        self._release(WORKER)

    def worker_sent(self, data: bytes) -> None:
        """Pass on what the worker says."""
        if self._websocket.state is not State.OPEN:
            return
        if not self._has_answered:
            self._has_answered = True
            try:
                self._overseer.note_answer(self)
            except QuotaExceeded as error:
                self.close(CloseCode.TRY_AGAIN_LATER, f"quota-exceeded: {error.quota}")
                return
        self.facts.sent_bytes += len(data)
        for at in range(0, len(data), CHANNEL.websocket_bytes):
            self._websocket.send_binary(data[at : at + CHANNEL.websocket_bytes])
        self._flush()

    def worker_is_slow(self) -> None:
        """The worker has not taken what came."""
        self._hold(WORKER)

    def worker_is_free(self) -> None:
        """The worker has taken it."""
        self._release(WORKER)

    def worker_lost(self) -> None:
        """The worker has said goodbye, or is gone."""
        self.close(self._overseer.end_code())

    # inside

    def _hold(self, end: str) -> None:
        """Read no more from the client, for the sake of one end."""
        self._waits_for.add(end)
        self._read_no_more()

    def _release(self, end: str) -> None:
        self._waits_for.discard(end)
        if not self._is_due:
            self._go_on()

    def _read_no_more(self) -> None:
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """Work on one piece of what has come, if both ends take what comes of it."""
        self._is_due = False
        if self._received and not self._waits_for:
            piece = self._received.popleft()
            if len(piece) > TURN_BYTES:
                self._received.appendleft(piece[TURN_BYTES:])
            self._take(piece[:TURN_BYTES])
        if self._waits_for:
            self._read_no_more()
        elif self._received:
            self._is_due = True
            self._read_no_more()
            self._loop.call_soon(self._go_on)
        elif self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def _take(self, piece: memoryview) -> None:
        if self._transport.is_closing():
            return
        self._websocket.receive_data(bytes(piece))
        parts = []
        for event in self._websocket.events_received():
            assert isinstance(event, Frame)  # the request came before
            if not self._admits(event):
                break
            if event.opcode in DATA:
                parts.append(event.data)
        data = b"".join(parts)
        if data and self._worker is not None and not self._worker.is_closing():
            self.facts.received_bytes += len(data)
            self._worker.write(data)
        self._flush()

    def _admits(self, frame: Frame) -> bool:
        """Tell whether to go on behind a frame; fails the connection if it is one that must not be."""
        if frame.opcode is Opcode.CLOSE:
            return False
        if frame.opcode is Opcode.TEXT:
            self._websocket.fail(CloseCode.UNSUPPORTED_DATA, "frames travel in binary messages")
            return False
        if frame.opcode not in DATA or not frame.data:
            self._controls += 1
            if self._controls > self._limits.websocket_controls_per_second and not self._is_new_second():
                self._websocket.fail(CloseCode.POLICY_VIOLATION, "too many pings and empty messages")
                return False
        return True

    def _is_new_second(self) -> bool:
        """Begin to count anew if a second has passed."""
        now = self._loop.time()
        if now - self._counted_since < 1:
            return False
        self._counted_since, self._controls = now, 1
        return True

    def _flush(self) -> None:
        """Send what WebSocket has to say; close the connection behind the last of it."""
        for item in self._websocket.data_to_send():
            if item:
                self._transport.write(item)
            elif self._websocket.close_rcvd is not None:
                self._transport.close()
                self._await_end()
            else:  # what the client still sends is thrown away: closed now, it might not see the reason
                self._await_end()

    def _await_end(self) -> None:
        """Give the client some time to take what is sent and to close; more as long as it reads."""
        if self._end_timer is None:
            unread = self._transport.get_write_buffer_size()
            self._end_timer = self._loop.call_later(self._limits.websocket_seconds, self._end_is_late, unread)

    def _end_is_late(self, unread_before: int) -> None:
        self._end_timer = None
        if 0 < self._transport.get_write_buffer_size() < unread_before:
            self._await_end()
        else:
            self._transport.abort()


class _WorkerEnd(asyncio.Protocol):
    """The other end of a relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._relay.joined(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._relay.worker_sent(data)

    def pause_writing(self) -> None:
        self._relay.worker_is_slow()

    def resume_writing(self) -> None:
        self._relay.worker_is_free()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.worker_lost()
