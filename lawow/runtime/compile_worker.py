"""Compile in a child process that may use so much and no more, and dies of it if it must.

A compiler turns kilobytes into gigabytes if the module is made for it, and nothing inside the process can
stop it. So whatever is large, or comes from somebody else, is compiled here: the child limits its own
processor time and address space, scans the module, compiles it, writes the code to a file and prints two
digests. The caller never holds the module or the code, so that ``lawow exec`` stays below 50 MB for any
module.

Protocol: ``python -P -m lawow.runtime.compile_worker PROFILE CPU_SECONDS ADDRESS_SPACE_BYTES OUTPUT``,
module on standard input; one JSON object on standard output: ``{"content", "digest"}`` or ``{"error",
...}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys

from lawow.errors import FormatError, LawowError, LimitExceeded
from lawow.formats.component import is_component, require_sound_component
from lawow.formats.wasm import inspect_module
from lawow.limits import COMPILE, MODULE, CompileLimits
from lawow.runtime.places import digest_of
from lawow.runtime.profiles import PROFILES, EngineProfile
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["compile_in_child", "main"]

_PR_SET_PDEATHSIG = 1

_WALL_FACTOR = 4
"""Seconds of waiting per second of processor time that is allowed: the machine may be busy."""


def compile_in_child(
    module: int | bytes, output: str, profile: EngineProfile, limits: CompileLimits = COMPILE
) -> tuple[str, str]:
    """Compile `module` (bytes, or a descriptor open for reading) into a new file `output`.

    Returns the module's content key and the code's digest. Raises `FormatError` for an invalid module and
    `LimitExceeded` if the scan refuses it (`lawow.limits.MODULE`) or the child hit a limit; then `output`
    does not exist.
    """
    numbers = [str(limits.cpu_seconds), str(limits.address_space_bytes)]
    argv = [sys.executable, "-P", "-m", "lawow.runtime.compile_worker", profile.name, *numbers, output]
    with subprocess.Popen(
        argv,
        stdin=module if isinstance(module, int) else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            sent = None if isinstance(module, int) else module
            answer, complaint = child.communicate(sent, timeout=limits.cpu_seconds * _WALL_FACTOR)
        except BaseException as error:
            child.kill()
            _discard(output)
            if isinstance(error, subprocess.TimeoutExpired):
                raise _too_slow(limits) from None
            raise
    if child.returncode == 0:
        facts = json.loads(answer)
        return facts["content"], facts["digest"]
    _discard(output)
    raise _reason(child.returncode, answer, complaint, limits)


def _discard(output: str) -> None:
    try:
        os.unlink(output)
    except FileNotFoundError:
        return


def _too_slow(limits: CompileLimits) -> LimitExceeded:
    return LimitExceeded(
        "cpu_seconds",
        "more than that",
        limits.cpu_seconds,
        subject="compiling the module",
        hint="it was stopped",
    )


def _reason(status: int, answer: bytes, complaint: bytes, limits: CompileLimits) -> LawowError:
    """Return the error that the child reported, or the limit that killed it."""
    if status == 1 and answer:
        facts = json.loads(answer)
        if facts["error"] == "LimitExceeded":
            return LimitExceeded(facts["limit"], facts["value"], facts["maximum"], hint=facts["hint"])
        return FormatError(facts["message"])
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return _too_slow(limits)
    if b"emory" in complaint:  # MemoryError, "memory allocation of N bytes failed", "Cannot allocate memory"
        return LimitExceeded(
            "address_space_bytes",
            "more than that",
            limits.address_space_bytes,
            subject="compiling the module",
            hint="it was stopped",
        )
    last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return LawowError(f"the compiler failed with status {status}: {last}")


def main(argv: list[str]) -> int:
    """Be the child. Returns the exit status."""
    profile, cpu_seconds, address_space_bytes, output = argv
    _die_with_the_parent()
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds), int(cpu_seconds) + 1))
    resource.setrlimit(resource.RLIMIT_AS, (int(address_space_bytes), int(address_space_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        wasm = sys.stdin.buffer.read(MODULE.module_bytes + 1)
        code = _compile(wasm, PROFILES[profile])
        _write(output, code)
    except LimitExceeded as error:
        facts: dict[str, object] = {"error": "LimitExceeded", "hint": error.hint, **error.details()}
        print(json.dumps(facts))
        return 1
    except FormatError as error:
        print(json.dumps({"error": "FormatError", "message": str(error)}))
        return 1
    print(json.dumps({"content": digest_of(wasm), "digest": digest_of(code)}))
    return 0


def _compile(wasm: bytes, profile: EngineProfile) -> bytes:
    """Scan and compile a module or a component."""
    if is_component(wasm):
        from lawow.runtime.wasmtime_component import ComponentEngine

        require_sound_component(wasm, MODULE)
        return ComponentEngine(profile).compile(wasm)
    inspect_module(wasm, limits=MODULE)
    return WasmtimeEngine(profile).compile(wasm).serialize()


def _die_with_the_parent() -> None:
    """Have the kernel end this process when its parent ends: nobody would want the code any more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
