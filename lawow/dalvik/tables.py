"""Whether anybody in the app can change a constant table, or the field that holds it.

A static array is a constant if its field is final and every method of the app that reads the field only reads
elements and lengths of what it finds there, itself or through the app's methods to which it passes it. What
reflection and native code do is not seen.
"""

from __future__ import annotations

import bisect
import re
import struct
from collections import deque
from functools import cached_property

from lawow.dalvik.ir import Body, Obstacle, Op, decode, is_wide_type
from lawow.dalvik.library import LIBRARY
from lawow.dalvik.program import Program
from lawow.errors import FormatError
from lawow.formats.dex import ACC_PRIVATE, Dex, FieldRef, MethodRef, MethodView
from lawow.formats.dex.spec import ItemType

__all__ = ["TableGuard"]

_SGET_OBJECT = 0x62
_DEEPEST_CALLS = 16
_CLINIT = "<clinit>"


class TableGuard:
    """Answers for the fields of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._fields: dict[FieldRef, MethodRef | None] = {}
        self._parameters: dict[tuple[MethodRef, int], bool] = {}
        self._bodies: dict[MethodRef, Body] = {}

    def require_constant(self, ref: FieldRef) -> None:
        """Raise `Obstacle` unless the field is final and, if it holds a table, nobody changes the table."""
        if not self.program.is_final_constant(ref):
            raise Obstacle(f"reads {ref}, which is not final")
        if ref.type[0] != "[":
            return
        if ref not in self._fields:
            self._fields[ref] = self._changer(ref)
        changer = self._fields[ref]
        if changer:
            raise Obstacle(f"reads {ref}, which {changer} may change")

    def _changer(self, ref: FieldRef) -> MethodRef | None:
        for view in self._readers(ref):
            if view.name != _CLINIT and self._leaks(view, ref, None, 0):
                return view.ref
        return None

    # ---- who reads a field

    def _readers(self, ref: FieldRef) -> list[MethodView]:
        view = self.program.class_view(ref.class_name)
        found = next((item for item in view.fields if item.ref == ref), None) if view else None
        if view and found and found.access_flags & ACC_PRIVATE:
            return [method for method in view.methods if method.has_code]
        return [method for dex in self.program.dexes for method in self._readers_in(dex, ref)]

    def _readers_in(self, dex: Dex, ref: FieldRef) -> list[MethodView]:
        """Find the instruction's bytes in the file; what is no instruction does no harm but a second look."""
        readers: dict[MethodRef, MethodView] = {}
        for index in self._indexes[self.program.dexes.index(dex)].get((ref.name, ref.type), ()):
            pattern = re.compile(
                bytes((_SGET_OBJECT,)) + b"." + re.escape(struct.pack("<H", index)), re.DOTALL
            )
            for match in pattern.finditer(dex.data):
                view = self._method_at(dex, match.start())
                if view:
                    readers[view.ref] = view
        return list(readers.values())

    @cached_property
    def _indexes(self) -> list[dict[tuple[str, str], list[int]]]:
        """Indexes of fields by name and type, of each dex file: a subclass may name an inherited one as its
        own."""
        found = []
        for dex in self.program.dexes:
            section = dex.sections.get(ItemType.FIELD_ID_ITEM)
            named: dict[tuple[str, str], list[int]] = {}
            for index in range(section.size if section else 0):
                named.setdefault(dex.field(index)[1:], []).append(index)
            found.append(named)
        return found

    @cached_property
    def _extents(self) -> dict[int, tuple[list[int], list[tuple[int, MethodView]]]]:
        """Where the code of the methods lies, for each dex file."""
        found = {}
        for number, dex in enumerate(self.program.dexes):
            rows = sorted(
                (
                    (method.code.insns_off, method.code.insns_end, method)
                    for view in dex.classes
                    for method in view.methods
                    if method.code
                ),
                key=lambda row: row[0],
            )
            found[number] = ([row[0] for row in rows], [(row[1], row[2]) for row in rows])
        return found

    def _method_at(self, dex: Dex, offset: int) -> MethodView | None:
        starts, rows = self._extents[self.program.dexes.index(dex)]
        place = bisect.bisect_right(starts, offset) - 1
        return rows[place][1] if place >= 0 and offset < rows[place][0] else None

    # ---- what becomes of a reference

    def _leaks(self, view: MethodView, ref: FieldRef | None, parameter: int | None, depth: int) -> bool:
        """Tell whether a method may change or give away the table in a field or in one of its parameters."""
        try:
            body = self._body(view)
            return self._follow(body, ref, parameter, depth)
        except (Obstacle, FormatError):
            return True

    def _body(self, view: MethodView) -> Body:
        if view.ref not in self._bodies:
            self._bodies[view.ref] = decode(view)
        return self._bodies[view.ref]

    def _follow(self, body: Body, ref: FieldRef | None, parameter: int | None, depth: int) -> bool:
        """Follow the registers that may hold the reference along all paths."""
        begins = 0
        if parameter is not None:
            begins = 1 << [register for register, _ in body.arguments()][parameter]
        holds = {0: begins}
        waiting = deque([0])
        while waiting:
            op = body.ops[waiting.popleft()]
            held = holds[op.at]
            if held and self._gives_away(op, held, depth):
                return True
            after = self._after(op, held, ref)
            follow = [(target, after) for target in (*op.targets, *([op.next] if op.falls_through else ()))]
            follow += [(handler.address, held) for handler in op.handlers]
            for target, registers in follow:
                if target not in holds or registers | holds[target] != holds[target]:
                    holds[target] = holds.get(target, 0) | registers
                    waiting.append(target)
        return False

    @staticmethod
    def _after(op: Op, held: int, ref: FieldRef | None) -> int:
        if op.dest is None:
            return held
        bit = 1 << op.dest
        takes = op.name == "sget-object" and op.symbol == ref
        if op.name in ("move-object", "check-cast", "aget-object"):
            takes = bool(held >> op.uses[0] & 1)
        return held | bit if takes else held & ~bit

    def _gives_away(self, op: Op, held: int, depth: int) -> bool:
        places = [place for place, register in enumerate(op.uses) if held >> register & 1]
        if (
            not places
            or op.name in ("array-length", "move-object", "check-cast")
            or op.name.startswith("if-")
        ):
            return False
        if op.name.startswith("aget"):
            return places != [0]
        if isinstance(op.symbol, MethodRef):
            return self._passes(op, op.symbol, places, depth)
        return True

    def _passes(self, op: Op, ref: MethodRef, places: list[int], depth: int) -> bool:
        if ref in LIBRARY:
            return LIBRARY[ref].writes in places
        if ref.name == "clone" and ref.class_name[0] == "[" and ref.class_name[1] != "[":
            return False
        view = self.program.method(ref)
        if view is None or not view.is_static or depth > _DEEPEST_CALLS:
            return True
        words = {}
        word = 0
        for number, descriptor in enumerate(view.proto.parameters):
            words[word] = number
            word += 1 + is_wide_type(descriptor)
        return any(self._parameter_leaks(view, words.get(place, -1), depth) for place in places)

    def _parameter_leaks(self, view: MethodView, parameter: int, depth: int) -> bool:
        key = (view.ref, parameter)
        if parameter < 0:
            return True
        if key not in self._parameters:
            self._parameters[key] = False  # a method that calls itself does no more than it does otherwise
            self._parameters[key] = self._leaks(view, None, parameter, depth + 1)
        return self._parameters[key]
