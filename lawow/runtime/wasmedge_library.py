"""`Engine` over WasmEdge's library, in this process: a second engine that keeps a guest between its calls.

What WasmEdge lacks is written into the guest's module (`lawow.runtime.fences`), so that the limits hold
though no process can be killed for them:

========================  =================================================================================
limit                     how it holds here
========================  =================================================================================
deadline_seconds          the guest is stopped at its next loop; one that waits inside WASI or a function of
                          the host is abandoned a second later: its caller goes on, its memory stays taken
memory_bytes              by WasmEdge, fixed with the instance; at most 4 GiB less a page, because 0.14.1
                          checks bounds wrongly in a memory of exactly 4 GiB (CVE-2025-69261)
table_elements            in the module, fixed when it is compiled
stack                     in the module: `lawow.limits.CallLimits.native_stack_bytes`, estimated from above
fuel                      by WasmEdge's own table of costs, in compiled code too
compile                   in a limited child; the interpreter reads the module in this process, after the scan
========================  =================================================================================
"""

from __future__ import annotations

import sys
import tempfile
from _thread import allocate_lock
from contextlib import contextmanager

from lawow.errors import FormatError, GuestTrap, LawowError, LocalProtocolError, Refused, UsageError
from lawow.formats.interface import FuncType
from lawow.formats.wasm import inspect_module
from lawow.formats.wasm_expose import StateNames, is_exposed
from lawow.limits import CALL
from lawow.runtime import libwasmedge as lib
from lawow.runtime.base import Engine
from lawow.runtime.fences import STACK_LEFT, START_EXPORT, add_fences
from lawow.runtime.libwasmtime import wat_to_wasm
from lawow.runtime.profiles import EngineProfile
from lawow.runtime.wasmedge_base import PAGE_BYTES, PatternInstance, ScannedModule, page_limit, scan
from lawow.runtime.wasmedge_cells import WasmEdgeCells
from lawow.runtime.wasmedge_compiler import with_machine_code, write_new
from lawow.runtime.wasmedge_failures import (
    COST_EXCEEDED,
    TERMINATED,
    deadline_passed,
    failure,
    fuel_spent,
)
from lawow.runtime.wasmedge_linking import HostModules, read_memory, write_memory
from lawow.runtime.wasmedge_store import Outcome, Program
from lawow.runtime.wasmedge_wasi import HELPER, GuestStreams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lawow.formats.wasm import ModuleInfo
    from lawow.runtime.cells import Cells
    from lawow.runtime.grants import Grants
    from lawow.runtime.host_functions import HostFunction

    Output = Callable[[bytes], object]

__all__ = ["LibraryEngine", "LibraryInstance", "LibraryModule"]

_UNREACHABLE = 0x40A
_ALL_FUEL = (1 << 64) - 1
_NOTHING = FuncType((), ())
_TELLING_SECONDS = 10.0


class LibraryEngine(Engine):
    """WasmEdge in this process, ahead of time (`is_compiled`) or as an interpreter.

    Raises `LawowError` where the library cannot be loaded.
    """

    compiles_apart = True

    def __init__(self, *, is_compiled: bool = True, has_fuel: bool = False) -> None:
        self.path = lib.library().path
        self.version = lib.RELEASE
        self.is_compiled = is_compiled
        self._helper: Program | None = None
        way = "aot" if is_compiled else "interpreter"
        fuel = "-fuel" if has_fuel else ""
        name = f"wasmedge-library-{way}{fuel}-1 {self.version}"
        self.profile = EngineProfile(name, has_fuel=has_fuel, has_epochs=True)

    def compile(self, wasm: bytes) -> LibraryModule:
        fenced = add_fences(wasm, scan(wasm), is_exposed=is_exposed(wasm))
        if self.is_compiled:
            options = ["--interruptible", *(["--enable-gas-measuring"] if self.profile.has_fuel else [])]
            compiler = [sys.executable, "-P", "-m", "lawow.runtime.wasmedge_compiler", *options]
            fenced = with_machine_code(fenced, compiler, environment=None)
        return self._module(fenced)

    def load(self, path: str) -> LibraryModule:
        with open(path, "rb") as stream:
            return self._module(stream.read())

    def helper(self) -> Program:
        """Return the module that sets up WASI, made once."""
        if self._helper is None:
            self._helper = Program(wat_to_wasm(HELPER), is_interpreted=True)
        return self._helper

    def close(self) -> None:
        self._helper = None

    def _module(self, code: bytes) -> LibraryModule:
        module = LibraryModule(self, code, inspect_module(code))
        machine_code = module.machine_code
        if machine_code is None:
            module.program = Program(code, is_interpreted=True)
            return module
        with tempfile.TemporaryDirectory(prefix="lawow-") as folder:
            path = f"{folder}/module.so"
            write_new(path, machine_code)
            module.program = Program(path, is_interpreted=False)
        return module


class LibraryModule(ScannedModule):
    """A module with its fences, and the code for this machine if it was compiled."""

    def __init__(self, engine: LibraryEngine, code: bytes, info: ModuleInfo) -> None:
        super().__init__(code, info, engine.profile)
        self.engine = engine
        self.program: Program | None = None

    def instantiate(
        self,
        *,
        memory_bytes: int | None = None,
        table_elements: int | None = None,
        deadline_seconds: float | None = None,
        fuel: int | None = None,
        wasi: bool = True,
        stdout: Output | None = None,
        stderr: Output | None = None,
        grants: Grants | None = None,
        runs_start: bool = True,
    ) -> LibraryInstance:
        if self.program is None:
            raise LocalProtocolError("this module has been closed")
        if table_elements not in (None, CALL.table_elements):
            raise Refused(
                f"WasmEdge's limit of a table is part of the compiled module: {CALL.table_elements} elements"
            )
        functions = grants.functions if grants is not None else ()
        memory, needs_wasi = self.admit(memory_bytes, fuel, wasi, functions)
        instance = LibraryInstance(self, self.program, memory, fuel)
        try:
            if needs_wasi:
                instance.streams = GuestStreams(self.engine.helper(), grants, (stdout, stderr))
            instance.start(functions, deadline_seconds, runs_start)
        except BaseException:
            instance.close()
            raise
        return instance

    def close(self) -> None:
        self.program = None


class LibraryInstance(PatternInstance):
    """A store with one instance in it, its streams and its host functions: freed together, once."""

    def __init__(self, module: LibraryModule, program: Program, memory_bytes: int, fuel: int | None) -> None:
        super().__init__(module.exports)
        self.streams: GuestStreams | None = None
        self._program = program
        self._info = module.info
        self._memory_limit = memory_bytes
        self._has_fuel = module.profile.has_fuel
        self._fuel = _ALL_FUEL if fuel is None else fuel
        self._hosted: HostModules | None = None
        self._lock = allocate_lock()
        self._dead = ""
        self._store = program.new_store(
            page_limit=page_limit(memory_bytes),
            fuel=self._fuel if self._has_fuel else None,
        )

    def start(
        self, functions: Sequence[HostFunction], deadline_seconds: float | None, runs_start: bool
    ) -> None:
        """Instantiate, then run the start function and ``_initialize``. Called once, by the module."""
        self._hosted = HostModules(functions)
        for pointer in self._hosted.pointers:
            self._store.register(pointer)
        if self.streams is not None:
            self._store.register(self.streams.pointer)
        self._store.instantiate(self._program)
        if not runs_start:
            return
        if self._info.export(START_EXPORT) is not None:
            self._run(START_EXPORT, _NOTHING, (), deadline_seconds)
        if "_initialize" in self._exports:
            if self.signature("_initialize") != _NOTHING:
                raise FormatError("_initialize must take and return nothing", structure="export")
            self.call("_initialize", deadline_seconds=deadline_seconds)

    def read_memory(self, address: int, length_bytes: int) -> bytes:
        self._enter()
        try:
            return read_memory(self._memory_at(address, length_bytes), address, length_bytes)
        finally:
            self._lock.release()

    def write_memory(self, address: int, data: bytes) -> None:
        self._enter()
        try:
            write_memory(self._memory_at(address, len(data)), address, data)
        finally:
            self._lock.release()

    def limit_memory(self, memory_bytes: int) -> None:
        if memory_bytes != self._memory_limit:
            raise Refused("WasmEdge fixes the limit of a memory when it makes the instance")

    @contextmanager
    def cells(self, names: StateNames) -> Iterator[Cells]:
        self._enter()
        try:
            yield WasmEdgeCells(names, self._store.find)
        finally:
            self._lock.release()

    @property
    def memory_bytes(self) -> int:
        self._take()
        try:
            names = [item.name for item in self._info.exports if item.kind == "memory"]
            return max((self._size(self._store.find("Memory", name) or 0) for name in names), default=0)
        finally:
            self._lock.release()

    @property
    def fuel_left(self) -> int | None:
        if not self._has_fuel:
            return None
        self._take()
        try:
            return max(self._fuel - self._store.cost, 0)
        finally:
            self._lock.release()

    def close(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise LocalProtocolError("an instance cannot be closed while a call runs in it")
        self._dead = "it has been closed"
        for part in (self._store, self.streams, self._hosted):  # the guest before what it imports
            if part is not None:
                part.close()
        self._lock.release()

    def _run(
        self, export: str, function: FuncType, patterns: Sequence[int], deadline_seconds: float | None
    ) -> list[int]:
        seconds = CALL.deadline_seconds if deadline_seconds is None else deadline_seconds
        self._enter()
        try:
            return self._call(export, function, patterns, seconds)
        finally:
            self._lock.release()

    def _call(self, export: str, function: FuncType, patterns: Sequence[int], seconds: float) -> list[int]:
        target = self._store.find("Function", export)
        if target is None:
            raise UsageError(f"the module exports no function named {export!r}")
        given = lib.pack_values(lib.value_types(function.params), patterns)
        counts = (len(function.params), len(function.results))
        self._dead = "it trapped or hit a limit before; make a new one"
        try:
            outcome = self._store.run(target, given, *counts, seconds, self._attend)
        finally:
            if self._store.is_abandoned:
                self._abandon()
        while self._attend():  # what the guest wrote last
            continue
        if outcome.number or outcome.is_late:
            error = self._failure(outcome, export, seconds)
            if isinstance(error, GuestTrap) and error.status == 0 and not function.results:
                return []  # a good end, as a ``_start`` may choose instead of returning
            raise error
        self._dead = ""
        return lib.unpack_values(function.results, outcome.values)

    def _failure(self, outcome: Outcome, export: str, seconds: float) -> LawowError:
        """Return what it means that a call did not end well; the instance is not usable afterwards."""
        number = outcome.number
        if self._store.is_abandoned:
            return deadline_passed(
                seconds, export, "the guest waits for its host, could not be stopped and was left behind"
            )
        if outcome.is_late:
            return deadline_passed(seconds, export)
        if self._hosted is not None and self._hosted.failure:
            return GuestTrap("host-function-failed", self._hosted.failure, frames=(export,))
        if number == TERMINATED and self.streams is not None:
            status = self.streams.exit_status
            return GuestTrap("exit", f"the guest ended itself with status {status}", status=status)
        if number == COST_EXCEEDED:
            return fuel_spent(self._fuel, export)
        if number == _UNREACHABLE and self._is_stack_spent():
            return GuestTrap("stack-overflow", "the guest trapped: call stack exhausted", frames=(export,))
        return failure(number, lib.message_of(number), export)

    def _is_stack_spent(self) -> bool:
        self._store.lift_fuel()
        (left,) = self._store.invoke(STACK_LEFT, (), (), ("i32",), _TELLING_SECONDS)
        return bool(left >> 31)

    def _attend(self) -> bool:
        return self.streams is not None and self.streams.drain()

    def _abandon(self) -> None:
        """Leave everything to a guest that cannot be stopped; it is never freed."""
        for part in (self.streams, self._hosted):
            if part is not None:
                part.abandon()

    def _memory_at(self, address: int, length_bytes: int) -> int:
        """Return the memory named ``memory`` if it has that part."""
        memory = self._store.find("Memory", "memory")
        if memory is None:
            raise FormatError("exports no memory named memory, through which strings and lists go")
        size = self._size(memory)
        if address < 0 or length_bytes < 0 or address + length_bytes > size:
            raise GuestTrap(
                "memory-out-of-bounds",
                f"{length_bytes} bytes at {address:#x} do not lie in the guest's memory of {size} bytes",
            )
        return memory

    def _size(self, memory: int) -> int:
        return lib.library().MemoryInstanceGetPageSize(memory) * PAGE_BYTES

    def _take(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise LocalProtocolError("an instance serves one call at a time, and another one runs in it")

    def _enter(self) -> None:
        """Take the instance for a call, if it can still be called; who took it releases the lock."""
        self._take()
        if self._dead:
            self._lock.release()
            raise LocalProtocolError(f"this instance cannot be called any more: {self._dead}")
