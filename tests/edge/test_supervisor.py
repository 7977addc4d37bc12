"""Workers under supervision: one for each tenant, killed when late, resting when they keep dying."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lawow.edge.messages import Call, Ready, Result, Trap, write_message
from lawow.edge.refusals import BadModule, Busy, DeadlineExceeded, WorkerLost
from lawow.edge.supervisor import Finished, Supervisor
from lawow.errors import GuestTrap
from lawow.limits import EDGE, EdgeLimits
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.edge.builders import Module, all_sorts, module_of

LIMITS = dataclasses.replace(EDGE, workers=2, worker_losses=2, quarantine_seconds=0.5, waiting_seconds=0.5)


class Bench:
    """A supervisor, compiled modules in files, and what was logged."""

    def __init__(self, folder: Path, limits: EdgeLimits) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self.folder = folder
        self.opened = 0
        self.supervisor = Supervisor(self._log, limits)

    def _log(self, event: str, **facts: object) -> None:
        self.events.append((event, facts))

    def add(self, module: Module) -> None:
        with WasmtimeEngine(EDGE_PROFILE).compile(module.wasm) as compiled:
            (self.folder / module.digest).write_bytes(compiled.serialize())

    async def call(
        self,
        tenant: str,
        module: Module,
        export: str,
        signature: str = ">",
        *,
        slots: bytes = b"",
        seconds: float = 5.0,
    ) -> Finished:
        async def open_code() -> int:
            self.opened += 1
            return os.open(self.folder / module.digest, os.O_RDONLY)

        call = Call(module.digest, False, export, signature, seconds, slots)
        return await self.supervisor.run(tenant, call, open_code)


def on_bench(folder: Path, work: Callable[[Bench], Awaitable[None]], limits: EdgeLimits = LIMITS) -> Bench:
    async def run() -> Bench:
        bench = Bench(folder, limits)
        bench.add(all_sorts())
        try:
            await work(bench)
        finally:
            await bench.supervisor.close()
        return bench

    return asyncio.run(run())


def test_code_is_sent_once_and_reused(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for number in range(5):
            done = await bench.call("a", all_sorts(), "echo_i32", "i>i", slots=struct.pack("<Q", number))
            assert done.results == struct.pack("<Q", number)
            assert done.peak_memory_bytes > 1 << 20
        assert bench.opened == 1

    on_bench(tmp_path, work)


def test_initial_memory_is_there_without_any_file(tmp_path: Path) -> None:
    """The engine would share it through a file in memory, which the worker's fences refuse."""
    module = module_of(
        '(module (memory (export "m") 1) (data (i32.const 8) "\\2a")'
        ' (func (export "f") (result i32) (i32.load (i32.const 8))))'
    )

    async def work(bench: Bench) -> None:
        bench.add(module)
        assert (await bench.call("a", module, "f", ">i")).results == struct.pack("<Q", 42)

    on_bench(tmp_path, work)


def test_many_modules_take_turns_in_a_worker(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        modules = [module_of(f'(module (func (export "n") (result i32) (i32.const {n})))') for n in range(20)]
        for module in modules:
            bench.add(module)
        for _ in range(2):
            for number, module in enumerate(modules):
                assert (await bench.call("a", module, "n", ">i")).results == struct.pack("<Q", number)

    on_bench(tmp_path, work)


def test_a_guest_that_traps_or_loops_keeps_its_worker(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.call("a", all_sorts(), "nothing")
        worker = bench.supervisor.workers()["a"]
        with pytest.raises(GuestTrap) as trap:
            await bench.call("a", all_sorts(), "unreachable")
        assert trap.value.code == "unreachable"
        with pytest.raises(DeadlineExceeded):
            await bench.call("a", all_sorts(), "loop", seconds=0.1)
        with pytest.raises(DeadlineExceeded):
            await bench.call("a", ENDLESS_START, "f", seconds=0.1)
        assert bench.supervisor.workers()["a"] == worker

    ENDLESS_START = module_of('(module (func (export "f")) (func $s (loop (br 0))) (start $s))')

    async def with_start(bench: Bench) -> None:
        bench.add(ENDLESS_START)
        await work(bench)

    on_bench(tmp_path, with_start)


@pytest.mark.parametrize(
    "text",
    [
        '(module (memory 5000) (func (export "f")))',
        '(module (table 200000 funcref) (func (export "f")))',
        '(module (memory 1) (memory 1) (func (export "f")))',
        '(module (import "env" "f" (func)) (func (export "f")))',
    ],
    ids=["memory", "table", "two memories", "import"],
)
def test_an_instance_beyond_its_limits_is_refused(tmp_path: Path, text: str) -> None:
    async def work(bench: Bench) -> None:
        module = module_of(text)
        bench.add(module)
        with pytest.raises(BadModule):
            await bench.call("a", module, "f")
        await bench.call("a", all_sorts(), "nothing")

    on_bench(tmp_path, work)


@pytest.mark.promise("W13")
def test_a_module_that_keeps_ending_its_worker_rests(tmp_path: Path) -> None:
    async def lose(bench: Bench) -> None:
        task = asyncio.ensure_future(bench.call("a", all_sorts(), "loop"))
        while "a" not in bench.supervisor.workers():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        os.kill(bench.supervisor.workers()["a"], signal.SIGKILL)
        with pytest.raises(WorkerLost):
            await task

    async def work(bench: Bench) -> None:
        await lose(bench)
        await bench.call("a", all_sorts(), "nothing")
        await lose(bench)
        with pytest.raises(WorkerLost, match="rests") as rest:
            await bench.call("a", all_sorts(), "nothing")
        assert rest.value.retry_after_seconds is not None
        await bench.call("b", all_sorts(), "nothing")
        await asyncio.sleep(0.6)
        await bench.call("a", all_sorts(), "nothing")

    bench = on_bench(tmp_path, work)
    assert "module-quarantined" in [event for event, _ in bench.events]


def test_an_idle_worker_makes_room_and_a_busy_one_does_not(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.call("a", all_sorts(), "nothing")
        await bench.call("b", all_sorts(), "nothing")
        await bench.call("c", all_sorts(), "nothing")
        assert set(bench.supervisor.workers()) == {"b", "c"}
        busy = [asyncio.ensure_future(bench.call(name, all_sorts(), "loop", seconds=0.6)) for name in "bc"]
        await asyncio.sleep(0.1)
        with pytest.raises(Busy, match="all workers"):
            await bench.call("d", all_sorts(), "nothing")
        for task in busy:
            with pytest.raises(DeadlineExceeded):
                await task
        await bench.call("d", all_sorts(), "nothing")

    on_bench(tmp_path, work)


def test_a_spare_is_taken_by_the_first_tenant_who_needs_a_worker_and_replaced_when_dead(
    tmp_path: Path,
) -> None:
    async def work(bench: Bench) -> None:
        supervisor = bench.supervisor
        for tenant, kills in (("a", False), ("b", True)):
            supervisor.prepare_spare()
            assert supervisor._starter._spare is not None
            started = await supervisor._starter._spare
            spare = started.process_id
            if kills:
                os.kill(spare, signal.SIGKILL)
                await started.wait()
            await bench.call(tenant, all_sorts(), "nothing")
            assert (supervisor.workers()[tenant] == spare) is not kills

    on_bench(tmp_path, work)


def test_who_waits_too_long_for_a_turn_is_told_that_nothing_was_started(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        first = asyncio.ensure_future(bench.call("a", all_sorts(), "loop", seconds=1.0))
        await asyncio.sleep(0.2)
        with pytest.raises(Busy, match="too long"):
            await bench.call("a", all_sorts(), "nothing")
        with pytest.raises(DeadlineExceeded):
            await first

    on_bench(tmp_path, work)


def test_a_cancelled_call_takes_its_worker_along(tmp_path: Path) -> None:
    """Half a dialogue cannot be continued; a guest must not go on for nobody."""

    async def work(bench: Bench) -> None:
        await bench.call("a", all_sorts(), "nothing")
        worker = bench.supervisor.workers()["a"]
        task = asyncio.ensure_future(bench.call("a", all_sorts(), "loop"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not Path(f"/proc/{worker}").exists()
        await bench.call("a", all_sorts(), "nothing")

    on_bench(tmp_path, work)


@pytest.mark.promise("W13")
@pytest.mark.parametrize(
    "answer",
    [
        write_message(Result(0.0, 0.0, b"too many results")),
        write_message(Ready("again")),
        write_message(Trap("a\r\nSet-Cookie: x", "", ())),
        b"\xff\xff\xff\xff\x03",
        b"\x00\x00\x00\x00\x09",
        b"\x05\x00\x00\x00\x03abcde",
        b"",
    ],
    ids=["other results", "unasked", "a trap that is a header", "huge", "unknown", "malformed", "silence"],
)
def test_a_worker_that_talks_nonsense_is_lost(
    tmp_path: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor believes nothing: here the worker is a script that says what a test wants."""
    script = f"""
import socket
channel = socket.socket(fileno=0)
channel.sendall({write_message(Ready("none"))!r})
channel.recv(100000)
channel.sendall({answer!r})
"""
    monkeypatch.setattr("lawow.edge.worker_process.python_command", lambda *_: [sys.executable, "-c", script])

    async def work(bench: Bench) -> None:
        with pytest.raises(WorkerLost):
            await bench.call("a", all_sorts(), "nothing")

    on_bench(tmp_path, work)


@pytest.mark.parametrize(
    "results",
    [b"", bytes(8), struct.pack("<IIii", 3, 0, 1, 2), struct.pack("<IIII", 2**32 - 1, 0, 0, 0)],
    ids=["nothing", "an empty list", "more elements than bytes", "an alias"],
)
def test_a_worker_that_answers_with_other_lists_is_lost(
    tmp_path: Path, results: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"""
import socket
channel = socket.socket(fileno=0)
channel.sendall({write_message(Ready("none"))!r})
channel.recv(100000)
channel.sendall({write_message(Result(0.0, 0.0, results))!r})
"""
    monkeypatch.setattr("lawow.edge.worker_process.python_command", lambda *_: [sys.executable, "-c", script])

    async def work(bench: Bench) -> None:
        with pytest.raises(WorkerLost):
            await bench.call("a", all_sorts(), "f", "&[i>", slots=struct.pack("<IIii", 2, 0, 1, 2))

    on_bench(tmp_path, work)


def test_a_worker_that_does_not_come_up_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lawow.edge.worker_process.python_command", lambda *_: ["/bin/false"])

    async def work(bench: Bench) -> None:
        with pytest.raises(WorkerLost, match="could be started"):
            await bench.call("a", all_sorts(), "nothing")
        assert bench.supervisor.workers() == {}

    on_bench(tmp_path, work)
