"""Methods that count: how often they are called from other methods, and how long their arrays are.

In an excerpt (`lawow.proving.excerpt`) each method becomes two. The one with its name counts and calls the
other, ``NAME$lawow7``, which has its code. That code calls itself under the new name, so that a recursion
counts once. The numbers are static fields of a class of their own::

    static T f(int[] a, double[] b) {            // f is method 7
        Counts.calls7++;
        if (a != null) Counts.elements7 += a.length;
        if (b != null) Counts.elements7 += b.length;
        return f$lawow7(a, b);
    }
"""

from __future__ import annotations

from collections.abc import Iterator

from lawow.formats.dex.boxing import return_call
from lawow.formats.dex.source import Assembly, ClassSource, FieldSource, Instruction, MethodSource
from lawow.formats.dex.spec import ACC_PUBLIC, ACC_STATIC
from lawow.formats.dex.symbols import FieldRef, MethodRef, argument_words
from lawow.formats.dex.transplant import copy_body
from lawow.formats.dex.views import MethodView
from lawow.proving.excerpt import copied

__all__ = ["COUNTS", "SUFFIX", "CountingCopies"]

COUNTS = "Llawow/Counts;"
"""The class with the numbers."""
SUFFIX = "$lawow"
_FLAGS = ACC_PUBLIC | ACC_STATIC
_SUM, _STEP, _LENGTH = 0, 2, 4
_SCRATCH = 5
"""Registers in front of the arguments: two pairs, and one for an array and its length."""


class CountingCopies:
    """Makes methods that count, and remembers which one has which number."""

    def __init__(self) -> None:
        self.methods: list[MethodRef] = []

    def copy(self, method: MethodView) -> tuple[MethodSource, ...]:
        """Return what stands for a method in the excerpt; initialisers run once, and count nothing, as the
        methods of objects do.
        """
        if method.is_initializer or not method.is_static:
            return copied(method)
        number = len(self.methods)
        self.methods.append(method.ref)
        code = method.ref._replace(name=f"{method.name}{SUFFIX}{number}")
        words = argument_words(method.proto.parameters, is_static=True)
        counting = Assembly(_SCRATCH + words, list(_counting(method, number, code, words)))
        return (
            MethodSource(method.name, method.descriptor, _FLAGS, counting),
            MethodSource(code.name, method.descriptor, _FLAGS, copy_body(method, {method.ref: code})),
        )

    def counts(self) -> ClassSource:
        """Return the class that holds the numbers of all methods so far."""
        names = [f"{what}{number}" for number in range(len(self.methods)) for what in ("calls", "elements")]
        return ClassSource(COUNTS, fields=tuple(FieldSource(name, "J", _FLAGS) for name in names))


def _counting(method: MethodView, number: int, code: MethodRef, words: int) -> Iterator[Instruction]:
    yield from _add(f"calls{number}", ("const-wide/16", _STEP, 1))
    register = _SCRATCH
    for kind in method.proto.parameters:
        if kind.startswith("["):
            label = f":null{register}"
            yield "move-object/from16", _LENGTH, register
            yield "if-eqz", _LENGTH, label
            yield "array-length", _LENGTH, _LENGTH
            yield from _add(f"elements{number}", ("int-to-long", _STEP, _LENGTH))
            yield label
        register += argument_words((kind,), is_static=True)
    yield "invoke-static/range", (_SCRATCH, words), code
    yield from return_call(method.proto.return_type, _SUM)


def _add(name: str, step: Instruction) -> Iterator[Instruction]:
    """Yield the code that adds what `step` puts into its register to a number."""
    field = FieldRef(COUNTS, name, "J")
    yield step
    yield "sget-wide", _SUM, field
    yield "add-long/2addr", _SUM, _STEP
    yield "sput-wide", _SUM, field
