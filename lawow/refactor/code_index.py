"""Finds code in an app by name: classes, methods as calls resolve them, and everybody who uses them.

Lazy: a question costs the classes that it names; who uses something costs one search through the dex files
that name it at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property

from lawow.errors import FormatError
from lawow.formats.apk import AppPackage
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.search import Use, find_uses, iter_uses, member_ids, type_ids
from lawow.formats.dex.spec import ItemType
from lawow.formats.dex.symbols import FieldRef, MethodRef
from lawow.formats.dex.views import ClassView, MethodView

__all__ = ["CodeIndex", "owner_of", "use_target"]

_MAX_SUPERCLASSES = 64


def use_target(use: Use) -> str | FieldRef | MethodRef:
    """Return what the index of an instruction stands for; empty for call sites and method handles."""
    if use.kind in (IndexKind.CALL_SITE, IndexKind.METHOD_HANDLE):
        return ""
    return use.method.owner.dex.symbol(use.kind, use.target)


def owner_of(use: Use) -> str:
    """Return the class that an instruction names, or whose member it names; empty if it names neither."""
    named = use_target(use)
    return named.class_name if isinstance(named, (FieldRef, MethodRef)) else named.lstrip("[")


def _ids_of_classes(dex: Dex, descriptors: Collection[str]) -> dict[IndexKind, set[int]]:
    """Return the ids of these classes and of members named by them."""
    types = set(type_ids(dex, descriptors))
    return {
        IndexKind.TYPE: types,
        IndexKind.METHOD: set(member_ids(dex, ItemType.METHOD_ID_ITEM, descriptors) if types else ()),
        IndexKind.FIELD: set(member_ids(dex, ItemType.FIELD_ID_ITEM, descriptors) if types else ()),
    }


class CodeIndex:
    """The classes of an app as Android finds them: the first definition in loading order."""

    def __init__(self, app: AppPackage) -> None:
        self._dexes = app.dexes
        self._name = app.name

    @cached_property
    def descriptors(self) -> frozenset[str]:
        """All classes that the app defines."""
        return frozenset(name for item in self._dexes for name in item.dex.class_names())

    def find_class(self, descriptor: str) -> ClassView | None:
        """Return the class, or None if the app does not define it (the platform may)."""
        for item in self._dexes:
            if item.dex.class_indexes(descriptor):
                return item.dex.class_def(descriptor)
        return None

    def resolve(self, ref: MethodRef) -> MethodView | str:
        """Return the method that a call names: in the class, or inherited.

        A string is the descriptor of the class outside of the app where the search ended.
        """
        descriptor: str | None = ref.class_name
        for _ in range(_MAX_SUPERCLASSES):
            view = None if descriptor is None else self.find_class(descriptor)
            if view is None:
                break
            method = view.method(ref.name, ref.descriptor)
            if method is not None:
                return method
            descriptor = view.superclass
        return descriptor or ""

    def find_field_owner(self, ref: FieldRef) -> ClassView | None:
        """Return the class of the app that defines a static field, or None for the platform's."""
        descriptor: str | None = ref.class_name
        for _ in range(_MAX_SUPERCLASSES):
            view = None if descriptor is None else self.find_class(descriptor)
            if view is None:
                return None
            if any(field.ref[1:] == ref[1:] for field in view.fields):
                return view
            descriptor = view.superclass
        return None

    def uses_of_methods(self, methods: Collection[MethodRef]) -> list[Use]:
        """Return every instruction of the app that names one of these methods."""
        return self._uses({ref.class_name for ref in methods}, set(methods), IndexKind.METHOD)

    def uses_of_fields(self, fields: Collection[FieldRef]) -> list[Use]:
        """Return every instruction of the app that names one of these fields."""
        return self._uses({ref.class_name for ref in fields}, set(fields), IndexKind.FIELD)

    def uses_of_classes(self, descriptors: Collection[str]) -> list[Use]:
        """Return every instruction that names one of these classes, or a member by that class."""
        return [
            use
            for item in self._dexes
            for use in self._search(item.name, item.dex, _ids_of_classes(item.dex, descriptors))
        ]

    def first_use_of_classes(self, descriptors: Collection[str], counts: Callable[[Use], bool]) -> Use | None:
        """Return the first instruction in the files that names one of these classes, or a member by that
        class, and counts."""
        for item in self._dexes:
            try:
                uses = iter_uses(item.dex, _ids_of_classes(item.dex, descriptors))
                if (found := next(filter(counts, uses), None)) is not None:
                    return found
            except FormatError as error:
                raise error.within(item.name).within(self._name) from None
        return None

    def uses_until(self, descriptors: Collection[str], settled: Callable[[Use], bool]) -> None:
        """Show `settled` the instructions that name one of these classes, or a member by that class.

        What `settled` answers with True is over for the class that the instruction names: no other use of it
        is shown in that dex file, and methods that use nothing else are not even decoded.
        """
        for item in self._dexes:
            wanted = _ids_of_classes(item.dex, descriptors)
            try:
                for use in iter_uses(item.dex, wanted):
                    if settled(use):
                        for kind, indexes in _ids_of_classes(item.dex, [owner_of(use)]).items():
                            wanted[kind] -= indexes
            except FormatError as error:
                raise error.within(item.name).within(self._name) from None

    def _uses(self, owners: set[str], wanted: set[FieldRef] | set[MethodRef], kind: IndexKind) -> list[Use]:
        """Search for members by their own references; those that inherit them name another class."""
        item_type = ItemType.METHOD_ID_ITEM if kind is IndexKind.METHOD else ItemType.FIELD_ID_ITEM
        found = []
        for item in self._dexes:
            candidates = member_ids(item.dex, item_type, owners)
            indexes = [index for index in candidates if item.dex.symbol(kind, index) in wanted]
            found += self._search(item.name, item.dex, {kind: indexes})
        return found

    def _search(self, name: str, dex: Dex, wanted: Mapping[IndexKind, Collection[int]]) -> list[Use]:
        try:
            return find_uses(dex, wanted)
        except FormatError as error:
            raise error.within(name).within(self._name) from None
