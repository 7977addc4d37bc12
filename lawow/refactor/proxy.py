"""The code of a proxy: the same method, whose body asks the edge.

::

    return unbox(Lawow.remote("fibonacci.wasm@<sha256>", "fib", "i>i", new Object[] { box(p0) }));

A proxy for an object with state names the object, whose instance on the edge it calls::

    return unbox(Lawow.remoteInstance(this, "counter.wasm@<sha256>", "add", "i>i", new Object[] { box(p0) }));

An elastic proxy keeps the original under another name, and runs it when the stub library says so::

    Object result = Lawow.elastic("fibonacci.wasm@<sha256>", "fib", "i>i", new Object[] { box(p0) });
    return result == Lawow.LOCAL ? fib$local(p0) : unbox(result);

A method may have as many parameters as Java allows (255 words).
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
from lawow.formats.dex.symbols import FieldRef, MethodRef, Proto, argument_words
from lawow.formats.dex.views import MethodView
from lawow.refactor.boxing import OBJECTS, is_wide, load_boxed, return_call, return_unboxed

__all__ = [
    "CLOSE_INSTANCE",
    "ELASTIC",
    "LOAD_LIBRARY",
    "LOCAL",
    "REMOTE",
    "Seam",
    "closing_method",
    "module_name",
    "proxy_code",
    "proxy_method",
]

LAWOW = "Ldev/lawow/Lawow;"
_CALL = "Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;[Ljava/lang/Object;)Ljava/lang/Object;"
LOCAL = FieldRef(LAWOW, "LOCAL", "Ljava/lang/Object;")
"""What an elastic call returns when the original is to run."""
CLOSE_INSTANCE = MethodRef(LAWOW, "closeInstance", "(Ljava/lang/Object;)V")
LOAD_LIBRARY = MethodRef(LAWOW, "loadLibrary", "(Ljava/lang/String;)V")
"""Stands in for System.loadLibrary where the library may be gone."""

SCRATCH = 4
"""Registers below the parameters: v0 the array, then module, export and signature; v0 and v1 take the
result.
"""
ARRAY, MODULE, EXPORT, SIGNATURE = range(SCRATCH)
VALUE, INDEX = MODULE, EXPORT  # while the array is filled
RESULT, SENTINEL = ARRAY, MODULE  # after the call
UNSHARED_FLAGS = ACC_NATIVE | ACC_SYNCHRONIZED | ACC_DECLARED_SYNCHRONIZED


@dataclass(frozen=True, slots=True)
class Seam:
    """Which function of the stub library a proxy calls; `names_object`: with `this` before the rest."""

    name: str
    names_object: bool = False

    @property
    def ref(self) -> MethodRef:
        """The static method: the object if it is named, module, export, signature, arguments."""
        return MethodRef(LAWOW, self.name, f"({'Ljava/lang/Object;' if self.names_object else ''}{_CALL}")


ON_EDGE = Seam("remote")
REMOTE = ON_EDGE.ref
"""The static helper of the stub library that most proxies call: module, export, signature, arguments."""
REMOTE_INSTANCE = Seam("remoteInstance", names_object=True)
ELASTIC = Seam("elastic")
ELASTIC_INSTANCE = Seam("elasticInstance", names_object=True)


def module_name(module: BundledModule) -> str:
    """Return a module's address in the seam: file name and digest, ``fibonacci.wasm@<sha256>``."""
    return f"{module.file}@{module.sha256}"


def proxy_method(
    method: MethodView,
    bound: BoundMethod,
    module: BundledModule,
    *,
    of_instance: bool = False,
    local: MethodRef | None = None,
) -> MethodSource:
    """Return `method` with its annotations and a body that calls the export on the edge.

    The method is neither native nor synchronized any more. `of_instance`: each object has an instance of its
    own. `local` is the private method that holds the original of an elastic method.
    """
    seams = (ELASTIC, ELASTIC_INSTANCE) if local else (ON_EDGE, REMOTE_INSTANCE)
    seam = seams[of_instance and not method.is_static]
    return MethodSource(
        name=method.name,
        descriptor=method.descriptor,
        access_flags=method.access_flags & ~UNSHARED_FLAGS,
        code=proxy_code(
            method.proto, bound, module_name(module), seam, is_static=method.is_static, local=local
        ),
        annotations=method.annotations,
        parameter_annotations=method.parameter_annotations,
    )


def proxy_code(
    proto: Proto,
    bound: BoundMethod,
    module: str,
    seam: Seam = ON_EDGE,
    *,
    is_static: bool,
    local: MethodRef | None = None,
) -> Assembly:
    """Return the body of a proxy for a method of these types, all of which `lawow.refactor.binding` has
    checked.
    """
    words = argument_words(proto.parameters, is_static=is_static)
    arguments = (MODULE, EXPORT, SIGNATURE, ARRAY)
    code: list[Instruction] = [
        ("const/16", INDEX, len(proto.parameters)),
        ("new-array", ARRAY, INDEX, OBJECTS),
        *_fill_array(proto.parameters, first_register=SCRATCH if is_static else SCRATCH + 1),
        ("const-string", MODULE, module),
        ("const-string", EXPORT, bound.export),
        ("const-string", SIGNATURE, bound.signature),
        ("invoke-static", (SCRATCH, *arguments) if seam.names_object else arguments, seam.ref),
    ]
    if local is not None:
        code += _unless_local(proto.return_type, local, words, is_static=is_static)
    elif proto.return_type != "V":
        code.append(("move-result-object", RESULT))
    code += return_unboxed(proto.return_type, RESULT)
    return Assembly(SCRATCH + words, code)


def closing_method(method: MethodView, original: MethodRef | None) -> MethodSource:
    """Return a ``close()V`` that closes the object's instance, and then does what it did before."""
    this = SCRATCH
    code: list[Instruction] = [("invoke-static", (this,), CLOSE_INSTANCE)]
    if original is not None:
        code.append(("invoke-direct", (this,), original))
    return MethodSource(
        name=method.name,
        descriptor=method.descriptor,
        access_flags=method.access_flags & ~UNSHARED_FLAGS,
        code=Assembly(SCRATCH + 1, [*code, ("return-void",)]),
        annotations=method.annotations,
    )


def _fill_array(parameters: Sequence[str], first_register: int) -> Iterator[Instruction]:
    """Yield the code that boxes each parameter into the array."""
    register = first_register
    for position, kind in enumerate(parameters):
        yield from load_boxed(kind, register, VALUE)
        yield "const/16", INDEX, position
        yield "aput-object", VALUE, ARRAY, INDEX
        register += 2 if is_wide(kind) else 1


def _unless_local(kind: str, local: MethodRef, words: int, *, is_static: bool) -> Iterator[Instruction]:
    """Yield the code that runs the original if the result is the sentinel; behind it the result is real."""
    yield "move-result-object", RESULT
    yield "sget-object", SENTINEL, LOCAL
    yield "if-ne", RESULT, SENTINEL, ":remote"
    yield "invoke-static/range" if is_static else "invoke-direct/range", (SCRATCH, words), local
    yield from return_call(kind, RESULT)
    yield ":remote"
