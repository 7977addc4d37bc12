"""The code of a proxy: the same method, whose body asks the edge.

::

    return unbox(dev.lawow.Lawow.remote("fibonacci.wasm@<sha256>", "fib", "i>i", new Object[] { box(p0) }));

Arguments are boxed as Integer, Long, Float or Double, whatever the size of the Java type: that is what
the seam (`dev.lawow.Target`) takes. Boxing uses `invoke-static/range`, so that a method may have as many
parameters as Java allows (255 words). `this` of an instance method is not sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lawow.formats.bundle import BoundMethod, BundledModule
from lawow.formats.dex.source import Assembly, Instruction, MethodSource
from lawow.formats.dex.spec import (
    ACC_DECLARED_SYNCHRONIZED,
    ACC_NATIVE,
    ACC_SYNCHRONIZED,
)
from lawow.formats.dex.symbols import MethodRef, Proto, argument_words
from lawow.formats.dex.views import MethodView

__all__ = ["REMOTE", "module_name", "proxy_code", "proxy_method"]

REMOTE = MethodRef(
    "Ldev/lawow/Lawow;",
    "remote",
    "(Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;[Ljava/lang/Object;)Ljava/lang/Object;",
)
"""The static helper of the stub library that every proxy calls: module, export, signature, arguments."""

OBJECTS = "[Ljava/lang/Object;"
SCRATCH = 4
"""Registers below the parameters: v0 the array, then module, export and signature; v0 and v1 take the
result.
"""
ARRAY, MODULE, EXPORT, SIGNATURE = range(SCRATCH)
VALUE, INDEX = MODULE, EXPORT  # while the array is filled


@dataclass(frozen=True, slots=True)
class _Box:
    """How one core type is boxed: class, its primitive, the name of the unboxing method, and wideness."""

    class_name: str
    primitive: str
    unbox: str
    wide: bool = False

    @property
    def value_of(self) -> MethodRef:
        return MethodRef(self.class_name, "valueOf", f"({self.primitive}){self.class_name}")

    @property
    def value(self) -> MethodRef:
        return MethodRef(self.class_name, self.unbox, f"(){self.primitive}")


INTEGER = _Box("Ljava/lang/Integer;", "I", "intValue")
BOXES = {
    **dict.fromkeys("ZBSCI", INTEGER),
    "J": _Box("Ljava/lang/Long;", "J", "longValue", wide=True),
    "F": _Box("Ljava/lang/Float;", "F", "floatValue"),
    "D": _Box("Ljava/lang/Double;", "D", "doubleValue", wide=True),
}
NARROW = {"B": "int-to-byte", "S": "int-to-short", "C": "int-to-char"}


def module_name(module: BundledModule) -> str:
    """Return a module's address in the seam: file name and digest, ``fibonacci.wasm@<sha256>``."""
    return f"{module.file}@{module.sha256}"


def proxy_method(method: MethodView, bound: BoundMethod, module: BundledModule) -> MethodSource:
    """Return `method` with its annotations and a body that calls the export on the edge.

    The method is neither native nor synchronized any more.
    """
    return MethodSource(
        name=method.name,
        descriptor=method.descriptor,
        access_flags=method.access_flags & ~(ACC_NATIVE | ACC_SYNCHRONIZED | ACC_DECLARED_SYNCHRONIZED),
        code=proxy_code(method.proto, bound, module_name(module), is_static=method.is_static),
        annotations=method.annotations,
        parameter_annotations=method.parameter_annotations,
    )


def proxy_code(proto: Proto, bound: BoundMethod, module: str, *, is_static: bool) -> Assembly:
    """Return the body of a proxy for a method of these types, all of which `lawow.refactor.binding` has
    checked.
    """
    code: list[Instruction] = [
        ("const/16", INDEX, len(proto.parameters)),
        ("new-array", ARRAY, INDEX, OBJECTS),
        *_fill_array(proto.parameters, first_register=SCRATCH if is_static else SCRATCH + 1),
        ("const-string", MODULE, module),
        ("const-string", EXPORT, bound.export),
        ("const-string", SIGNATURE, bound.signature),
        ("invoke-static", (MODULE, EXPORT, SIGNATURE, ARRAY), REMOTE),
        *_return(proto.return_type),
    ]
    return Assembly(SCRATCH + argument_words(proto.parameters, is_static=is_static), code)


def _fill_array(parameters: Sequence[str], first_register: int) -> Iterator[Instruction]:
    """Yield the code that boxes each parameter into the array."""
    register = first_register
    for position, kind in enumerate(parameters):
        box = BOXES[kind]
        words = 2 if box.wide else 1
        yield "invoke-static/range", (register, words), box.value_of
        yield "move-result-object", VALUE
        yield "const/16", INDEX, position
        yield "aput-object", VALUE, ARRAY, INDEX
        register += words


def _return(kind: str) -> Iterator[Instruction]:
    """Yield the code that turns the call's result into the method's."""
    if kind == "V":
        yield ("return-void",)
        return
    result = ARRAY
    yield "move-result-object", result
    if kind == OBJECTS:
        yield "check-cast", result, OBJECTS
        yield "return-object", result
        return
    box = BOXES[kind]
    yield "check-cast", result, box.class_name
    yield "invoke-virtual", (result,), box.value
    yield "move-result-wide" if box.wide else "move-result", result
    if kind in NARROW:
        yield NARROW[kind], result, result
    if kind == "Z":
        yield from _as_boolean(result)
    yield "return-wide" if box.wide else "return", result


def _as_boolean(register: int) -> Iterator[Instruction]:
    """Yield the code that makes 1 of every value but 0, as C does."""
    yield "if-eqz", register, ":false"
    yield "const/4", register, 1
    yield ":false"
