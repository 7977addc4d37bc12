"""Run one WebAssembly specification test (``.wast``) through LAWOW's binding of the engine.

A converter turns a test file into modules and a list of commands; a command is one assertion. What cannot be
asked through the binding is counted as *unsupported* with its reason, never as passed.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, Refused, UsageError
from lawow.formats.interface import FuncType, signature_letters
from lawow.formats.wasm import inspect_module
from lawow.runtime.grants import Grants
from lawow.runtime.host_functions import HostFunction
from lawow.runtime.libwasmtime import wat_to_wasm
from lawow.runtime.wasmtime_engine import WasmtimeEngine, WasmtimeInstance, WasmtimeModule
from tests.conformance.converter import convert, find_converter
from tests.conformance.report import Report, Unsupported
from tests.conformance.values import agrees, joined, pattern_of, split
from tests.conformance.vectors import TWIN, with_twins

__all__ = ["run_file"]

PASSED = frozenset(("i32", "i64", "f32", "f64", "v128"))

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
    "out of bounds array access": "array-out-of-bounds",
    "null": "null-reference",
    "out of bounds": "memory-out-of-bounds",
    "cast": "cast-failure",
    "unaligned atomic": "heap-misaligned",
    "exception": "uncaught-exception",
}


SPECTEST = [
    HostFunction("spectest", name, f"{letters}>", lambda memory, *values: None)
    for name, letters in (
        *(("print", ""), ("print_i32", "i"), ("print_i64", "I"), ("print_f32", "f"), ("print_f64", "F")),
        *(("print_i32_f32", "if"), ("print_f64_f64", "FF")),
    )
]
"""The functions of the module ``spectest``, which the specification's tests import; they print nothing."""


@dataclass(slots=True)
class Guest:
    """An instance, and the types of those of its exports that have a twin.

    Once something could not be done, `is_behind`: later expectations are about a state that is not there.
    """

    instance: WasmtimeInstance
    exports: Mapping[str, FuncType]
    vectors: dict[str, FuncType]
    is_behind: bool = False

    def offers(self, module: str) -> list[HostFunction]:
        """Return the exported functions as host functions, by which another instance can import them."""
        return [
            HostFunction(module, name, signature_letters(function), partial(self._answer, name))
            for name, function in self.exports.items()
            if function.is_callable
        ]

    def _answer(self, export: str, memory: object, *values: int | float) -> tuple[int | float, ...]:
        self.instance._dead = ""
        return self.instance.call(export, values)

    def call(self, export: str, arguments: list[dict[str, object]]) -> tuple[tuple[str, ...], list[int]]:
        """Call an export, by its twin if it has one; return types and bit patterns of the results."""
        if any(item["type"] not in PASSED for item in arguments):
            raise Unsupported("references as arguments")
        self.instance._dead = ""  # after a trap the specification's tests go on with the same state
        if export in self.vectors:
            name, results = f"{TWIN}{export}", self.vectors[export].results
        else:
            name, results = export, self._results(export)
        words = [word for item in arguments for word in split(str(item["type"]), pattern_of(item))]
        raw = self.instance.call_raw(name, struct.pack(f"<{len(words)}Q", *words))
        return results, joined(results, struct.unpack(f"<{len(raw) // 8}Q", raw))

    def _results(self, export: str) -> tuple[str, ...]:
        try:
            return self.instance.signature(export).results
        except UsageError:
            raise Unsupported("references as results") from None


class Script:
    """One test file: its modules by name, and the instance that is the current one."""

    def __init__(self, folder: Path, engine: WasmtimeEngine) -> None:
        self._folder = folder
        self._engine = engine
        self._named: dict[str, Guest] = {}
        self._registered: dict[str, Guest] = {}
        self._definitions: dict[str, dict[str, object]] = {}
        self._current: Guest | None = None
        self._why_none = "no module came before"

    def run(self, command: dict[str, object]) -> None:
        """Carry out a command. Raises `AssertionError` if it fails, `Unsupported` if it cannot be done."""
        kind = str(command["type"])
        action = getattr(self, f"_{kind}", None)
        if action is None:
            raise Unsupported(f"command {kind}")
        action(command)

    def _module(self, command: dict[str, object], name: str = "") -> None:
        self._current = None
        try:
            self._current = self._instance(command)
        except Unsupported as reason:
            self._why_none = f"call into such a {reason}"
            raise
        finally:
            self._named.pop(name or str(command.get("name")), None)
        if name or "name" in command:
            self._named[name or str(command["name"])] = self._current

    def _module_definition(self, command: dict[str, object]) -> None:
        self._compile(self._bytes(command))
        self._definitions[str(command.get("name"))] = command

    def _module_instance(self, command: dict[str, object]) -> None:
        definition = self._definitions[str(command.get("module"))]
        self._module(definition, str(command.get("instance")))

    def _bytes(self, command: dict[str, object]) -> bytes:
        """Return a module's binary form; text is translated as ``lawow exec`` does it."""
        path = self._folder / str(command.get("binary_filename", command["filename"]))
        return path.read_bytes() if path.suffix == ".wasm" else wat_to_wasm(path.read_bytes())

    def _compile(self, wasm: bytes) -> WasmtimeModule:
        """Inspect and compile a sound module: neither our reader nor the engine may refuse it."""
        inspect_module(wasm)
        return self._engine.compile(wasm)

    def _instance(self, command: dict[str, object]) -> Guest:
        wasm, vectors = with_twins(self._bytes(command))
        module = self._compile(wasm)
        try:
            grants = Grants(functions=self._granted(module)) if module.imports else None
            instance = module.instantiate(memory_bytes=1 << 30, table_elements=10_000_000, grants=grants)
        except Refused as error:
            if "another type" in str(error) and not self._imports_guests(module):
                raise
            for guest in (*self._named.values(), *self._registered.values()):  # it could share their state
                guest.is_behind = True
            raise Unsupported("module that imports what is not there") from None
        except LimitExceeded as error:
            raise Unsupported(f"module above our limit {error.limit}") from None
        return Guest(instance, module.exports, vectors)

    def _imports_guests(self, module: WasmtimeModule) -> bool:
        """Tell whether a module imports from a registered instance: it gets functions, with plain types."""
        return any(name in self._registered for name, _ in module.imports)

    def _granted(self, module: WasmtimeModule) -> list[HostFunction]:
        wanted = set(module.imports)
        offered = [
            *SPECTEST,
            *(item for name, guest in self._registered.items() for item in guest.offers(name)),
        ]
        return [item for item in offered if (item.module, item.name) in wanted]

    def _register(self, command: dict[str, object]) -> None:
        """Offer an instance's functions to those that come later; memories and the like are not shared."""
        guest = self._named.get(str(command["name"])) if "name" in command else self._current
        if guest is None:
            raise Unsupported(self._why_none)
        self._registered[str(command["as"])] = guest

    def _action(self, command: dict[str, object]) -> None:
        self._invoke(command)

    def _assert_return(self, command: dict[str, object]) -> None:
        types, found = self._invoke(command)
        wanted = values_of(command, "expected")
        if "either" in command:  # as wabt writes that one of several results is right
            wanted = [{"type": "either", "values": command["either"]}]
        if len(wanted) != len(types):
            raise AssertionError(f"{len(types)} results, expected {len(wanted)}")
        for kind, pattern, value in zip(types, found, wanted, strict=True):
            if not agrees(kind, pattern, value):
                raise AssertionError(f"result {pattern:#x} as {kind}, expected {value}")

    def _assert_trap(self, command: dict[str, object]) -> None:
        if "action" not in command:
            self._assert_uninstantiable(command)
            return
        try:
            self._invoke(command)
        except GuestTrap as trap:
            said = str(command["text"])
            wanted = next((code for text, code in TRAPS.items() if said.startswith(text)), said)
            if trap.code != wanted:
                raise AssertionError(f"trap {trap.code}, expected {wanted}") from None
        else:
            raise AssertionError(f"no trap, expected {command['text']}")

    _assert_exhaustion = _assert_trap

    def _assert_exception(self, command: dict[str, object]) -> None:
        self._assert_trap({**command, "text": "exception"})

    def _assert_invalid(self, command: dict[str, object]) -> None:
        try:
            wasm = self._bytes(command)
            with suppress(FormatError):  # our reader may see it or not, and may raise nothing else
                inspect_module(wasm)
            self._engine.compile(wasm)
        except FormatError:
            return
        raise AssertionError(f"accepted, expected {command['text']}")

    _assert_malformed = _assert_invalid

    def _assert_unlinkable(self, command: dict[str, object]) -> None:
        try:
            if self._imports_guests(self._compile(self._bytes(command))):
                raise Unsupported("types of imports from another instance")
            self._instance(command)
        except Unsupported:
            if not str(command["text"]).startswith("unknown import"):
                raise
        except LawowError:
            return
        else:
            raise AssertionError("linked")

    def _assert_uninstantiable(self, command: dict[str, object]) -> None:
        try:
            self._instance(command)
        except GuestTrap:
            return
        raise AssertionError("instantiated")

    def _invoke(self, command: dict[str, object]) -> tuple[tuple[str, ...], list[int]]:
        """Call an export; return the types and the bit patterns of its results."""
        action = dict_of(command["action"])
        if action["type"] != "invoke":
            raise Unsupported("reading a global")
        name = action.get("module")
        guest = self._named.get(str(name)) if name else self._current
        if guest is None:
            raise Unsupported(self._why_none)
        if guest.is_behind:
            raise Unsupported("call after one that could not be made")
        try:
            return guest.call(str(action["field"]), values_of(action, "args"))
        except Unsupported:
            guest.is_behind = True
            raise
        except GuestTrap as trap:
            if trap.code != "host-function-failed":
                raise
            guest.is_behind = True
            raise Unsupported("trap or exception from one instance to another") from None


def dict_of(value: object) -> dict[str, object]:
    """Return a JSON object as such."""
    assert isinstance(value, dict)
    return value


def values_of(owner: dict[str, object], key: str) -> list[dict[str, object]]:
    """Return a list of values as the converter writes them."""
    found = owner.get(key, [])
    assert isinstance(found, list)
    return found


def run_file(path: Path, engine: WasmtimeEngine, converter: str | None = None) -> Report:
    """Run one test file."""
    report = Report(files=1)
    with tempfile.TemporaryDirectory(prefix="lawow-") as name:
        folder = Path(name)
        try:
            commands = convert(path, folder, converter or find_converter())
        except Unsupported as reason:
            report.unsupported[str(reason)] += 1
            return report
        script = Script(folder, engine)
        for command in commands:
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
