"""The seam between LAWOW and a WebAssembly engine: what any engine must offer, and nothing of how.

An `Engine` makes `CompiledModule` objects, a module makes `Instance` objects, an instance calls exports::

    engine = WasmtimeEngine(EDGE_PROFILE)
    module = engine.compile(wasm)              # or engine.load(path) of what module.serialize() gave
    with module.instantiate(memory_bytes=64 << 20, deadline_seconds=5.0) as instance:
        instance.call("fib", (10,), deadline_seconds=5.0)      # (55,)

Instances are reactors: ``_initialize`` runs once when the instance is made, then exports are called any
number of times. An engine compiles what it is given: the static scan (`lawow.formats.wasm`) and limits on
the compiling process come before (`lawow.runtime.cache`, `lawow.runtime.compile_worker`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from lawow.errors import LocalProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from lawow.formats.interface import FuncType
    from lawow.formats.wasm_expose import StateNames
    from lawow.runtime.cells import Cells
    from lawow.runtime.grants import Grants
    from lawow.runtime.profiles import EngineProfile

    Output = Callable[[bytes], object]

__all__ = ["CompiledModule", "Engine", "Instance"]


class Engine(ABC):
    """Compiles and loads modules under one `EngineProfile`."""

    profile: EngineProfile
    compiles_apart = False
    """Whether `compile` already runs in a limited process of its own."""
    keeps_instances = True
    """Whether an instance outlives a call, so that it has a state."""

    @abstractmethod
    def compile(self, wasm: bytes) -> CompiledModule:
        """Compile a binary module in this process. Raises `FormatError` if it is not valid."""

    @abstractmethod
    def load(self, path: str) -> CompiledModule:
        """Map compiled code from a file that `CompiledModule.serialize` made.

        The file is native code: the caller vouches for its origin and integrity. Raises `FormatError` if it
        was made by another release, for another profile or for another processor.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the engine. Modules and instances made by it stay usable."""


class CompiledModule(ABC):
    """Compiled code, shared by any number of instances. Safe to use from several threads."""

    @property
    @abstractmethod
    def exports(self) -> Mapping[str, FuncType]:
        """The exported functions in the module's order, also those that cannot be called (`is_callable`)."""

    @property
    @abstractmethod
    def imports(self) -> Sequence[tuple[str, str]]:
        """What the module imports, as (module, name)."""

    @property
    @abstractmethod
    def exports_memory(self) -> bool:
        """Whether a memory is exported, under any name: only then is its size known."""

    @property
    @abstractmethod
    def state_names(self) -> Sequence[str]:
        """The exports that LAWOW added to reach the state of instances (`lawow.formats.wasm_expose`)."""

    @abstractmethod
    def serialize(self) -> bytes:
        """Return the compiled code in the form that `Engine.load` takes."""

    @abstractmethod
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
    ) -> Instance:
        """Make an instance: run the start function and ``_initialize``, if there are any.

        Without `runs_start` no code of the guest runs, which the module's state must be exposed for.

        Limits default to those of `lawow.limits.CALL`. With `wasi`, a module that imports WASI preview 1
        gets clocks, random numbers, and `stdout` and `stderr` (discarded where not given); folders,
        environment, input and host functions only by `grants`; never arguments or sockets.
        `deadline_seconds` bounds what runs here, `fuel` all that runs in this instance.

        Raises `Refused` for imports that nobody provides, `LimitExceeded` (``memory_bytes``,
        ``table_elements``, ``tables``, ``memories``, ``deadline_seconds``, ``fuel``), `GuestTrap`.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the code. Instances made from it stay usable."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Instance(ABC):
    """One instance with its own memory. For one thread at a time; a second one is refused, not queued.

    After a trap or a limit the guest's state is undefined, so every later call is refused: make a new
    instance.
    """

    @abstractmethod
    def signature(self, export: str) -> FuncType:
        """Return the type of an exported function. Raises `UsageError` if there is none of that name."""

    @abstractmethod
    def call(
        self, export: str, arguments: Sequence[int | float] = (), *, deadline_seconds: float | None = None
    ) -> tuple[int | float, ...]:
        """Call an export and return all its results (none, one or several). Integers come back signed.

        Integers may be given signed or unsigned. `deadline_seconds` needs a profile with epochs.

        Raises `UsageError` (no such export, arguments that do not fit), `GuestTrap`, `LimitExceeded`
        (``deadline_seconds``, ``fuel``), `LocalProtocolError` (closed, in use, or trapped before).
        """

    @abstractmethod
    def call_raw(self, export: str, values: bytes, *, deadline_seconds: float | None = None) -> bytes:
        """Call an export with bit patterns: 8 bytes for each value, little-endian, i32 and f32 in the low 4.

        Results have the same form, with zeros above 32-bit values. Raises what `call` raises.
        """

    @abstractmethod
    def read_memory(self, address: int, length_bytes: int) -> bytes:
        """Return a copy of a part of the memory exported as ``memory``.

        Raises `GuestTrap` (``memory-out-of-bounds``), `FormatError` if no memory is exported under that name,
        `LocalProtocolError` as `call`.
        """

    @abstractmethod
    def write_memory(self, address: int, data: bytes) -> None:
        """Write all of `data` into the memory exported as ``memory``, or nothing. Raises as `read_memory`."""

    @abstractmethod
    def limit_memory(self, memory_bytes: int) -> None:
        """Let each memory grow to so much from now on; one that is larger already stays as it is."""

    def interrupt(self) -> None:
        """Stop the call that runs, from another thread, as if its deadline had passed; else no effect.

        Raises `LocalProtocolError` where the engine cannot do that.
        """
        raise LocalProtocolError("this engine cannot stop a call before its deadline")

    @abstractmethod
    def cells(self, names: StateNames) -> AbstractContextManager[Cells]:
        """Hold the instance and give access to its state, for `lawow.runtime.state`.

        Raises `LocalProtocolError` as `call`, and `Refused` where an instance does not outlive a call.
        """

    @property
    @abstractmethod
    def memory_bytes(self) -> int:
        """Size of the exported memory, now. A memory never shrinks, so this is its peak too."""

    @property
    @abstractmethod
    def fuel_left(self) -> int | None:
        """Fuel that is left, or None under a profile without fuel."""

    @abstractmethod
    def close(self) -> None:
        """Free the instance; a second call does nothing. Raises `LocalProtocolError` while a call runs."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
