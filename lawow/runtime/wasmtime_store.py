"""A store of wasmtime with its limits, and the epochs by which its calls end at their deadline.

The library asks `_on_epoch` when the epoch moves under a call, and hands back the store's token, by which
the watchdog is found that knows the deadline.
"""

from __future__ import annotations

from ctypes import c_void_p

from lawow.errors import LocalProtocolError
from lawow.runtime import libwasmtime as lib
from lawow.runtime.failures import Bounds, require_done
from lawow.runtime.hot import CALL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lawow.runtime.host_functions import HostFunction
    from lawow.runtime.wasmtime_engine import WasmtimeEngine
    from lawow.runtime.watchdog import Watchdog

__all__ = ["Store"]

_ALL_FUEL = (1 << 64) - 1


class Store:
    """A ``wasmtime_store_t`` with its limits; everything that dangles when it is freed lives in here."""

    __slots__ = (
        "_annexes", "_linked", "bounds", "deadline_seconds", "engine", "handle", "open_context", "token"
    )  # fmt: skip

    open_context: c_void_p | None
    """The ``wasmtime_context_t`` (ctypes need not convert it at each call), or None when it is closed."""

    def __init__(self, engine: WasmtimeEngine, bounds: Bounds) -> None:
        functions = lib.library()
        self._linked: tuple[object, ...] = ()
        self._annexes = 0
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

    def make_room_for_annex(self, memory_bytes: int) -> None:
        """Let the host instantiate one module more, with a memory of so many bytes; end it by `limit`."""
        self._annexes += 1
        lib.library().wasmtime_store_limiter(
            self.handle.pointer,
            max(self.bounds.memory_bytes, memory_bytes),
            self.bounds.table_elements,
            CALL.instances + self._annexes,
            CALL.tables,
            CALL.memories + self._annexes,
        )

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
    if watchdog is not None:
        watchdog.run_errand(token)
    if watchdog is None or watchdog.expired(token):
        return lib.library().wasmtime_error_new(b"deadline")
    ticks[0] = 1  # type: ignore[index]
    kind[0] = 0  # type: ignore[index]  # WASMTIME_UPDATE_DEADLINE_CONTINUE
    return None


_on_epoch = lib.EpochCallback(_epoch_decision)
