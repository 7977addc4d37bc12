"""The modules and instances of one tenant's worker: what is asked for, and what is answered.

A call runs on a fresh instance, so nothing of it is left for the next one, or on that of a session. Sessions
share the tenant's memory: each may grow into what the others leave. Whatever a guest does wrong becomes a
`Trap` or a `Failure`; nothing here knows sockets. `lawow.edge.worker` is the process around it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from lawow.channel.bodies import read_arguments, write_returned
from lawow.edge.burst_caller import BurstCaller, BurstModules
from lawow.edge.messages import (
    BAD_ARGUMENTS,
    BAD_MODULE,
    BAD_STATE,
    DEADLINE,
    DEFECT,
    NEEDS_CODE,
    NO_ROOM,
    NO_SESSION,
    TOO_LARGE,
    Call,
    Close,
    Failure,
    Message,
    Open,
    Provide,
    Request,
    Result,
    Save,
    Trap,
)
from lawow.edge.plane.burst import Burst
from lawow.errors import (
    FormatError,
    GuestTrap,
    LawowError,
    LimitExceeded,
    LocalProtocolError,
    Refused,
    UsageError,
)
from lawow.formats.signature import Signature, parse_typed_signature
from lawow.formats.state import decode_state
from lawow.runtime.base import CompiledModule, Instance
from lawow.runtime.grants import Grants
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.state import StateKeeper
from lawow.runtime.wasmtime_engine import WasmtimeEngine, WasmtimeInstance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.edge.inference import FencedInference

__all__ = ["MODULES_LOADED", "Limits", "Worker"]

MODULES_LOADED = 16
BURST_CALLERS = 64  # each has a memory of 64 KiB, which is the host's
NO_RESULTS = Result(0.0, 0.0, b"")
TABLES_BYTES = 1 << 20  # of a state, beside its memory


@dataclass(frozen=True, slots=True)
class Limits:
    """What instances share, what a result, a memory that nobody sees, and a state may be; all in bytes."""

    memory_bytes: int
    call_bytes: int
    unseen_memory_bytes: int
    state_bytes: int


class _BadArguments(LawowError):
    """Arguments do not fit the signature; no guest has run."""


class _Session:
    """An instance that stays."""

    def __init__(self, instance: Instance, caller: TypedCaller, unseen_bytes: int) -> None:
        self.instance = instance
        self.caller = caller
        self._unseen_bytes = unseen_bytes
        self.burst_callers: dict[str, BurstCaller] = {}
        self.held_bytes = 0
        self.measure()

    def measure(self) -> None:
        """See what it holds of the memory that all instances share; to be called when its guest has run."""
        self.held_bytes = self._unseen_bytes or self.instance.memory_bytes

    def may_hold(self, memory_bytes: int) -> None:
        """Let it grow to so much in its next call."""
        if not self._unseen_bytes:
            self.instance.limit_memory(memory_bytes)


class Worker:
    """Answers requests. Holds the modules it was given last, and the instances of open sessions."""

    def __init__(
        self,
        engine: WasmtimeEngine,
        limits: Limits,
        grants: Grants | None = None,
        inference: FencedInference | None = None,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._grants = grants
        self._inference = inference
        self._modules: OrderedDict[str, CompiledModule] = OrderedDict()
        self._sessions: dict[str, _Session] = {}
        self._held_bytes = 0  # by sessions
        self._kept: set[str] = set()
        self._running: Instance | None = None
        self._burst_modules = BurstModules(engine)
        self._burst_caller_running: BurstCaller | None = None
        self._grown: _Session | None = None  # whose guest has run since it was measured
        self._result_bytes = limits.call_bytes

    def load(self, digest: str, code: bytes) -> None:
        """Keep a compiled module; the one unused for longest goes when there are too many."""
        self._modules[digest] = self._engine.load_bytes(code)
        if len(self._modules) > MODULES_LOADED:
            oldest = next((name for name in self._modules if name not in self._kept), digest)
            self._modules.pop(oldest).close()

    def keep(self, digest: str) -> bool:
        """Never let go of a module that is loaded; tell whether it is."""
        if digest in self._modules:
            self._kept.add(digest)
        return digest in self._modules

    def has_session(self, session: str) -> bool:
        """Tell whether the instance of a session lives."""
        return session in self._sessions

    def require_function(self, digest: str, export: str, signature: str) -> None:
        """Raise `LawowError` unless a loaded module has the export with that signature."""
        module = self._modules.get(digest)
        if module is None or export in module.state_names or export not in module.exports:
            raise UsageError(f"the module has no export {export[:100]}")
        if parse_typed_signature(signature).flat != module.exports[export]:
            raise UsageError(f"{export[:100]} has the type {module.exports[export]}, not {signature[:100]}")

    def interrupt(self) -> None:
        """Stop the call that runs on another thread; without one no effect."""
        running = self._running
        if running is not None:
            running.interrupt()
        if self._inference is not None:
            self._inference.grant.stopper.stop()

    def answer(self, request: Request, result_bytes: int | None = None) -> Message:
        """Do what is asked and return what to say about it.

        `result_bytes` is the most that a string or list as the result may have, other than `call_bytes`.
        """
        self._result_bytes = self._limits.call_bytes if result_bytes is None else result_bytes
        started = time.perf_counter()
        if isinstance(request, Call) and request.session:
            return self._answered(request, lambda: self._call_in_session(request, started))
        if isinstance(request, Close):
            self._drop(request.session)
            return Result(0.0, time.perf_counter() - started, b"")
        if isinstance(request, Provide) and self._inference is not None:
            self._inference.put(request.name, request.descriptor)
            return Result(0.0, time.perf_counter() - started, b"")
        module = self._modules.get(request.digest)
        if module is None:
            return Failure(NEEDS_CODE, "")
        self._modules.move_to_end(request.digest)
        if isinstance(request, Open):
            return self._answered(request, lambda: self._open(module, request, started))
        if isinstance(request, Save):
            return self._answered(request, lambda: self._save(module, request, started))
        if isinstance(request, Call):
            return self._answered(request, lambda: self._call_afresh(module, request, started))
        return Failure(DEFECT, f"{type(request).__name__} without a data plane")

    def call_core(self, name: str, export: str, arguments: bytes, seconds: float) -> Message:
        """Do what `answer` does for a `Call` in a session whose signature has numbers alone, in less time."""
        started = time.perf_counter()
        session = self._sessions.get(name)
        if session is None:
            return Failure(NO_SESSION, "")
        if session is not self._grown:
            self._let_grow(session)
        self._bound_inference(seconds)
        self._running = session.instance
        try:
            results = session.instance.call_raw(export, arguments, deadline_seconds=seconds)
        except LawowError as error:
            return self._answer_to(error, name)
        finally:
            self._running = None
        return Result(0.0, time.perf_counter() - started, results)

    def call_burst(self, name: str, export: str, burst: Burst, seconds: float) -> Message:
        """Answer calls of a burst in a session until one of them is left; the burst is told.

        A failure where no call of the burst is open says nothing of any of them: they are to be called
        otherwise.
        """
        session = self._sessions.get(name)
        if session is None:
            return Failure(NO_SESSION, "")
        try:
            caller = session.burst_callers.get(export) or self._burst_caller(session, export)
            if caller is None:
                return Failure(NO_ROOM, "there are too many functions that are called in bursts")
            if session is not self._grown:
                self._let_grow(session)
            if self._inference is not None:
                self._bound_inference(seconds)
            self._running, self._burst_caller_running = session.instance, caller
            caller.run(burst, seconds)
        except LawowError as error:
            return self._answer_to(error, name)
        finally:
            self._running = self._burst_caller_running = None
        return NO_RESULTS

    @property
    def bursting_functions(self) -> int:
        """How many functions of sessions are called in bursts."""
        return sum(len(session.burst_callers) for session in self._sessions.values())

    def part(self, burst: Burst) -> None:
        """Let no further call of a burst begin, from another thread than the one that is at it."""
        caller = self._burst_caller_running
        if caller is not None:
            caller.send_to_part(burst)

    def _burst_caller(self, session: _Session, export: str) -> BurstCaller | None:
        instance = session.instance
        if not isinstance(instance, WasmtimeInstance) or self.bursting_functions >= BURST_CALLERS:
            return None
        module = self._burst_modules.of(instance.signature(export))
        if module is None:
            return None
        caller = session.burst_callers[export] = BurstCaller(instance, export, module)
        return caller

    def _answered(self, request: Call | Open | Save, work: Callable[[], Message]) -> Message:
        """Turn what a guest or its module did wrong into an answer."""
        self._bound_inference(request.deadline_seconds)
        try:
            return work()
        except LawowError as error:
            return self._answer_to(error, request.session)

    def _bound_inference(self, seconds: float) -> None:
        """Let a model run for so long from now on; already while an instance starts."""
        if self._inference is not None:
            self._inference.grant.stopper.until = time.monotonic() + seconds

    def _answer_to(self, error: LawowError, session: str) -> Message:
        """Say what went wrong; a guest that was stopped is dropped."""
        if isinstance(error, GuestTrap):
            self._drop(session)
            return Trap(error.code, error.args[0], error.frames)
        if isinstance(error, LocalProtocolError):  # the guest of a session ended itself in an earlier call
            self._drop(session)
            return Failure(NO_SESSION, str(error))
        if not isinstance(error, LimitExceeded):
            return Failure(BAD_ARGUMENTS if isinstance(error, _BadArguments) else BAD_MODULE, str(error))
        if error.limit == "result_bytes":
            return Failure(TOO_LARGE, f"{error}, which is call_bytes")
        if error.limit == "deadline_seconds":
            self._drop(session)
            return Failure(DEADLINE, str(error))
        return Failure(self._kind_of(error), str(error))

    def _kind_of(self, error: LimitExceeded) -> str:
        """Tell a module that needs too much from one that would have room if sessions did not have it."""
        if error.limit != "memory_bytes" or not self._sessions or not isinstance(error.value, int):
            return BAD_MODULE
        return NO_ROOM if error.value <= self._limits.memory_bytes else BAD_MODULE

    def _call_afresh(self, module: CompiledModule, call: Call, started: float) -> Message:
        with module.instantiate(
            memory_bytes=self._room_bytes(), deadline_seconds=call.deadline_seconds, grants=self._grants
        ) as instance:
            return self._run(instance, None, call, started)

    def _call_in_session(self, call: Call, started: float) -> Message:
        session = self._sessions.get(call.session)
        if session is None:
            return Failure(NO_SESSION, "")
        self._let_grow(session)
        return self._run(session.instance, session.caller, call, started)

    def _run(self, instance: Instance, caller: TypedCaller | None, call: Call, started: float) -> Message:
        prepared = time.perf_counter()
        left = max(call.deadline_seconds - (prepared - started), 0.001)
        signature = parse_typed_signature(call.signature)
        self._running = instance
        try:
            if signature.is_core:
                results = instance.call_raw(call.export, bytes(call.arguments), deadline_seconds=left)
            else:
                results = self._run_typed(caller or self._caller(instance), signature, call, left)
        finally:
            self._running = None
        return Result(prepared - started, time.perf_counter() - prepared, results)

    def _run_typed(self, caller: TypedCaller, signature: Signature, call: Call, left: float) -> bytes:
        try:
            arguments = read_arguments(signature, call.arguments)
        except FormatError as error:
            raise _BadArguments(str(error)) from None
        caller.result_bytes = self._result_bytes
        return write_returned(caller.call(call.export, signature, arguments, deadline_seconds=left))

    def _open(self, module: CompiledModule, request: Open, started: float) -> Message:
        unseen_bytes = 0 if module.exports_memory else self._limits.unseen_memory_bytes
        room_bytes = self._room_bytes()
        if unseen_bytes > room_bytes:
            return Failure(NO_ROOM, f"sessions of this tenant left {room_bytes} bytes of memory")
        made = self._instance(module, request, unseen_bytes or room_bytes)
        if isinstance(made, Failure):
            return made
        session = self._sessions[request.session] = _Session(made, self._caller(made), unseen_bytes)
        self._held_bytes += session.held_bytes
        return Result(time.perf_counter() - started, 0.0, b"")

    def _instance(self, module: CompiledModule, request: Open, memory_bytes: int) -> Instance | Failure:
        """Return a new instance, in the state that is given, if one is."""
        if not request.state:
            return module.instantiate(
                memory_bytes=memory_bytes, deadline_seconds=request.deadline_seconds, grants=self._grants
            )
        try:
            state = decode_state(request.state, unpacked_bytes=memory_bytes + TABLES_BYTES)
            return StateKeeper(module, request.digest).restore(
                state,
                memory_bytes=memory_bytes,
                deadline_seconds=request.deadline_seconds,
                grants=self._grants,
            )
        except (FormatError, Refused) as error:
            return Failure(BAD_STATE, str(error))
        except MemoryError:
            return Failure(NO_ROOM, "this tenant's worker has not the memory to take the state in")

    def _save(self, module: CompiledModule, request: Save, started: float) -> Message:
        session = self._sessions.get(request.session)
        if session is None:
            return Failure(NO_SESSION, "")
        try:
            state = StateKeeper(module, request.digest).snapshot(session.instance).encode()
        except Refused as error:
            return Failure(BAD_STATE, str(error))
        except (GuestTrap, MemoryError):  # no guest runs: the engine had no room for a pristine instance
            return Failure(NO_ROOM, "this tenant's worker has not the memory to tell the state")
        if len(state) > self._limits.state_bytes:
            return Failure(TOO_LARGE, f"the state has {len(state)} bytes, which is more than state_bytes")
        return Result(0.0, time.perf_counter() - started, state)

    def _caller(self, instance: Instance) -> TypedCaller:
        return TypedCaller(instance, result_bytes=self._result_bytes)

    def _let_grow(self, session: _Session) -> None:
        """Let a session's guest have what others leave; it is measured before anything else is to grow."""
        if session is not self._grown:
            room_bytes = self._room_bytes()
            session.may_hold(session.held_bytes + room_bytes)
            self._grown = session

    def _room_bytes(self) -> int:
        """Return what sessions leave of the memory that all instances share."""
        grown, self._grown = self._grown, None
        if grown is not None:
            self._held_bytes -= grown.held_bytes
            grown.measure()
            self._held_bytes += grown.held_bytes
        return max(self._limits.memory_bytes - self._held_bytes, 0)

    def _drop(self, name: str) -> None:
        """Free a session's instance, if there is one."""
        session = self._sessions.pop(name, None)
        if session is not None:
            if session is self._grown:
                self._grown = None
            self._held_bytes -= session.held_bytes
            session.instance.close()
