"""Figure 5 of the LAWOW paper: Table I's programs on a slow device and offloaded, time in three parts,
memory.

The device is emulated, the network is emulated, the edge is a real ``lawow serve``. A *cold* offload brings
the module, which the edge compiles; a *warm* one finds it there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from lawow.device.edge_client import EdgeClient
from lawow.device.emulation.link import LinkShape
from lawow.device.emulation.proxy import ShapingProxy
from lawow.device.profiles import load_network
from lawow.errors import LawowError, UsageError
from lawow.figures.clone import fixtures_folder
from lawow.figures.paper import (
    CONTAINER_MEMORY_BYTES,
    PROGRAMS,
    VM_MEMORY_BYTES,
    WASM_MEMORY_BYTES,
    Program,
)
from lawow.figures.processes import Parts, Talk, running_device, running_edge

__all__ = ["ProgramRun", "Table1", "find_modules", "measure_table1"]


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One program: where it ran, each the quickest of its rounds, and the one cold offload."""

    program: Program
    local: Parts
    cold: Parts
    warm: Parts

    @property
    def saved(self) -> float:
        """The part of the local time that a warm offload saves."""
        return 1 - self.warm.seconds / self.local.seconds

    @property
    def saved_cold(self) -> float:
        """The same with the module's way and its compilation."""
        return 1 - self.cold.seconds / self.local.seconds

    def needed_slowdown(self, slowdown: float) -> float:
        """Return how many times slower than this edge a device must be for the paper's saving.

        From this run's figures: the local time is taken as proportional to the slowdown.
        """
        return self.warm.seconds / (1 - self.program.saved) / (self.local.seconds / slowdown)


@dataclass(frozen=True, slots=True)
class Table1:
    """All programs, the emulated device's slowdown, and the network.

    `exec_peaks` are the peaks of ``lawow exec`` on the programs in turn, in bytes, its code cache warm.
    """

    runs: tuple[ProgramRun, ...]
    exec_peaks: tuple[int, ...]
    slowdown: float
    network: str

    def document(self) -> dict[str, object]:
        """Return it for JSON; every figure of ours says how it came about."""
        return {
            "figure": "LAWOW, figure 5",
            "device": {"slowdown": self.slowdown, "provenance": "emulated"},
            "network": {
                "name": self.network,
                **asdict(load_network(self.network).at(0)),
                "provenance": "emulated",
            },
            "programs": [_run_document(run, self.slowdown) for run in self.runs],
            "exec_peak_memory_bytes": {"bytes": self.exec_peaks, "provenance": "measured"},
            "paper_memory_bytes": {
                "vm": VM_MEMORY_BYTES,
                "container": CONTAINER_MEMORY_BYTES,
                "wasm": WASM_MEMORY_BYTES,
                "provenance": "quoted",
            },
        }


def _run_document(run: ProgramRun, slowdown: float) -> dict[str, object]:
    return {
        "program": run.program.title,
        "argument": run.program.argument,
        "local": {**asdict(run.local), "provenance": "emulated"},
        "cold": {**asdict(run.cold), "provenance": "measured over an emulated network"},
        "warm": {**asdict(run.warm), "provenance": "measured over an emulated network"},
        "saved": run.saved,
        "saved_cold": run.saved_cold,
        "saved_in_paper": run.program.saved,
        "needed_slowdown": run.needed_slowdown(slowdown),
    }


def find_modules(folder: Path | None) -> Path:
    """Return the folder of Table I's modules. Raises `UsageError` if one is not there."""
    found = folder or fixtures_folder("app", "src", "main", "wasm")
    for program in PROGRAMS:
        if not (found / program.module).is_file():
            raise UsageError(
                f"{found}: {program.module} is not there; run in the folder of a clone, or give --modules"
            )
    return found


def measure_table1(
    *, slowdown: float, network: str, quick: bool, modules: Path | None = None, say: Callable[[str], None]
) -> Table1:
    """Run everything; `say` is told what is being done. Raises `LawowError` if results differ."""
    shape = LinkShape.of_network(load_network(network).at(0))
    folder, rounds = find_modules(modules), 3 if quick else 9
    with (
        tempfile.TemporaryDirectory(prefix="lawow-figures-") as work,
        running_edge(Path(work) / "data") as edge,
        ShapingProxy(edge.host, edge.port, shape) as link,
        EdgeClient(f"http://127.0.0.1:{link.port}", edge.token) as client,
        running_device(slowdown) as device,
    ):
        client.health()
        runs = []
        for program in PROGRAMS:
            say(f"{program.title}: {rounds} rounds here and there")
            runs.append(_measure(program, folder / program.module, device, client, rounds))
        peaks = [_exec_peak(run, folder, Path(work)) for run in runs]
    return Table1(tuple(runs), tuple(peaks), slowdown, network)


def _measure(program: Program, wasm: Path, device: Talk, client: EdgeClient, rounds: int) -> ProgramRun:
    cold = _offload(program, wasm.read_bytes(), client, brings_module=True)
    warm, local = [], []
    for _ in range(rounds):
        warm.append(_offload(program, wasm.read_bytes(), client, brings_module=False))
        local.append(device.run(wasm, program.export, (program.argument,)))
    found = {parts.results for parts in (cold, *warm, *local)}
    if len(found) > 1:
        raise LawowError(f"{program.title}: different results here and there: {sorted(found)}")
    return ProgramRun(program, _least(local), cold, _least(warm))


def _offload(program: Program, wasm: bytes, client: EdgeClient, *, brings_module: bool) -> Parts:
    """Call on the edge. What the edge does not count as its own time is transfer."""
    started = time.perf_counter()
    if brings_module:
        client.upload_module(wasm)
    outcome = client.call(sha256(wasm).hexdigest(), program.export, program.signature, [program.argument])
    seconds = time.perf_counter() - started
    prepare, run = outcome.seconds.prepare, outcome.seconds.run
    results = tuple(item for item in outcome.results if isinstance(item, int | float))
    return Parts(max(seconds - prepare - run, 0.0), prepare, run, results, outcome.peak_memory_bytes)


def _exec_peak(run: ProgramRun, folder: Path, cache: Path) -> int:
    """Return the peak memory of ``lawow exec`` in bytes, of a second run: the first one compiles."""
    command = [sys.executable, "-m", "lawow", "exec", str(folder / run.program.module)]
    command += [run.program.export, str(run.program.argument), "--json"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    for _ in range(2):
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout)["peak_memory_bytes"])


def _least(parts: list[Parts]) -> Parts:
    """Return the quickest: what else runs on this machine lengthens a time, and nothing shortens it."""
    return min(parts, key=lambda item: item.seconds)
