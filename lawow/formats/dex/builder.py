"""Builds a dex file from symbolic classes.

Ids and class_defs are sorted as the format demands, equal data items are written once. The result depends
on the classes and the order of adding them alone. Limits of the format (65,536 fields or methods; 65,535
types or protos) raise `LimitExceeded`; no other size is bounded.
"""

from __future__ import annotations

from collections import Counter

from lawow.errors import FormatError, UsageError
from lawow.formats.dex.assembler import assemble
from lawow.formats.dex.emit import emit_dex
from lawow.formats.dex.pool import SymbolPool
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.source import Assembly, Body, ClassSource
from lawow.formats.dex.spec import SUPPORTED_VERSIONS
from lawow.formats.dex.symbols import MethodRef
from lawow.formats.dex.transplant import transplant_class

__all__ = ["DexBuilder"]

_MAX_NARROW_STRING = 0xFFFF


class DexBuilder:
    """Collects classes, then writes them as one dex file."""

    def __init__(self, version: str = "035") -> None:
        self._set_version(version)
        self._classes: dict[str, ClassSource] = {}
        self._bodies: dict[MethodRef, Body] = {}
        self._pool = SymbolPool()

    def _set_version(self, version: str) -> None:
        if version not in SUPPORTED_VERSIONS:
            raise UsageError(f"dex version {version} is not one of {', '.join(SUPPORTED_VERSIONS)}")
        self.version = version

    def __contains__(self, descriptor: str) -> bool:
        return descriptor in self._classes

    def __len__(self) -> int:
        return len(self._classes)

    def add(self, source: ClassSource) -> None:
        """Add a class; its code is assembled now. Raises `UsageError` for a class that is there already."""
        if source.descriptor in self._classes:
            raise UsageError(f"class {source.descriptor} is added twice")
        bodies: dict[MethodRef, Body] = {}
        refs = [MethodRef(source.descriptor, item.name, item.descriptor) for item in source.methods]
        if len(set(refs)) != len(refs):
            twice, _ = Counter(refs).most_common(1)[0]
            raise UsageError(f"method {twice} is defined twice")
        for ref, method in zip(refs, source.methods, strict=True):
            if method.code is not None:
                bodies[ref] = _body(method.code, ref, method.access_flags)
        for body in bodies.values():
            self._pool.add_body(body)
        self._pool.add_class(source)
        self._bodies.update(bodies)
        self._classes[source.descriptor] = source

    def add_all(self, dex: Dex) -> None:
        """Add every class of another dex file; rise to its version. Raises what `transplant_class` does."""
        for view in dex.classes:
            self.add(transplant_class(dex, view.descriptor))
        self._set_version(max(self.version, dex.version))

    def build(self) -> bytes:
        """Return the dex file. Raises `LimitExceeded`, or `FormatError` for a cycle of superclasses."""
        ids = self._pool.sort()
        jumbo = frozenset(ids.strings[_MAX_NARROW_STRING + 1 :])
        if jumbo:
            self._widen_strings(jumbo)
        return emit_dex(self.version, ids, _superclasses_first(self._classes), self._bodies)

    def _widen_strings(self, jumbo: frozenset[str]) -> None:
        """Assemble again what loads a string whose index has outgrown const-string."""
        for source in self._classes.values():
            for method in source.methods:
                ref = MethodRef(source.descriptor, method.name, method.descriptor)
                if isinstance(method.code, Assembly):
                    self._bodies[ref] = assemble(method.code, ref, method.access_flags, jumbo)


def _body(code: Assembly | Body, method: MethodRef, access_flags: int) -> Body:
    return code if isinstance(code, Body) else assemble(code, method, access_flags)


def _superclasses_first(classes: dict[str, ClassSource]) -> list[ClassSource]:
    """Order classes so that each one follows those of them that it inherits from."""
    order: list[ClassSource] = []
    state: dict[str, bool] = {}  # False while the ancestors of a class are being placed, True when it is
    for root in classes:
        stack = [root]
        while stack:
            descriptor = stack[-1]
            source = classes[descriptor]
            if descriptor not in state:
                state[descriptor] = False
                parents = [item for item in (source.superclass, *source.interfaces) if item in classes]
                for parent in parents:
                    if state.get(parent) is False:
                        raise FormatError("inherits from itself", structure="class_defs", found=parent)
                stack += [parent for parent in parents if parent not in state and parent is not None]
                continue
            stack.pop()
            if not state[descriptor]:
                state[descriptor] = True
                order.append(source)
    return order
