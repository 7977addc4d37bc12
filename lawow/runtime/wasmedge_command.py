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
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress

from lawow.errors import GuestTrap, LawowError, LocalProtocolError, Refused
from lawow.formats.wasm import inspect_module
from lawow.runtime.additions import PREFIX
from lawow.runtime.base import Engine
from lawow.runtime.profiles import EngineProfile
from lawow.runtime.trampolines import MARKER, add_trampolines
from lawow.runtime.wasmedge_base import (
    PAGE_BYTES,
    PatternInstance,
    ScannedModule,
    page_limit,
    preopened,
    scan,
)
from lawow.runtime.wasmedge_compiler import (
    FAILED,
    OWN_ENVIRONMENT,
    bound_process,
    with_machine_code,
    write_new,
)
from lawow.runtime.wasmedge_failures import deadline_passed, failure, fuel_spent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import IO

    from lawow.formats.interface import FuncType
    from lawow.formats.wasm import ModuleInfo
    from lawow.formats.wasm_expose import StateNames
    from lawow.runtime.cells import Cells
    from lawow.runtime.grants import Grants

    Output = Callable[[bytes], object]

__all__ = ["COMMAND", "CommandEngine", "CommandInstance", "CommandModule", "find_command", "version_of"]

COMMAND = "LAWOW_WASMEDGE"
"""Environment variable with the path of the command, where it is not on the path as ``wasmedge``."""

_OWN_BYTES = 512 << 20
"""Writable memory that the process may use beside the guest's: WasmEdge itself, code, the stack."""

_TAIL_BYTES = 64 << 10
"""The end of the output that is kept back: results of at most 1,000 slots, and the messages of a failure."""

_LOG_LINE = re.compile(rb"^\[\d{4}-[^\]\n]*\] \[\w+\] [^\n]*\n", re.MULTILINE)
_OUT_OF_GAS = b"Cost exceeded limit"

_STACK_SIGNALS = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS)


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


class CommandEngine(Engine):
    """WasmEdge, ahead of time (`is_compiled`) or as an interpreter. Raises `LawowError` where it is not."""

    compiles_apart = True
    keeps_instances = False

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
        self.problem_of_library = ""  # why the library is not used in its place, if it was looked for
        way = "aot" if is_compiled else "interpreter"
        self.profile = EngineProfile(f"wasmedge-{way}-2 {self.version}", has_fuel=has_fuel, has_epochs=True)

    def compile(self, wasm: bytes) -> CommandModule:
        info = scan(wasm)
        prepared = add_trampolines(wasm, info)
        if not self.is_compiled:
            return CommandModule(self, prepared, info)  # the run itself validates it
        code = with_machine_code(prepared, [self.command, "compile"])
        return CommandModule(self, code, inspect_module(code))

    def load(self, path: str) -> CommandModule:
        with open(path, "rb") as stream:
            code = stream.read()
        return CommandModule(self, code, inspect_module(code))

    def close(self) -> None:
        """There is nothing to free."""


class CommandModule(ScannedModule):
    """A module with its companions, and the code for this machine if it was compiled."""

    def __init__(self, engine: CommandEngine, code: bytes, info: ModuleInfo) -> None:
        super().__init__(code, info, engine.profile)
        self.engine = engine

    @property
    def program(self) -> tuple[str, bytes]:
        """File name and content of what WasmEdge is given: the machine's code, or the module."""
        machine_code = self.machine_code
        return ("module.wasm", self.code) if machine_code is None else ("module.so", machine_code)

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
        runs_start: bool = True,
    ) -> CommandInstance:
        if not runs_start:
            raise Refused(_NO_STATE)
        memory, _ = self.admit(memory_bytes, fuel, wasi)
        return CommandInstance(self, memory, fuel, deadline_seconds, stdout, stderr, grants)

    def close(self) -> None:
        """There is nothing to free."""


class CommandInstance(PatternInstance):
    """An instance that begins to exist with its only call."""

    def __init__(
        self,
        module: CommandModule,
        memory_bytes: int,
        fuel: int | None,
        deadline_seconds: float | None,
        stdout: Output | None,
        stderr: Output | None,
        grants: Grants | None,
    ) -> None:
        super().__init__(module.exports)
        self._module = module
        self._memory_limit = memory_bytes
        self._fuel = fuel
        self._deadline_seconds = deadline_seconds
        self._stdout = stdout
        self._stderr = stderr
        self._grants = grants
        self._used = ""
        self._memory_bytes = sum(item.minimum_pages * item.page_bytes for item in module.info.memories[:1])

    def read_memory(self, address: int, length_bytes: int) -> bytes:
        raise Refused(_NO_MEMORY)

    def write_memory(self, address: int, data: bytes) -> None:
        raise Refused(_NO_MEMORY)

    def cells(self, names: StateNames) -> AbstractContextManager[Cells]:
        raise Refused(_NO_STATE)

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
        self, export: str, function: FuncType, patterns: Sequence[int], deadline_seconds: float | None
    ) -> list[int]:
        """Run the companion of `export` in a process of its own; return the bit patterns of the results."""
        if self._used:
            raise LocalProtocolError(f"this instance cannot be called any more: {self._used}")
        self._used = "WasmEdge's command runs one call; make a new instance"
        limit = deadline_seconds if deadline_seconds is not None else self._deadline_seconds
        with tempfile.TemporaryDirectory(prefix="lawow-") as folder:
            name, program = self._module.program
            path = f"{folder}/{name}"
            write_new(path, program)
            argv = self._command(path, export, patterns, function)
            status, tail, is_late = self._process(argv, limit)
        if is_late and limit is not None:
            raise deadline_passed(limit, export)
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
        argv += ["--memory-page-limit", str(page_limit(self._memory_limit))]
        if self._fuel is not None:
            argv += ["--gas-limit", str(self._fuel)]
        if self._grants is not None:
            for folder in self._grants.directories:
                argv += ["--dir", preopened(folder)]
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
            env=OWN_ENVIRONMENT,
            preexec_fn=lambda: bound_process(bytes_most),
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
            self._memory_bytes = int(found[1]) * PAGE_BYTES
            return [int(line) for line in found[2].split()]
        self._say(tail)
        raise self._failure(export, status, tail)

    def _end(self, export: str, status: int, tail: bytes) -> None:
        """Judge how a WASI command ended: its status is that of the process."""
        self._say(tail)
        if status < 0 or FAILED.search(tail) or _OUT_OF_GAS in tail:
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
            return fuel_spent(self._fuel, export)
        found = FAILED.findall(tail)
        if found:
            return failure(int(found[-1][1], 16), found[-1][0].decode("utf-8", "replace"), export)
        if status in _STACK_SIGNALS:
            sentence = "the guest trapped: call stack exhausted, or out of memory in WasmEdge's process"
            return GuestTrap("stack-overflow", sentence, frames=(export,))
        return GuestTrap("exit", "the guest ended itself; WasmEdge does not report with which status")


_NO_STATE = "WasmEdge's command keeps no instance between calls, so there is no state to take or to give it"
_NO_MEMORY = "strings and lists cannot pass to WasmEdge's command, which has no way into the guest's memory"


def _is_command(export: str, function: FuncType) -> bool:
    """Tell whether an export is the main program of a WASI command, which has arguments and a status."""
    return export == "_start" and not function.params and not function.results


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
