"""Modules run in this process, call after call: what an elastic function uses while it is at home.

One engine serves all modules, with the edge's profile: every call has a deadline. An instance may be kept,
and its state taken and brought back, so that it goes on here where it stopped on an edge. Modules get no
host functions here. For one thread at a time; `lawow.device.elastic_module` sees to that.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence

from lawow.errors import GuestTrap, LimitExceeded, LocalProtocolError, Refused
from lawow.formats.elements import Argument, Returned
from lawow.formats.signature import Signature
from lawow.formats.state import decode_state
from lawow.formats.wasm_expose import expose_state
from lawow.limits import CALL
from lawow.runtime.base import CompiledModule, Engine, Instance
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.state import StateKeeper

__all__ = ["LocalModule"]


@functools.cache
def _engine() -> Engine:
    from lawow.runtime.wasmtime_engine import WasmtimeEngine

    return WasmtimeEngine(EDGE_PROFILE)


class LocalModule:
    """A module, compiled on first use; with `keeps_state` all calls are of one instance.

    Raises `Refused` if state is to be kept that cannot be captured.
    """

    def __init__(self, wasm: bytes, *, keeps_state: bool = False) -> None:
        self._wasm = expose_state(wasm) if keeps_state else wasm
        self._keeps_state = keeps_state
        self._digest = hashlib.sha256(wasm).hexdigest()
        self._compiled: CompiledModule | None = None
        self._instance: Instance | None = None
        self._caller: TypedCaller | None = None  # of the kept instance

    def call(
        self,
        export: str,
        signature: Signature,
        arguments: Sequence[Argument],
        *,
        deadline_seconds: float = CALL.deadline_seconds,
        on_start: Callable[[Callable[[], None]], None] | None = None,
    ) -> Returned:
        """Call an export, on the kept instance or on a fresh one.

        `on_start` is given what stops this call, from another thread, as if its deadline had passed.
        Raises as `lawow.runtime.lowering.TypedCaller.call`. A kept instance that trapped or ran into its
        deadline is gone, and with it the state since `replace_state`; the next call begins anew.
        """
        instance = self._instance or self._instantiate(deadline_seconds)
        is_sound = self._keeps_state
        try:
            caller = self._caller or TypedCaller(instance, result_bytes=CALL.memory_bytes)
            self._caller = caller if self._keeps_state else None
            if on_start is not None:
                on_start(instance.interrupt)
            return caller.call(export, signature, arguments, deadline_seconds=deadline_seconds)
        except (GuestTrap, LocalProtocolError, LimitExceeded):
            is_sound = False
            raise
        finally:
            if not is_sound:
                self._let_go(instance)

    def state(self) -> bytes:
        """Return the state of the kept instance, encoded; of a new one if there was no call yet."""
        instance = self._instance or self._instantiate(CALL.deadline_seconds)
        return self._keeper.snapshot(instance).encode()

    def replace_state(self, state: bytes) -> None:
        """Go on in this state. Raises `FormatError` for one of another module; nothing has changed then."""
        instance = self._keeper.restore(decode_state(state))
        self.close_instance()
        self._instance = instance

    def close_instance(self) -> None:
        """Forget the kept instance and its state."""
        if self._instance is not None:
            self._let_go(self._instance)

    def close(self) -> None:
        """Free everything."""
        self.close_instance()
        if self._compiled is not None:
            self._compiled.close()
            self._compiled = None

    @property
    def _module(self) -> CompiledModule:
        if self._compiled is None:
            self._compiled = _engine().compile(self._wasm)
        return self._compiled

    @property
    def _keeper(self) -> StateKeeper:
        if not self._keeps_state:
            raise Refused("this module's instances are not kept; declare that it keeps state")
        return StateKeeper(self._module, self._digest)

    def _instantiate(self, deadline_seconds: float) -> Instance:
        instance = self._module.instantiate(deadline_seconds=deadline_seconds)
        if self._keeps_state:
            self._instance = instance
        return instance

    def _let_go(self, instance: Instance) -> None:
        instance.close()
        self._instance = self._caller = None
