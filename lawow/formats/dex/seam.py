"""Dex code that asks the stub library: boxed parameters, module, export and signature in, the result out.

::

    return unbox(Lawow.remote("fibonacci.wasm@<sha256>", "fib", "i>i", new Object[] { box(p0) }));

Which function is asked, as a rule one of ``dev.lawow.Lawow``, is a `Seam`. A method may have as many
parameters as Java allows (255 words).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lawow.formats.bundle import BundledModule
from lawow.formats.dex.boxing import OBJECTS, is_wide, load_boxed, load_chars, return_chars, return_unboxed
from lawow.formats.dex.source import Assembly, Instruction
from lawow.formats.dex.symbols import MethodRef, Proto, argument_words
from lawow.formats.signature import ListType, parse_typed_signature

__all__ = [
    "LAWOW",
    "RESULT",
    "SCRATCH",
    "SENTINEL",
    "Seam",
    "StubCall",
    "answer",
    "ask",
    "asking_code",
    "module_name",
]

LAWOW = "Ldev/lawow/Lawow;"
_STRING = "Ljava/lang/String;"
_CALL = "Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;[Ljava/lang/Object;)Ljava/lang/Object;"

SCRATCH = 4
"""Registers below the parameters: v0 the array, then module, export and signature; v0 and v1 take the
result, and all are free after it.
"""
_ARRAY, _MODULE, _EXPORT, _SIGNATURE = range(SCRATCH)
_VALUE, _INDEX = _MODULE, _EXPORT  # while the array is filled
RESULT, SENTINEL = _ARRAY, _MODULE
"""Registers after the call."""


@dataclass(frozen=True, slots=True)
class Seam:
    """Which function of the stub library is called; `names_object`: with `this` before the rest."""

    name: str
    names_object: bool = False
    owner: str = LAWOW

    @property
    def ref(self) -> MethodRef:
        """The static method: the object if it is named, module, export, signature, arguments."""
        this = "Ljava/lang/Object;" if self.names_object else ""
        return MethodRef(self.owner, self.name, f"({this}{_CALL}")


@dataclass(frozen=True, slots=True)
class StubCall:
    """What the stub library is asked for: a module by `module_name`, an export, the types of the call.

    With a `shape` values are graphs, and the object of a method is its first argument
    (`lawow.dalvik.graphs.shape_of`).
    """

    module: str
    export: str
    signature: str
    shape: str = ""

    @property
    def types(self) -> str:
        """What the stub library is told of the types."""
        return f"{self.signature} {self.shape}" if self.shape else self.signature

    def arguments(self, proto: Proto, *, is_static: bool) -> Iterator[tuple[str, bool]]:
        """Yield the type of each argument, and whether it is a string that travels as its characters."""
        if self.shape:
            yield from ((kind, False) for kind in ("Ljava/lang/Object;",)[is_static:])
            yield from ((kind, False) for kind in proto.parameters)
            return
        for kind, sent in zip(proto.parameters, parse_typed_signature(self.signature).params, strict=True):
            yield kind, kind == _STRING and isinstance(sent, ListType)

    def gives_chars(self, proto: Proto) -> bool:
        """Tell whether the answer is the characters of a string."""
        results = parse_typed_signature(self.signature).results
        return not self.shape and proto.return_type == _STRING and isinstance(results[0], ListType)


def module_name(module: BundledModule) -> str:
    """Return a module's address in the seam: file name and digest, ``fibonacci.wasm@<sha256>``."""
    return f"{module.file}@{module.sha256}"


def ask(proto: Proto, call: StubCall, seam: Seam, *, is_static: bool) -> Iterator[Instruction]:
    """Yield the code of a method of these types up to the invoke; the result has not been moved yet."""
    arguments = (_MODULE, _EXPORT, _SIGNATURE, _ARRAY)
    values = list(call.arguments(proto, is_static=is_static))
    yield "const/16", _INDEX, len(values)
    yield "new-array", _ARRAY, _INDEX, OBJECTS
    yield from _fill_array(values, SCRATCH if is_static or call.shape else SCRATCH + 1)
    yield "const-string", _MODULE, call.module
    yield "const-string", _EXPORT, call.export
    yield "const-string", _SIGNATURE, call.types
    yield "invoke-static", (SCRATCH, *arguments) if seam.names_object else arguments, seam.ref


def answer(proto: Proto, call: StubCall) -> Iterator[Instruction]:
    """Yield the code that returns the stub's answer, which lies in `RESULT`."""
    if call.gives_chars(proto):
        yield from return_chars(RESULT)
    else:
        yield from return_unboxed(proto.return_type, RESULT)


def asking_code(proto: Proto, call: StubCall, seam: Seam, *, is_static: bool) -> Assembly:
    """Return the body of a method that does nothing but ask and return the answer."""
    code = list(ask(proto, call, seam, is_static=is_static))
    if proto.return_type != "V":
        code.append(("move-result-object", RESULT))
    code += answer(proto, call)
    return Assembly(SCRATCH + argument_words(proto.parameters, is_static=is_static), code)


def _fill_array(values: Sequence[tuple[str, bool]], register: int) -> Iterator[Instruction]:
    """Yield the code that boxes each value, the first of them in `register`, into the array."""
    for position, (kind, as_chars) in enumerate(values):
        if as_chars:
            yield from load_chars(register, _VALUE)
        else:
            yield from load_boxed(kind, register, _VALUE)
        yield "const/16", _INDEX, position
        yield "aput-object", _VALUE, _ARRAY, _INDEX
        register += 2 if is_wide(kind) else 1
