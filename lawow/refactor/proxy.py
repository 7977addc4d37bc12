"""The code of a proxy: the same method, whose body asks the edge.

::

    return unbox(Lawow.remote("fibonacci.wasm@<sha256>", "fib", "i>i", new Object[] { box(p0) }));

A proxy for an object with state names the object, whose instance on the edge it calls::

    return unbox(Lawow.remoteInstance(this, "counter.wasm@<sha256>", "add", "i>i", new Object[] { box(p0) }));

An elastic proxy keeps the original under another name, and runs it when the stub library says so::

    Object result = Lawow.elastic("fibonacci.wasm@<sha256>", "fib", "i>i", new Object[] { box(p0) });
    return result == Lawow.LOCAL ? fib$local(p0) : unbox(result);

Where the module is a translation of the original, a call that ends with a trap, or that can't be sent (null),
runs the original, too, whose exception it then is: both do the same, and neither changes anything but arrays.
Some calls of such a method may be compared. Its proxy asks ``ShadowedCall``, and tells it how the original
went::

    Object result = ShadowedCall.elastic("auto-Sums.wasm@<sha256>", "sum", "[i>i", new Object[] { box(p0) });
    if (result instanceof ShadowedCall) {
        try { int mine = sum$local(p0); } catch (Throwable error) { result.threw(error); throw error; }
        result.returned(box(mine));
        return mine;
    }
"""

from __future__ import annotations

from collections.abc import Iterator

from lawow.formats.bundle import BoundMethod, BundledModule
from lawow.formats.dex.boxing import load_boxed, move_result, return_call, return_value
from lawow.formats.dex.seam import (
    LAWOW,
    RESULT,
    SCRATCH,
    SENTINEL,
    Seam,
    StubCall,
    answer,
    ask,
    asking_code,
    module_name,
)
from lawow.formats.dex.source import Assembly, Instruction, MethodSource, Try
from lawow.formats.dex.spec import (
    ACC_DECLARED_SYNCHRONIZED,
    ACC_NATIVE,
    ACC_SYNCHRONIZED,
)
from lawow.formats.dex.symbols import FieldRef, MethodRef, Proto, argument_words
from lawow.formats.dex.views import MethodView

__all__ = ["CLOSE_INSTANCE", "LOAD_LIBRARY", "LOCAL", "closing_method", "proxy_method"]

LOCAL = FieldRef(LAWOW, "LOCAL", "Ljava/lang/Object;")
"""What an elastic call returns when the original is to run."""
CLOSE_INSTANCE = MethodRef(LAWOW, "closeInstance", "(Ljava/lang/Object;)V")
LOAD_LIBRARY = MethodRef(LAWOW, "loadLibrary", "(Ljava/lang/String;)V")
"""Stands in for System.loadLibrary where the library may be gone."""

SHADOWED = "Ldev/lawow/ShadowedCall;"
"""What a compared call returns instead of a result."""
RETURNED = MethodRef(SHADOWED, "returned", "(Ljava/lang/Object;)V")
THREW = MethodRef(SHADOWED, "threw", "(Ljava/lang/Throwable;)V")

NO_RESULT = ("Ldev/lawow/Trap;", "Ljava/lang/NullPointerException;", "Ljava/lang/IllegalArgumentException;")
"""What an elastic call of a translated method throws when only the original can tell what happens."""

UNSHARED_FLAGS = ACC_NATIVE | ACC_SYNCHRONIZED | ACC_DECLARED_SYNCHRONIZED
REMOTE = Seam("remote")
REMOTE_INSTANCE = Seam("remoteInstance", names_object=True)
ELASTIC = Seam("elastic")
ELASTIC_INSTANCE = Seam("elasticInstance", names_object=True)
ELASTIC_GRAPH = Seam("elastic", owner="Ldev/lawow/ObjectGraph;")
SHADOWED_ELASTIC = Seam("elastic", owner=SHADOWED)
MINE = 2
"""Register of the original's result in a compared call, with the next one; `RESULT` keeps the call."""


def proxy_method(
    method: MethodView,
    bound: BoundMethod,
    module: BundledModule,
    *,
    of_instance: bool = False,
    local: MethodRef | None = None,
    is_translated: bool = False,
    shape: str = "",
    is_shadowed: bool = False,
) -> MethodSource:
    """Return `method` with its annotations and a body that calls the export on the edge.

    The method is neither native nor synchronized any more. `of_instance`: each object has an instance of its
    own. `local` is the private method that holds the original of an elastic method, of which the export is a
    translation if `is_translated`; with a `shape` its values travel as graphs. Calls may be compared if
    `is_shadowed`, but those with graphs or a string as the result. The method's types are those
    that `lawow.refactor.binding` has checked.
    """
    seams = (ELASTIC, ELASTIC_INSTANCE) if local else (REMOTE, REMOTE_INSTANCE)
    seam = ELASTIC_GRAPH if shape else seams[of_instance and not method.is_static]
    call = StubCall(module_name(module), bound.export, bound.signature, shape)
    if local is None:
        code = asking_code(method.proto, call, seam, is_static=method.is_static)
    elif is_translated:
        is_compared = is_shadowed and not shape and not call.gives_chars(method.proto)
        asked = SHADOWED_ELASTIC if is_compared else seam
        code = _translated_code(method.proto, call, asked, local, is_static=method.is_static)
    else:
        code = _elastic_code(method.proto, call, seam, local, is_static=method.is_static)
    return MethodSource(
        name=method.name,
        descriptor=method.descriptor,
        access_flags=method.access_flags & ~UNSHARED_FLAGS,
        code=code,
        annotations=method.annotations,
        parameter_annotations=method.parameter_annotations,
    )


def _elastic_code(proto: Proto, call: StubCall, seam: Seam, local: MethodRef, *, is_static: bool) -> Assembly:
    """Return the body that asks and runs the original, or returns the answer."""
    words = argument_words(proto.parameters, is_static=is_static)
    code = [
        *ask(proto, call, seam, is_static=is_static),
        *_unless_local(proto.return_type, local, words, is_static=is_static),
        *answer(proto, call),
    ]
    return Assembly(SCRATCH + words, code)


def _translated_code(
    proto: Proto, call: StubCall, seam: Seam, local: MethodRef, *, is_static: bool
) -> Assembly:
    """Return an elastic body that runs the original where the call has no result."""
    code = _elastic_code(proto, call, seam, local, is_static=is_static)
    handlers = tuple((kind, ":local") for kind in NO_RESULT)
    tries = [Try(":ask", ":asked", handlers)]
    instructions = [":ask", *code.instructions]
    if seam is SHADOWED_ELASTIC:
        place = instructions.index(":remote") + 1
        words = argument_words(proto.parameters, is_static=True)
        instructions[place:place] = _unless_compared(proto.return_type, local, words)
        tries.append(Try(":compared", ":ran", ((None, ":threw"),)))
    return Assembly(code.registers, instructions, tries)


def _unless_compared(kind: str, local: MethodRef, words: int) -> Iterator[Instruction]:
    """Yield the code that runs the original and tells of it, if the result is a compared call."""
    yield "instance-of", SENTINEL, RESULT, SHADOWED
    yield "if-eqz", SENTINEL, ":result"
    yield "check-cast", RESULT, SHADOWED
    yield ":compared"
    yield "invoke-static/range", (SCRATCH, words), local
    yield ":ran"
    yield from move_result(kind, MINE)
    if kind == "V":
        yield "const/4", SENTINEL, 0
    else:
        yield from load_boxed(kind, MINE, SENTINEL)
    yield "invoke-virtual", (RESULT, SENTINEL), RETURNED
    yield from return_value(kind, MINE)
    yield ":threw"
    yield "move-exception", SENTINEL
    yield "invoke-virtual", (RESULT, SENTINEL), THREW
    yield "throw", SENTINEL
    yield ":result"


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


def _unless_local(kind: str, local: MethodRef, words: int, *, is_static: bool) -> Iterator[Instruction]:
    """Yield the code that runs the original if the result is the sentinel; behind it the result is real."""
    yield "move-result-object", RESULT
    yield ":asked"
    yield "sget-object", SENTINEL, LOCAL
    yield "if-ne", RESULT, SENTINEL, ":remote"
    yield ":local"
    yield "invoke-static/range" if is_static else "invoke-direct/range", (SCRATCH, words), local
    yield from return_call(kind, RESULT)
    yield ":remote"
