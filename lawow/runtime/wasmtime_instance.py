"""`Instance` over `libwasmtime`: calls with as little in between as ctypes allows, memory, state."""

from __future__ import annotations

from _thread import allocate_lock
from ctypes import addressof, byref, c_size_t, c_uint64, c_void_p, memmove, string_at

from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, LocalProtocolError, UsageError
from lawow.formats.interface import START_EXPORT, FuncType
from lawow.runtime import libwasmtime as lib
from lawow.runtime.base import Instance
from lawow.runtime.binding import NOT_PACKED, BoundExport
from lawow.runtime.failures import guest_failure, require_done
from lawow.runtime.hot import CALL
from lawow.runtime.wasmtime_types import function_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from functools import partial

    from lawow.formats.wasm_expose import StateNames
    from lawow.runtime.annex import Annex
    from lawow.runtime.cells import Cells
    from lawow.runtime.wasmtime_engine import WasmtimeModule
    from lawow.runtime.wasmtime_store import Store
else:
    from _functools import partial  # as in `lawow.runtime.binding`

__all__ = ["WasmtimeInstance"]

_FUNCTION = 0  # WASMTIME_EXTERN_FUNC
_MEMORY = 3  # WASMTIME_EXTERN_MEMORY

_BUSY = "an instance serves one call at a time, and another one runs in it"


class WasmtimeInstance(Instance):
    """A store with one instance in it. The only holder of the store: when it closes, nothing dangles."""

    def __init__(self, store: Store, types: dict[str, FuncType]) -> None:
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

    def attach(self, module: WasmtimeModule, export: str) -> Annex:
        """Put an instance of `module`, which the host wrote, beside this one; it calls `export`.

        Raises `LocalProtocolError` under a profile that cannot interrupt a call.
        """
        from lawow.runtime.annex import Annex

        if not self._watched:
            raise LocalProtocolError(f"the profile {self._store.engine.profile.name} cannot interrupt a call")
        guest = self._bound.get(export) or self._ready(export)
        self._enter()
        try:
            return Annex(self._store, module.pointer, module.exports["run"], guest, self._trap_address)
        finally:
            self._lock.release()

    def run_annex(self, annex: Annex, arguments: tuple[int, ...], deadline_seconds: float) -> None:
        """Let an annex of this instance run. Raises what `call` raises of the guest that it calls."""
        if not self._acquire(False):
            raise LocalProtocolError(_BUSY)
        store = self._store
        try:
            if self._dead:
                raise self._refusal()
            annex.put(*arguments)
            store.deadline_seconds = deadline_seconds
            annex.arm(deadline_seconds)  # as `_run_watched`, on the path of every burst of calls
            try:
                if (error := annex.enter()) or self._trap:
                    self._settle(annex, error)
            finally:
                annex.disarm()
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

    def send(self, errand: Callable[[], object]) -> None:
        """Let the thread on which a call runs do `errand` where the guest can be stopped; see `Watchdog`."""
        self._store.engine.watchdog.send(self._store.token, errand)

    def extend(self, seconds: float) -> None:
        """Let the call that runs go on for so long from now; for an errand."""
        self._store.deadline_seconds = seconds
        self._store.engine.watchdog.arm(self._store.token, seconds)

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
        function = self._types[name] = function_type(owned)
        functions.wasm_functype_delete(owned)
        return function


def _is_good_end(failure: LawowError) -> bool:
    """Return whether the guest ended itself with status 0, as a ``_start`` may instead of returning."""
    return isinstance(failure, GuestTrap) and failure.status == 0
