"""A dex file with some methods of an app, what they call, the fields they use, and nothing else.

It is what the JVM runs as the original, so it must be the original's code, instruction for instruction; and
it must not be able to do anything but compute, because it runs on the developer's machine. So a method may
call methods of the app and the functions in `HARMLESS`, of which the same is true, and a static initialiser
comes along only if it keeps to the same rule. Everything else is `Refused`, with the instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import chain, pairwise

from lawow.dalvik.api import GraphType
from lawow.dalvik.types import is_class_constant
from lawow.errors import Refused
from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.opcodes import OPCODES, IndexKind
from lawow.formats.dex.search import Use, instruction_uses, instructions
from lawow.formats.dex.source import ClassSource, FieldSource, MethodSource
from lawow.formats.dex.spec import ACC_STATIC
from lawow.formats.dex.symbols import FieldRef, MethodRef
from lawow.formats.dex.transplant import copy_body
from lawow.formats.dex.views import ClassView, MethodView

__all__ = ["FindClass", "FindMethod", "build_excerpt", "copied", "excerpt_classes"]

_PUBLIC, _CONSTRUCTOR = 0x1, 0x10000
_INITIALISER = ("<clinit>", "()V")

_BY_TABLE = ("invoke-interface", "invoke-super")
"""Calls of a method that the object's class alone tells."""
_CLASSES = """
    Boolean Byte Character Double Float Integer Long Math Number Object Short StrictMath String StringBuffer
    StringBuilder
"""
HARMLESS = frozenset((*(f"Ljava/lang/{name};" for name in _CLASSES.split()), "Ljava/util/Arrays;"))
"""Classes of the platform that only compute."""
_CONST_WIDE_32 = OPCODES["const-wide/32"].value
_UNSAFE = frozenset(("getClass", "wait", "notify", "notifyAll", "getInteger", "getLong", "getBoolean"))
"""Their exceptions: threads, properties of the system, the way into reflection."""
_OTHERS = (
    MethodRef("Ljava/lang/System;", "arraycopy", "(Ljava/lang/Object;ILjava/lang/Object;II)V"),
    MethodRef("Ljava/lang/reflect/Array;", "newInstance", "(Ljava/lang/Class;I)Ljava/lang/Object;"),
    MethodRef("Ljava/lang/reflect/Array;", "newInstance", "(Ljava/lang/Class;[I)Ljava/lang/Object;"),
)
"""Functions of other classes that only compute: compilers make ``new int[n][m]`` of the latter."""

FindMethod = Callable[[MethodRef], MethodView | None]
FindClass = Callable[[str], ClassView | None]
CopyMethod = Callable[[MethodView], Iterable[MethodSource]]
"""What stands for a method of the app in the excerpt: a copy, and whatever goes with it."""


class _Excerpt:
    """Collects methods class by class, following calls and fields."""

    def __init__(self, find_method: FindMethod, find_class: FindClass, throwables: Collection[str]) -> None:
        self._find_method = find_method
        self._find_class = find_class
        self._throwables = throwables
        self.methods: dict[str, dict[MethodRef, MethodView]] = {}
        self.fields: dict[str, ClassView] = {}
        self.instance_fields: dict[str, set[FieldRef]] = {}
        self.parents: dict[str, str] = {}

    def add(self, first: Iterable[MethodView]) -> None:
        pending = list(first)
        while pending:
            method = pending.pop()
            known = self.methods.setdefault(method.owner.descriptor, {})
            if method.ref in known:
                continue
            known[method.ref] = method
            _require_readable(method)
            self.include(*method.proto.parameters, method.proto.return_type)
            for use in instruction_uses(method):
                pending += self._follow(use)

    def _follow(self, use: Use) -> list[MethodView]:
        """Return the methods that an instruction brings along. Raises `Refused` for what does not compute."""
        if use.kind in (IndexKind.STRING, IndexKind.TYPE):
            return self._follow_type(use) if use.mnemonic == "new-instance" else []
        if use.kind is IndexKind.FIELD:
            return self._follow_field(use)
        if use.kind is not IndexKind.METHOD:
            raise _refused(use, "calls what can't be followed")
        target = use.method.owner.dex.method(use.target)
        found = self._find_inherited(target)
        if found is not None and found.has_code and not use.mnemonic.startswith(_BY_TABLE):
            self.include(target.class_name)
            return [found]
        if self._is_harmless(target):
            return []
        raise _refused(use, f"calls {target}, which can't run apart from the app")

    def _find_inherited(self, target: MethodRef) -> MethodView | None:
        """Return a method as a call finds it; the classes on the way come along as parents."""
        name: str | None = target.class_name
        way: list[str] = []
        while name is not None and name not in way and (owner := self._find_class(name)) is not None:
            way.append(name)
            found = self._find_method(target._replace(class_name=name))
            if found is not None:
                self.parents.update(pairwise(way))
                return found
            name = owner.superclass
        return None

    def _is_harmless(self, target: MethodRef) -> bool:
        if target in _OTHERS or target.class_name in self._throwables or target.class_name.startswith("["):
            return True
        return target.class_name in HARMLESS and target.name not in _UNSAFE

    def _follow_type(self, use: Use) -> list[MethodView]:
        name = use.method.owner.dex.type(use.target)
        if name in self._throwables or name in HARMLESS:
            return []
        if self._find_class(name) is not None:
            self.include(name)
            return []
        raise _refused(use, f"makes a {name}")

    def _follow_field(self, use: Use) -> list[MethodView]:
        field = use.method.owner.dex.field(use.target)
        owner = self._find_class(field.class_name)
        if use.mnemonic.startswith(("iget", "iput")):
            return self._follow_instance_field(use, field)
        if is_class_constant(field):
            return []
        if owner is None:
            raise _refused(use, f"uses the field {field}, which can't be had apart from the app")
        self.fields[owner.descriptor] = owner
        initialiser = owner.method(*_INITIALISER)
        return [] if initialiser is None else [initialiser]

    def _follow_instance_field(self, use: Use, field: FieldRef) -> list[MethodView]:
        if not self.include_field(field):
            raise _refused(use, f"uses the field {field}, which can't be had apart from the app")
        return []

    def include_field(self, field: FieldRef) -> bool:
        """Include a field of objects where it is declared, and the classes on the way as parents; if there is
        one.
        """
        name: str | None = field.class_name
        way: list[str] = []
        while name is not None and name not in way and (owner := self._find_class(name)) is not None:
            way.append(name)
            if any(item.ref[1:] == field[1:] and not item.is_static for item in owner.fields):
                self.parents.update(pairwise(way))
                self.include(field.type, field.class_name, name)
                self.instance_fields[name].add(field._replace(class_name=name))
                return True
            name = owner.superclass
        return False

    def include(self, *descriptors: str) -> None:
        """Include classes of the app below what they extend, with nothing but what is found to be used."""
        for descriptor in descriptors:
            name: str | None = descriptor.lstrip("[")
            while name is not None and (owner := self._find_class(name)) is not None:
                if name in self.instance_fields:
                    break
                self.instance_fields[name] = set()
                above = owner.superclass
                if above is not None and (above in self._throwables or self._find_class(above) is not None):
                    self.parents[name] = above
                name = above

    def classes(self, copy: CopyMethod) -> list[ClassSource]:
        known = (self.methods, self.fields, self.instance_fields, self.parents)
        return [self._class(name, copy) for name in sorted({name for names in known for name in names})]

    def _class(self, descriptor: str, copy: CopyMethod) -> ClassSource:
        owner = self.fields.get(descriptor)
        methods = self.methods.get(descriptor, {})
        return ClassSource(
            descriptor=descriptor,
            superclass=self.parents.get(descriptor, "Ljava/lang/Object;"),
            fields=(*(_static_fields(owner) if owner else ()), *self._own_fields(descriptor)),
            methods=tuple(chain.from_iterable(map(copy, methods.values()))),
        )

    def _own_fields(self, descriptor: str) -> tuple[FieldSource, ...]:
        refs = sorted(self.instance_fields.get(descriptor, ()))
        return tuple(FieldSource(ref.name, ref.type, _PUBLIC) for ref in refs)


def build_excerpt(
    methods: Iterable[MethodView],
    find_method: FindMethod,
    find_class: FindClass,
    throwables: Collection[str],
    types: Iterable[GraphType] = (),
) -> bytes:
    """Return the dex file. `throwables` are exceptions of the platform that the methods may make; `types` are
    those of objects that they are given.

    Raises `Refused` for code that does more than compute, `FormatError` for damaged code.
    """
    builder = DexBuilder()
    for source in excerpt_classes(methods, find_method, find_class, throwables, copied, types):
        builder.add(source)
    return builder.build()


def excerpt_classes(
    methods: Iterable[MethodView],
    find_method: FindMethod,
    find_class: FindClass,
    throwables: Collection[str],
    copy: CopyMethod,
    types: Iterable[GraphType] = (),
) -> list[ClassSource]:
    """Return the classes of the excerpt, with what `copy` makes of each method. Raises as `build_excerpt`."""
    excerpt = _Excerpt(find_method, find_class, throwables)
    excerpt.add(methods)
    for item in types:
        excerpt.include(item.descriptor)
        for field in item.fields:
            excerpt.include_field(FieldRef(item.descriptor, field.name, field.type))
    return excerpt.classes(copy)


def copied(method: MethodView) -> tuple[MethodSource]:
    """Return a method that everybody may call: who was allowed to is the app's business."""
    flags = _CONSTRUCTOR if method.name == _INITIALISER[0] else _PUBLIC
    flags |= ACC_STATIC if method.is_static else 0
    flags |= _CONSTRUCTOR if method.name == "<init>" else 0
    return (MethodSource(method.name, method.descriptor, flags, copy_body(method)),)


def _static_fields(view: ClassView) -> tuple[FieldSource, ...]:
    static = [item for item in view.fields if item.is_static]
    values = dict(zip((item.ref for item in static), view.static_values, strict=False))
    return tuple(
        FieldSource(item.name, item.type, _PUBLIC | ACC_STATIC, values.get(item.ref)) for item in static
    )


def _require_readable(method: MethodView) -> None:
    """Refuse what enjarify 1.0.3 gets wrong: it leaves the sign of const-wide/32 away."""
    code = method.code
    assert code is not None  # only methods with code get here
    units = method.owner.dex.code_units(code)
    for offset, opcode in instructions(method):
        if opcode == _CONST_WIDE_32 and units[offset + 2] & 0x8000:
            raise Refused(f"{method.ref}: enjarify reads the const-wide/32 at {offset:#x} without its sign")


def _refused(use: Use, why: str) -> Refused:
    return Refused(f"{use.method.ref}: {use.mnemonic} at {use.offset:#x} {why}")
