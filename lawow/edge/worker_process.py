"""One worker process as the supervisor sees it: started, asked, stopped, killed.

Nothing here decides anything: `lawow.edge.supervisor` does. What a worker says is parsed by
`lawow.edge.messages`; what does not parse, and a socket that closes, come up as `FormatError` and `OSError`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass

from lawow.edge.children import CHILD_ENVIRONMENT, python_command
from lawow.edge.messages import (
    HEADER,
    Identity,
    Message,
    Ready,
    Request,
    Save,
    read_header,
    read_message,
    write_message,
)
from lawow.edge.plane.handing import hand_over, handing_pair
from lawow.edge.refusals import WorkerLost
from lawow.errors import FormatError
from lawow.limits import EdgeLimits

__all__ = ["PlaneIdentity", "WorkerProcess", "WorkerProfile"]

START_SECONDS = 20.0
STOP_SECONDS = 2.0
RECEIVED_BYTES = 1 << 20
"""Read from the socket at once: room for it is made each time."""

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class WorkerProfile:
    """What a worker is started with: memory, the host functions that it offers, threads that run a model."""

    memory_bytes: int
    grants: tuple[str, ...] = ()
    nn_threads: int = 1


@dataclass(frozen=True, slots=True)
class PlaneIdentity:
    """Certificate and key (PEM) of one worker's data plane, and the certificate's SHA-256; empty: no TLS."""

    pem: bytes = b""
    certificate_sha256: str = ""


class WorkerProcess:
    """One child process, our end of its socket, and the listening socket of its data plane, if it has one."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        channel: socket.socket,
        profile: WorkerProfile,
        state_bytes: int,
    ) -> None:
        self._process = process
        self._channel = channel
        self._state_bytes = state_bytes
        self._charged_seconds = 0.0
        self.profile = profile
        self.fences = ""
        self.identity: PlaneIdentity | None = None
        self.listener: socket.socket | None = None
        self._handing: socket.socket | None = None
        self.models: dict[str, str] = {}
        """The models that it has, SHA-256 in hex by name."""

    @classmethod
    async def start(
        cls,
        limits: EdgeLimits,
        profile: WorkerProfile | None = None,
        identity: PlaneIdentity | None = None,
    ) -> WorkerProcess:
        """Start a worker and wait until it is ready. Raises `WorkerLost` if it does not come up.

        With an `identity` it can serve a data plane.
        """
        profile = profile or WorkerProfile(limits.memory_bytes)
        numbers = (
            profile.memory_bytes,
            limits.call_bytes,
            limits.session_unseen_memory_bytes,
            limits.state_bytes,
            profile.nn_threads,
            0 if identity is None else limits.data_connections,
        )
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                *python_command("lawow.edge.worker", *map(str, numbers), *profile.grants),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                env=CHILD_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise WorkerLost(f"no worker could be started: {error.strerror}") from None
        finally:
            theirs.close()
        worker = cls(process, ours, profile, limits.state_bytes)
        try:
            async with asyncio.timeout(START_SECONDS):
                if identity is not None:
                    await worker._introduce(identity)
                ready = await worker._receive()
            if not isinstance(ready, Ready):
                raise FormatError("a worker begins with Ready", found=type(ready).__name__)
        except (TimeoutError, OSError, FormatError):
            await worker.kill()
            raise WorkerLost("no worker could be started; see the server's standard error") from None
        except BaseException:
            await worker.kill()
            raise
        worker.fences = ready.fences
        worker.take_cpu_seconds()  # its start is the edge's own expense
        return worker

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        return self._process.returncode is None

    @property
    def process_id(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ask(self, request: Request, code: int | None) -> Message:
        """Send a request, with the descriptor of its code if there is one, and return the answer.

        Raises `OSError` or `FormatError` when the worker is lost.
        """
        await self._send(write_message(request), code)
        return await self._receive(self._state_bytes if isinstance(request, Save) else 0)

    def connect(self, address: str) -> socket.socket:
        """Return a connection to the data plane, for a client at `address`. Raises `OSError`."""
        if self._handing is None or self.listener is None:
            raise ConnectionRefusedError("the worker serves no data plane")
        return hand_over(self._handing, address)

    def peak_memory_bytes(self) -> int:
        """Return the most memory that the worker ever had resident, as the kernel counts it; 0 if unknown."""
        try:
            with open(f"/proc/{self._process.pid}/status", "rb") as stream:
                for line in stream:
                    if line.startswith(b"VmHWM:"):
                        return int(line.split()[1]) * 1024
        except OSError:
            return 0
        return 0

    def take_cpu_seconds(self) -> float:
        """Return the processor time used since this was last asked, as the kernel counts it: 10 ms a tick.

        Nothing is lost between ticks: it is the difference of two sums. 0 once the process is gone.
        """
        try:
            with open(f"/proc/{self._process.pid}/stat", "rb", buffering=0) as stream:
                fields = stream.read(1024).rpartition(b")")[2].split()
        except OSError:
            return 0.0
        total = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
        used, self._charged_seconds = total - self._charged_seconds, total
        return max(used, 0.0)

    def memory_bytes(self) -> int:
        """Return the memory that the worker has resident now; 0 if it is gone."""
        try:
            with open(f"/proc/{self._process.pid}/statm", "rb", buffering=0) as stream:
                return int(stream.read(256).split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    async def wait(self) -> None:
        """Return when the process has ended, for whatever reason."""
        await self._process.wait()

    async def stop(self, drain_seconds: float = 0.0) -> None:
        """End a worker: it leaves when its socket closes, or is killed.

        One that serves a data plane answers what has begun there first, for `drain_seconds` at most.
        """
        self._close()
        try:
            async with asyncio.timeout(STOP_SECONDS + drain_seconds):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> str:
        """End the worker now and return how it ended."""
        self._close()
        with suppress(ProcessLookupError):
            self._process.kill()
        status = await asyncio.shield(self._process.wait())
        return f"exit-{status}" if status >= 0 else signal.Signals(-status).name

    def _close(self) -> None:
        for end in (self._channel, self.listener, self._handing):
            if end is not None:
                end.close()

    async def _introduce(self, identity: PlaneIdentity) -> None:
        """Tell the worker who it is on the data plane, and give it the socket for connections."""
        self.identity = identity
        self._handing, theirs = handing_pair()
        with theirs:
            await self._send(write_message(Identity(identity.pem)), theirs.fileno())

    async def _send(self, frame: bytes, descriptor: int | None) -> None:
        sent = 0
        if descriptor is not None:
            # The frame's start alone carries the descriptor; a socket at rest takes it whole.
            sent = socket.send_fds(self._channel, [frame[: HEADER.size]], [descriptor])
        await asyncio.get_running_loop().sock_sendall(self._channel, frame[sent:])

    async def _receive(self, state_bytes: int = 0) -> Message:
        length, kind = read_header(await self._receive_exactly(HEADER.size), state_bytes)
        return read_message(kind, await self._receive_exactly(length))

    async def _receive_exactly(self, count: int) -> bytes:
        data = bytearray()
        loop = asyncio.get_running_loop()
        while len(data) < count:
            part = await loop.sock_recv(self._channel, min(count - len(data), RECEIVED_BYTES))
            if not part:
                raise ConnectionResetError("the worker closed its socket")
            data += part
        return bytes(data)
