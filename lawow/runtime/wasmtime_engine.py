"""`Engine` over `libwasmtime`: core modules, compiled by Cranelift, called without conversions in between.

On the start path of ``lawow exec``: what a plain call does not need (WASI, watchdog) is imported when used.
"""

from __future__ import annotations

from ctypes import byref, c_void_p
from os import fsencode

from lawow.errors import Refused
from lawow.formats.interface import PREFIX, FuncType
from lawow.runtime import libwasmtime as lib
from lawow.runtime.base import CompiledModule, Engine
from lawow.runtime.failures import TRAP_CODES, Bounds, bad_artefact, bad_module, require_done
from lawow.runtime.hot import CALL
from lawow.runtime.wasmtime_instance import WasmtimeInstance
from lawow.runtime.wasmtime_store import Store
from lawow.runtime.wasmtime_types import export_of, import_of, is_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lawow.runtime.grants import Grants
    from lawow.runtime.host_functions import HostFunction
    from lawow.runtime.profiles import EngineProfile
    from lawow.runtime.watchdog import Watchdog

    Output = Callable[[bytes], object]

__all__ = ["TRAP_CODES", "WasmtimeEngine", "WasmtimeInstance", "WasmtimeModule"]

_WASI = "wasi_snapshot_preview1"


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
    def pointer(self) -> int:
        """The ``wasmtime_module_t``, for this package only."""
        return self._handle.pointer

    @property
    def exports(self) -> Mapping[str, FuncType]:
        if self._exports is None:
            functions = lib.library()
            found = lib.read_elements(
                functions.wasmtime_module_exports,
                functions.wasm_exporttype_vec_delete,
                self._handle.pointer,
                export_of,
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
                import_of,
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
                is_memory,
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
        store = Store(self._engine, bounds)
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
