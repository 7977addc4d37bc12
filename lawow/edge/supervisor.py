"""One worker process for each tenant: started when needed, killed when late, replaced when lost.

A tenant has one worker, and a worker runs one call at a time. Calls of a tenant wait in a queue of bounded
length and time, so a greedy tenant waits for itself alone. The supervisor trusts neither a worker's pace nor
its words: what is late by more than the grace is killed, and so is what answers nonsense. A module that keeps
ending its worker rests for a while. Sessions live in the worker and are lost with it, so a worker that holds
one is not ended to make room.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace

from lawow.edge.lanes import Finished, Lane, Load
from lawow.edge.messages import (
    DEFECT,
    NEEDS_CODE,
    Admit,
    Call,
    Close,
    Dismiss,
    Failure,
    Listen,
    Message,
    Open,
    Provide,
    Report,
    Request,
    Result,
    Save,
)
from lawow.edge.meter import Meter
from lawow.edge.policies import TenantPolicy, default_quotas
from lawow.edge.quarantine import Quarantine
from lawow.edge.refusals import Busy, DeadlineExceeded, NotFound, SessionLost, WorkerLost
from lawow.edge.sessions import SessionTable
from lawow.edge.usage import Usage, read_usage
from lawow.edge.worker_answers import Exchanged, deadline_text, error_in, is_answer
from lawow.edge.worker_process import WorkerProcess, WorkerProfile
from lawow.edge.worker_starter import PlaneSettings, WorkerStarter
from lawow.errors import FormatError
from lawow.limits import EDGE, EdgeLimits
from lawow.runtime.host_functions import INFERENCE

__all__ = ["Finished", "Load", "OpenCode", "OpenModel", "PlaneSettings", "Supervisor"]

CHARGE_SECONDS = 0.1
"""Asking the kernel costs 20 us, so short calls are charged together; its sums lose nothing meanwhile."""

OpenCode = Callable[[], Awaitable[int]]
"""Returns a new descriptor of the verified compiled module; whoever asked closes it."""
OpenModel = Callable[[str], Awaitable[int | None]]
"""Returns a new descriptor of the verified model with that SHA-256, None if it is there no more."""
Log = Callable[..., None]


class Supervisor:
    """Runs calls on workers. For one event loop."""

    def __init__(
        self,
        log: Log,
        limits: EdgeLimits = EDGE,
        meter: Meter | None = None,
        plane: PlaneSettings | None = None,
        open_model: OpenModel | None = None,
    ) -> None:
        """Without a `meter` nothing is counted and every tenant has the defaults of `limits`.

        Without a `plane`, workers serve no data plane; without `open_model` there are no named models.
        """
        self._open_model = open_model
        self._plane = plane
        self._starter = WorkerStarter(limits, plane)
        self._log = log
        self._limits = limits
        self._meter = meter
        self._default_policy = TenantPolicy(default_quotas(limits))
        self._lanes: dict[str, Lane] = {}
        self._starting = 0
        self._quarantine = Quarantine(limits)
        self._ending: set[asyncio.Task[None]] = set()
        self._sessions = SessionTable(limits, self._expire)

    async def run(self, tenant: str, call: Call, open_code: OpenCode) -> Finished:
        """Run a call and return its result; `open_code` is asked when the worker lacks the module.

        Raises `GuestTrap`, `BadModule`, `DeadlineExceeded`, `TooLarge` (the result), `Busy` and
        `QuotaExceeded` (nothing was started), `WorkerLost`; for a call in a session also `NotFound` and
        `SessionLost`.
        """
        started = asyncio.get_running_loop().time()
        self._quarantine.require_rested(tenant, call.digest, started)
        self._admit(tenant)
        async with self._turn(tenant) as lane:
            with self._sessions.using(tenant, call.session) if call.session else nullcontext():
                worker = await self._worker(tenant, lane)
                result = await self._exchange(tenant, lane, call, open_code)
            elapsed = asyncio.get_running_loop().time() - started
            prepare_seconds = max(0.0, elapsed - result.run_seconds)
            return Finished(result.results, prepare_seconds, result.run_seconds, worker.peak_memory_bytes())

    async def open_session(
        self, tenant: str, digest: str, deadline_seconds: float, open_code: OpenCode, state: bytes = b""
    ) -> str:
        """Make an instance that stays, and return its name. Raises as `run`; `Busy` also for too many.

        With a `state`, it goes on where that was taken. Raises `BadState` if that is none of the module.
        """
        self._quarantine.require_rested(tenant, digest, asyncio.get_running_loop().time())
        self._admit(tenant)
        with self._sessions.opening(tenant, self._policy(tenant).quotas["sessions"]):
            session = self._sessions.new_name()
            async with self._turn(tenant) as lane:
                await self._worker(tenant, lane)
                request = Open(digest, False, session, deadline_seconds, state)
                await self._exchange(tenant, lane, request, open_code)
                self._sessions.add(tenant, session, digest)
        return session

    def grants(self, tenant: str) -> tuple[str, ...]:
        """Return the names of the host functions that a tenant's worker offers."""
        return self._policy(tenant).grants

    async def state_of_session(
        self, tenant: str, session: str, deadline_seconds: float, open_code: OpenCode
    ) -> bytes:
        """Return the state of a session, which goes on. Raises as `run`, and `BadState` if it has none."""
        request = Save(self._sessions.digest_of(tenant, session), False, session, deadline_seconds)
        async with self._turn(tenant) as lane:
            with self._sessions.using(tenant, session):
                await self._worker(tenant, lane)
                return (await self._exchange(tenant, lane, request, open_code)).results

    async def admit(self, tenant: str, grant: Admit, open_code: OpenCode) -> tuple[int, str]:
        """Let a lease use the data plane of the tenant's worker; return its port and its certificate's pin.

        Raises as `run`; `SessionLost` if the instance is gone.
        """
        if self._plane is None:
            raise Busy("this edge serves no data plane", retry_after_seconds=60)
        async with self._turn(tenant) as lane:
            worker = await self._worker(tenant, lane)
            if worker.listener is None:
                worker.listener = self._plane.open_listener()
                listener = worker.listener.fileno()
                terms = Listen(self._limits.deadline_seconds, self._limits.data_channels)
                await self._ask(tenant, lane, terms, listener)
                self._keep(asyncio.create_task(self._watch(tenant, lane, worker)))
            await self._exchange(tenant, lane, grant, open_code)
            assert worker.identity is not None  # every worker has one where there is a plane
            return worker.listener.getsockname()[1], worker.identity.certificate_sha256

    async def dismiss(self, tenant: str, lease: str, code: str) -> None:
        """End what `admit` began; no effect if the worker is gone."""
        async with self._turn(tenant) as lane:
            if lane.worker is not None and lane.worker.listener is not None:
                await self._ask(tenant, lane, Dismiss(lease, code), None)

    def connect(self, tenant: str, address: str) -> socket.socket:
        """Return a connection to the data plane of the tenant's worker, for a client at `address`.

        Raises `Busy` if the worker takes none now, `NotFound` if there is no data plane.
        """
        lane = self._lanes.get(tenant)
        if lane is None or lane.worker is None or lane.worker.listener is None:
            raise NotFound("there is no data plane for this lease; initialise it first")
        try:
            return lane.worker.connect(address)
        except OSError:
            raise Busy("the worker takes no connection now", retry_after_seconds=1) from None

    async def usage(self, tenant: str) -> list[Usage]:
        """Return what the tenant's leases did on the data plane since this was last asked."""
        asking = asyncio.create_task(self._usage(tenant))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            await asking  # it is answered at once; a worker that is left with its answer would be ended
            raise

    async def _usage(self, tenant: str) -> list[Usage]:
        async with self._turn(tenant) as lane:
            if lane.worker is None or lane.worker.listener is None:
                return []
            answer = await self._ask(tenant, lane, Report(), None)
            try:
                return read_usage(answer.results) if isinstance(answer, Result) else []
            except FormatError:
                await self._discard(tenant, lane, "lost")
                return []

    def note_use(self, tenant: str, session: str) -> None:
        """Take note that a session was used, by whatever way. Raises as `digest_of_session`."""
        with self._sessions.using(tenant, session):
            pass

    def note_loss(self, tenant: str, session: str, reason: str) -> None:
        """Take note that an instance has ended."""
        self._sessions.lose(tenant, session, reason)

    async def _watch(self, tenant: str, lane: Lane, worker: WorkerProcess) -> None:
        """See at once that a worker with a data plane has died: no request may come for a long time."""
        await worker.wait()
        async with lane.turn:
            is_missed = self._lanes.get(tenant) is lane and lane.worker is worker  # else it was ended
            if is_missed:
                await self._discard(tenant, lane, "found-dead")

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def digest_of_session(self, tenant: str, session: str) -> str:
        """Return the module of an open session. Raises `NotFound`, `SessionLost`."""
        return self._sessions.digest_of(tenant, session)

    def has_session_of(self, tenant: str, digest: str) -> bool:
        """Tell whether an open session of the tenant is an instance of the module."""
        return self._sessions.uses(tenant, digest)

    def close_session(self, tenant: str, session: str) -> None:
        """End a session; its memory is free when the worker has come to it. Raises as `digest_of_session`."""
        digest = self._sessions.end(tenant, session)
        lane = self._lanes.get(tenant)
        if lane is None or lane.worker is None:
            return
        lane.closing.append(Close(digest, session))
        self._keep(asyncio.get_running_loop().create_task(self._sweep(tenant, lane)))

    def _expire(self, tenant: str, session: str) -> None:
        self._log("session-expired", tenant=tenant)
        self.close_session(tenant, session)

    async def _sweep(self, tenant: str, lane: Lane) -> None:
        """Have the worker drop what was closed, when its turn comes."""
        async with lane.turn:
            while lane.closing and lane.worker is not None:
                with suppress(WorkerLost, DeadlineExceeded):
                    await self._ask(tenant, lane, lane.closing[0], None)
                del lane.closing[:1]
        self._rest(tenant, lane)

    async def _exchange(self, tenant: str, lane: Lane, request: Exchanged, open_code: OpenCode) -> Result:
        """Have the worker do what is asked, with the module's code if it lacks it."""
        answer = await self._ask(tenant, lane, request, None)
        if isinstance(answer, Failure) and answer.kind == NEEDS_CODE:
            code = await open_code()
            try:
                answer = await self._ask(tenant, lane, replace(request, has_code=True), code)
            finally:
                os.close(code)
        return await self._judge(tenant, lane, request, answer)

    async def _ask(self, tenant: str, lane: Lane, call: Request, code: int | None) -> Message:
        """Have the worker answer within deadline and grace; whoever does not is killed."""
        worker = lane.worker
        assert worker is not None  # `_worker` was called in this turn
        try:
            # A call of the data plane that has begun goes first.
            others = self._limits.deadline_seconds if worker.listener is not None else 0.0
            async with asyncio.timeout(call.deadline_seconds + self._limits.grace_seconds + others):
                return await worker.ask(call, code)
        except TimeoutError:
            await self._discard(tenant, lane, "deadline")
            raise DeadlineExceeded(deadline_text(call)) from None
        except (OSError, FormatError):
            raise await self._lost(tenant, lane, call) from None
        except BaseException:
            await self._discard(tenant, lane, "cancelled")
            raise

    def prepare_spare(self) -> None:
        """Start a worker in advance, for whoever needs one next."""
        self._starter.prepare()

    async def close(self) -> None:
        """End all workers, and all sessions with them."""
        self._sessions.close()
        await self._starter.close()
        for tenant, lane in self._lanes.items():
            self._charge(tenant, lane.worker)
            if lane.idle_timer is not None:
                lane.idle_timer.cancel()
        workers = [lane.worker for lane in self._lanes.values() if lane.worker is not None]
        self._lanes.clear()
        drain = self._limits.deadline_seconds
        stopping = (worker.stop(drain if worker.listener is not None else 0.0) for worker in workers)
        await asyncio.gather(*stopping, *self._ending)

    def workers(self) -> dict[str, int]:
        """Return the process id of each tenant's worker, for the operator and the tests."""
        return {name: lane.worker.process_id for name, lane in self._lanes.items() if lane.worker is not None}

    def load(self) -> Load:
        """Return what runs now of all tenants."""
        return sum(self.loads().values(), Load(0, 0, 0, 0))

    def loads(self) -> dict[str, Load]:
        """Return what runs now of each tenant; reads the memory of each worker from the kernel."""
        return {
            tenant: lane.load(sessions=self._sessions.count(tenant)) for tenant, lane in self._lanes.items()
        }

    async def _judge(self, tenant: str, lane: Lane, call: Exchanged, answer: Message) -> Result:
        """Return the result in a worker's answer, or raise what it says instead."""
        if isinstance(answer, Result) and is_answer(call, answer.results):
            return answer
        error, loss = error_in(call, answer)
        if error is None:
            if isinstance(answer, Failure) and answer.kind == DEFECT:
                self._log("worker-defect", tenant=tenant, module=call.digest, reason=answer.message)
            raise await self._lost(tenant, lane, call)
        if loss:
            self._sessions.lose(tenant, call.session, loss)
        raise error

    @asynccontextmanager
    async def _turn(self, tenant: str) -> AsyncIterator[Lane]:
        """Wait for the tenant's turn, within the bounds of number and time."""
        lane = self._lanes.setdefault(tenant, Lane())
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
            if lane.worker is not None and not lane.worker.is_alive:
                await self._discard(tenant, lane, "found-dead")
            yield lane
        finally:
            now = asyncio.get_running_loop().time()
            if now - lane.charged_at >= CHARGE_SECONDS:
                lane.charged_at = now
                self._charge(tenant, lane.worker)
            lane.turn.release()
            self._rest(tenant, lane)

    async def _worker(self, tenant: str, lane: Lane) -> WorkerProcess:
        """Return the tenant's worker, a new one if there is none alive."""
        if lane.idle_timer is not None:
            lane.idle_timer.cancel()
            lane.idle_timer = None
        policy = self._policy(tenant)
        profile = _profile_of(policy)
        outdated = lane.worker is not None and lane.worker.profile != profile
        if outdated and not self._sessions.has_any(tenant):
            await self._discard(tenant, lane, "policy-changed")
        if lane.worker is None:
            self._make_room()
            self._starting += 1
            try:
                lane.worker = await self._starter.take(profile)
            finally:
                self._starting -= 1
            self._log("worker-started", tenant=tenant, pid=lane.worker.process_id, fences=lane.worker.fences)
        if lane.worker.models != policy.models and INFERENCE in lane.worker.profile.grants:
            return await self._bring_models(tenant, lane, lane.worker, policy.models)
        return lane.worker

    async def _bring_models(
        self, tenant: str, lane: Lane, worker: WorkerProcess, models: Mapping[str, str]
    ) -> WorkerProcess:
        """Let the worker have the tenant's models as they are now."""
        for name in worker.models.keys() - models.keys():
            await self._provide(tenant, lane, Provide(name), None)
            del worker.models[name]
        for name, digest in models.items():
            if worker.models.get(name) == digest or self._open_model is None:
                continue
            descriptor = await self._open_model(digest)
            if descriptor is None:  # it rotted, and the tenant has it no more
                continue
            try:
                await self._provide(tenant, lane, Provide(name), descriptor)
            finally:
                os.close(descriptor)
            worker.models[name] = digest
        return worker

    async def _provide(self, tenant: str, lane: Lane, request: Provide, descriptor: int | None) -> None:
        if not isinstance(await self._ask(tenant, lane, request, descriptor), Result):
            raise await self._lost(tenant, lane, request)

    def _policy(self, tenant: str) -> TenantPolicy:
        return self._default_policy if self._meter is None else self._meter.policy(tenant)

    def _admit(self, tenant: str) -> None:
        if self._meter is not None:
            self._meter.admit_call(tenant)

    def _charge(self, tenant: str, worker: WorkerProcess | None) -> None:
        if self._meter is not None and worker is not None:
            self._meter.charge(tenant, worker.take_cpu_seconds())

    def _make_room(self) -> None:
        """End the worker that has been idle for longest if all are in use. Raises `Busy` if all are busy."""
        running = [(name, lane) for name, lane in self._lanes.items() if lane.worker is not None]
        if len(running) + self._starting < self._limits.workers:
            return
        idle = [item for item in running if not item[1].is_busy and not self._sessions.has_any(item[0])]
        if not idle:
            raise Busy("all workers of this edge are busy or hold sessions", retry_after_seconds=2)
        self._end_idle(*min(idle, key=lambda item: item[1].idle_since))

    def _rest(self, tenant: str, lane: Lane) -> None:
        """Have a worker end if nothing comes for a while; forget a tenant that has none."""
        if lane.is_busy:
            return
        if lane.worker is None:
            self._lanes.pop(tenant, None)
            return
        loop = asyncio.get_running_loop()
        lane.idle_since = loop.time()
        if self._sessions.has_any(tenant):
            return
        lane.idle_timer = loop.call_later(self._limits.worker_idle_seconds, self._end_idle, tenant, lane)

    def _end_idle(self, tenant: str, lane: Lane) -> None:
        worker = lane.worker
        if worker is None or lane.is_busy or self._sessions.has_any(tenant):
            return
        if lane.idle_timer is not None:
            lane.idle_timer.cancel()
        self._lanes.pop(tenant, None)
        self._charge(tenant, worker)
        self._log("worker-ended", tenant=tenant, pid=worker.process_id, reason="idle")
        self._keep(asyncio.get_running_loop().create_task(worker.stop()))

    async def _discard(self, tenant: str, lane: Lane, reason: str) -> None:
        """Kill the worker; the next call gets a new one."""
        worker, lane.worker = lane.worker, None
        lane.closing.clear()
        lost = self._sessions.lose_all(tenant, f"its worker process ended ({reason})")
        if lost:
            self._log("sessions-lost", tenant=tenant, count=lost, reason=reason)
        if worker is not None:
            self._charge(tenant, worker)
            status = await worker.kill()
            self._log("worker-ended", tenant=tenant, pid=worker.process_id, reason=reason, status=status)

    async def _lost(self, tenant: str, lane: Lane, call: Request) -> WorkerLost | SessionLost:
        """Account for a worker that died or talked nonsense in a call, and return the error to raise."""
        await self._discard(tenant, lane, "lost")
        if self._quarantine.note_loss(tenant, call.digest, asyncio.get_running_loop().time()):
            self._log("module-quarantined", tenant=tenant, module=call.digest)
        if isinstance(call, Call | Save | Admit) and call.session:
            return SessionLost("the session is lost with all its state: its worker process ended in the call")
        return WorkerLost("the worker process ended while it had the call; how far the call got is unknown")


def _profile_of(policy: TenantPolicy) -> WorkerProfile:
    """Return what a tenant's worker is started with; threads matter where a model can run."""
    memory_bytes, threads = policy.quotas["memory_bytes"], policy.quotas["nn_threads"]
    if INFERENCE not in policy.grants:
        return WorkerProfile(memory_bytes, policy.grants)
    return WorkerProfile(memory_bytes, policy.grants, threads)
