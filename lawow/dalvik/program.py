"""The methods of an app by name, over all its dex files, and the exception classes among its classes.

The first dex file that defines a class wins, as at run time. Nothing is decoded before it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from lawow.formats.dex import ACC_ABSTRACT, ACC_INTERFACE, ClassView, Dex, FieldRef, MethodRef, MethodView

__all__ = ["PLATFORM_EXCEPTIONS", "Program"]

_DEEPEST_HIERARCHY = 64
_PLATFORM = ("Ljava/", "Ljavax/", "Lorg/json/", "Lorg/w3c/", "Lorg/xml/", "Lorg/xmlpull/")
"""Where Android has classes of its own, which an app's of the same name do not replace."""

PLATFORM_EXCEPTIONS = {
    "Ljava/lang/Throwable;": "",
    "Ljava/lang/Error;": "Ljava/lang/Throwable;",
    "Ljava/lang/Exception;": "Ljava/lang/Throwable;",
    "Ljava/lang/RuntimeException;": "Ljava/lang/Exception;",
    "Ljava/lang/VirtualMachineError;": "Ljava/lang/Error;",
    "Ljava/lang/AssertionError;": "Ljava/lang/Error;",
    "Ljava/lang/OutOfMemoryError;": "Ljava/lang/VirtualMachineError;",
    "Ljava/lang/ArithmeticException;": "Ljava/lang/RuntimeException;",
    "Ljava/lang/ArrayStoreException;": "Ljava/lang/RuntimeException;",
    "Ljava/lang/IllegalArgumentException;": "Ljava/lang/RuntimeException;",
    "Ljava/lang/IllegalStateException;": "Ljava/lang/RuntimeException;",
    "Ljava/lang/IndexOutOfBoundsException;": "Ljava/lang/RuntimeException;",
    "Ljava/lang/ArrayIndexOutOfBoundsException;": "Ljava/lang/IndexOutOfBoundsException;",
    "Ljava/lang/StringIndexOutOfBoundsException;": "Ljava/lang/IndexOutOfBoundsException;",
    "Ljava/lang/NegativeArraySizeException;": "Ljava/lang/RuntimeException;",
    "Ljava/lang/NullPointerException;": "Ljava/lang/RuntimeException;",
    "Ljava/lang/NumberFormatException;": "Ljava/lang/IllegalArgumentException;",
    "Ljava/lang/UnsupportedOperationException;": "Ljava/lang/RuntimeException;",
    "Ljava/io/IOException;": "Ljava/lang/Exception;",
}
"""Exceptions of java.lang and java.io that translated code can throw and catch -> their superclass."""


class Program:
    """An app's dex files as one name space."""

    def __init__(self, dexes: Sequence[Dex]) -> None:
        """`dexes` in the order of the app: ``classes.dex``, ``classes2.dex``, ..."""
        self.dexes = tuple(dexes)
        self._methods: dict[str, dict[tuple[str, str], MethodView]] = {}
        self._throwables: dict[str, bool] = {}
        self._objects: dict[str, bool] = {}

    def class_view(self, descriptor: str) -> ClassView | None:
        """Return the class, or None where no dex file defines it. Raises `FormatError`."""
        for dex in self.dexes:
            if dex.class_indexes(descriptor):
                return dex.class_def(descriptor)
        return None

    def method(self, ref: MethodRef) -> MethodView | None:
        """Return the method that `ref` names in that very class, or None. Raises `FormatError`."""
        known = self._methods.get(ref.class_name)
        if known is None:
            view = self.class_view(ref.class_name)
            known = {item.ref[1:]: item for item in view.methods} if view else {}
            self._methods[ref.class_name] = known
        return known.get((ref.name, ref.descriptor))

    def is_final_constant(self, ref: FieldRef) -> bool:
        """Tell whether the class says that this static field is final. Raises `FormatError`."""
        view = self.class_view(ref.class_name)
        fields = view.fields if view else ()
        return any(item.ref == ref and item.is_static and item.is_final for item in fields)

    def superclasses(self, descriptor: str) -> tuple[str, ...]:
        """Return a class and its superclasses as far as they are known, the class first."""
        chain = [descriptor]
        while len(chain) < _DEEPEST_HIERARCHY:
            view = self.class_view(chain[-1])
            parent = view.superclass if view else PLATFORM_EXCEPTIONS.get(chain[-1])
            if not parent or parent in chain:
                break
            chain.append(parent)
        return tuple(chain)

    def is_throwable(self, descriptor: str) -> bool:
        """Tell whether a class is an exception whose superclasses are all known."""
        if descriptor not in self._throwables:
            self._throwables[descriptor] = self.superclasses(descriptor)[-1] == "Ljava/lang/Throwable;"
        return self._throwables[descriptor]

    def is_object(self, descriptor: str) -> bool:
        """Tell whether a type is a class of the app of which there can be objects, other than exceptions."""
        if descriptor not in self._objects:
            is_own = descriptor[0] == "L" and not descriptor.startswith(_PLATFORM)
            view = self.class_view(descriptor) if is_own else None
            is_concrete = view is not None and not view.access_flags & (ACC_INTERFACE | ACC_ABSTRACT)
            self._objects[descriptor] = is_concrete and not self.is_throwable(descriptor)
        return self._objects[descriptor]
