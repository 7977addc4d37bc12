"""What WasmEdge reports, by number, as LAWOW's errors: traps, limits, modules that it does not take.

The numbers are those of ``enum.inc`` in WasmEdge 0.14 and the same for the command, which prints them, and
the library, which returns them; they reach the rest of LAWOW only through here.
"""

from __future__ import annotations

from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded

__all__ = ["COST_EXCEEDED", "INTERRUPTED", "TERMINATED", "deadline_passed", "failure", "fuel_spent"]

TERMINATED = 0x01
"""The guest ended itself by WASI's ``proc_exit``."""

COST_EXCEEDED = 0x03
INTERRUPTED = 0x07

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

_EXECUTION = 0x400
"""Smaller numbers are failures of loading, validation and instantiation."""


def failure(number: int, message: str, export: str) -> LawowError:
    """Return the error that a number stands for, met while `export` ran; `message` is WasmEdge's own."""
    if number in _TRAPS:
        code, sentence = _TRAPS[number]
        return GuestTrap(code, f"the guest trapped: {sentence}", frames=(export,))
    if number < _EXECUTION:
        return FormatError(f"is not a module that WasmEdge takes: {message}")
    return GuestTrap("unknown", f"the guest failed: {message}", frames=(export,))


def deadline_passed(seconds: float, export: str, hint: str = "the guest was stopped") -> LimitExceeded:
    """Return the error for a guest that was stopped at its deadline."""
    return LimitExceeded(
        "deadline_seconds", f"more than {seconds:g}", f"{seconds:g}", subject=export, hint=hint
    )


def fuel_spent(fuel: int | None, export: str) -> LimitExceeded:
    """Return the error for a guest that was stopped when it had used its fuel."""
    return LimitExceeded("fuel", f"more than {fuel}", fuel, hint="the guest was stopped", subject=export)
