"""The program of an emulated device: runs exports for its parent, one JSON line in, one line out.

A line ``{"wasm": ..., "export": ..., "arguments": ...}`` is answered with results, seconds of preparing and
of running, and this process's peak memory. Ends with its parent.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lawow.device.emulation.slow import end_with_parent
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["main"]

DEADLINE_SECONDS = 600.0  # of a slow device; the parent gives up before


def main() -> None:
    """Answer lines until there are no more."""
    end_with_parent()
    engine = WasmtimeEngine(EDGE_PROFILE)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_run(engine, asked["wasm"], asked["export"], asked["arguments"])), flush=True)


def _run(engine: WasmtimeEngine, wasm: str, export: str, arguments: list[int]) -> dict[str, object]:
    started = time.perf_counter()
    with engine.compile(Path(wasm).read_bytes()) as module, module.instantiate() as instance:
        prepared = time.perf_counter()
        results = instance.call(export, arguments, deadline_seconds=DEADLINE_SECONDS)
        ran = time.perf_counter()
    return {
        "results": list(results),
        "prepare": prepared - started,
        "run": ran - prepared,
        "peak_memory_bytes": _peak_bytes(),
    }


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


if __name__ == "__main__":
    main()
