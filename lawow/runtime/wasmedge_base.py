"""What both ways to WasmEdge, its command and its library, have in common: modules and calls by bit patterns.

A module is kept as bytes: the guest's module with LAWOW's additions (`lawow.runtime.additions`) and, if it
was compiled, the machine's code in a custom section behind it. What it exports is read by the static scan.
"""

from __future__ import annotations

from abc import abstractmethod
from struct import pack, unpack

from lawow.errors import FormatError, LimitExceeded, LocalProtocolError, Refused, UsageError
from lawow.formats.wasm import ModuleInfo, inspect_module
from lawow.limits import CALL, MODULE
from lawow.runtime.additions import CODE_SECTION, PREFIX
from lawow.runtime.base import CompiledModule, Instance
from lawow.runtime.binding import fit_arguments
from lawow.runtime.wasi import MODULE_NAME, PREVIEW1_FUNCTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lawow.formats.interface import FuncType
    from lawow.runtime.grants import Directory
    from lawow.runtime.host_functions import HostFunction
    from lawow.runtime.profiles import EngineProfile

__all__ = ["PAGE_BYTES", "PatternInstance", "ScannedModule", "page_limit", "preopened", "scan"]

PAGE_BYTES = 1 << 16

_MOST_PAGES = (1 << 16) - 1
"""A page below 4 GiB: WasmEdge 0.14.1 checks bounds wrongly in a memory of exactly 4 GiB (CVE-2025-69261)."""


def scan(wasm: bytes) -> ModuleInfo:
    """Read a guest's module. Raises `FormatError`, also for a component, and `LimitExceeded`."""
    info = inspect_module(wasm, limits=MODULE)
    if info.is_component:
        raise FormatError("is a WebAssembly component, not a core module; LAWOW runs core modules")
    return info


def page_limit(memory_bytes: int) -> int:
    """Return the limit of a memory as WasmEdge takes it; 0 would mean none."""
    return min(max(memory_bytes // PAGE_BYTES, 1), _MOST_PAGES)


def preopened(directory: Directory) -> str:
    """Return a granted folder as WasmEdge reads it. Raises `Refused` for one that it cannot be told."""
    if ":" in directory.host or ":" in directory.guest:
        raise Refused(f"wasmedge cannot be given a folder with a colon in its name: {directory.host}")
    return f"{directory.guest}:{directory.host}" + ("" if directory.is_writable else ":readonly")


class ScannedModule(CompiledModule):
    """A module of which everything is known by its bytes; `code` is what `serialize` gives."""

    def __init__(self, code: bytes, info: ModuleInfo, profile: EngineProfile) -> None:
        self.code = code
        self.info = info
        self.profile = profile

    @property
    def machine_code(self) -> bytes | None:
        """The shared object for this machine, or None if the module was not compiled."""
        # The last section of that name: LAWOW's own stands behind all that the guest could have brought.
        for item in reversed(self.info.custom_sections):
            if item.name == CODE_SECTION:
                return self.code[item.offset : item.offset + item.size_bytes]
        return None

    @property
    def exports(self) -> Mapping[str, FuncType]:
        return {
            item.name: item.type
            for item in self.info.exports
            if item.type is not None and not item.name.startswith(PREFIX)
        }

    @property
    def imports(self) -> Sequence[tuple[str, str]]:
        return [(item.module, item.name) for item in self.info.imports]

    @property
    def state_names(self) -> Sequence[str]:
        return [item.name for item in self.info.exports if item.name.startswith(PREFIX)]

    @property
    def exports_memory(self) -> bool:
        return any(item.kind == "memory" for item in self.info.exports)

    def serialize(self) -> bytes:
        return self.code

    def admit(
        self, memory_bytes: int | None, fuel: int | None, wasi: bool, functions: Sequence[HostFunction] = ()
    ) -> tuple[int, bool]:
        """Return the limit of the memory, and whether WASI is needed, if an instance may be made.

        Raises what `CompiledModule.instantiate` does for imports, declared memory and fuel.
        """
        granted = {(item.module, item.name) for item in functions}
        others = [pair for pair in self.imports if pair not in granted]
        # WasmEdge would give more under that name: sockets above all.
        offered = {(MODULE_NAME, name) for name in PREVIEW1_FUNCTIONS} if wasi else set()
        missing = [f"{module}.{name}" for module, name in others if (module, name) not in offered]
        if missing:
            raise Refused(f"the module imports what nobody provides here: {', '.join(missing[:8])}")
        memory = CALL.memory_bytes if memory_bytes is None else memory_bytes
        for item in self.info.memories:
            declared = item.minimum_pages * item.page_bytes
            if declared > memory:
                hint = "the module declares more than that"
                raise LimitExceeded("memory_bytes", declared, memory, hint=hint)
        if fuel is not None and not self.profile.has_fuel:
            raise LocalProtocolError(f"the engine profile {self.profile.name} has no fuel")
        return memory, bool(others)


class PatternInstance(Instance):
    """An instance whose calls take and give values as bit patterns."""

    def __init__(self, exports: Mapping[str, FuncType]) -> None:
        self._exports = exports

    @abstractmethod
    def _run(
        self, export: str, function: FuncType, patterns: Sequence[int], deadline_seconds: float | None
    ) -> list[int]:
        """Call `export` and return the bit patterns of its results."""

    def signature(self, export: str) -> FuncType:
        function = self._exports.get(export)
        if function is None:
            raise UsageError(f"the module exports no function named {export!r}")
        if not function.is_callable:
            raise UsageError(f"{export} cannot be called from outside: its type is {function}")
        return function

    def call(
        self, export: str, arguments: Sequence[int | float] = (), *, deadline_seconds: float | None = None
    ) -> tuple[int | float, ...]:
        function = self.signature(export)
        values = fit_arguments(export, function, arguments)
        patterns = [_pattern(kind, value) for kind, value in zip(function.params, values, strict=True)]
        found = self._run(export, function, patterns, deadline_seconds)
        return tuple(_value(kind, pattern) for kind, pattern in zip(function.results, found, strict=False))

    def call_raw(self, export: str, values: bytes, *, deadline_seconds: float | None = None) -> bytes:
        function = self.signature(export)
        if len(values) != 8 * len(function.params):
            raise UsageError(
                f"{export} takes {8 * len(function.params)} bytes of arguments, {len(values)} were given"
            )
        given = unpack(f"<{len(function.params)}Q", values)
        patterns = [_masked(kind, pattern) for kind, pattern in zip(function.params, given, strict=True)]
        found = self._run(export, function, patterns, deadline_seconds)
        return pack(f"<{len(found)}Q", *found)


_LAYOUTS = {"i32": ("<I", "<i"), "i64": ("<Q", "<q"), "f32": ("<I", "<f"), "f64": ("<Q", "<d")}
"""Type -> layouts of its bit pattern and of its value."""


def _pattern(kind: str, value: int | float) -> int:
    """Return the bit pattern of an argument that fits."""
    bits, layout = _LAYOUTS[kind]
    (pattern,) = unpack(bits, pack(layout, value))
    return int(pattern)


def _value(kind: str, pattern: int) -> int | float:
    """Return the value of a result."""
    bits, layout = _LAYOUTS[kind]
    value: int | float = unpack(layout, pack(bits, pattern))[0]
    return value


def _masked(kind: str, pattern: int) -> int:
    return pattern & 0xFFFFFFFF if kind in ("i32", "f32") else pattern
