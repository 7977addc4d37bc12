"""WasmEdge's ahead-of-time compiler, always in a child process that may use so much and no more.

The child is the command ``wasmedge compile``, or this module run by Python, which hands the same arguments to
the same compiler in the library::

    python -P -m lawow.runtime.wasmedge_compiler [--interruptible] [--enable-gas-measuring] IN.wasm OUT.so

WasmEdge has a form of its own for modules with machine code, but in 0.14.1 code from it fails at constants
(``f64.min``); so the code becomes a custom section of LAWOW's (`lawow.runtime.additions`).
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile

from lawow.errors import FormatError, LawowError, LimitExceeded
from lawow.formats.wasm_edit import custom_section
from lawow.limits import COMPILE
from lawow.runtime.additions import CODE_SECTION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FAILED", "OWN_ENVIRONMENT", "bound_process", "main", "with_machine_code", "write_new"]

FAILED = re.compile(rb"\] \[error\] (?:wasmedge runtime|\w+) failed: ([^\n]*?), Code: 0x([0-9a-f]+)")
"""How WasmEdge logs a failure: its message and its number."""

OWN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""What WasmEdge's command sees of the environment."""


def with_machine_code(
    wasm: bytes, compiler: Sequence[str], environment: dict[str, str] | None = OWN_ENVIRONMENT
) -> bytes:
    """Compile `wasm` by the command `compiler` and return it with the code as a custom section.

    Raises `FormatError` for an invalid module, `LimitExceeded` if the child hit a limit.
    """
    with tempfile.TemporaryDirectory(prefix="lawow-") as folder:
        source, target = f"{folder}/module.wasm", f"{folder}/module.so"
        write_new(source, wasm)
        done = _run([*compiler, source, target], environment)
        if done.returncode or not os.path.exists(target):
            raise _compile_failure(done)
        with open(target, "rb") as stream:
            return wasm + custom_section(CODE_SECTION, stream.read())


def bound_process(data_bytes: int, cpu_seconds: int | None = None) -> None:
    """In the child: bound what it may use, and let it end with its parent."""
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def write_new(path: str, data: bytes) -> None:
    """Write a file that does not exist yet."""
    with open(path, "xb") as stream:
        stream.write(data)


def _run(argv: list[str], environment: dict[str, str] | None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=COMPILE.cpu_seconds * 4,
            check=False,
            preexec_fn=lambda: bound_process(COMPILE.address_space_bytes, COMPILE.cpu_seconds),
        )
    except subprocess.TimeoutExpired:
        raise _limit("cpu_seconds", COMPILE.cpu_seconds) from None


def _limit(limit: str, maximum: int) -> LimitExceeded:
    return LimitExceeded(
        limit, "more than that", maximum, subject="compiling the module", hint="it was stopped"
    )


def _compile_failure(done: subprocess.CompletedProcess[bytes]) -> LawowError:
    """Return what a compilation that failed means."""
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return _limit("cpu_seconds", COMPILE.cpu_seconds)
    if done.returncode < 0:
        return _limit("address_space_bytes", COMPILE.address_space_bytes)
    found = FAILED.findall(done.stdout + done.stderr)
    if found:
        return FormatError(f"is not a module that WasmEdge takes: {found[0][0].decode('utf-8', 'replace')}")
    last = (done.stdout + done.stderr).decode("utf-8", "replace").strip().rpartition("\n")[2]
    return LawowError(f"WasmEdge's compiler failed with status {done.returncode}: {last}")


def main(arguments: list[str]) -> int:
    """Be the child that compiles by the library. Returns the compiler's exit status."""
    from lawow.runtime.libwasmedge import compile_file

    return compile_file(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
