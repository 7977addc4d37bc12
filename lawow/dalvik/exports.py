"""How a translated method is called from outside: signatures, and the functions between them and Java's.

Lists come as an address and a count, in memory that ``cabi_realloc`` gave: they are the arrays themselves,
not copied. The same list twice is the same array. ``&[`` marks those that the method writes. An array of
arrays is two lists: all elements, and the rows' lengths (-1: a null row, -2 - n: the same as row n). See
docs/dalvik.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lawow.dalvik.api import ExportedMethod, Parameter
from lawow.dalvik.effects import Effects
from lawow.dalvik.ir import Obstacle
from lawow.dalvik.kinds import kind_of_type
from lawow.dalvik.runtime import BASE, EXCEPTION, HEAD_BYTES, HEAP, UNWIND
from lawow.dalvik.texts import STRING
from lawow.dalvik.types import shift_of
from lawow.dalvik.variables import core_type
from lawow.dalvik.wat import Function
from lawow.formats.dex import MethodRef, parse_method_descriptor
from lawow.formats.interface import kebab_name
from lawow.formats.signature import ListType, parse_typed_signature
from lawow.formats.wit import Field, ListOf, Primitive, WitType, World, print_wit
from lawow.formats.wit import Function as WitFunction

__all__ = ["MATRICES", "OUTCOME_WORDS", "describe", "name_exports", "wit_of", "wrappers"]

OUTCOME_WORDS = 4
"""Fewest elements of the list in front of a checked call."""

_NAME = re.compile("[A-Za-z][A-Za-z0-9_$]{0,200}")
_RESERVED = ("memory", "cabi-realloc")
_LETTERS = {"Z": "z", "B": "b", "C": "c", "S": "s", "I": "i", "J": "I", "F": "f", "D": "F"}
_KIND_LETTERS = {"i": "i", "j": "I", "f": "f", "d": "F"}
_NARROW = {
    "Z": "i32.eqz i32.eqz",
    "B": "i32.extend8_s",
    "S": "i32.extend16_s",
    "C": "i32.const 65535 i32.and",
}

MATRICES = (
    Function.of(
        "matrix_in",
        "data:i32 rows:i32 shift:i32",
        "i32",
        f"""local.get $rows i32.load i32.const 2 call alloc local.tee $at i32.eqz if i32.const 0 return end
            local.get $data i32.const {HEAD_BYTES} i32.add local.set $from
            local.get $from local.get $data i32.load local.get $shift i32.shl i32.add local.set $end
            block loop
              local.get $row local.get $rows i32.load i32.ge_u br_if 1
              local.get $rows local.get $row i32.const 2 i32.shl i32.add i32.load +8 local.set $count
              local.get $count i32.const -1 i32.lt_s if
                i32.const -2 local.get $count i32.sub local.tee $count
                local.get $row i32.ge_u if unreachable end
                local.get $at local.get $count i32.const 2 i32.shl i32.add i32.load +8 local.set $made
              else
                i32.const 0 local.set $made
                local.get $count i32.const 0 i32.ge_s if
                  local.get $count i64.extend_i32_u local.get $shift i64.extend_i32_u i64.shl
                  local.get $end local.get $from i32.sub i64.extend_i32_u i64.gt_u if unreachable end
                  local.get $count local.get $shift call alloc local.tee $made
                  i32.eqz if i32.const 0 return end
                  local.get $made i32.const {HEAD_BYTES} i32.add local.get $from
                  local.get $count local.get $shift i32.shl memory.copy
                  local.get $from local.get $count local.get $shift i32.shl i32.add local.set $from
                end
              end
              local.get $at local.get $row i32.const 2 i32.shl i32.add local.get $made i32.store +8
              local.get $row i32.const 1 i32.add local.set $row br 0
            end end
            local.get $at""",
        "at:i32 from:i32 end:i32 row:i32 count:i32 made:i32",
    ),
    Function.of(
        "matrix_out",
        "array:i32 data:i32 rows:i32 shift:i32",
        "",
        f"""local.get $array i32.eqz if return end
            local.get $data i32.const {HEAD_BYTES} i32.add local.set $to
            block loop
              local.get $row local.get $rows i32.load i32.ge_u br_if 1
              local.get $rows local.get $row i32.const 2 i32.shl i32.add i32.load +8 local.tee $count
              i32.const 0 i32.gt_s if
                local.get $to
                local.get $array local.get $row i32.const 2 i32.shl i32.add i32.load +8
                i32.const {HEAD_BYTES} i32.add
                local.get $count local.get $shift i32.shl memory.copy
                local.get $to local.get $count local.get $shift i32.shl i32.add local.set $to
              end
              local.get $row i32.const 1 i32.add local.set $row br 0
            end end""",
        "to:i32 row:i32 count:i32",
    ),
)


def describe(method: MethodRef, effects: Effects, export: str) -> ExportedMethod:
    """Return how a method is called. Raises `Obstacle` for types that cannot cross."""
    proto = parse_method_descriptor(method.descriptor)
    parameters = tuple(
        Parameter(descriptor, descriptor[0] == "[" and number in effects.written)
        for number, descriptor in enumerate(proto.parameters)
    )
    # Two lists can only be the same if their types are: where one is written, all of its Java type come back.
    written = {item.descriptor for item in parameters if item.is_written}
    text = ""
    for number, item in enumerate(parameters):
        if item.descriptor.startswith("[[") and number in effects.rows:
            raise Obstacle(f"puts rows into its parameter {number}: which row it is does not come back")
        text += _letters(item.descriptor, is_in_out=item.descriptor in written)
    if proto.return_type.startswith("[["):
        raise Obstacle("returns an array of arrays")
    result = "" if proto.return_type == "V" else _letters(proto.return_type, is_in_out=False)
    signature = f"{text}>{result}"
    return ExportedMethod(
        method, export, signature, f"{export}_checked", f"&[i{signature}", parameters, proto.return_type
    )


def _letters(descriptor: str, *, is_in_out: bool) -> str:
    if descriptor == STRING:
        return "[c"
    if descriptor[0] != "[":
        return _KIND_LETTERS[kind_of_type(descriptor)]
    in_out = "&" if is_in_out else ""
    if descriptor.startswith("[[["):
        raise Obstacle("takes an array of more than two dimensions")
    if descriptor[1] == "[":
        return f"{in_out}[{_LETTERS[descriptor[2]]}[i"
    return f"{in_out}[{_LETTERS[descriptor[1]]}"


def name_exports(methods: Iterable[MethodRef]) -> dict[MethodRef, str]:
    """Return an export's name for each method: its own, with a number where several have the same."""
    names: dict[MethodRef, str] = {}
    taken = set(_RESERVED)
    for method in methods:
        base = method.name if _NAME.fullmatch(method.name) else "method"
        name, number = base, 1
        while kebab_name(name) in taken or kebab_name(f"{name}_checked") in taken:
            number += 1
            name = f"{base}_v{number}"
        taken |= {kebab_name(name), kebab_name(f"{name}_checked")}
        names[method] = name
    return names


def wit_of(exports: Iterable[ExportedMethod]) -> str:
    """Return the interface of a module as WIT."""
    functions = [
        _wit_function(name, signature)
        for item in exports
        for name, signature in ((item.export, item.signature), (item.checked, item.checked_signature))
    ]
    return print_wit(World("translated", tuple(functions)))


def _wit_function(name: str, text: str) -> WitFunction:
    signature = parse_typed_signature(text)
    params = [Field(f"p{number}", _wit_type(item)) for number, item in enumerate(signature.params)]
    result = _wit_type(signature.results[0]) if signature.results else None
    return WitFunction(kebab_name(name), tuple(params), result)


def _wit_type(item: object) -> WitType:
    if isinstance(item, ListType):
        return ListOf(Primitive(item.element.wit))
    return Primitive(str(getattr(item, "wit", "")))


def wrappers(item: ExportedMethod, target: str) -> tuple[Function, Function]:
    """Return the functions behind the two exports of a method."""
    return _Wrapper(item, target, is_checked=False).function(), _Wrapper(
        item, target, is_checked=True
    ).function()


@dataclass
class _Wrapper:
    item: ExportedMethod
    target: str
    is_checked: bool
    params: list[str] = field(default_factory=list)
    locals: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)

    def function(self) -> Function:
        """Write the function: unwind, lists to arrays, the call, what comes back."""
        name = self.item.checked if self.is_checked else self.item.export
        self.locals = ["mark:i32", "thrown:i32"]
        self.before = [f"call unwind i32.const 0 global.set {EXCEPTION} global.get {HEAP} local.set $mark"]
        if self.is_checked:
            self._outcome()
        for number, parameter in enumerate(self.item.parameters):
            self._parameter(number, parameter)
        kind = kind_of_type(self.item.returns)
        call = f"{' '.join(self.arguments)} call {self.target}"
        if kind:
            self.locals.append(f"result:{core_type(kind)}")
            call += " local.set $result"
        # An exception may have come up before the call: no memory for an array of arrays.
        guarded = f"global.get {EXCEPTION} i32.eqz if {call} end"
        text = [*self.before, guarded, *self._results(kind), *self.after, self._end(kind)]
        results = "" if not kind else "i32" if kind == "l" else core_type(kind)
        locals_ = " ".join(self.locals)
        return Function.of(f"export {name}", " ".join(self.params), results, " ".join(text), locals_)

    def _outcome(self) -> None:
        self.params += ["outcome:i32", "words:i32"]
        self.locals.append("nulls:i32")
        self.before.append(
            f"local.get $words i32.const {OUTCOME_WORDS} i32.lt_u if unreachable end "
            "local.get $outcome i32.load local.set $nulls "
            "local.get $outcome i64.const 0 i64.store local.get $outcome i64.const 0 i64.store +8"
        )

    def _parameter(self, number: int, parameter: Parameter) -> None:
        descriptor = parameter.descriptor
        if kind_of_type(descriptor) != "l":
            self.params.append(f"p{number}:{core_type(kind_of_type(descriptor))}")
            self.arguments.append(f"local.get $p{number} {_NARROW.get(descriptor, '')}")
            return
        is_lent = any(item.is_written and item.descriptor == descriptor for item in self.item.parameters)
        self._list(f"a{number}", is_lent=is_lent)
        self.arguments.append(f"local.get $r{number}")
        self.locals.append(f"r{number}:i32")
        made = self._matrix(number, parameter) if descriptor[:2] == "[[" else f"local.get $a{number}"
        if self.is_checked:
            made = f"local.get $nulls i32.const {1 << number % 32} i32.and if:i32 i32.const 0 else {made} end"
        self.before.append(f"{made} local.set $r{number}")

    def _matrix(self, number: int, parameter: Parameter) -> str:
        """Return code that makes an array of arrays, or finds the one that an earlier parameter is."""
        descriptor = parameter.descriptor
        self._list(f"b{number}", is_lent=False)
        lists = f"local.get $a{number} local.get $b{number} i32.const {shift_of(descriptor[1:])}"
        if parameter.is_written:
            self.after.insert(0, f"local.get $r{number} {lists} call matrix_out")
        made = f"{lists} call matrix_in"
        for earlier in range(number):
            if self.item.parameters[earlier].descriptor == descriptor:
                made = (
                    f"local.get $a{number} local.get $a{earlier} i32.eq "
                    f"local.get $b{number} local.get $b{earlier} i32.eq i32.and "
                    f"if:i32 local.get $r{earlier} else {made} end"
                )
        return made

    def _list(self, name: str, *, is_lent: bool) -> None:
        """Take an address and a count; the address becomes the array's reference."""
        self.params += [f"{name}:i32", f"{name}_count:i32"]
        self.before.append(f"local.get ${name} local.get ${name}_count call lend local.set ${name}")
        if not is_lent:  # memory of the guest from now on, and free again when the call is done
            self.after.append(
                f"local.get ${name} local.get $mark i32.lt_u if local.get ${name} call give_back end"
            )

    def _results(self, kind: str) -> list[str]:
        """What follows the call, before memory is given back."""
        text = [f"global.get {EXCEPTION} local.set $thrown i32.const 0 global.set {EXCEPTION}"]
        if self.is_checked:
            text.append(
                "local.get $thrown if local.get $outcome local.get $thrown i32.load i32.store "
                "local.get $outcome local.get $thrown i32.load +4 call text_number i32.store +4 "
                "local.get $outcome local.get $thrown i64.load +8 i64.store +8 end"
            )
        else:
            text.append("local.get $thrown if unreachable end")
        if kind == "l":
            text.append(self._array_result())
        return text

    def _array_result(self) -> str:
        """Where the list is, in eight bytes; an array of the caller's is told by its parameter's number."""
        self.locals.append("area:i32")
        text = (
            "i32.const 8 call bump local.tee $area i32.eqz if unreachable end local.get $thrown i32.eqz if "
        )
        if self.is_checked:
            text += "local.get $outcome local.get $result i32.eqz i32.store +8 "
            for number, parameter in reversed(list(enumerate(self.item.parameters))):
                if parameter.descriptor == self.item.returns:
                    text += (
                        f"local.get $result local.get $r{number} i32.eq "
                        "local.get $result i32.eqz i32.eqz i32.and if "
                        f"local.get $outcome i32.const {number + 1} i32.store +4 end "
                    )
        else:
            text += "local.get $result i32.eqz if unreachable end " + self._known_text()
        text += (
            f"local.get $area local.get $result i32.const {HEAD_BYTES} i32.add i32.store "
            "local.get $area local.get $result i32.load i32.store +4 else "
            f"local.get $area i32.const {HEAD_BYTES} i32.store local.get $area i32.const 0 i32.store +4 end"
        )
        return text

    def _known_text(self) -> str:
        """Trap for a string that the caller or the app has already: a copy would be another one to ``==``."""
        if self.item.returns != STRING:
            return ""
        given = " ".join(
            f"local.get $result local.get $r{number} i32.eq i32.or"
            for number, parameter in enumerate(self.item.parameters)
            if parameter.descriptor == STRING
        )
        return f"local.get $result global.get {BASE} i32.lt_u {given} if unreachable end "

    def _end(self, kind: str) -> str:
        text = f"local.get $mark global.set {UNWIND}"
        if not kind:
            return text
        return f"{text} local.get ${'area' if kind == 'l' else 'result'}"
