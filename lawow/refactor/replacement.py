"""A moved class as it will be: its own copy, with proxies in the place of the methods that its module has.

In an elastic app the original of each proxy stays beside it as a private method ``NAME$local``; calls of the
class' own static methods inside of it stay local, so that a recursion is decided once. The ``close()`` of a
class whose objects have instances on the edge closes the instance first. Elsewhere `System.loadLibrary` is
exchanged for the stub library's, which does not mind that the local runtime is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lawow.errors import Refused
from lawow.formats.bundle import BoundMethod
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.source import ClassSource, MethodSource
from lawow.formats.dex.spec import ACC_PRIVATE, ACC_STATIC
from lawow.formats.dex.symbols import MethodRef
from lawow.formats.dex.transplant import copy_body, transplant_class
from lawow.formats.dex.views import ClassView, MethodView
from lawow.refactor.instances import CLOSE, has_instances, is_closeable
from lawow.refactor.plan import ClassMove
from lawow.refactor.proxy import LOAD_LIBRARY, closing_method, proxy_method
from lawow.refactor.rules import java_name

__all__ = ["SUFFIX", "replaced_class"]

ACC_SYNTHETIC = 0x1000
SUFFIX = "$local"
SYSTEM_LOAD_LIBRARY = MethodRef("Ljava/lang/System;", "loadLibrary", "(Ljava/lang/String;)V")
REDIRECTED = {SYSTEM_LOAD_LIBRARY: LOAD_LIBRARY}


def replaced_class(dex: Dex, move: ClassMove, *, is_elastic: bool, is_shadowed: bool = False) -> ClassSource:
    """Return the class that takes the place of the moved one. If `is_shadowed`, calls may be compared.

    Raises `Refused` for code that can't be moved, and for what can't stay beside its proxy.
    """
    bound = {(item.method, item.descriptor): item for item in move.methods}
    view = dex.class_def(move.descriptor)
    closing = None if move.translation else _closing(view, bound)
    originals = {
        method.ref: _original_ref(view, method)
        for method in view.methods
        if (is_elastic and method.ref[1:] in bound) or (method is closing and method.has_code)
    }
    of_instance = has_instances(view) and move.translation is None

    def replacement(method: MethodView) -> MethodSource | None:
        if method.ref[1:] in bound:
            binding, local = bound[method.ref[1:]], originals.get(method.ref)
            return proxy_method(
                method,
                binding,
                move.binding.module,
                of_instance=of_instance,
                local=local,
                is_translated=move.translation is not None,
                shape=move.translation.shapes.get(binding, "") if move.translation else "",
                is_shadowed=is_shadowed,
            )
        return closing_method(method, originals.get(method.ref)) if method.ref == _ref(closing) else None

    copied = transplant_class(dex, move.descriptor, replacement, redirect={} if is_elastic else REDIRECTED)
    return replace(copied, methods=(*copied.methods, *_originals(view, originals)))


def _ref(method: MethodView | None) -> MethodRef | None:
    return None if method is None else method.ref


def _closing(view: ClassView, bound: dict[tuple[str, str], BoundMethod]) -> MethodView | None:
    """Return the method that ends an object's instance on the edge, if the class has one of its own."""
    methods = {method.ref[1:]: method for method in view.methods}
    has_sessions = has_instances(view) and any(not methods[key].is_static for key in bound)
    method = view.method(*CLOSE)
    if method is None or not has_sessions or not is_closeable(view) or CLOSE in bound or method.is_abstract:
        return None
    return method


def _original_ref(view: ClassView, method: MethodView) -> MethodRef:
    """Return where the original goes: a name that the class does not have."""
    label = f"{java_name(view.descriptor)}.{method.name}{method.descriptor}"
    if method.is_native:
        raise Refused(
            f"{label} is native: beside a proxy it would need another name, under which its library does not"
            " have it; use --mode slim, or call it from a method that is not native"
        )
    if view.is_interface:
        raise Refused(f"{label} belongs to an interface, which cannot keep it in private; use --mode slim")
    name = method.name + SUFFIX
    while view.method(name, method.descriptor):
        name += "$"
    return MethodRef(view.descriptor, name, method.descriptor)


def _originals(view: ClassView, originals: dict[MethodRef, MethodRef]) -> Iterator[MethodSource]:
    """Yield the originals under their new names; their calls of each other need no proxy."""
    static = {
        method.ref: originals[method.ref]
        for method in view.methods
        if method.is_static and method.ref in originals
    }
    for method in view.methods:
        target = originals.get(method.ref)
        if target is not None:
            yield MethodSource(
                name=target.name,
                descriptor=target.descriptor,
                access_flags=ACC_PRIVATE | ACC_SYNTHETIC | method.access_flags & ACC_STATIC,
                code=copy_body(method, static),
            )
