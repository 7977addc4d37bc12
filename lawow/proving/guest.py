"""WebAssembly as a judge: calls exports with the cases, each in an instance of its own, within limits.

Fuel instead of a deadline makes the outcome the same on every machine. A guest that uses up fuel, memory or
stack decides nothing (`EXHAUSTED`); any other trap is an exception of the method.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lawow.errors import GuestTrap, LimitExceeded
from lawow.formats.elements import Argument, Packed, Returned, SameAs
from lawow.formats.signature import ListType, Signature, ValueType
from lawow.limits import PROVING
from lawow.proving.cases import SIZES, Case, is_array
from lawow.proving.outcomes import EXHAUSTED, Outcome, Resulted, Threw
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.profiles import EXEC_FUEL_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["GuestMethod", "guest_outcomes"]

_SCARCE = frozenset(("stack-overflow", "out-of-memory"))


@dataclass(frozen=True, slots=True)
class GuestMethod:
    """An export that stands for a method of these Java types."""

    export: str
    signature: Signature
    parameters: tuple[str, ...]
    return_type: str


def guest_outcomes(wasm: bytes, method: GuestMethod, cases: Iterable[Case]) -> Iterator[Outcome]:
    """Yield what an export does in each case. Raises `FormatError` for a module that is not valid."""
    engine = WasmtimeEngine(EXEC_FUEL_PROFILE)
    try:
        with engine.compile(wasm) as module:
            for case in cases:
                with module.instantiate(memory_bytes=PROVING.memory_bytes, fuel=PROVING.fuel) as instance:
                    caller = TypedCaller(instance, result_bytes=PROVING.memory_bytes)
                    yield _outcome(caller, method, case.arguments)
    finally:
        engine.close()


def _outcome(caller: TypedCaller, method: GuestMethod, arguments: tuple[Argument, ...]) -> Outcome:
    try:
        returned = caller.call(method.export, method.signature, _as_sent(method.signature, arguments))
    except LimitExceeded:
        return EXHAUSTED
    except GuestTrap as trap:
        return EXHAUSTED if trap.code in _SCARCE else Threw("")
    arrays = tuple(
        _content(index, arguments, returned) if is_array(kind) else b""
        for index, kind in enumerate(method.parameters)
    )
    return Resulted(_result(method.return_type, returned), arrays)


def _as_sent(signature: Signature, arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
    """Return the arguments as an app sends them: a list that comes back is no other's that does not."""
    sent: list[Argument] = []
    for kind, value in zip(signature.params, arguments, strict=True):
        if isinstance(value, SameAs) and _comes_back(kind) > _comes_back(signature.params[value.parameter]):
            value = arguments[value.parameter]
        sent.append(value)
    return tuple(sent)


def _comes_back(kind: ValueType) -> bool:
    return isinstance(kind, ListType) and kind.is_in_out


def _content(index: int, arguments: tuple[Argument, ...], returned: Returned) -> bytes:
    """Return what an array holds after the call: what came back, or what went in."""
    value = arguments[index]
    if isinstance(value, SameAs):
        return _content(value.parameter, arguments, returned)
    after = returned.changed.get(index, value)
    assert isinstance(after, Packed)  # arrays go in as lists
    return after.data


def _result(kind: str, returned: Returned) -> bytes | Packed | None:
    if not returned.results:
        return None
    value = returned.results[0]
    return value[: SIZES[kind]] if isinstance(value, bytes) else value
