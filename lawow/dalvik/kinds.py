"""What each operation reads and writes: kinds of values.

A kind is a letter: ``i`` int and what fits into one, ``j`` long, ``f`` float, ``d`` double, ``l`` reference;
where the operation alone does not tell: ``4`` 32 bits, ``8`` 64 bits, ``z`` the constant 0 in 32 bits, which
is null, too, ``=`` whatever is moved. Source: "Dalvik bytecode", which calls registers untyped.
"""

from __future__ import annotations

from functools import lru_cache

from lawow.dalvik.ir import Op
from lawow.formats.dex import FieldRef, MethodRef, parse_method_descriptor

__all__ = ["dest_kind", "is_wide", "kind_of_type", "use_kinds"]

_OF_TYPE = {**dict.fromkeys("ZBSCI", "i"), "J": "j", "F": "f", "D": "d"}
_WORDS = {"int": "i", "long": "j", "float": "f", "double": "d", "byte": "i", "char": "i", "short": "i"}
_OF_SUFFIX = {"": "4", "-wide": "8", "-object": "l"}
_FIXED: dict[str, tuple[str, str]] = {
    "nop": ("", ""),
    "goto": ("", ""),
    "return-void": ("", ""),
    "move": ("4", "4"),
    "move-wide": ("8", "8"),
    "move-object": ("l", "l"),
    "move-exception": ("l", ""),
    "const-wide": ("8", ""),
    "const-string": ("l", ""),
    "const-class": ("l", ""),
    "check-cast": ("l", "l"),
    "array-length": ("i", "l"),
    "new-instance": ("l", ""),
    "new-array": ("l", "i"),
    "fill-array-data": ("", "l"),
    "throw": ("", "l"),
    "packed-switch": ("", "i"),
    "sparse-switch": ("", "i"),
    "cmpl-float": ("i", "ff"),
    "cmpg-float": ("i", "ff"),
    "cmpl-double": ("i", "dd"),
    "cmpg-double": ("i", "dd"),
    "cmp-long": ("i", "jj"),
    "if-eq": ("", "44"),
    "if-ne": ("", "44"),
    "if-eqz": ("", "4"),
    "if-nez": ("", "4"),
    **{f"if-{test}": ("", "ii") for test in ("lt", "ge", "gt", "le")},
    **{f"if-{test}z": ("", "i") for test in ("lt", "ge", "gt", "le")},
}
REFUSED = {
    "monitor-enter": "locks are not translated",
    "monitor-exit": "locks are not translated",
    "instance-of": "objects are not translated",
    "const-method-handle": "method handles are not translated",
    "const-method-type": "method handles are not translated",
}


def kind_of_type(descriptor: str) -> str:
    """Return the kind of a type's values; nothing for ``V``."""
    return "" if descriptor == "V" else _OF_TYPE.get(descriptor, "l")


def is_wide(kind: str) -> bool:
    """Tell whether values of a kind take two registers."""
    return kind in ("j", "d", "8")


def dest_kind(op: Op) -> str:
    """Return the kind that the operation writes; nothing if it writes none. Raises `Obstacle`."""
    if op.name == "const":
        return "4" if op.literal else "z"
    return _kinds(op)[0]


def use_kinds(op: Op) -> str:
    """Return the kinds that the operation reads, one letter for each value. Raises `Obstacle`.

    A wide value counts once, whose operand is its first register.
    """
    return _kinds(op)[1]


def _kinds(op: Op) -> tuple[str, str]:
    fixed = _FIXED.get(op.name)
    if fixed is not None:
        return fixed
    if op.name in REFUSED:
        raise op.obstacle(REFUSED[op.name])
    if isinstance(op.symbol, MethodRef):
        return _of_method(op.symbol.descriptor, has_receiver=not op.name.startswith("invoke-static"))
    if isinstance(op.symbol, FieldRef):
        return _of_field(op, op.symbol)
    if op.name == "filled-new-array":
        element = kind_of_type(str(op.symbol)[1:])
        return "l", element * len(op.uses)
    found = _by_name(op.name)
    # A literal stands for the second operand.
    return (found[0], found[1][:1]) if op.literal is not None else found


def _of_field(op: Op, field: FieldRef) -> tuple[str, str]:
    kind = kind_of_type(field.type)
    receiver = "" if op.name.startswith("s") else "l"
    return (kind, receiver) if op.name[1:].startswith("get") else ("", kind + receiver)


@lru_cache(maxsize=4096)
def _of_method(descriptor: str, *, has_receiver: bool) -> tuple[str, str]:
    proto = parse_method_descriptor(descriptor)
    reads = "".join(map(kind_of_type, proto.parameters))
    return kind_of_type(proto.return_type), ("l" if has_receiver else "") + reads


@lru_cache(maxsize=512)
def _by_name(name: str) -> tuple[str, str]:
    if name == "const":
        return "4", ""
    if name == "rsub-int":
        return "i", "i"
    head, _, tail = name.partition("-")
    if head in ("aget", "aput"):
        kind = _OF_SUFFIX.get(name[4:], "i")
        return (kind, "li") if head == "aget" else ("", f"{kind}li")
    if head == "return":
        return "", _OF_SUFFIX[name[6:]]
    if "-to-" in name:
        source, _, target = name.partition("-to-")
        return _WORDS[target], _WORDS[source]
    kind = _WORDS[tail]
    if head in ("neg", "not"):
        return kind, kind
    return kind, kind + ("i" if head in ("shl", "shr", "ushr") else kind)
