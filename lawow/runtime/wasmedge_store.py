"""One guest in WasmEdge's library: what holds it, how it is called, and how a call is stopped.

A call runs in a thread of the library with a stack of its own, so that the caller can wait, attend to the
guest's output, and stop the guest: compiled code and the interpreter look for that at every loop. What waits
inside a function of the host or of WASI cannot be stopped; after `_GRACE_SECONDS` such a guest is abandoned
with all that it uses, which is then never freed, and its caller goes on.
"""

from __future__ import annotations

from ctypes import byref, c_void_p
from os import fsencode
from time import monotonic

from lawow.errors import LawowError
from lawow.limits import CALL
from lawow.runtime import libwasmedge as lib
from lawow.runtime.trap_handlers import TRAP_HANDLERS
from lawow.runtime.wasmedge_failures import INTERRUPTED, deadline_passed, failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

__all__ = ["Outcome", "Program", "Store"]

_STACK_BYTES = CALL.native_stack_bytes + (8 << 20)
"""Stack of the guest's thread: the guest's frames, and those of WasmEdge and the host below them."""

_GRACE_SECONDS = 1.0
_SHORTEST_WAIT_MS, _LONGEST_WAIT_MS = 1, 20
_ALL_FUEL = (1 << 64) - 1


class Program:
    """A module that WasmEdge has read and validated (``WasmEdge_ASTModuleContext``).

    Raises `FormatError` if it is not valid. `source` is a module, or the path of a shared object that the
    compiler made of one; the file may be removed afterwards.
    """

    def __init__(self, source: bytes | str, *, is_interpreted: bool) -> None:
        functions = lib.library()
        self.is_interpreted = is_interpreted
        config = _configuration(is_interpreted)
        loader = lib.Handle(functions.LoaderCreate(config.pointer), functions.LoaderDelete)
        validator = lib.Handle(functions.ValidatorCreate(config.pointer), functions.ValidatorDelete)
        module = c_void_p()
        if isinstance(source, str):
            result = functions.LoaderParseFromFile(loader.pointer, byref(module), fsencode(source))
        else:
            result = functions.LoaderParseFromBuffer(loader.pointer, byref(module), source, len(source))
        _require_done(result)
        self._handle = lib.Handle(module.value or 0, functions.ASTModuleDelete)
        _require_done(functions.ValidatorValidate(validator.pointer, self._handle.pointer))

    @property
    def pointer(self) -> int:
        """The ``WasmEdge_ASTModuleContext``, for this package only."""
        return self._handle.pointer

    def new_store(self, *, page_limit: int, fuel: int | None = None) -> Store:
        """Return a store that can run this program: `page_limit` pages of memory at most."""
        return Store(is_interpreted=self.is_interpreted, page_limit=page_limit, fuel=fuel)


class Outcome:
    """How a call ended: WasmEdge's number (0: well), the results, and whether it had to be stopped.

    A call that was told to stop counts as late even if it ended by itself at that moment: the next one would
    be stopped in its place.
    """

    __slots__ = ("is_late", "number", "values")

    def __init__(self, number: int, values: bytes, is_late: bool) -> None:
        self.number = number
        self.values = values
        self.is_late = is_late


class Store:
    """An executor with the one instance that it runs, and everything that must be freed with it, in order."""

    def __init__(self, *, is_interpreted: bool, page_limit: int, fuel: int | None = None) -> None:
        functions = lib.library()
        config = _configuration(is_interpreted)
        functions.ConfigureSetMaxMemoryPage(config.pointer, page_limit)
        functions.ConfigureStatisticsSetCostMeasuring(config.pointer, fuel is not None)
        self._statistics = lib.Handle(functions.StatisticsCreate(), functions.StatisticsDelete)
        self._executor = lib.Handle(
            functions.ExecutorCreate(config.pointer, self._statistics.pointer), functions.ExecutorDelete
        )
        # Only now: making the executor sets the limit of its statistics.
        functions.StatisticsSetCostLimit(self._statistics.pointer, _ALL_FUEL if fuel is None else fuel)
        self._store = lib.Handle(functions.StoreCreate(), functions.StoreDelete)
        self._instance: lib.Handle | None = None
        self._program: Program | None = None

    @property
    def cost(self) -> int:
        """Fuel used so far."""
        return lib.library().StatisticsGetTotalCost(self._statistics.pointer)

    def lift_fuel(self) -> None:
        """Let what runs from now on use any fuel."""
        lib.library().StatisticsSetCostLimit(self._statistics.pointer, _ALL_FUEL)

    def register(self, module: int) -> None:
        """Let the instance import from a host module, which somebody else owns and frees after this store."""
        _require_done(
            lib.library().ExecutorRegisterImport(self._executor.pointer, self._store.pointer, module)
        )

    def instantiate(self, program: Program) -> None:
        """Make the instance. No code of it runs here (`lawow.runtime.fences`)."""
        functions, made = lib.library(), c_void_p()
        result = functions.ExecutorInstantiate(
            self._executor.pointer, byref(made), self._store.pointer, program.pointer
        )
        _require_done(result)
        self._program = program  # its code is the instance's
        self._instance = lib.Handle(made.value or 0, functions.ModuleInstanceDelete)

    def find(self, kind: str, name: str) -> int | None:
        """Return an export of the kind ``Function``, ``Global``, ``Memory`` or ``Table``.

        What it points to lives as the instance does.
        """
        look_up: Callable[..., int | None] = getattr(lib.library(), f"ModuleInstanceFind{kind}")
        return look_up(self._made.pointer, lib.Text(name.encode()))

    def invoke(
        self, name: str, kinds: Sequence[str], values: Sequence[int], results: Sequence[str], seconds: float
    ) -> list[int]:
        """Call an export of LAWOW's own with bit patterns and return those of the results."""
        given = lib.pack_values(lib.value_types(kinds), values)
        found = self.run(self.find("Function", name) or 0, given, len(kinds), len(results), seconds, _nothing)
        if found.is_late:
            raise deadline_passed(seconds, name)
        if found.number:
            raise failure(found.number, lib.message_of(found.number), name)
        return lib.unpack_values(results, found.values)

    def run(
        self,
        function: int,
        given: bytes,
        parameters: int,
        results: int,
        seconds: float | None,
        attend: Callable[[], bool],
    ) -> Outcome:
        """Call a function; call `attend` again and again meanwhile. Stop it after `seconds`.

        A guest that cannot be stopped is abandoned: then this store is not usable any more, and the number is
        `INTERRUPTED`, as for one that was. What `attend` raises stops the guest and is raised.
        """
        functions = lib.library()
        sent, taken = lib.Values(parameters), lib.Values(results)
        sent.write(given)
        with TRAP_HANDLERS:
            with lib.stack_of_new_threads(_STACK_BYTES):
                call = functions.ExecutorAsyncInvoke(
                    self._executor.pointer, function, sent.pointer, parameters
                )
            pending = lib.Handle(call or 0, functions.AsyncDelete)
            try:
                is_late = not _wait(pending.pointer, seconds, attend)
            except BaseException:
                if self._stop(pending):
                    pending.close()
                raise
            if is_late and not self._stop(pending):
                return Outcome(INTERRUPTED, b"", is_late)
        number = functions.AsyncGet(pending.pointer, taken.pointer, results)
        pending.close()
        return Outcome(number, taken.read(), is_late)

    def close(self) -> None:
        """Free everything; a second call does nothing."""
        for handle in self._handles():
            handle.close()
        self._program = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_abandoned(self) -> bool:
        """Whether a guest that could not be stopped still uses what this store was."""
        return self in _abandoned

    @property
    def _made(self) -> lib.Handle:
        if self._instance is None:
            raise LawowError("there is no instance in this store")
        return self._instance

    def _handles(self) -> list[lib.Handle]:
        """Return what is freed, in that order: the instance before what it was made with."""
        first = [] if self._instance is None else [self._instance]
        return [*first, self._store, self._executor, self._statistics]

    def _stop(self, pending: lib.Handle) -> bool:
        """Stop a call and return True; or abandon it, and all that it uses, and return False."""
        functions = lib.library()
        functions.AsyncCancel(pending.pointer)
        if functions.AsyncWaitFor(pending.pointer, int(_GRACE_SECONDS * 1000)):
            return True
        TRAP_HANDLERS.keep_engine_handlers()
        for handle in (pending, *self._handles()):
            handle.give_away()
        _abandoned.append(self)
        return False


_abandoned: list[Store] = []
"""Stores whose guests may still run: they keep programs and callbacks alive."""


def _nothing() -> bool:
    """There is nothing to attend to."""
    return False


def _wait(call: int, seconds: float | None, attend: Callable[[], bool]) -> bool:
    """Wait for a call, at most `seconds`; return whether it has ended.

    While there is something to attend to the waits are short, else they grow.
    """
    ends = None if seconds is None else monotonic() + seconds
    pause_ms = _SHORTEST_WAIT_MS
    wait_for = lib.library().AsyncWaitFor
    while True:
        left_ms = _LONGEST_WAIT_MS if ends is None else max(int((ends - monotonic()) * 1000), 0)
        has_ended = bool(wait_for(call, min(pause_ms, left_ms)))
        pause_ms = _SHORTEST_WAIT_MS if attend() else min(2 * pause_ms, _LONGEST_WAIT_MS)
        if has_ended or (ends is not None and monotonic() >= ends):
            return has_ended


def _configuration(is_interpreted: bool) -> lib.Handle:
    functions = lib.library()
    config = lib.Handle(functions.ConfigureCreate(), functions.ConfigureDelete)
    functions.ConfigureSetForceInterpreter(config.pointer, is_interpreted)
    return config


def _require_done(result: int) -> None:
    if result:
        raise failure(result, lib.message_of(result), "instantiation")
