"""The Java types of references, and with them what ``aget`` and ``aput`` move: they don't tell int from
float.

A web's type is what all its definitions agree on; null agrees with everything, exceptions of different
classes meet in Throwable. A web whose definitions disagree may exist but not be used.
"""

from __future__ import annotations

from lawow.dalvik.calls import Call, parameters_of
from lawow.dalvik.ir import Obstacle, Op
from lawow.dalvik.kinds import kind_of_type
from lawow.dalvik.objects import is_array, resolved_field
from lawow.dalvik.program import Program
from lawow.dalvik.rewriting import is_text_access, is_unmade_text
from lawow.dalvik.webs import Flow, Web
from lawow.dalvik.words import STRING
from lawow.formats.dex import FieldRef, MethodRef, parse_method_descriptor

__all__ = ["BOXES", "CLASS_PREFIX", "THROWABLE", "Types", "is_class_constant", "shift_of"]

THROWABLE = "Ljava/lang/Throwable;"
CLASS_PREFIX = "class "
"""Before the descriptor that a constant of java.lang.Class stands for."""

_CONFLICT = "?"
_ELEMENTS = {
    "": "IF",
    "-wide": "JD",
    "-object": "",  # any reference
    "-boolean": "Z",
    "-byte": "B",
    "-char": "C",
    "-short": "S",
}
_RETURNED = {
    "return-void": ("",),
    "return": ("i", "f"),
    "return-wide": ("j", "d"),
    "return-object": ("l",),
}
_SHIFTS = {"Z": 0, "B": 0, "S": 1, "C": 1, "J": 3, "D": 3}
BOXES = {
    "Ljava/lang/Boolean;": "Z",
    "Ljava/lang/Byte;": "B",
    "Ljava/lang/Short;": "S",
    "Ljava/lang/Character;": "C",
    "Ljava/lang/Integer;": "I",
    "Ljava/lang/Long;": "J",
    "Ljava/lang/Float;": "F",
    "Ljava/lang/Double;": "D",
}
"""Classes whose ``TYPE`` is the class of a primitive."""
_TAKEN_AS_TEXT = ("Ljava/lang/Object;", "Ljava/lang/CharSequence;")
"""What methods of strings call a parameter that only a string is taken for here."""


def is_class_constant(field: FieldRef) -> bool:
    """Tell whether a static field holds the class of a primitive."""
    return field.name == "TYPE" and field.class_name in BOXES


def shift_of(array: str) -> int:
    """Return the size of the elements of an array, or of a string, as a power of two."""
    return 1 if array == STRING else _SHIFTS.get(array[1:], 2)


class Types:
    """Finds the types of a method's references and checks every use of one. Raises `Obstacle`.

    `calls` holds what each invoke means, by address.
    """

    def __init__(self, flow: Flow, calls: dict[int, Call], program: Program) -> None:
        self.flow = flow
        self.program = program
        self.ops = flow.body.ops
        self.calls = calls
        self.fields: dict[int, tuple[str, FieldRef]] = {}
        """The class of the object and the field, for each operation on a field of an object but null."""
        self._caught = self._handler_types()
        self._definitions = self._find_definitions()
        self._infer()
        for at in flow.uses:
            self._check(self.ops[at])
        self._check_unmade()
        flow.check()
        flow.choose_locals()

    def _handler_types(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for op in self.ops.values():
            for handler in op.handlers:
                found.setdefault(handler.address, set()).add(handler.type or THROWABLE)
        for types in found.values():
            for item in types:
                if not self.program.is_throwable(item):
                    raise next(iter(self.ops.values())).obstacle(
                        f"catches {item}, whose superclasses are unknown"
                    )
        return found

    def _find_definitions(self) -> dict[Web, list[Op]]:
        found: dict[Web, list[Op]] = {}
        for at, web in self.flow.dest.items():
            found.setdefault(web, []).append(self.ops[at])
        return found

    # ---- inference

    def _infer(self) -> None:
        for web, (_, descriptor) in zip(self.flow.arguments, self.flow.body.arguments(), strict=True):
            if web and kind_of_type(descriptor) == "l":
                web.ref = self._join(web.ref, descriptor)
        sources = [op for op in self.ops.values() if op.at in self.flow.dest]
        changed = True
        while changed:
            changed = False
            for op in sources:
                web = self.flow.dest[op.at]
                joined = self._join(web.ref, self._defined(op))
                if joined != web.ref:
                    web.ref, changed = joined, True

    def _join(self, one: str, other: str) -> str:
        if one == other or not other:
            return one
        if not one:
            return other
        if (
            one[0] == "L"
            and other[0] == "L"
            and self.program.is_throwable(one)
            and self.program.is_throwable(other)
        ):
            return THROWABLE
        return _CONFLICT

    def _defined(self, op: Op) -> str:
        """Return the type that an operation defines; nothing for numbers and for what is not known yet."""
        uses = self.flow.uses.get(op.at, ())
        if op.name == "move-object":
            return uses[0].ref
        if op.name == "aget-object":
            return uses[0].ref[1:] if uses[0].ref[:1] == "[" else uses[0].ref
        if op.name == "move-exception":
            return THROWABLE if len(self._caught[op.at]) > 1 else next(iter(self._caught[op.at]))
        if op.name == "const-string":
            return STRING
        if op.name == "const-class":
            return f"{CLASS_PREFIX}{op.symbol}"
        if op.name == "sget-object":
            return self._of_field(op)
        if op.name == "iget-object":
            assert isinstance(op.symbol, FieldRef)
            return op.symbol.type
        if op.name.startswith("invoke-"):
            return self._of_call(op)
        if op.name in ("check-cast", "new-array", "filled-new-array", "new-instance"):
            return str(op.symbol)
        return ""

    @staticmethod
    def _of_field(op: Op) -> str:
        assert isinstance(op.symbol, FieldRef)
        if is_class_constant(op.symbol):
            return f"{CLASS_PREFIX}{BOXES[op.symbol.class_name]}"
        return op.symbol.type

    def _of_call(self, op: Op) -> str:
        assert isinstance(op.symbol, MethodRef)
        call = self.calls[op.at]
        if call.special == "clone":
            return op.symbol.class_name
        if call.special == "newInstance":
            return self._of_new_instance(op)
        returns = parse_method_descriptor(op.symbol.descriptor).return_type
        return returns if kind_of_type(returns) == "l" else ""

    def _of_new_instance(self, op: Op) -> str:
        element = self.flow.uses[op.at][0].ref
        if not element.startswith(CLASS_PREFIX):
            return ""
        array = "[" + element.removeprefix(CLASS_PREFIX)
        if str(op.symbol).endswith("(Ljava/lang/Class;I)Ljava/lang/Object;"):
            return array
        made = self._definitions.get(self.flow.uses[op.at][1], [])
        if len(made) != 1 or made[0].name != "filled-new-array" or len(made[0].uses) != 2:
            raise op.obstacle("makes arrays of other than two dimensions")
        return "[" + array

    # ---- checks

    def _check(self, op: Op) -> None:
        uses = self.flow.uses[op.at]
        for web in uses:
            if web.ref == _CONFLICT:
                raise op.obstacle(f"v{web.register} holds references of different types")
        if op.name.startswith(("aget", "aput")):
            self._check_element(op, uses)
        elif op.name.startswith(("iget", "iput")):
            self._check_field(op, uses)
        elif op.name in ("array-length", "fill-array-data"):
            self._require_array(op, uses[0])
            if op.name == "fill-array-data" and uses[0].ref and op.width != 1 << shift_of(uses[0].ref):
                raise op.obstacle(f"its payload does not fit {uses[0].ref}")
        elif op.name.startswith("invoke-"):
            self._check_call(op, uses)
        elif op.name.startswith("return"):
            self._check_return(op, uses)
        elif op.name == "throw":
            if uses[0].ref and not self.program.is_throwable(uses[0].ref):
                raise op.obstacle(f"throws {uses[0].ref}")
        elif op.name == "check-cast":
            self._check_cast(op, uses[0])
        elif op.name == "new-instance" and not self._can_be_made(str(op.symbol)):
            raise op.obstacle(f"makes {op.symbol}; objects are not translated")
        elif op.name in ("new-array", "filled-new-array"):
            self._check_new(op, uses)
        elif op.name in ("if-eq", "if-ne") and any(web.ref and not self._has_identity(web) for web in uses):
            raise op.obstacle("asks whether two objects are one")

    def _can_be_made(self, descriptor: str) -> bool:
        return self.program.is_throwable(descriptor) or self.program.is_object(descriptor)

    def _has_identity(self, web: Web) -> bool:
        """Whether it is known of a reference from outside which object it is."""
        return web.ref[0] == "[" or self.program.is_object(web.ref)

    def _check_field(self, op: Op, uses: tuple[Web, ...]) -> None:
        assert isinstance(op.symbol, FieldRef)
        owner, wanted = uses[-1].ref, _ELEMENTS[op.name[4:]]
        if op.symbol.type not in wanted if wanted else op.symbol.type[0] not in "[L":
            raise op.obstacle(f"does not fit {op.symbol}")
        if owner:
            if not self.program.is_object(owner):
                raise op.obstacle(f"needs an object and gets {owner}")
            try:
                self.fields[op.at] = (owner, resolved_field(self.program, owner, op.symbol))
            except Obstacle as obstacle:
                raise op.obstacle(obstacle.reason) from None
        if op.name == "iput-object":
            self._require_type(op, uses[0], op.symbol.type)

    def _check_unmade(self) -> None:
        """Raise `Obstacle` where a string is used between ``new-instance`` and its constructor."""
        unmade = {web for at, web in self.flow.dest.items() if is_unmade_text(self.ops[at])}
        for at, uses in self.flow.uses.items():
            if unmade.intersection(uses):
                raise self.ops[at].obstacle("uses a string before it is made")

    def _require_array(self, op: Op, web: Web) -> None:
        if is_text_access(op):
            self._require_type(op, web, STRING)
        elif web.ref and not is_array(self.program, web.ref):
            raise op.obstacle(f"needs an array and gets {web.ref}")

    def _check_element(self, op: Op, uses: tuple[Web, ...]) -> None:
        is_write = op.name.startswith("aput")
        array = uses[1 if is_write else 0]
        self._require_array(op, array)
        element = "C" if is_text_access(op) else array.ref[1:]
        if not array.ref:
            return  # null: there will be an exception and no element
        wanted = _ELEMENTS[op.name[4:]]
        if element not in wanted if wanted else element[:1] not in "[L":
            raise op.obstacle(f"moves no elements of {array.ref}")
        if not is_write:
            self.flow.dest[op.at].defined.add(kind_of_type(element))
            return
        uses[0].used.add(kind_of_type(element))
        if not wanted and uses[0].ref not in ("", element):
            raise op.obstacle(f"puts {uses[0].ref} into {array.ref}")

    def _check_call(self, op: Op, uses: tuple[Web, ...]) -> None:
        assert isinstance(op.symbol, MethodRef)
        call = self.calls[op.at]
        if call.init is not None:
            self._check_init(op, uses, call.init)
        elif call.special == "clone":
            self._require_type(op, uses[0], op.symbol.class_name)
        elif call.special == "nothing":
            if not self.program.is_object(uses[0].ref or "V"):
                raise op.obstacle(f"constructs {uses[0].ref or 'null'}")
        elif call.special == "newInstance":
            made = self._of_new_instance(op)
            if not is_array(self.program, made):
                raise op.obstacle("makes arrays of an unknown type")
        elif call.intrinsic and call.intrinsic.same:
            one, other = (uses[index].ref for index in call.intrinsic.same)
            if one != other or not one or one[1] in "[L":
                raise op.obstacle(f"copies {one or 'null'} to {other or 'null'}")
            self._require_array(op, uses[call.intrinsic.same[0]])
        else:
            for web, descriptor in zip(uses, parameters_of(op), strict=True):
                if kind_of_type(descriptor) == "l":
                    self._require_type(op, web, STRING if descriptor in _TAKEN_AS_TEXT else descriptor)

    def _check_init(self, op: Op, uses: tuple[Web, ...], count: int) -> None:
        made = self._definitions.get(uses[0], [])
        if any(item.name not in ("new-instance", "move-object") for item in made) or not uses[0].ref:
            raise op.obstacle("constructs what it did not make")
        if count and uses[1].ref not in ("", STRING):
            raise op.obstacle(f"makes an exception of {uses[1].ref}")

    def _require_type(self, op: Op, web: Web, descriptor: str) -> None:
        if web.ref not in ("", descriptor):
            raise op.obstacle(f"needs {descriptor} and gets {web.ref}")

    def _check_return(self, op: Op, uses: tuple[Web, ...]) -> None:
        returns = self.flow.body.returns
        kind = kind_of_type(returns)
        if kind not in _RETURNED[op.name]:
            raise op.obstacle(f"does not fit a method that returns {returns}")
        for web in uses:
            web.used.add(kind)
            if kind == "l":
                self._require_type(op, web, returns)

    def _check_cast(self, op: Op, web: Web) -> None:
        if web.ref and web.ref != op.symbol:
            raise op.obstacle(f"casts {web.ref} to {op.symbol}")
        symbol = str(op.symbol)
        if symbol != STRING and not is_array(self.program, symbol) and not self.program.is_object(symbol):
            raise op.obstacle(f"casts to {symbol}")

    def _check_new(self, op: Op, uses: tuple[Web, ...]) -> None:
        array = str(op.symbol)
        if not is_array(self.program, array):
            raise op.obstacle(f"makes {array}; arrays of numbers, strings and data are translated")
        if op.name != "filled-new-array":
            return
        if array[1] in "JDZBSC":
            raise op.obstacle(f"fills {array}")
        for web in uses:
            if array[1] in "[L":
                self._require_type(op, web, array[1:])
