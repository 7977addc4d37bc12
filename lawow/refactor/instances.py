"""Objects with state: which classes have an instance on the edge for each object, and when that is sound.

An instance method of a class without instance fields needs no instance: `this` says nothing. Otherwise each
object has one live instance of the module, whose memory takes the place of the fields that the moved methods
used: it is made at the object's first call, begins with what the module begins with, and is closed with it.
So such fields may be nobody else's: refused is

- a kept method of the class that uses them, because it would see the old value;
- a field that is not private, because any class could;
- a constructor with arguments that sets them, or of a class with native methods (whose fields nobody sees):
  the module never gets the arguments;
- a superclass with a state of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lawow.errors import Refused
from lawow.formats.bundle import BoundMethod
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.search import instruction_uses
from lawow.formats.dex.spec import ACC_PRIVATE
from lawow.formats.dex.symbols import FieldRef, MethodRef
from lawow.formats.dex.views import ClassView, MethodView
from lawow.refactor.rules import java_name

__all__ = ["CLOSE", "has_instances", "is_closeable", "require_own_state"]

OBJECT = "Ljava/lang/Object;"
CLOSEABLE = {"Ljava/lang/AutoCloseable;", "Ljava/io/Closeable;"}
CLOSE = ("close", "()V")
CONSTRUCTOR = "<init>"


def has_instances(view: ClassView) -> bool:
    """Tell whether objects of the class differ in more than their identity."""
    return any(not field.is_static for field in view.fields)


def is_closeable(view: ClassView) -> bool:
    """Tell whether the class itself says that its objects are closed."""
    return bool(CLOSEABLE.intersection(view.interfaces))


def require_own_state(view: ClassView, bound: Iterable[BoundMethod], module: str) -> None:
    """Refuse instance methods whose object's state the module could not hold alone."""
    names = {(item.method, item.descriptor) for item in bound}
    moved = [method for method in view.methods if method.ref[1:] in names]
    instance_methods = [method for method in moved if not method.is_static]
    if not instance_methods:
        return
    if view.superclass != OBJECT:
        raise Refused(
            f"{_label(instance_methods[0])} is an instance method and its class has the superclass"
            f" {java_name(view.superclass or '')}, whose state {module} cannot see; make the method static,"
            " or exclude the class from --rule"
        )
    if has_instances(view):
        _require_private_state(view, moved, module)


def _require_private_state(view: ClassView, moved: Sequence[MethodView], module: str) -> None:
    uses = {method.ref: _used(method) for method in view.methods}
    gone = _only_used_by({method.ref for method in moved}, view, uses)
    state = {item for ref in gone for item in uses[ref] if isinstance(item, FieldRef)}
    fields = {field.ref: field for field in view.fields if not field.is_static}
    for ref in sorted(state & fields.keys()):
        if not fields[ref].access_flags & ACC_PRIVATE:
            raise Refused(
                f"{java_name(view.descriptor)}: the field {ref.name} is not private, so that others may use"
                f" what moves to {module} with {_user(ref, moved, uses)}; make it private"
            )
    for method in view.methods:
        if method.ref not in gone:
            _require_apart(method, state & fields.keys(), moved, uses, module)


def _require_apart(
    method: MethodView,
    state: set[FieldRef],
    moved: Sequence[MethodView],
    uses: dict[MethodRef, set[object]],
    module: str,
) -> None:
    """Refuse a kept method that shares state with moved ones; a constructor may give it its first value."""
    shared = sorted(state & uses[method.ref])
    if method.name != CONSTRUCTOR:
        if shared:
            raise Refused(
                f"{_label(method)} uses the field {shared[0].name}, whose value moves to {module} with"
                f" {_user(shared[0], moved, uses)}; let {module} export it too, or make the methods static"
            )
        return
    native = [item for item in moved if item.is_native and not item.is_static]
    if method.proto.parameters and (shared or native):
        why = f"sets the field {shared[0].name}" if shared else f"may set what {_label(native[0])} uses"
        raise Refused(
            f"{_label(method)} takes arguments and {why}; {module} never sees them: give the class a"
            " constructor without arguments and a method that is an export"
        )


def _used(method: MethodView) -> set[object]:
    """Return the fields and methods that a method's code names."""
    dex = method.owner.dex
    kinds = (IndexKind.FIELD, IndexKind.METHOD)
    return {dex.symbol(use.kind, use.target) for use in instruction_uses(method) if use.kind in kinds}


def _only_used_by(
    moved: set[MethodRef], view: ClassView, uses: dict[MethodRef, set[object]]
) -> set[MethodRef]:
    """Return the moved methods and the private ones that nobody else in the class calls."""
    gone = set(moved)
    helpers = {
        method.ref
        for method in view.methods
        if method.access_flags & ACC_PRIVATE and not method.is_initializer
    }
    while True:
        called = {ref for ref in helpers - gone if any(ref in uses[user] for user in gone)}
        kept = {ref for ref in called if any(ref in used for user, used in uses.items() if user not in gone)}
        if called == kept:
            return gone
        gone |= called - kept


def _user(field: FieldRef, moved: Sequence[MethodView], uses: dict[MethodRef, set[object]]) -> str:
    """Return which moved method uses a field, itself or by a helper."""
    return _label(next((method for method in moved if field in uses[method.ref]), moved[0]))


def _label(method: MethodView) -> str:
    return f"{java_name(method.owner.descriptor)}.{method.name}{method.descriptor}"
