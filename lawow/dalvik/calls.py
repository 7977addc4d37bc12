"""What an invoke means to the translator: a method of the app, one of the library, or an exception's
constructor."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.dalvik.ir import Obstacle, Op
from lawow.dalvik.library import LIBRARY, Intrinsic
from lawow.dalvik.objects import is_value
from lawow.dalvik.program import Program
from lawow.dalvik.words import STRING
from lawow.formats.dex import MethodRef, parse_method_descriptor

__all__ = ["Call", "parameters_of", "require_simple", "resolve"]

_NEW_INSTANCE = "Ljava/lang/reflect/Array;"
_INIT_OF_OBJECT = MethodRef("Ljava/lang/Object;", "<init>", "()V")
_INIT = {"()V": 0, "(Ljava/lang/String;)V": 1}


@dataclass(frozen=True, slots=True)
class Call:
    """Exactly one of the four: `callee` in the app, `intrinsic` of the library, `init` of an exception (its
    number of arguments), `special`: ``clone`` of an array, ``newInstance`` of java.lang.reflect.Array, or
    ``nothing``, which is what the constructor of java.lang.Object does.
    """

    callee: MethodRef | None = None
    intrinsic: Intrinsic | None = None
    init: int | None = None
    special: str = ""


def resolve(op: Op, program: Program) -> Call:
    """Return what an invoke calls. Raises `Obstacle` that names what cannot be translated."""
    ref = op.symbol
    assert isinstance(ref, MethodRef)
    name = op.name.partition("/")[0]
    if name == "invoke-static":
        return _static(op, ref, program)
    if name == "invoke-virtual" and ref.class_name[0] == "[" and ref[1:] == ("clone", "()Ljava/lang/Object;"):
        return Call(special="clone")
    if name == "invoke-virtual" and ref.class_name == STRING and ref in LIBRARY:
        return Call(intrinsic=LIBRARY[ref])
    if name == "invoke-direct" and ref.name == "<init>" and program.is_throwable(ref.class_name):
        if ref.descriptor not in _INIT:
            raise op.obstacle(f"exceptions are made without arguments or of a text, not by {ref}")
        if program.method(ref) and not _only_calls_super(ref, program):
            raise op.obstacle(f"{ref} does more than its superclass")
        return Call(init=_INIT[ref.descriptor])
    if name == "invoke-direct" and ref == _INIT_OF_OBJECT:
        return Call(special="nothing")
    if name in ("invoke-virtual", "invoke-direct") and program.is_object(ref.class_name):
        return _of_object(op, ref, program)
    raise op.obstacle(f"calls {ref}")


def _of_object(op: Op, ref: MethodRef, program: Program) -> Call:
    """Return a method of exactly the class that it is called of."""
    view = program.method(ref)
    if view is None or view.is_static or not view.has_code:
        raise op.obstacle(f"calls {ref}, which its class inherits or does not have")
    require_simple(ref, program, op)
    return Call(callee=ref)


def parameters_of(op: Op) -> tuple[str, ...]:
    """Return the types of what an invoke reads, the receiver among them."""
    ref = op.symbol
    assert isinstance(ref, MethodRef)
    parameters = parse_method_descriptor(ref.descriptor).parameters
    return parameters if op.name == "invoke-static" else (ref.class_name, *parameters)


def _static(op: Op, ref: MethodRef, program: Program) -> Call:
    if ref in LIBRARY:
        return Call(intrinsic=LIBRARY[ref])
    if ref.class_name == _NEW_INSTANCE and ref.name == "newInstance":
        return Call(special="newInstance")
    for owner in program.superclasses(ref.class_name):
        found = MethodRef(owner, ref.name, ref.descriptor)
        if program.method(found):
            require_simple(found, program, op)
            return Call(callee=found)
    raise op.obstacle(f"calls {ref}")


def _only_calls_super(ref: MethodRef, program: Program) -> bool:
    """Tell whether a constructor is ``super(...)`` with the same arguments, and nothing else."""
    view = program.method(ref)
    if view is None or view.code is None or view.tries:
        return False
    units = view.owner.dex.code_units(view.code)
    if len(units) != 4 or units[0] & 0xFF != 0x70 or units[3] != 0x0E:
        return False
    called = view.owner.dex.method(units[1])
    first = view.code.registers_size - view.code.ins_size
    count = view.code.ins_size
    passed = [units[2] & 15, units[2] >> 4 & 15][:count]
    return (
        units[0] >> 12 == count
        and passed == list(range(first, first + count))
        and called[1:] == ref[1:]
        and called.class_name == view.owner.superclass
        and (not program.method(called) or _only_calls_super(called, program))
    )


def require_simple(ref: MethodRef, program: Program, op: Op | None = None) -> None:
    """Raise `Obstacle` unless a method takes and gives only what the translator understands."""
    proto = parse_method_descriptor(ref.descriptor)
    for descriptor in (*proto.parameters, proto.return_type):
        if descriptor != "V" and not is_value(program, descriptor):
            what = f"calls {ref}, which takes" if op else "takes"
            reason = f"{what} or gives {descriptor}; numbers, strings, arrays and data are translated"
            raise op.obstacle(reason) if op else Obstacle(reason)
