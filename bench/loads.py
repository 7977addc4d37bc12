"""How long compiled code of SQLite's size takes from the cache to a module that can be instantiated."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import wasmtime

from bench.table import Table
from lawow.runtime.cache import CodeCache
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["measure", "sqlite"]

PACKAGE = "@sqlite.org/sqlite-wasm@3.41.2"
MEMBER = "package/sqlite-wasm/jswasm/sqlite3.wasm"
SHA256 = "2d34bf9279985db154f98bfab9ffa289b014821873ed188b67e3a4c5d1b7faec"
NPM = Path(__file__).resolve().parent.parent / ".cache" / "npm"
MOST = 0.2
REPETITIONS = 10
BASE = "wasmtime's package, deserialize(bytes)"


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure loads in turns, against the engine's own package with the code in memory."""
    ways = _ways(folder)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, load in ways.items():
            started = time.process_time()
            for _ in range(REPETITIONS):
                load()
            seconds[name].append((time.process_time() - started) / REPETITIONS)
    rows = tuple(
        (name, min(times) * 1e3, median(a / b for a, b in zip(times, seconds[BASE], strict=True)))
        for name, times in seconds.items()
    )
    columns = ("load", "min ms", f"ratio to the package (median of rounds), wanted at most {MOST}")
    return (Table("Compiled code of SQLite (866,600 bytes of WebAssembly)", columns, rows),)


def _ways(folder: Path) -> dict[str, Callable[[], object]]:
    wasm = sqlite()
    engine = WasmtimeEngine(EXEC_PROFILE)
    home = folder / "code"
    home.mkdir(mode=0o700)
    cache = CodeCache(str(home), EXEC_PROFILE)
    entry = cache.store("sqlite", engine.compile(wasm).serialize())
    assert entry is not None
    package = wasmtime.Engine()
    code = wasmtime.Module(package, wasm).serialize()
    return {
        BASE: lambda: wasmtime.Module.deserialize(package, code).close(),
        "lawow, mapped": lambda: engine.load(str(home / entry.code)).close(),
        "lawow, found in the cache and mapped": lambda: _found(cache, engine),
    }


def _found(cache: CodeCache, engine: WasmtimeEngine) -> None:
    module = cache.load(engine, "sqlite")
    assert module is not None
    module.close()


def sqlite() -> bytes:
    """Return SQLite's module out of its npm package, which is downloaded once."""
    module = NPM / "sqlite3.wasm"
    if not module.exists():
        NPM.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", "--pack-destination", str(NPM), PACKAGE]
        name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
        with tarfile.open(NPM / name) as package:
            member = package.extractfile(MEMBER)
            assert member is not None
            module.write_bytes(member.read())
    wasm = module.read_bytes()
    if hashlib.sha256(wasm).hexdigest() != SHA256:
        sys.exit(f"bench: {module} is not the module of {PACKAGE}; remove it to fetch it again")
    return wasm
