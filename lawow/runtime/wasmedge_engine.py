"""`Engine` over the command line of WasmEdge: a second engine, to compare results with.

Each call is one process ``wasmedge --reactor``, so an instance can be called once; state that would have to
stay between two calls is refused, not lost. Values pass as bit patterns (`lawow.runtime.trampolines`), since
the command reads floats inexactly. What it reports as text becomes LAWOW's errors here and nowhere else.

========================  =================================================================================
limit                     how it holds here
========================  =================================================================================
deadline_seconds          the process is killed; nothing of it goes on
memory_bytes              ``--memory-page-limit``, and what a module declares is checked first
fuel                      ``--gas-limit``, interpreter only; counted by WasmEdge's own table of costs
table_elements, stack     not bounded by WasmEdge: the process is, by RLIMIT_DATA and RLIMIT_STACK
exit status               reported for a WASI command (``_start``); an exit of the guest in a call of another
                          export is a trap without status
========================  =================================================================================
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from struct import pack, unpack

from lawow.errors import (
    FormatError,
    GuestTrap,
    LawowError,
    LimitExceeded,
    LocalProtocolError,
    Refused,
    UsageError,
)
from lawow.formats.interface import FuncType
from lawow.formats.wasm import ModuleInfo, inspect_module
from lawow.limits import CALL, COMPILE, MODULE
from lawow.runtime.base import CompiledModule, Engine, Instance
from lawow.runtime.binding import fit_arguments
from lawow.runtime.profiles import EngineProfile
from lawow.runtime.trampolines import MARKER, PREFIX, add_trampolines, custom_section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

    from lawow.runtime.grants import Grants

    Output = Callable[[bytes], object]

__all__ = ["COMMAND", "WasmEdgeEngine", "WasmEdgeInstance", "WasmEdgeModule", "find_command", "version_of"]

COMMAND = "LAWOW_WASMEDGE"
"""Environment variable with the path of the command, where it is not on the path as ``wasmedge``."""

_WASI = "wasi_snapshot_preview1"
_CODE_SECTION = "lawow.native"
_PAGE_BYTES = 1 << 16
_OWN_BYTES = 512 << 20
"""Writable memory that the process may use beside the guest's: WasmEdge itself, code, the stack."""

_TAIL_BYTES = 64 << 10
"""The end of the output that is kept back: results of at most 1,000 slots, and the messages of a failure."""

_FAILED = re.compile(rb"\] \[error\] (?:wasmedge runtime|\w+) failed: ([^\n]*?), Code: 0x([0-9a-f]+)")
_LOG_LINE = re.compile(rb"^\[\d{4}-[^\]\n]*\] \[\w+\] [^\n]*\n", re.MULTILINE)
_OUT_OF_GAS = b"Cost exceeded limit"

_TRAPS = {
    0x404: ("integer-divide-by-zero", "integer divide by zero"),
    0x405: ("integer-overflow", "integer overflow"),
    0x406: ("bad-conversion-to-integer", "invalid conversion to integer"),
    0x407: ("table-out-of-bounds", "undefined element: out of bounds table access"),
    0x408: ("memory-out-of-bounds", "out of bounds memory access"),
    0x40A: ("unreachable", "wasm `unreachable` instruction executed"),
    0x40B: ("indirect-call-to-null", "uninitialized element"),
    0x40C: ("table-out-of-bounds", "undefined element: out of bounds table access"),
    0x40D: ("bad-signature", "indirect call type mismatch"),
    0x40E: ("host-error", "a function of the host failed"),
}
"""Number of WasmEdge's error, the code of the same trap in `lawow.runtime.failures`, and a sentence."""

_START = "_start"
_NOTHING = FuncType((), ())

_EXECUTION = 0x400
"""Smaller numbers are failures of loading, validation and instantiation."""

_STACK_SIGNALS = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS)
_OWN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


def find_command() -> str | None:
    """Return the path of the ``wasmedge`` command, or None."""
    return os.environ.get(COMMAND) or shutil.which("wasmedge")


def version_of(command: str) -> str:
    """Return the release that `command` reports. Raises `LawowError` if it does not run."""
    try:
        done = subprocess.run([command, "--version"], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise LawowError(f"{command} does not run: {error}") from None
    found = re.search(rb"version (\d+(?:\.\d+)+)", done.stdout)
    if found is None:
        raise LawowError(f"{command} is not WasmEdge: it reports no version")
    return found[1].decode()


class WasmEdgeEngine(Engine):
    """WasmEdge, ahead of time (`is_compiled`) or as an interpreter. Raises `LawowError` where it is not."""

    compiles_apart = True

    def __init__(
        self, *, is_compiled: bool = True, has_fuel: bool = False, command: str | None = None
    ) -> None:
        found = command or find_command()
        if found is None:
            raise LawowError(
                f"WasmEdge is not installed: there is no wasmedge command on the path; install it, or name "
                f"it by the variable {COMMAND}"
            )
        if is_compiled and has_fuel:
            raise Refused("wasmedge counts no fuel in compiled code; take --engine wasmedge-interpreter")
        self.command = found
        self.version = version_of(found)
        self.is_compiled = is_compiled
        way = "aot" if is_compiled else "interpreter"
        self.profile = EngineProfile(f"wasmedge-{way}-1 {self.version}", has_fuel=has_fuel, has_epochs=True)

    def compile(self, wasm: bytes) -> WasmEdgeModule:
        info = inspect_module(wasm, limits=MODULE)
        if info.is_component:
            raise FormatError("is a WebAssembly component, not a core module; LAWOW runs core modules")
        prepared = add_trampolines(wasm, info)
        if not self.is_compiled:
            return WasmEdgeModule(self, prepared, info)  # the run itself validates it
        code = self._translate(prepared)
        return WasmEdgeModule(self, code, inspect_module(code))

    def load(self, path: str) -> WasmEdgeModule:
        with open(path, "rb") as stream:
            code = stream.read()
        return WasmEdgeModule(self, code, inspect_module(code))

    def close(self) -> None:
        """There is nothing to free."""

    def _translate(self, wasm: bytes) -> bytes:
        """Compile, and append the machine's code to the module as a custom section.

        WasmEdge has a form of its own for that, but in 0.14.1 code from it fails at constants (``f64.min``).
        """
        with tempfile.TemporaryDirectory(prefix="lawow-") as folder:
            source, target = f"{folder}/module.wasm", f"{folder}/module.so"
            _write(source, wasm)
            done = self._compiler([self.command, "compile", source, target])
            if done.returncode or not os.path.exists(target):
                raise _compile_failure(done)
            with open(target, "rb") as stream:
                return wasm + custom_section(_CODE_SECTION, stream.read())

    def _compiler(self, argv: list[str]) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=_OWN_ENVIRONMENT,
                timeout=COMPILE.cpu_seconds * 4,
                check=False,
                preexec_fn=lambda: _bound_process(COMPILE.address_space_bytes, COMPILE.cpu_seconds),
            )
        except subprocess.TimeoutExpired:
            raise _compile_limit("cpu_seconds", COMPILE.cpu_seconds) from None


class WasmEdgeModule(CompiledModule):
    """A module with its companions, and the code for this machine if it was compiled."""

    def __init__(self, engine: WasmEdgeEngine, code: bytes, info: ModuleInfo) -> None:
        self.engine = engine
        self.code = code
        self.info = info

    @property
    def program(self) -> tuple[str, bytes]:
        """File name and content of what WasmEdge is given: the machine's code, or the module."""
        for item in self.info.custom_sections:
            if item.name == _CODE_SECTION and self.engine.is_compiled:
                return "module.so", self.code[item.offset : item.offset + item.size_bytes]
        return "module.wasm", self.code

    @property
    def exports(self) -> Mapping[str, FuncType]:
        return {
            item.name: item.type
            for item in self.info.exports
            if item.type is not None and not item.name.startswith(PREFIX)
        }

    @property
    def imports(self) -> Sequence[tuple[str, str]]:
        return [(item.module, item.name) for item in self.info.imports]

    @property
    def exports_memory(self) -> bool:
        return any(item.kind == "memory" for item in self.info.exports)

    def serialize(self) -> bytes:
        return self.code

    def instantiate(
        self,
        *,
        memory_bytes: int | None = None,
        table_elements: int | None = None,
        deadline_seconds: float | None = None,
        fuel: int | None = None,
        wasi: bool = True,
        stdout: Output | None = None,
        stderr: Output | None = None,
        grants: Grants | None = None,
    ) -> WasmEdgeInstance:
        missing = [f"{module}.{name}" for module, name in self.imports if not (wasi and module == _WASI)]
        if missing:
            raise Refused(f"the module imports what nobody provides here: {', '.join(missing[:8])}")
        memory = CALL.memory_bytes if memory_bytes is None else memory_bytes
        for item in self.info.memories:
            declared = item.minimum_pages * item.page_bytes
            if declared > memory:
                hint = "the module declares more than that"
                raise LimitExceeded("memory_bytes", declared, memory, hint=hint)
        if fuel is not None and not self.engine.profile.has_fuel:
            raise LocalProtocolError(f"the engine profile {self.engine.profile.name} has no fuel")
        return WasmEdgeInstance(self, memory, fuel, deadline_seconds, stdout, stderr, grants)

    def close(self) -> None:
        """There is nothing to free."""


class WasmEdgeInstance(Instance):
    """An instance that begins to exist with its only call."""

    def __init__(
        self,
        module: WasmEdgeModule,
        memory_bytes: int,
        fuel: int | None,
        deadline_seconds: float | None,
        stdout: Output | None,
        stderr: Output | None,
        grants: Grants | None,
    ) -> None:
        self._module = module
        self._memory_limit = memory_bytes
        self._fuel = fuel
        self._deadline_seconds = deadline_seconds
        self._stdout = stdout
        self._stderr = stderr
        self._grants = grants
        self._used = ""
        self._memory_bytes = sum(item.minimum_pages * item.page_bytes for item in module.info.memories[:1])

    def signature(self, export: str) -> FuncType:
        function = self._module.exports.get(export)
        if function is None:
            raise UsageError(f"the module exports no function named {export!r}")
        if not function.is_callable:
            raise UsageError(f"{export} cannot be called from outside: its type is {function}")
        return function

    def call(
        self, export: str, arguments: Sequence[int | float] = (), *, deadline_seconds: float | None = None
    ) -> tuple[int | float, ...]:
        function = self.signature(export)
        values = fit_arguments(export, function, arguments)
        patterns = [_pattern(kind, value) for kind, value in zip(function.params, values, strict=True)]
        found = self._run(export, patterns, function, deadline_seconds)
        return tuple(_value(kind, pattern) for kind, pattern in zip(function.results, found, strict=True))

    def call_raw(self, export: str, values: bytes, *, deadline_seconds: float | None = None) -> bytes:
        function = self.signature(export)
        if len(values) != 8 * len(function.params):
            raise UsageError(
                f"{export} takes {8 * len(function.params)} bytes of arguments, {len(values)} were given"
            )
        masks = [0xFFFFFFFF if kind in ("i32", "f32") else (1 << 64) - 1 for kind in function.params]
        given = unpack(f"<{len(masks)}Q", values)
        patterns = [pattern & mask for pattern, mask in zip(given, masks, strict=True)]
        found = self._run(export, patterns, function, deadline_seconds)
        return pack(f"<{len(found)}Q", *found)

    def read_memory(self, address: int, length_bytes: int) -> bytes:
        raise Refused(_NO_MEMORY)

    def write_memory(self, address: int, data: bytes) -> None:
        raise Refused(_NO_MEMORY)

    def limit_memory(self, memory_bytes: int) -> None:
        self._memory_limit = memory_bytes

    @property
    def memory_bytes(self) -> int:
        return self._memory_bytes

    @property
    def fuel_left(self) -> int | None:
        return None

    def close(self) -> None:
        self._used = "it has been closed"

    def _run(
        self, export: str, patterns: Sequence[int], function: FuncType, deadline_seconds: float | None
    ) -> list[int]:
        """Run the companion of `export` in a process of its own; return the bit patterns of the results."""
        if self._used:
            raise LocalProtocolError(f"this instance cannot be called any more: {self._used}")
        self._used = "WasmEdge's command runs one call; make a new instance"
        limit = deadline_seconds if deadline_seconds is not None else self._deadline_seconds
        with tempfile.TemporaryDirectory(prefix="lawow-") as folder:
            name, program = self._module.program
            path = f"{folder}/{name}"
            _write(path, program)
            argv = self._command(path, export, patterns, function)
            status, tail, is_late = self._process(argv, limit)
        if is_late:
            seconds = f"{limit:g}"
            raise LimitExceeded(
                "deadline_seconds",
                f"more than {seconds}",
                seconds,
                subject=export,
                hint="the guest was stopped",
            )
        if _is_command(export, function):
            self._end(export, status, tail)
            return []
        return self._results(export, function, status, tail)

    def _command(self, path: str, export: str, patterns: Sequence[int], function: FuncType) -> list[str]:
        argv = [self._module.engine.command]
        if not _is_command(export, function):
            argv.append("--reactor")
        if not self._module.engine.is_compiled:
            argv.append("--force-interpreter")
        argv += ["--memory-page-limit", str(max(self._memory_limit // _PAGE_BYTES, 1))]
        if self._fuel is not None:
            argv += ["--gas-limit", str(self._fuel)]
        if self._grants is not None:
            for folder in self._grants.directories:
                mode = "" if folder.is_writable else ":readonly"
                if ":" in folder.host or ":" in folder.guest:
                    raise Refused(
                        f"wasmedge cannot be given a folder with a colon in its name: {folder.host}"
                    )
                argv += ["--dir", f"{folder.guest}:{folder.host}{mode}"]
            for name, value in self._grants.environment:
                argv += ["--env", f"{name}={value}"]
        if _is_command(export, function):
            return [*argv, "--", path, *(self._grants.arguments[1:] if self._grants is not None else ())]
        words = [_decimal(kind, value) for kind, value in zip(function.params, patterns, strict=True)]
        return [*argv, path, f"{PREFIX}{export}", *words]

    def _process(self, argv: list[str], seconds: float | None) -> tuple[int, bytes, bool]:
        """Run a command; return its status, the end of its output, and whether it was killed for its time."""
        given = self._grants.stdin if self._grants is not None else False
        source = subprocess.PIPE if isinstance(given, bytes) else None if given else subprocess.DEVNULL
        bytes_most = self._memory_limit + _OWN_BYTES
        with subprocess.Popen(
            argv,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_OWN_ENVIRONMENT,
            preexec_fn=lambda: _bound_process(bytes_most),
        ) as child:
            late = threading.Event()
            timer = threading.Timer(seconds if seconds is not None else 1e9, _kill, (child, late))
            timer.daemon = True
            if seconds is not None:
                timer.start()
            if isinstance(given, bytes):
                threading.Thread(target=_feed, args=(child.stdin, given), daemon=True).start()
            said = threading.Thread(target=_pump, args=(child.stderr, self._stderr, 0), daemon=True)
            said.start()
            try:
                tail = _pump(child.stdout, self._stdout, _TAIL_BYTES)
                said.join()
                status = child.wait()
            except BaseException:
                child.kill()
                raise
            finally:
                timer.cancel()
        return status, tail, late.is_set()

    def _results(self, export: str, function: FuncType, status: int, tail: bytes) -> list[int]:
        """Find the results at the end of the output; what stands before them is the guest's."""
        count = len(function.results)
        found = re.search(rb"%d\n(\d+)\n((?:\d+\n){%d})\Z" % (MARKER, count), tail)
        if status == 0 and found is not None:
            self._say(tail[: found.start()])
            self._memory_bytes = int(found[1]) * _PAGE_BYTES
            return [int(line) for line in found[2].split()]
        self._say(tail)
        raise self._failure(export, status, tail)

    def _end(self, export: str, status: int, tail: bytes) -> None:
        """Judge how a WASI command ended: its status is that of the process."""
        self._say(tail)
        if status < 0 or _FAILED.search(tail) or _OUT_OF_GAS in tail:
            raise self._failure(export, status, tail)
        if status:
            raise GuestTrap("exit", f"the guest ended itself with status {status}", status=status)

    def _say(self, rest: bytes) -> None:
        """Pass on what the guest printed, without the lines of WasmEdge's own log."""
        text = _LOG_LINE.sub(b"", rest)
        if text and self._stdout is not None:
            self._stdout(text)

    def _failure(self, export: str, status: int, tail: bytes) -> LawowError:
        if _OUT_OF_GAS in tail:
            return LimitExceeded(
                "fuel", f"more than {self._fuel}", self._fuel, hint="the guest was stopped", subject=export
            )
        found = _FAILED.findall(tail)
        if found:
            message, number = found[-1][0].decode("utf-8", "replace"), int(found[-1][1], 16)
            if number in _TRAPS:
                code, sentence = _TRAPS[number]
                return GuestTrap(code, f"the guest trapped: {sentence}", frames=(export,))
            if number < _EXECUTION:
                return FormatError(f"is not a module that WasmEdge takes: {message}")
            return GuestTrap("unknown", f"the guest failed: {message}", frames=(export,))
        if status in _STACK_SIGNALS:
            sentence = "the guest trapped: call stack exhausted, or out of memory in WasmEdge's process"
            return GuestTrap("stack-overflow", sentence, frames=(export,))
        return GuestTrap("exit", "the guest ended itself; WasmEdge does not report with which status")


_NO_MEMORY = "strings and lists cannot pass to WasmEdge's command, which has no way into the guest's memory"


def _is_command(export: str, function: FuncType) -> bool:
    """Tell whether an export is the main program of a WASI command, which has arguments and a status."""
    return export == _START and function == _NOTHING


def _pattern(kind: str, value: int | float) -> int:
    """Return the bit pattern of an argument."""
    if kind in ("f32", "f64"):
        (pattern,) = unpack("<I" if kind == "f32" else "<Q", pack("<f" if kind == "f32" else "<d", value))
        return int(pattern)
    return int(value) & (0xFFFFFFFF if kind == "i32" else (1 << 64) - 1)


def _value(kind: str, pattern: int) -> int | float:
    """Return the value of a result."""
    layouts = {"i32": ("<I", "<i"), "i64": ("<Q", "<q"), "f32": ("<I", "<f"), "f64": ("<Q", "<d")}
    bits, layout = layouts[kind]
    (value,) = unpack(layout, pack(bits, pattern))
    number: int | float = value
    return number


def _decimal(kind: str, pattern: int) -> str:
    """Return a bit pattern as WasmEdge's command reads it: 64 bits must be signed."""
    if kind in ("i64", "f64") and pattern >> 63:
        return str(pattern - (1 << 64))
    return str(pattern)


def _pump(source: IO[bytes] | None, output: Output | None, kept_bytes: int) -> bytes:
    """Pass on what comes from `source` but the last `kept_bytes`, which are returned."""
    rest = bytearray()
    while source is not None and (chunk := os.read(source.fileno(), 1 << 16)):
        rest += chunk
        if len(rest) > 2 * kept_bytes:
            _give(output, bytes(rest[: len(rest) - kept_bytes]))
            del rest[: len(rest) - kept_bytes]
    return bytes(rest)


def _feed(target: IO[bytes] | None, data: bytes) -> None:
    """Write all that a guest may read; one that ends before it has read all is content."""
    with suppress(BrokenPipeError):
        if target is not None:
            with target:
                target.write(data)


def _give(output: Output | None, data: bytes) -> None:
    try:
        if output is not None:
            output(data)
    except OSError:  # nobody reads any more: the guest's words are lost, its results are not
        return


def _kill(child: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    child.kill()


def _bound_process(data_bytes: int, cpu_seconds: int | None = None) -> None:
    """In the child: bound what it may use, and let it end with its parent."""
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _compile_limit(limit: str, maximum: int) -> LimitExceeded:
    return LimitExceeded(
        limit, "more than that", maximum, subject="compiling the module", hint="it was stopped"
    )


def _compile_failure(done: subprocess.CompletedProcess[bytes]) -> LawowError:
    """Return what a compilation that failed means."""
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return _compile_limit("cpu_seconds", COMPILE.cpu_seconds)
    if done.returncode < 0:
        return _compile_limit("address_space_bytes", COMPILE.address_space_bytes)
    found = _FAILED.findall(done.stdout + done.stderr)
    message = found[0][0].decode("utf-8", "replace") if found else f"status {done.returncode}"
    return FormatError(f"is not a module that WasmEdge takes: {message}")


def _write(path: str, data: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(data)
