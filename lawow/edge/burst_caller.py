"""Answers bursts of calls in a session's instance: the annex of `lawow.channel.bursts`, filled and read.

What is in the annex's memory may be looked at while the instance is there alone, so everything is copied
before anybody is told of a trap.
"""

from __future__ import annotations

from time import monotonic

from lawow.channel.bursts import (
    ANSWERS_PLACE,
    FRAMES_PLACE,
    PROGRESS,
    burst_module,
    shape_of,
    wanted_calls,
)
from lawow.edge.plane.burst import Burst, Progress
from lawow.errors import GuestTrap
from lawow.formats.interface import FuncType
from lawow.runtime.libwasmtime import wat_to_wasm
from lawow.runtime.wasmtime_engine import WasmtimeEngine, WasmtimeInstance, WasmtimeModule

__all__ = ["BurstCaller", "BurstModules"]

MICROSECONDS = 1_000_000
MODULES = 64
"""Types of functions that can be called in bursts."""


class BurstModules:
    """The modules of one engine, made when they are first needed."""

    def __init__(self, engine: WasmtimeEngine) -> None:
        self._engine = engine
        self._modules: dict[FuncType, WasmtimeModule] = {}

    def of(self, function: FuncType) -> WasmtimeModule | None:
        """Return the module for functions of this type; None if there are too many types already."""
        if function not in self._modules and len(self._modules) < MODULES:
            self._modules[function] = self._engine.compile(wat_to_wasm(burst_module(function).encode()))
        return self._modules.get(function)


class BurstCaller:
    """Calls one export of one instance."""

    def __init__(self, instance: WasmtimeInstance, export: str, module: WasmtimeModule) -> None:
        self._instance = instance
        self._annex = instance.attach(module, export)
        self._shape = shape_of(self._annex.function)
        self._running: Burst | None = None

    def run(self, burst: Burst, seconds: float) -> None:
        """Answer calls until one of them is left; the burst is told which, whatever is raised.

        Raises what a call raises, without the annex among a trap's frames.
        """
        memory, frames = self._annex.memory, burst.frames
        end = FRAMES_PLACE + len(frames)
        memory[FRAMES_PLACE:end] = frames
        PROGRESS.pack_into(memory, 0, 0, 0, 0, ANSWERS_PLACE)
        wanted = wanted_calls(burst.function_id)
        self._running = burst
        try:
            self._instance.run_annex(self._annex, (end, wanted, burst.last_id, burst.function.most), seconds)
        except GuestTrap as trap:
            frames_seen = trap.frames[:-1]
            raise GuestTrap(trap.code, trap.args[0], frames=frames_seen, status=trap.status) from None
        finally:
            self._running = None
            self._tell(burst)

    def send_to_part(self, burst: Burst) -> None:
        """Let no further call of a burst begin, from another thread; no effect before its first one."""
        self._instance.send(lambda: self._part(burst))

    def _part(self, burst: Burst) -> None:
        """Let no further call begin, and tell the burst of those that have; on its own thread."""
        if self._running is burst:
            self._annex.memory[0] = 1
            self._tell(burst)
            if burst.progress.has_open_call:
                self._instance.extend(burst.part())

    def _tell(self, burst: Burst) -> None:
        memory, shape = self._annex.memory, self._shape
        _, place, answered, end = PROGRESS.unpack_from(memory)
        if answered:
            run_us = int((monotonic() - burst.came) * MICROSECONDS) // answered
            if run_us:
                shape.stamp(memory, end, run_us)
        has_open_call = place == FRAMES_PLACE + answered * shape.call_bytes
        burst.shape = shape
        burst.progress = Progress(answered, memory[ANSWERS_PLACE:end].tobytes(), has_open_call)
