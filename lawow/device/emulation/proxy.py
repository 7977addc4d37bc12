"""A TCP proxy on loopback that makes a fast link slow, long or lossy, and cuts connections on purpose.

For tests and benchmarks of programs that talk to an edge: it listens on 127.0.0.1 alone and hands every
connection on to one address. What is measured through it is *emulated*. Bytes are never changed, reordered or
dropped; a connection that is cut is reset on both sides, in the middle of whatever was on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from lawow.device.emulation.link import LinkShape
from lawow.errors import HostLost

__all__ = ["ShapingProxy"]

CHUNK_BYTES = 16 << 10
QUEUED_CHUNKS = 64  # 1 MiB on its way in each direction of a connection; then the sender waits
START_SECONDS = 10.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends RST and forgets what waits


@dataclass(slots=True)
class _Direction:
    """One way of the link, for all connections: when it is free again, and what it has carried."""

    free_at: float = 0.0
    carried_bytes: int = 0


@dataclass(slots=True)
class _Pair:
    """One connection: both sockets' writers, and the bytes it may still carry before it is cut."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    left_bytes: int | None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class ShapingProxy:
    """A proxy for the address (`host`, `port`). Use as a context manager; `port` is where it listens then.

    `shape` may be exchanged at any time. `cut_after` is asked once for each connection and returns after how
    many bytes, both ways together, it is cut; None is never. `seed` decides jitter and loss.
    """

    def __init__(
        self,
        host: str,
        port: int,
        shape: LinkShape | None = None,
        *,
        cut_after: Callable[[], int | None] | None = None,
        seed: int = 0,
    ) -> None:
        self.shape = shape or LinkShape()
        self.port = 0
        self.cuts = 0
        self._target = (host, port)
        self._cut_after = cut_after
        self._random = random.Random(seed)
        self._ways = (_Direction(), _Direction())
        self._pairs: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="lawow-proxy", daemon=True)

    @property
    def sent_bytes(self) -> int:
        """Bytes from clients to the target so far."""
        return self._ways[0].carried_bytes

    @property
    def received_bytes(self) -> int:
        """Bytes from the target to clients so far."""
        return self._ways[1].carried_bytes

    def __enter__(self) -> ShapingProxy:
        """Listen. Raises `HostLost` if that does not come about."""
        self._thread.start()
        if not self._started.wait(START_SECONDS) or not self.port:
            raise HostLost("the emulated link could not listen on 127.0.0.1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)

    # the proxy's own thread

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in self._pairs:
            task.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)
        rest = asyncio.all_tasks() - {asyncio.current_task()}  # deliveries that nobody waits for
        for item in rest:
            item.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for _ in range(3):  # transports close their sockets in a later turn of the loop
            await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until both directions have ended, or it is cut."""
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target, limit=CHUNK_BYTES)
            writers.append(far_writer)
            pair = _Pair((writer, far_writer), self._cut_after() if self._cut_after else None)
            pair.tasks = [
                asyncio.create_task(self._carry(pair, reader, far_writer, self._ways[0])),
                asyncio.create_task(self._carry(pair, far_reader, writer, self._ways[1])),
            ]
            await asyncio.gather(*pair.tasks, return_exceptions=True)
        except (OSError, asyncio.CancelledError):  # the target refuses, or the proxy ends
            for end in writers:
                _reset(end)
        finally:
            self._pairs.discard(task)
            for end in writers:
                end.close()

    async def _carry(
        self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: _Direction
    ) -> None:
        """Carry one direction; its end is passed on when all before it has arrived."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_CHUNKS)
        delivery = asyncio.create_task(self._deliver(queue, writer))
        try:
            while data := await reader.read(CHUNK_BYTES):
                allowed = self._allowance(pair, data)
                way.carried_bytes += len(allowed)
                await queue.put((self._due(way, len(allowed)), allowed))
                if len(allowed) < len(data):
                    await self._cut(pair, queue)
                    return
            await queue.put((self._loop.time() + self.shape.latency_seconds, b""))
            await delivery
        except OSError:
            for end in pair.writers:
                _reset(end)
        finally:
            delivery.cancel()

    @staticmethod
    def _allowance(pair: _Pair, data: bytes) -> bytes:
        """Return what of `data` the connection may still carry."""
        if pair.left_bytes is None:
            return data
        allowed = data[: pair.left_bytes]
        pair.left_bytes -= len(allowed)
        return allowed

    def _due(self, way: _Direction, size: int) -> float:
        """Return when the last of so many bytes arrives, and keep the link busy until it has left."""
        shape = self.shape
        begins = max(self._loop.time(), way.free_at)
        if shape.bits_per_second:
            begins += size * 8 / shape.bits_per_second
        while shape.loss and self._random.random() < shape.loss:
            begins += shape.retry_seconds
        way.free_at = begins
        return begins + shape.latency_seconds + self._random.uniform(0, shape.jitter_seconds)

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(due - self._loop.time())
            if data:
                writer.write(data)
                await writer.drain()
            elif writer.can_write_eof():
                writer.write_eof()
            queue.task_done()
            if not data:
                return

    async def _cut(self, pair: _Pair, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        """Reset both sides once the last bytes that were allowed have arrived."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(queue.join(), 1.0)
        self.cuts += 1
        for end in pair.writers:
            _reset(end)
        for task in pair.tasks:
            if task is not asyncio.current_task():
                task.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
