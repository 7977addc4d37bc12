"""Which classes of the app are data that the translator understands, and where their fields are.

A reference to such a class is to an object of exactly that class, or null: whoever calls a module makes sure
of that. So it is known which method a call runs, whatever subclasses there are. Only fields that the
translated methods name are laid out, and only they travel; what others a class has is of no importance.
"""

from __future__ import annotations

from lawow.dalvik.ir import Obstacle
from lawow.dalvik.program import Program
from lawow.dalvik.words import STRING
from lawow.formats.dex import FieldRef
from lawow.formats.dex.spec import ACC_VOLATILE

__all__ = ["is_array", "is_array_of_numbers", "is_value", "resolved_field"]

_PRIMITIVES = "ZBCSIFJD"


def is_array(program: Program, descriptor: str) -> bool:
    """Tell whether a type is an array, of any depth, of what the translator understands."""
    element = descriptor.lstrip("[")
    return descriptor[:1] == "[" and (
        element in tuple(_PRIMITIVES) or element == STRING or program.is_object(element)
    )


def is_array_of_numbers(descriptor: str) -> bool:
    """Tell whether a type is an array, of any depth, of primitives."""
    return descriptor[:1] == "[" and descriptor.lstrip("[") in "ZBSCIJFD"


def is_value(program: Program, descriptor: str) -> bool:
    """Tell whether a method or a field of the type can be translated."""
    return (
        descriptor in (STRING, *_PRIMITIVES) or is_array(program, descriptor) or program.is_object(descriptor)
    )


def resolved_field(program: Program, owner: str, ref: FieldRef) -> FieldRef:
    """Return the field that `ref` names in objects of a class, by the class that declares it.

    Raises `Obstacle` where it is not known, or others may change it at any time.
    """
    chain = program.superclasses(owner)
    for name in chain if ref.class_name in chain else ():
        view = program.class_view(name)
        for item in view.fields if view else ():
            if item.ref[1:] == ref[1:] and not item.is_static:
                return _usable(program, item.ref, item.access_flags)
    raise Obstacle(f"uses the field {ref}, which is not defined in the app")


def _usable(program: Program, ref: FieldRef, access_flags: int) -> FieldRef:
    if access_flags & ACC_VOLATILE:
        raise Obstacle(f"uses {ref}, which other threads may change")
    if not is_value(program, ref.type):
        raise Obstacle(f"uses {ref}; numbers, strings, arrays and objects of them are translated")
    return ref
