"""Operations on strings in the form of those on arrays, so that all that is known of arrays holds for them.

``String.length()`` becomes ``array-length``, ``charAt`` becomes ``aget-char``; a constructor of a string
becomes a static function that returns one, and ``new-instance`` in front of it a null that nobody looks at.
What they were stays in an operation's `symbol`.
"""

from __future__ import annotations

from lawow.dalvik.ir import Body, Op
from lawow.dalvik.texts import MADE
from lawow.dalvik.words import STRING
from lawow.formats.dex import MethodRef

__all__ = ["is_text_access", "is_unmade_text", "rewritten"]

_ACCESSES = {
    MethodRef(STRING, "length", "()I"): "array-length",
    MethodRef(STRING, "charAt", "(I)C"): "aget-char",
}


def rewritten(body: Body) -> Body:
    """Return a method's body, whose operations are changed in place."""
    for op in body.ops.values():
        if op.name == "new-instance" and op.symbol == STRING:
            op.name, op.literal = "const", 0
        elif isinstance(op.symbol, MethodRef) and op.symbol.class_name == STRING:
            _rewrite_call(op, op.symbol)
    return body


def _rewrite_call(op: Op, ref: MethodRef) -> None:
    if op.name == "invoke-virtual" and ref in _ACCESSES and op.dest is not None:
        op.name = _ACCESSES[ref]
    elif op.name == "invoke-direct" and ref.name == "<init>" and op.uses:
        op.name, op.dest, op.uses = "invoke-static", op.uses[0], op.uses[1:]
        op.symbol = MethodRef(STRING, MADE, ref.descriptor.removesuffix("V") + STRING)


def is_unmade_text(op: Op) -> bool:
    """Tell whether an operation was the ``new-instance`` of a string."""
    return op.name == "const" and op.symbol == STRING


def is_text_access(op: Op) -> bool:
    """Tell whether an operation on an array is one on a string."""
    return isinstance(op.symbol, MethodRef) and not op.name.startswith("invoke-")
