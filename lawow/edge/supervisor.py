"""One worker process for each tenant: started when needed, killed when late, replaced when lost.

A tenant has one worker, and a worker runs one call at a time. Calls of a tenant wait in a queue of bounded
length and time, so a greedy tenant waits for itself alone. The supervisor trusts neither a worker's pace nor
its words: what is late by more than the grace is killed, and so is what answers nonsense. A module that keeps
ending its worker rests for a while.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from lawow.channel.values import SLOT_BYTES
from lawow.edge.children import CHILD_ENVIRONMENT, python_command
from lawow.edge.messages import (
    BAD_MODULE,
    DEADLINE,
    DEFECT,
    HEADER,
    NEEDS_CODE,
    Call,
    Failure,
    Message,
    Ready,
    Result,
    Trap,
    read_header,
    read_message,
    write_message,
)
from lawow.edge.refusals import BadModule, Busy, DeadlineExceeded, WorkerLost
from lawow.errors import FormatError, GuestTrap
from lawow.limits import EDGE, EdgeLimits

__all__ = ["Finished", "Supervisor", "WorkerProcess"]

START_SECONDS = 20.0
STOP_SECONDS = 2.0
TRAP_CODE = re.compile(r"[a-z-]{1,64}")

OpenCode = Callable[[], Awaitable[int]]
"""Returns a new descriptor of the verified compiled module; whoever asked closes it."""
Log = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that returned. `peak_memory_bytes` is the worker's, over its whole life."""

    results: bytes
    prepare_seconds: float
    run_seconds: float
    peak_memory_bytes: int


class WorkerProcess:
    """One child process and our end of its socket."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket, fences: str) -> None:
        self._process = process
        self._channel = channel
        self.fences = fences

    @classmethod
    async def start(cls, memory_bytes: int) -> WorkerProcess:
        """Start a worker and wait until it is ready. Raises `WorkerLost` if it does not come up."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                *python_command("lawow.edge.worker", str(memory_bytes)),
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
        worker = cls(process, ours, "")
        try:
            async with asyncio.timeout(START_SECONDS):
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
        return worker

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        return self._process.returncode is None

    @property
    def process_id(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ask(self, call: Call, code: int | None) -> Message:
        """Send a call, with the descriptor of its code if there is one, and return the answer.

        Raises `OSError` or `FormatError` when the worker is lost.
        """
        frame = write_message(call)
        sent = 0
        if code is not None:
            # The frame's start alone carries the descriptor; a socket at rest takes it whole.
            sent = socket.send_fds(self._channel, [frame[: HEADER.size]], [code])
        await asyncio.get_running_loop().sock_sendall(self._channel, frame[sent:])
        return await self._receive()

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

    async def stop(self) -> None:
        """End an idle worker: it leaves when its socket closes, or is killed."""
        self._channel.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> str:
        """End the worker now and return how it ended."""
        self._channel.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        status = await asyncio.shield(self._process.wait())
        return f"exit-{status}" if status >= 0 else signal.Signals(-status).name

    async def _receive(self) -> Message:
        length, kind = read_header(await self._receive_exactly(HEADER.size))
        return read_message(kind, await self._receive_exactly(length))

    async def _receive_exactly(self, count: int) -> bytes:
        data = bytearray()
        loop = asyncio.get_running_loop()
        while len(data) < count:
            part = await loop.sock_recv(self._channel, count - len(data))
            if not part:
                raise ConnectionResetError("the worker closed its socket")
            data += part
        return bytes(data)


@dataclass(slots=True)
class _Lane:
    """What belongs to one tenant."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    worker: WorkerProcess | None = None
    idle_since: float = 0.0
    idle_timer: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a call runs or waits."""
        return self.turn.locked() or self.waiting > 0


class Supervisor:
    """Runs calls on workers. For one event loop."""

    def __init__(self, log: Log, limits: EdgeLimits = EDGE) -> None:
        self._log = log
        self._limits = limits
        self._lanes: dict[str, _Lane] = {}
        self._starting = 0
        self._losses: dict[tuple[str, str], deque[float]] = {}
        self._resting: dict[tuple[str, str], float] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._spare: asyncio.Task[WorkerProcess] | None = None

    async def run(self, tenant: str, call: Call, open_code: OpenCode) -> Finished:
        """Run a call and return its result; `open_code` is asked when the worker lacks the module.

        Raises `GuestTrap`, `BadModule`, `DeadlineExceeded`, `Busy` (nothing was started) and `WorkerLost`.
        """
        started = asyncio.get_running_loop().time()
        self._require_rested(tenant, call.digest)
        async with self._turn(tenant) as lane:
            worker = await self._worker(tenant, lane)
            answer = await self._ask(tenant, lane, call, None)
            if isinstance(answer, Failure) and answer.kind == NEEDS_CODE:
                code = await open_code()
                try:
                    answer = await self._ask(tenant, lane, _with_code(call), code)
                finally:
                    os.close(code)
            result = await self._judge(tenant, lane, call, answer)
            elapsed = asyncio.get_running_loop().time() - started
            prepare_seconds = max(0.0, elapsed - result.run_seconds)
            return Finished(result.results, prepare_seconds, result.run_seconds, worker.peak_memory_bytes())

    async def _ask(self, tenant: str, lane: _Lane, call: Call, code: int | None) -> Message:
        """Have the worker answer within deadline and grace; whoever does not is killed."""
        worker = lane.worker
        assert worker is not None  # `_worker` was called in this turn
        try:
            async with asyncio.timeout(call.deadline_seconds + self._limits.grace_seconds):
                return await worker.ask(call, code)
        except TimeoutError:
            await self._discard(tenant, lane, "deadline")
            raise DeadlineExceeded(_deadline_text(call)) from None
        except (OSError, FormatError):
            raise await self._lost(tenant, lane, call) from None
        except BaseException:
            await self._discard(tenant, lane, "cancelled")
            raise

    def prepare_spare(self) -> None:
        """Start a worker in advance, for whoever needs one next: a start takes 80 ms, a spare none."""
        if self._spare is None:
            self._spare = asyncio.get_running_loop().create_task(
                WorkerProcess.start(self._limits.memory_bytes)
            )

    async def close(self) -> None:
        """End all workers."""
        if self._spare is not None:
            spare, self._spare = self._spare, None
            spare.cancel()  # no effect on one that has started
            with suppress(WorkerLost, asyncio.CancelledError):
                await (await spare).stop()
        lanes = [lane for lane in self._lanes.values() if lane.worker is not None]
        for lane in lanes:
            if lane.idle_timer is not None:
                lane.idle_timer.cancel()
        workers = [lane.worker for lane in lanes if lane.worker is not None]
        self._lanes.clear()
        await asyncio.gather(*(worker.stop() for worker in workers), *self._ending)

    def workers(self) -> dict[str, int]:
        """Return the process id of each tenant's worker, for the operator and the tests."""
        return {name: lane.worker.process_id for name, lane in self._lanes.items() if lane.worker is not None}

    async def _judge(self, tenant: str, lane: _Lane, call: Call, answer: Message) -> Result:
        """Return the result in a worker's answer, or raise what it says instead."""
        if isinstance(answer, Result) and len(answer.results) == SLOT_BYTES * len(_results_of(call)):
            return answer
        if isinstance(answer, Trap) and TRAP_CODE.fullmatch(answer.code):
            raise GuestTrap(answer.code, answer.message, frames=answer.frames)
        if isinstance(answer, Failure) and answer.kind == DEADLINE:
            raise DeadlineExceeded(_deadline_text(call))
        if isinstance(answer, Failure) and answer.kind == BAD_MODULE:
            raise BadModule(answer.message)
        if isinstance(answer, Failure) and answer.kind == DEFECT:
            self._log("worker-defect", tenant=tenant, module=call.digest, reason=answer.message)
        raise await self._lost(tenant, lane, call)

    @asynccontextmanager
    async def _turn(self, tenant: str) -> AsyncIterator[_Lane]:
        """Wait for the tenant's turn, within the bounds of number and time."""
        lane = self._lanes.setdefault(tenant, _Lane())
        if lane.waiting >= self._limits.calls_waiting_per_tenant:
            raise Busy(f"{lane.waiting} calls of this tenant wait already", retry_after_seconds=1)
        lane.waiting += 1
        try:
            async with asyncio.timeout(self._limits.waiting_seconds):
                await lane.turn.acquire()
        except TimeoutError:
            raise Busy("earlier calls of this tenant took too long", retry_after_seconds=1) from None
        finally:
            lane.waiting -= 1
        try:
            yield lane
        finally:
            lane.turn.release()
            self._rest(tenant, lane)

    async def _worker(self, tenant: str, lane: _Lane) -> WorkerProcess:
        """Return the tenant's worker, a new one if there is none alive."""
        if lane.idle_timer is not None:
            lane.idle_timer.cancel()
            lane.idle_timer = None
        if lane.worker is not None and not lane.worker.is_alive:
            await self._discard(tenant, lane, "found-dead")
        if lane.worker is None:
            self._make_room()
            self._starting += 1
            try:
                lane.worker = await self._new_worker()
            finally:
                self._starting -= 1
            self._log("worker-started", tenant=tenant, pid=lane.worker.process_id, fences=lane.worker.fences)
        return lane.worker

    async def _new_worker(self) -> WorkerProcess:
        """Return the spare if it lives, else a new worker; and see to the next spare."""
        self.prepare_spare()
        spare, self._spare = self._spare, None
        assert spare is not None  # just prepared
        with suppress(WorkerLost):
            worker = await spare
            if worker.is_alive:
                self.prepare_spare()
                return worker
            await worker.kill()
        worker = await WorkerProcess.start(self._limits.memory_bytes)
        self.prepare_spare()
        return worker

    def _make_room(self) -> None:
        """End the worker that has been idle for longest if all are in use. Raises `Busy` if all are busy."""
        running = [(name, lane) for name, lane in self._lanes.items() if lane.worker is not None]
        if len(running) + self._starting < self._limits.workers:
            return
        idle = [item for item in running if not item[1].is_busy]
        if not idle:
            raise Busy("all workers of this edge are busy", retry_after_seconds=2)
        self._end_idle(*min(idle, key=lambda item: item[1].idle_since))

    def _rest(self, tenant: str, lane: _Lane) -> None:
        """Have a worker end if nothing comes for a while; forget a tenant that has none."""
        if lane.is_busy:
            return
        if lane.worker is None:
            self._lanes.pop(tenant, None)
            return
        loop = asyncio.get_running_loop()
        lane.idle_since = loop.time()
        lane.idle_timer = loop.call_later(self._limits.worker_idle_seconds, self._end_idle, tenant, lane)

    def _end_idle(self, tenant: str, lane: _Lane) -> None:
        worker = lane.worker
        if worker is None or lane.is_busy:
            return
        if lane.idle_timer is not None:
            lane.idle_timer.cancel()
        self._lanes.pop(tenant, None)
        self._log("worker-ended", tenant=tenant, pid=worker.process_id, reason="idle")
        task = asyncio.get_running_loop().create_task(worker.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _discard(self, tenant: str, lane: _Lane, reason: str) -> None:
        """Kill the worker; the next call gets a new one."""
        worker, lane.worker = lane.worker, None
        if worker is not None:
            status = await worker.kill()
            self._log("worker-ended", tenant=tenant, pid=worker.process_id, reason=reason, status=status)

    async def _lost(self, tenant: str, lane: _Lane, call: Call) -> WorkerLost:
        """Account for a worker that died or talked nonsense in a call, and return the error to raise."""
        await self._discard(tenant, lane, "lost")
        key, now = (tenant, call.digest), asyncio.get_running_loop().time()
        losses = self._losses.setdefault(key, deque(maxlen=self._limits.worker_losses))
        losses.append(now)
        if len(losses) == losses.maxlen and now - losses[0] <= self._limits.worker_loss_seconds:
            del self._losses[key]
            self._resting[key] = now + self._limits.quarantine_seconds
            self._log("module-quarantined", tenant=tenant, module=call.digest)
        return WorkerLost("the worker process ended while it had the call; how far the call got is unknown")

    def _require_rested(self, tenant: str, digest: str) -> None:
        """Raise `WorkerLost` while a module that keeps ending its worker rests."""
        until = self._resting.get((tenant, digest))
        if until is None:
            return
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            del self._resting[tenant, digest]
            return
        raise WorkerLost(
            f"the module ended its worker {self._limits.worker_losses} times in a row; it rests for a while",
            retry_after_seconds=left,
        )


def _with_code(call: Call) -> Call:
    return Call(call.digest, True, call.export, call.signature, call.deadline_seconds, call.arguments)


def _results_of(call: Call) -> str:
    """Return the letters of the call's results."""
    return call.signature.partition(">")[2]


def _deadline_text(call: Call) -> str:
    return f"{call.export} did not return within {call.deadline_seconds:g} s"
