"""Which classes of the stub library an app needs: what its code names, and what these name in turn.

An app that only calls generated classes has no use for channels or leases, and need not carry them. Names in
strings, by which reflection finds classes, are not looked at: an app that reaches the library in no other
way keeps ``dev.lawow.Lawow`` and what belongs to that.
"""

from __future__ import annotations

from collections.abc import Iterable

from lawow.formats.dex.reader import Dex
from lawow.formats.dex.symbols import References, parse_method_descriptor

__all__ = ["needed_classes", "types_named_by"]

_ALWAYS = "Ldev/lawow/Lawow;"  # what generated classes call


def needed_classes(stub: Dex, named: Iterable[str]) -> list[str]:
    """Return the descriptors of the stub's classes that `named` types lead to, in the stub's order.

    A class comes with those that it is nested in and that are nested in it.
    """
    families: dict[str, list[str]] = {}
    for descriptor in stub.class_names():
        families.setdefault(_family(descriptor), []).append(descriptor)
    found: set[str] = set()
    waiting = {_family(name) for name in (_ALWAYS, *named)} & families.keys()
    while waiting:
        family = waiting.pop()
        found.add(family)
        for descriptor in families[family]:
            types = types_named_by(stub.references_of(stub.class_def(descriptor)))
            waiting |= ({_family(name) for name in types} & families.keys()) - found
    return [descriptor for descriptor in stub.class_names() if _family(descriptor) in found]


def types_named_by(references: References) -> set[str]:
    """Return the descriptors of all classes that code names, as types or by their members."""
    types = set(references.types)
    for member in (*references.fields, *references.methods):
        types.add(member.class_name)
    types.update(field.type for field in references.fields)
    for method in references.methods:
        proto = parse_method_descriptor(method.descriptor)
        types.update((*proto.parameters, proto.return_type))
    return {descriptor.lstrip("[") for descriptor in types}


def _family(descriptor: str) -> str:
    """Return the outermost class: ``[La/B$C;`` is of ``La/B``."""
    return descriptor.lstrip("[").removesuffix(";").split("$", 1)[0]
