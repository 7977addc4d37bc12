"""WebAssembly as a judge: calls exports with the cases, each in an instance of its own, within limits.

Fuel instead of a deadline makes the outcome the same on every machine. A guest that uses up fuel, memory or
stack decides nothing (`EXHAUSTED`). Any other trap of the export that apps call sends them to the original;
``unreachable`` is how a translation says so itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lawow.dalvik.api import Graph
from lawow.errors import GuestTrap, LimitExceeded
from lawow.formats.elements import Argument, Packed, PackedValue, SameAs
from lawow.formats.signature import ListType, Signature, ValueType
from lawow.limits import PROVING
from lawow.proving.cases import SIZES, Case, is_array
from lawow.proving.graphs import Answer, Image, Node, dump
from lawow.proving.outcomes import EXHAUSTED, Outcome, Resulted, Threw
from lawow.runtime.base import CompiledModule
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.profiles import EXEC_FUEL_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["GuestMachine", "GuestMethod"]

_SCARCE = frozenset(("stack-overflow", "out-of-memory"))
_NO_MEMORY = "java.lang.OutOfMemoryError"
_OUTCOME_WORDS = 4


@dataclass(frozen=True, slots=True)
class GuestMethod:
    """The two exports that stand for a method of these Java types (`lawow.dalvik.ExportedMethod`).

    Apps call `export`, whose exceptions are traps; `checked` says which exception it is. `exceptions` are
    their classes by code, with dots.
    """

    export: str
    signature: Signature
    checked: str
    checked_signature: Signature
    exceptions: tuple[str, ...]
    parameters: tuple[str, ...]
    return_type: str
    graph: Graph | None = None
    has_this: bool = False
    shape: str = ""

    @property
    def result_kind(self) -> str:
        """The type of what is compared: a graph is compared as bytes."""
        return "[B" if self.graph else self.return_type


class GuestMachine:
    """Runs methods of modules; a module is compiled once as long as its methods come one after the other."""

    def __init__(self) -> None:
        self._engine = WasmtimeEngine(EXEC_FUEL_PROFILE)
        self._module: tuple[bytes, CompiledModule] | None = None

    def outcomes(self, wasm: bytes, method: GuestMethod, cases: Iterable[Case]) -> Iterator[Outcome]:
        """Yield what a method does in each case. Raises `FormatError` for a module that is not valid.

        Every second case goes on to the export that apps call, whose outcome then counts.
        """
        module = self._compiled(wasm)
        for number, case in enumerate(cases):
            outcome = _outcome(module, method, case, _call_checked)
            if number % 2 and outcome is not EXHAUSTED:
                outcome = _outcome(module, method, case, _call)
            yield outcome

    def _compiled(self, wasm: bytes) -> CompiledModule:
        if self._module is None or self._module[0] is not wasm:
            self._free()
            self._module = (wasm, self._engine.compile(wasm))
        return self._module[1]

    def _free(self) -> None:
        if self._module is not None:
            self._module[1].close()
            self._module = None

    def __enter__(self) -> GuestMachine:
        return self

    def __exit__(self, *error: object) -> None:
        self._free()
        self._engine.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a call gave: a result, or the parameter that it is; lists that came back, by parameter."""

    result: PackedValue | SameAs | None
    changed: Mapping[int, Packed]


_Call = Callable[[TypedCaller, GuestMethod, tuple[Argument, ...]], _Answer | Threw]


def _outcome(module: CompiledModule, method: GuestMethod, case: Case, call: _Call) -> Outcome:
    """Call in an instance of its own."""
    image = Image(case.graph, case.roots) if case.graph else None
    arguments = _sent(case, image)
    try:
        with module.instantiate(memory_bytes=PROVING.memory_bytes, fuel=PROVING.fuel) as instance:
            answer = call(TypedCaller(instance, result_bytes=PROVING.memory_bytes), method, arguments)
    except LimitExceeded:
        return EXHAUSTED
    except GuestTrap as trap:
        if trap.code in _SCARCE:
            return EXHAUSTED
        return Threw("" if call is _call or trap.code == "unreachable" else f"a trap, {trap.code}")
    if isinstance(answer, Threw):
        return EXHAUSTED if answer.class_name == _NO_MEMORY else answer
    if image:
        assert isinstance(answer.result, Packed)  # as the signature has it
        left = image.answered(answer.result.data)
        return Resulted(_dumped(method, case, left), tuple(b"" for _ in method.parameters))
    arrays = tuple(
        _content(index, arguments, answer) if is_array(kind) else b""
        for index, kind in enumerate(method.parameters)
    )
    result = answer.result
    return Resulted(result[: SIZES[method.return_type]] if isinstance(result, bytes) else result, arrays)


def _sent(case: Case, image: Image | None) -> tuple[Argument, ...]:
    """Return the arguments as the export takes them."""
    if image:
        return (Packed(len(image.data), image.data), *case.numbers)
    return tuple(value for value in case.arguments if value is not None and not isinstance(value, Node))


def _dumped(method: GuestMethod, case: Case, answer: Answer) -> Packed:
    """Return what can be reached from the result and the arguments."""
    values: list[tuple[str, int | Node | None]] = []
    if method.return_type != "V":
        is_reference = method.return_type[0] in "[L"
        values.append((method.return_type, answer.node(answer.bits) if is_reference else answer.bits))
    roots = iter(answer.roots)
    for kind, value in zip(method.parameters, case.arguments, strict=True):
        values.append((kind, int.from_bytes(value, "little") if isinstance(value, bytes) else next(roots)))
    data = dump(values)
    return Packed(len(data), data)


def _call(caller: TypedCaller, method: GuestMethod, arguments: tuple[Argument, ...]) -> _Answer:
    returned = caller.call(method.export, method.signature, _as_sent(method.signature, arguments))
    return _Answer(returned.results[0] if returned.results else None, returned.changed)


def _call_checked(
    caller: TypedCaller, method: GuestMethod, arguments: tuple[Argument, ...]
) -> _Answer | Threw:
    """Call with a list in front, in which the outcome comes back: the exception's code or 0, the number of
    the parameter that the result is or 0, whether the result is null.
    """
    signature = method.checked_signature
    shifted = [SameAs(item.parameter + 1) if isinstance(item, SameAs) else item for item in arguments]
    sent = _as_sent(signature, (Packed(_OUTCOME_WORDS, bytes(4 * _OUTCOME_WORDS)), *shifted))
    returned = caller.call(method.checked, signature, sent)
    code, same, is_null, _ = struct.unpack("<4I", returned.changed[0].data)
    if code:
        return Threw(method.exceptions[code - 1])
    changed = {index - 1: value for index, value in returned.changed.items() if index}
    if same:
        return _Answer(SameAs(same - 1), changed)
    return _Answer(None if is_null or not returned.results else returned.results[0], changed)


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


def _content(index: int, arguments: tuple[Argument, ...], answer: _Answer) -> bytes:
    """Return what an array holds after the call: what came back, or what went in."""
    value = arguments[index]
    if isinstance(value, SameAs):
        return _content(value.parameter, arguments, answer)
    after = answer.changed.get(index, value)
    assert isinstance(after, Packed)  # arrays go in as lists
    return after.data
