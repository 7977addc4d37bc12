"""Run WebAssembly specification tests (``.wast``) through LAWOW's binding of the engine.

``wast2json`` of wabt turns a test file into modules and a list of commands; a command is one assertion. What
cannot be asked through the binding is counted as *unsupported* with its reason, never as passed.

    python -m tests.conformance.suite FOLDER [--json]
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, Refused, UsageError
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine, WasmtimeInstance
from tests.tools import tool

ENABLED = (
    *("--enable-multi-memory", "--enable-memory64", "--enable-tail-call", "--enable-extended-const"),
    "--enable-relaxed-simd",
)
NUMBERS = {"i32": "I4x", "i64": "Q", "f32": "I4x", "f64": "Q"}

# The specification's words for a trap, and LAWOW's code of it.
TRAPS = {
    "integer divide by zero": "integer-divide-by-zero",
    "integer overflow": "integer-overflow",
    "invalid conversion to integer": "bad-conversion-to-integer",
    "out of bounds memory access": "memory-out-of-bounds",
    "out of bounds table access": "table-out-of-bounds",
    "undefined element": "table-out-of-bounds",
    "undefined": "table-out-of-bounds",
    "uninitialized element": "indirect-call-to-null",
    "uninitialized": "indirect-call-to-null",
    "indirect call type mismatch": "bad-signature",
    "indirect call": "bad-signature",
    "unreachable": "unreachable",
    "call stack exhausted": "stack-overflow",
}


class Unsupported(Exception):
    """This cannot be asked through the binding; the text is the reason."""


@dataclass
class Report:
    """Counts, and the assertions that failed with their place."""

    passed: int = 0
    unsupported: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take over the counts of another report."""
        self.passed += other.passed
        self.unsupported += other.unsupported
        self.failures += other.failures


class Script:
    """One test file: its modules by name, and the instance that is the current one."""

    def __init__(self, folder: Path, engine: WasmtimeEngine) -> None:
        self._folder = folder
        self._engine = engine
        self._named: dict[str, WasmtimeInstance] = {}
        self._current: WasmtimeInstance | None = None
        self._why_none = "no module came before"

    def run(self, command: dict[str, object]) -> None:
        """Carry out a command. Raises `AssertionError` if it fails, `Unsupported` if it cannot be done."""
        kind = str(command["type"])
        action = getattr(self, f"_{kind}", None)
        if action is None:
            raise Unsupported(f"command {kind}")
        action(command)

    def _module(self, command: dict[str, object]) -> None:
        self._current = None
        self._why_none = "its module imports what is not there, or exceeds a limit"
        try:
            self._current = self._instance(command)
        except (Refused, LimitExceeded) as error:
            raise Unsupported(f"module: {type(error).__name__}") from None
        if "name" in command:
            self._named[str(command["name"])] = self._current

    def _instance(self, command: dict[str, object]) -> WasmtimeInstance:
        wasm = (self._folder / str(command["filename"])).read_bytes()
        return self._engine.compile(wasm).instantiate(memory_bytes=1 << 30, table_elements=10_000_000)

    def _register(self, command: dict[str, object]) -> None:
        raise Unsupported("register: instances are not linked to each other")

    def _action(self, command: dict[str, object]) -> None:
        self._invoke(command)

    def _assert_return(self, command: dict[str, object]) -> None:
        types, found = self._invoke(command)
        expected = _list(command, "expected")
        if len(expected) != len(found):
            raise AssertionError(f"{len(found)} results, expected {len(expected)}")
        for kind, pattern, wanted in zip(types, found, expected, strict=True):
            if not _agrees(kind, pattern, wanted):
                raise AssertionError(f"result {pattern:#x} as {kind}, expected {wanted['value']}")

    def _assert_trap(self, command: dict[str, object]) -> None:
        if dict_of(command["action"])["type"] != "invoke":
            raise Unsupported("trap of something else than a call")
        try:
            self._invoke(command)
        except GuestTrap as trap:
            wanted = next(
                (code for text, code in TRAPS.items() if str(command["text"]).startswith(text)), None
            )
            if wanted is not None and trap.code != wanted:
                raise AssertionError(f"trap {trap.code}, expected {wanted}") from None
        else:
            raise AssertionError(f"no trap, expected {command['text']}")

    _assert_exhaustion = _assert_trap

    def _assert_invalid(self, command: dict[str, object]) -> None:
        if command.get("module_type") == "text":
            raise Unsupported("module as text")
        try:
            self._engine.compile((self._folder / str(command["filename"])).read_bytes())
        except FormatError:
            return
        raise AssertionError(f"accepted, expected {command['text']}")

    _assert_malformed = _assert_invalid

    def _assert_unlinkable(self, command: dict[str, object]) -> None:
        try:
            self._instance(command)
        except LawowError:
            return
        raise AssertionError("linked")

    def _assert_uninstantiable(self, command: dict[str, object]) -> None:
        try:
            self._instance(command)
        except GuestTrap:
            return
        except (Refused, LimitExceeded) as error:
            raise Unsupported(f"module: {type(error).__name__}") from None
        raise AssertionError("instantiated")

    def _invoke(self, command: dict[str, object]) -> tuple[tuple[str, ...], list[int]]:
        """Call an export; return the types and the bit patterns of its results."""
        action = dict_of(command["action"])
        if action["type"] != "invoke":
            raise Unsupported("reading a global")
        name = action.get("module")
        instance = self._named.get(str(name)) if name else self._current
        if instance is None:
            raise Unsupported(self._why_none)
        instance._dead = ""  # after a trap the specification's tests go on with the same state
        arguments = _list(action, "args")
        if any(item["type"] not in NUMBERS for item in arguments):
            raise Unsupported("vectors and references as arguments")
        export = str(action["field"])
        try:
            types = instance.signature(export).results
        except UsageError:
            raise Unsupported("vectors and references as results") from None
        values = b"".join(struct.pack("<Q", int(str(item["value"]))) for item in arguments)
        raw = instance.call_raw(export, values)
        return types, list(struct.unpack(f"<{len(types)}Q", raw))


def dict_of(value: object) -> dict[str, object]:
    """Return a JSON object as such."""
    assert isinstance(value, dict)
    return value


def _list(owner: dict[str, object], key: str) -> list[dict[str, object]]:
    found = owner.get(key, [])
    assert isinstance(found, list)
    return found


def _agrees(kind: str, pattern: int, wanted: dict[str, object]) -> bool:
    value = str(wanted["value"])
    if not value.startswith("nan:"):
        return int(value) == pattern
    quiet, mask = (0x7FC00000, 0x7FFFFFFF) if kind == "f32" else (0x7FF8 << 48, (1 << 63) - 1)
    return pattern & mask == quiet if value == "nan:canonical" else pattern & quiet == quiet


def run_file(path: Path, engine: WasmtimeEngine) -> Report:
    """Run one test file."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="lawow-") as name:
        folder = Path(name)
        argv = [tool("wast2json"), *ENABLED, str(path), "-o", str(folder / "script.json")]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            report.unsupported["file that wast2json does not take"] += 1
            return report
        script = Script(folder, engine)
        for command in json.loads((folder / "script.json").read_text())["commands"]:
            _run(script, command, path, report)
    return report


def _run(script: Script, command: dict[str, object], path: Path, report: Report) -> None:
    try:
        script.run(command)
    except Unsupported as reason:
        report.unsupported[str(reason)] += 1
    except (AssertionError, LawowError) as error:
        report.failures.append(f"{path.name}:{command['line']}: {command['type']}: {error}")
    else:
        report.passed += 1


def main() -> int:
    """Run all ``.wast`` files below a folder; print counts; return 1 if an assertion failed."""
    parser = argparse.ArgumentParser(
        description="Run WebAssembly specification tests through LAWOW's binding."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    files = sorted(options.folder.rglob("*.wast"))
    if not files:
        print(f"{options.folder}: no .wast files below it", file=sys.stderr)
        return 2
    engine, whole = WasmtimeEngine(EXEC_PROFILE), Report()
    for path in files:
        whole.add(run_file(path, engine))
    if options.json:
        facts = {"files": len(files), "passed": whole.passed, "failed": whole.failures}
        print(json.dumps({**facts, "unsupported": dict(whole.unsupported)}))
        return bool(whole.failures)
    for line in whole.failures:
        print(f"FAILED {line}")
    for reason, count in whole.unsupported.most_common():
        print(f"unsupported {count}: {reason}")
    unsupported = whole.unsupported.total()
    print(
        f"{len(files)} files: {whole.passed} passed, {len(whole.failures)} failed, {unsupported} unsupported"
    )
    return bool(whole.failures)


if __name__ == "__main__":
    sys.exit(main())
