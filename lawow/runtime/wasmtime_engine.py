"""`Engine` over `libwasmtime`: core modules, compiled by Cranelift, called without conversions in between.

On the start path of ``lawow exec``: what a plain call does not need (WASI, watchdog) is imported when used.
"""

from __future__ import annotations

from _thread import allocate_lock
from ctypes import addressof, byref, c_size_t, c_uint64, c_void_p, memmove, string_at
from os import fsencode

from lawow.errors import (
    FormatError,
    GuestTrap,
    LawowError,
    LimitExceeded,
    LocalProtocolError,
    Refused,
    UsageError,
)
from lawow.formats.interface import PREFIX, START_EXPORT, FuncType
from lawow.runtime import libwasmtime as lib
from lawow.runtime.base import CompiledModule, Engine, Instance
from lawow.runtime.binding import NOT_PACKED, BoundExport
from lawow.runtime.failures import (
    TRAP_CODES,
    Bounds,
    bad_artefact,
    bad_module,
    guest_failure,
    require_done,
)
from lawow.runtime.hot import CALL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from functools import partial

    from lawow.formats.wasm_expose import StateNames
    from lawow.runtime.cells import Cells
    from lawow.runtime.grants import Grants
    from lawow.runtime.host_functions import HostFunction
    from lawow.runtime.profiles import EngineProfile
    from lawow.runtime.watchdog import Watchdog

    Output = Callable[[bytes], object]
else:
    from _functools import partial  # as in `lawow.runtime.binding`

__all__ = ["TRAP_CODES", "WasmtimeEngine", "WasmtimeInstance", "WasmtimeModule"]

_VALUE_TYPES = ("i32", "i64", "f32", "f64", "v128")
"""``wasmtime_valkind_t`` by number; all others are references."""

_ALL_FUEL = (1 << 64) - 1

_FUNCTION = 0  # WASMTIME_EXTERN_FUNC
_MEMORY = 3  # WASMTIME_EXTERN_MEMORY

_WASI = "wasi_snapshot_preview1"

_BUSY = "an instance serves one call at a time, and another one runs in it"


class WasmtimeEngine(Engine):
    """An engine configured by `profile`. Make it after `fork`, not before: its threads do not follow."""

    def __init__(self, profile: EngineProfile) -> None:
        functions = lib.library()
        config = lib.Handle(functions.wasm_config_new(), functions.wasm_config_delete)
        for name, code, value in profile.settings:
            functions.configure(config.pointer, name, code, value)
        self.profile = profile
        self._handle = lib.Handle(
            functions.wasm_engine_new_with_config(config.give_away()), functions.wasm_engine_delete
        )
        self._linkers: dict[bool, lib.Handle] = {}
        self._watchdog: Watchdog | None = None

    @property
    def pointer(self) -> int:
        """The ``wasm_engine_t``, for this package only."""
        return self._handle.pointer

    def compile(self, wasm: bytes) -> WasmtimeModule:
        module = c_void_p()
        error = lib.library().wasmtime_module_new(self.pointer, wasm, len(wasm), byref(module))
        if error:
            raise bad_module(lib.take_error(error)[0])
        return WasmtimeModule(self, module.value)

    def load(self, path: str) -> WasmtimeModule:
        module = c_void_p()
        error = lib.library().wasmtime_module_deserialize_file(self.pointer, fsencode(path), byref(module))
        if error:
            raise bad_artefact(lib.take_error(error)[0], path)
        return WasmtimeModule(self, module.value)

    def load_bytes(self, compiled: bytes) -> WasmtimeModule:
        """Like `load`, from memory: slower for large modules, because the code is copied."""
        module = c_void_p()
        error = lib.library().wasmtime_module_deserialize(
            self.pointer, compiled, len(compiled), byref(module)
        )
        if error:
            raise bad_artefact(lib.take_error(error)[0], "compiled module")
        return WasmtimeModule(self, module.value)

    def linker(self, wasi: bool) -> int:
        """Return the ``wasmtime_linker_t`` with WASI or with nothing, made once."""
        if wasi not in self._linkers:
            self._linkers[wasi] = self.new_linker(wasi)
        return self._linkers[wasi].pointer

    def new_linker(self, wasi: bool) -> lib.Handle:
        """Return a linker that somebody else owns."""
        functions = lib.library()
        handle = lib.Handle(functions.wasmtime_linker_new(self.pointer), functions.wasmtime_linker_delete)
        if wasi:
            require_done(functions.wasmtime_linker_define_wasi(handle.pointer))
        return handle

    @property
    def watchdog(self) -> Watchdog:
        """The thread that ends calls at their deadline; started when it is first needed."""
        if self._watchdog is None:
            from lawow.runtime.watchdog import Watchdog

            handle, bump = self._handle, lib.library().wasmtime_engine_increment_epoch
            self._watchdog = Watchdog(lambda: bump(handle.pointer))
        return self._watchdog

    def close(self) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        for linker in self._linkers.values():
            linker.close()
        self._handle.close()


class WasmtimeModule(CompiledModule):
    """A ``wasmtime_module_t``."""

    def __init__(self, engine: WasmtimeEngine, pointer: int | None) -> None:
        self._engine = engine
        self._handle = lib.Handle(pointer or 0, lib.library().wasmtime_module_delete)
        self._exports: Mapping[str, FuncType] | None = None
        self._state_names: Sequence[str] = ()
        self._exports_memory: bool | None = None
        self._imports: Sequence[tuple[str, str]] | None = None
        self._types: dict[str, FuncType] = {}  # of the functions that instances looked up

    @property
    def exports(self) -> Mapping[str, FuncType]:
        if self._exports is None:
            functions = lib.library()
            found = lib.read_elements(
                functions.wasmtime_module_exports,
                functions.wasm_exporttype_vec_delete,
                self._handle.pointer,
                _export,
            )
            self._state_names = [name for name, _ in found if name.startswith(PREFIX)]
            self._exports = {
                name: function
                for name, function in found
                if function is not None and not name.startswith(PREFIX)
            }
        return self._exports

    @property
    def state_names(self) -> Sequence[str]:
        _ = self.exports  # reads both
        return self._state_names

    @property
    def imports(self) -> Sequence[tuple[str, str]]:
        if self._imports is None:
            functions = lib.library()
            self._imports = lib.read_elements(
                functions.wasmtime_module_imports,
                functions.wasm_importtype_vec_delete,
                self._handle.pointer,
                _import,
            )
        return self._imports

    @property
    def exports_memory(self) -> bool:
        if self._exports_memory is None:
            functions = lib.library()
            found = lib.read_elements(
                functions.wasmtime_module_exports,
                functions.wasm_exporttype_vec_delete,
                self._handle.pointer,
                _is_memory,
            )
            self._exports_memory = any(found)
        return self._exports_memory

    def serialize(self) -> bytes:
        functions = lib.library()

        def fill(vector: object) -> None:
            require_done(functions.wasmtime_module_serialize(self._handle.pointer, vector))

        return lib.byte_string(fill)

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
    ) -> WasmtimeInstance:
        functions = grants.functions if grants is not None else ()
        needs_wasi = self._require_imports(wasi, functions)
        bounds = Bounds(
            CALL.memory_bytes if memory_bytes is None else memory_bytes,
            CALL.table_elements if table_elements is None else table_elements,
            fuel,
        )
        store = _Store(self._engine, bounds)
        if needs_wasi:
            from lawow.runtime.wasi import set_up

            set_up(store.context, stdout, stderr, grants)
        instance = WasmtimeInstance(store, self._types)
        try:
            linker = self._engine.linker(needs_wasi)
            if functions:
                linker = store.link(needs_wasi, functions)
            instance.start(linker, self._handle.pointer, deadline_seconds, runs_start)
        except BaseException:
            instance.close()
            raise
        return instance

    def close(self) -> None:
        self._handle.close()

    def _require_imports(self, wasi: bool, functions: Sequence[HostFunction]) -> bool:
        """Return whether WASI is needed. Raises `Refused` for imports that nobody provides."""
        granted = {(item.module, item.name) for item in functions}
        others = [pair for pair in self.imports if pair not in granted] if granted else self.imports
        missing = [f"{module}.{name}" for module, name in others if not (wasi and module == _WASI)]
        if missing:
            shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
            raise Refused(f"the module imports what nobody provides here: {shown}")
        return bool(others)


class _Store:
    """A ``wasmtime_store_t`` with its limits; everything that dangles when it is freed lives in here."""

    __slots__ = ("_linked", "bounds", "deadline_seconds", "engine", "handle", "open_context", "token")

    open_context: c_void_p | None
    """The ``wasmtime_context_t`` (ctypes need not convert it at each call), or None when it is closed."""

    def __init__(self, engine: WasmtimeEngine, bounds: Bounds) -> None:
        functions = lib.library()
        self._linked: tuple[object, ...] = ()
        self.token = 0  # not 0: the store has epochs
        self.deadline_seconds = 0.0
        self.engine = engine
        self.bounds = bounds
        self.handle = lib.Handle(
            functions.wasmtime_store_new(engine.pointer, None, None), functions.wasmtime_store_delete
        )
        self.open_context = c_void_p(functions.wasmtime_store_context(self.handle.pointer))
        self.limit()
        if engine.profile.has_fuel:
            bounds.fuel = _ALL_FUEL if bounds.fuel is None else bounds.fuel
            require_done(functions.wasmtime_context_set_fuel(self.context, bounds.fuel))
        elif bounds.fuel is not None:
            raise LocalProtocolError(f"the engine profile {engine.profile.name} has no fuel")
        if engine.profile.has_epochs:
            self.token = _watch_epochs(self.handle.pointer, engine.watchdog)
            functions.wasmtime_context_set_epoch_deadline(self.open_context, 1)  # `_on_epoch` sets the next

    @property
    def context(self) -> c_void_p:
        """The ``wasmtime_context_t``. It is gone with the store; then this raises `LocalProtocolError`."""
        if self.open_context is None:
            raise LocalProtocolError("this instance has been closed")
        return self.open_context

    def link(self, wasi: bool, functions: Sequence[HostFunction]) -> int:
        """Return a linker of this store's own, with host functions and, where it is needed, WASI."""
        from lawow.runtime.linking import define_functions

        linker = self.engine.new_linker(wasi)
        self._linked = (linker, define_functions(linker.pointer, functions))
        return linker.pointer

    def limit(self) -> None:
        """Put the bounds in force."""
        bounds = self.bounds
        limits = (bounds.memory_bytes, bounds.table_elements, CALL.instances, CALL.tables, CALL.memories)
        lib.library().wasmtime_store_limiter(self.handle.pointer, *limits)

    def close(self) -> None:
        """Free the store."""
        self.open_context = None
        _watched.pop(self.token, None)
        self.handle.close()
        self._linked = ()  # and with it the state of host functions

    def __del__(self) -> None:
        _watched.pop(self.token, None)


_watched: dict[int, Watchdog] = {}
"""Token -> watchdog of every open store with epochs. The library hands the token back to `_on_epoch`."""

_next_token = [1]


def _watch_epochs(store: int, watchdog: Watchdog) -> int:
    """Let the library ask `_on_epoch` when the epoch moves under a call; return the store's token."""
    token = _next_token[0]
    _next_token[0] = token + 1
    _watched[token] = watchdog
    lib.library().wasmtime_store_epoch_deadline_callback(store, _on_epoch, token, None)
    return token


def _epoch_decision(context: int, token: int, ticks: Sequence[int], kind: Sequence[int]) -> int | None:
    """Stop the call if its own deadline has passed; else let it run until the next bump."""
    watchdog = _watched.get(token)
    if watchdog is None or watchdog.expired(token):
        return lib.library().wasmtime_error_new(b"deadline")
    ticks[0] = 1  # type: ignore[index]
    kind[0] = 0  # type: ignore[index]  # WASMTIME_UPDATE_DEADLINE_CONTINUE
    return None


_on_epoch = lib.EpochCallback(_epoch_decision)


class WasmtimeInstance(Instance):
    """A store with one instance in it. The only holder of the store: when it closes, nothing dangles."""

    def __init__(self, store: _Store, types: dict[str, FuncType]) -> None:
        self._store = store
        self._watched = bool(store.token)
        self._types = types
        self._record = (c_uint64 * 2)()  # wasmtime_instance_t
        self._bound: dict[str, BoundExport] = {}
        self._memory: lib.ExternRecord | None = None
        self._memories: list[lib.ExternRecord] = []
        self._memory_sizes: list[partial[int]] | None = None  # they hold pointers into `_memories`
        self._lock = allocate_lock()
        self._acquire, self._release = self._lock.acquire, self._lock.release
        self._dead = ""
        self._trap = c_void_p()
        self._trap_address = c_void_p(addressof(self._trap))

    def start(
        self, linker: int, module: int, deadline_seconds: float | None, runs_start: bool = True
    ) -> None:
        """Instantiate, then run what is to run before any call. Called once, by the module."""
        instantiate = lib.library().wasmtime_linker_instantiate
        record = addressof(self._record)
        self._arm(deadline_seconds)
        try:
            error = instantiate(linker, self._store.context, module, record, self._trap_address)
            if error or self._trap:
                raise self._failure(error, "start")
        finally:
            self._disarm()
        if not runs_start:
            return
        if self._export_kind(START_EXPORT) == _FUNCTION:
            self.call(START_EXPORT, deadline_seconds=deadline_seconds)
        if self._export_kind("_initialize") == _FUNCTION:
            if self.signature("_initialize") != FuncType((), ()):
                raise FormatError("_initialize must take and return nothing", structure="export")
            self.call("_initialize", deadline_seconds=deadline_seconds)

    def signature(self, export: str) -> FuncType:
        bound = None if self._dead else self._bound.get(export)
        return (bound or self._ready(export)).function

    def call(
        self, export: str, arguments: Sequence[int | float] = (), *, deadline_seconds: float | None = None
    ) -> tuple[int | float, ...]:
        bound = self._bound.get(export) or self._ready(export)
        if not self._acquire(False):  # not by `_enter`: every call comes through here
            raise LocalProtocolError(_BUSY)
        try:
            if self._dead:
                raise self._refusal()
            try:
                bound.put(*arguments)
            except NOT_PACKED:
                bound.put_fitted(arguments)
            if self._watched or deadline_seconds is not None:
                self._run_watched(bound, deadline_seconds)
            elif (error := bound.enter()) or self._trap:
                self._settle(bound, error)
            return bound.take()
        finally:
            self._release()

    def call_raw(self, export: str, values: bytes, *, deadline_seconds: float | None = None) -> bytes:
        bound = self._bound.get(export) or self._ready(export)
        if not self._acquire(False):  # not by `_enter`: every call of the data plane comes through here
            raise LocalProtocolError(_BUSY)
        try:
            if self._dead:
                raise self._refusal()
            bound.put_raw(values)
            self._run_watched(bound, deadline_seconds)
            return bound.take_raw()
        finally:
            self._release()

    def read_memory(self, address: int, length_bytes: int) -> bytes:
        self._enter()
        try:
            return string_at(self._place(address, length_bytes), length_bytes)
        finally:
            self._lock.release()

    def write_memory(self, address: int, data: bytes) -> None:
        self._enter()
        try:
            memmove(self._place(address, len(data)), data, len(data))
        finally:
            self._lock.release()

    def _place(self, address: int, length_bytes: int) -> int:
        """Return where a part of the guest's memory lies now; good until the guest runs again."""
        memory = self._memory or self._find_memory()
        functions, context = lib.library(), self._store.context
        size = functions.wasmtime_memory_data_size(context, memory.address)
        if address < 0 or length_bytes < 0 or address + length_bytes > size:
            raise GuestTrap(
                "memory-out-of-bounds",
                f"{length_bytes} bytes at {address:#x} do not lie in the guest's memory of {size} bytes",
            )
        return (functions.wasmtime_memory_data(context, memory.address) or 0) + address

    def _find_memory(self) -> lib.ExternRecord:
        memory = self._export("memory")
        if memory is None or memory.kind != _MEMORY:
            raise FormatError("exports no memory named memory, through which strings and lists go")
        self._memory = memory
        return memory

    def limit_memory(self, memory_bytes: int) -> None:
        if memory_bytes == self._store.bounds.memory_bytes:
            return
        self._take()
        try:
            self._store.bounds.memory_bytes = memory_bytes
            self._store.limit()
        finally:
            self._lock.release()

    @property
    def memory_bytes(self) -> int:
        self._take()
        try:
            return self._largest_memory()
        finally:
            self._lock.release()

    def _largest_memory(self) -> int:
        if self._memory_sizes is None:
            size, context = lib.library().wasmtime_memory_data_size, self._store.context
            self._memories = list(self._find_memories())
            self._memory_sizes = [partial(size, context, c_void_p(item.address)) for item in self._memories]
        if self._store.open_context is None:
            raise LocalProtocolError("this instance has been closed")
        return max([size() for size in self._memory_sizes], default=0)

    def _find_memories(self) -> Iterator[lib.ExternRecord]:
        """Yield the exported memories; a record of one holds nothing that must be freed."""
        functions, name, length, index = lib.library(), c_void_p(), c_size_t(), 0
        while True:
            item = lib.ExternRecord()
            if not functions.wasmtime_instance_export_nth(
                self._store.context, addressof(self._record), index, byref(name), byref(length), byref(item)
            ):
                return
            if item.kind == _MEMORY:
                yield item
            else:
                functions.wasmtime_extern_delete(byref(item))
            index += 1

    def cells(self, names: StateNames) -> AbstractContextManager[Cells]:
        from contextlib import contextmanager

        from lawow.runtime.wasmtime_cells import WasmtimeCells

        @contextmanager
        def hold() -> Iterator[Cells]:
            self._enter()
            try:
                yield WasmtimeCells(names, self._store.context, self._export)
            finally:
                self._lock.release()

        return hold()

    @property
    def fuel_left(self) -> int | None:
        if not self._store.engine.profile.has_fuel:
            return None
        left = c_uint64()
        self._take()
        try:
            require_done(lib.library().wasmtime_context_get_fuel(self._store.context, byref(left)))
        finally:
            self._lock.release()
        return left.value

    def interrupt(self) -> None:
        if not self._store.token:
            return super().interrupt()
        return self._store.engine.watchdog.expire(self._store.token)

    def close(self) -> None:
        if not self._lock.acquire(False):
            raise LocalProtocolError("an instance cannot be closed while a call runs in it")
        self._dead = "it has been closed"
        self._bound.clear()
        self._store.close()
        self._lock.release()

    def _take(self) -> None:
        """Take the store for this thread; who took it releases the lock."""
        if not self._lock.acquire(False):  # by position: a keyword takes four times as long
            raise LocalProtocolError(_BUSY)

    def _enter(self) -> None:
        """Take the instance for a call, if it can still be called."""
        self._take()
        if self._dead:
            self._lock.release()
            raise self._refusal()

    def _refusal(self) -> LocalProtocolError:
        return LocalProtocolError(f"this instance cannot be called any more: {self._dead}")

    def _run_watched(self, bound: BoundExport, deadline_seconds: float | None) -> None:
        """Call the guest with what is in the buffer; results are in the buffer afterwards.

        The caller has taken the instance, and has seen that it can be called.
        """
        self._arm(deadline_seconds)
        try:
            if (error := bound.enter()) or self._trap:
                self._settle(bound, error)
        finally:
            self._disarm()

    def _settle(self, bound: BoundExport, error: int | None) -> None:
        """Raise what the library returned, unless it is the good end of a command."""
        failure = self._failure(error, bound.name)
        if not (_is_good_end(failure) and not bound.function.results):
            raise failure

    def _arm(self, deadline_seconds: float | None) -> None:
        store = self._store
        if not store.token:
            if deadline_seconds is not None:
                raise LocalProtocolError(f"the profile {store.engine.profile.name} cannot interrupt a call")
            return
        if deadline_seconds is None:
            deadline_seconds = CALL.deadline_seconds
        store.deadline_seconds = deadline_seconds
        store.engine.watchdog.arm(store.token, deadline_seconds)

    def _disarm(self) -> None:
        if self._store.token:
            self._store.engine.watchdog.disarm(self._store.token)

    def _failure(self, error: int | None, what: str) -> LawowError:
        """Turn what the library returned into an error; the instance is not usable afterwards."""
        store, trap = self._store, self._trap.value
        self._trap.value = None
        self._dead = "it trapped or hit a limit before; make a new one"
        if error and store.token and store.engine.watchdog.expired(store.token):
            lib.take_error(error)
            return LimitExceeded(
                "deadline_seconds",
                f"more than {store.deadline_seconds:g}",
                f"{store.deadline_seconds:g}",
                subject=what,
                hint="the guest was stopped",
            )
        return guest_failure(error, trap, store.bounds)

    def _export_kind(self, name: str) -> int | None:
        item = self._export(name)
        return None if item is None else item.kind

    def _export(self, name: str) -> lib.ExternRecord | None:
        encoded = name.encode("utf-8", "surrogatepass")
        item = lib.ExternRecord()
        found = lib.library().wasmtime_instance_export_get(
            self._store.context, addressof(self._record), encoded, len(encoded), byref(item)
        )
        return item if found else None

    def _ready(self, name: str) -> BoundExport:
        """Look an export up and remember it."""
        self._enter()
        try:
            item = self._export(name)
            if item is None or item.kind != _FUNCTION:
                raise UsageError(f"the module exports no function named {name!r}")
            function = self._types.get(name) or self._look_up_type(name, item)
        finally:
            self._lock.release()
        if not function.is_callable:
            raise UsageError(f"{name} cannot be called from outside: its type is {function}")
        bound = self._bound[name] = BoundExport(
            name,
            item,
            function,
            lib.library().wasmtime_func_call_unchecked,
            self._store.context,
            self._trap_address,
        )
        return bound

    def _look_up_type(self, name: str, item: lib.ExternRecord) -> FuncType:
        functions = lib.library()
        owned = functions.wasmtime_func_type(self._store.context, item.address)
        function = self._types[name] = _function_type(owned)
        functions.wasm_functype_delete(owned)
        return function


def _is_good_end(failure: LawowError) -> bool:
    """Return whether the guest ended itself with status 0, as a ``_start`` may instead of returning."""
    return isinstance(failure, GuestTrap) and failure.status == 0


def _function_type(pointer: int) -> FuncType:
    """Read a ``wasm_functype_t`` that somebody else owns."""
    functions = lib.library()
    params = lib.borrowed_elements(functions.wasm_functype_params(pointer))
    results = lib.borrowed_elements(functions.wasm_functype_results(pointer))
    return FuncType(tuple(map(_value_type, params)), tuple(map(_value_type, results)))


def _value_type(pointer: int) -> str:
    functions = lib.library()
    record = lib.ValueTypeRecord()
    functions.wasmtime_valtype_new(pointer, byref(record))
    kind = record.kind
    functions.wasmtime_valtype_delete(byref(record))
    return _VALUE_TYPES[kind] if kind < len(_VALUE_TYPES) else "reference"


def _export(pointer: int) -> tuple[str, FuncType | None]:
    """Read a ``wasm_exporttype_t``: its name, and its type if it is a function."""
    functions = lib.library()
    name = lib.borrowed_name(functions.wasm_exporttype_name(pointer))
    function = functions.wasm_externtype_as_functype_const(functions.wasm_exporttype_type(pointer))
    return name, _function_type(function) if function else None


def _is_memory(pointer: int) -> bool:
    """Tell whether a ``wasm_exporttype_t`` is a memory."""
    functions = lib.library()
    return bool(functions.wasm_externtype_as_memorytype_const(functions.wasm_exporttype_type(pointer)))


def _import(pointer: int) -> tuple[str, str]:
    """Read a ``wasm_importtype_t``."""
    functions = lib.library()
    module = lib.borrowed_name(functions.wasm_importtype_module(pointer))
    return module, lib.borrowed_name(functions.wasm_importtype_name(pointer))
