"""What the engine's library reports, as LAWOW's errors: traps, limits of a store, modules it does not take.

Only here are the library's trap numbers and sentences known. Both belong to the pinned release; the tests
provoke each of them.
"""

from __future__ import annotations

from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, Refused
from lawow.runtime import libwasmtime as lib
from lawow.runtime.hot import CALL

__all__ = [
    "HOST_FUNCTION_FAILED",
    "TRAP_CODES",
    "Bounds",
    "bad_artefact",
    "bad_module",
    "guest_failure",
    "require_done",
]

TRAP_CODES = (
    "stack-overflow",
    "memory-out-of-bounds",
    "heap-misaligned",
    "table-out-of-bounds",
    "indirect-call-to-null",
    "bad-signature",
    "integer-overflow",
    "integer-divide-by-zero",
    "bad-conversion-to-integer",
    "unreachable",
    "interrupt",
    "out-of-fuel",
    "atomic-wait-non-shared-memory",
    "null-reference",
    "array-out-of-bounds",
    "allocation-too-large",
    "cast-failure",
)
"""``wasmtime_trap_code_enum`` by number, as far as core modules can reach it."""

_OUT_OF_FUEL = TRAP_CODES.index("out-of-fuel")
HOST_FUNCTION_FAILED = "a host function failed:"
"""How the message of a trap begins that stands for a Python exception (`lawow.runtime.host_functions`)."""

_WRONG_TYPE = "incompatible import type for "
_SHARED_MEMORY = "shared memory support is disabled"
_UNCAUGHT_EXCEPTION = "thrown Wasm exception"  # has no code, but a message that ends so


class Bounds:
    """The limits of one store that can differ between stores."""

    __slots__ = ("fuel", "memory_bytes", "table_elements")

    def __init__(self, memory_bytes: int, table_elements: int, fuel: int | None) -> None:
        self.memory_bytes = memory_bytes
        self.table_elements = table_elements
        self.fuel = fuel


def guest_failure(error: int | None, trap: int | None, bounds: Bounds) -> LawowError:
    """Read and free what the library returned from a guest; return the error that it stands for."""
    if trap:
        return _trap_error(*lib.take_trap(trap), bounds)
    message, status, frames = lib.take_error(error or 0)
    if status is not None:
        return GuestTrap("exit", f"the guest ended itself with status {status}", status=status)
    if HOST_FUNCTION_FAILED in message:
        told = message[message.index(HOST_FUNCTION_FAILED) :]
        return GuestTrap("host-function-failed", told, frames=_names(frames))
    sentence = f"the guest misused a function of its host: {message}"
    refusal = _limit_error(message, bounds) or _refusal(message)
    return refusal or GuestTrap("host-error", sentence, frames=_names(frames))


def _refusal(message: str) -> Refused | None:
    """Return what an instantiation says if it failed for something that is never provided."""
    if _SHARED_MEMORY in message:
        return Refused("the module needs a shared memory; LAWOW runs each instance in one thread")
    if _WRONG_TYPE in message:
        what = message.partition(_WRONG_TYPE)[2].replace("`", "").replace("::", ".", 1)
        return Refused(f"the module imports with another type than is provided: {what}")
    return None


def _trap_error(message: str, code: int | None, frames: list[lib.FrameFacts], bounds: Bounds) -> LawowError:
    names = _names(frames)
    if code == _OUT_OF_FUEL:
        return LimitExceeded(
            "fuel", f"more than {bounds.fuel}", bounds.fuel, hint="the guest was stopped", subject=names[0]
        )
    if code is None and message.endswith(_UNCAUGHT_EXCEPTION):
        return GuestTrap(
            "uncaught-exception", "the guest threw an exception that nobody caught", frames=names
        )
    name = TRAP_CODES[code] if code is not None and code < len(TRAP_CODES) else "unknown"
    return GuestTrap(name, f"the guest trapped: {message.removeprefix('wasm trap: ')}", frames=names)


def _names(frames: list[lib.FrameFacts]) -> tuple[str, ...]:
    return tuple(frame.function for frame in frames)


_STORE_LIMITS = (
    # Part of wasmtime's message, name in `lawow.limits`. tests/runtime/test_limits.py triggers each of them.
    ("memory minimum size", "memory_bytes"),
    ("table minimum size", "table_elements"),
    ("memory count too high", "memories"),
    ("table count too high", "tables"),
    ("instance count too high", "instances"),
)


def _limit_error(message: str, bounds: Bounds) -> LimitExceeded | None:
    """Return `LimitExceeded` if an instantiation failed for a limit of the store."""
    maximum = {
        "memory_bytes": bounds.memory_bytes,
        "table_elements": bounds.table_elements,
        "memories": CALL.memories,
        "tables": CALL.tables,
        "instances": CALL.instances,
    }
    for text, limit in _STORE_LIMITS:
        if text in message:
            numbers = [int(word) for word in message.split() if word.isdigit()]
            value = numbers[0] if numbers else 0
            if limit == "memory_bytes":
                value *= 65536  # the message counts pages
            return LimitExceeded(limit, value, maximum[limit], hint="the module declares more than that")
    return None


def require_done(error: int | None) -> None:
    """Raise if a function that has no reason to fail did."""
    if error:
        raise LawowError(f"the WebAssembly engine failed: {lib.take_error(error)[0]}")


_KNOWN_REFUSALS = (
    # Part of wasmtime's message, what to say instead.
    (
        "legacy_exceptions",
        "uses the legacy exception-handling proposal, which the engine does not run; "
        "compile with the standard exceptions (exnref) or without exceptions",
    ),
    (
        "given a WebAssembly component",
        "is a WebAssembly component, not a core module; LAWOW runs core modules",
    ),
)


def bad_module(message: str) -> FormatError:
    for text, sentence in _KNOWN_REFUSALS:
        if text in message:
            return FormatError(sentence)
    return FormatError(f"is not a valid WebAssembly module: {message}")


def bad_artefact(message: str, path: str) -> FormatError:
    return FormatError(f"is not compiled code for this engine: {message}", file=path)
