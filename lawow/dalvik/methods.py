"""What is known of one method before any code is made of it."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.dalvik.calls import require_simple, resolve
from lawow.dalvik.graph import Graph
from lawow.dalvik.ir import Body, Obstacle, Op, decode
from lawow.dalvik.program import Program
from lawow.dalvik.rewriting import rewritten
from lawow.dalvik.types import Types, is_class_constant
from lawow.dalvik.webs import Flow
from lawow.formats.dex import FieldRef, MethodRef

__all__ = ["Analysis", "analyse", "symbol_of"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A method's operations, their control flow, variables and types."""

    body: Body
    graph: Graph
    flow: Flow
    types: Types

    @property
    def method(self) -> MethodRef:
        """The method itself."""
        return self.body.method

    def callees(self) -> tuple[MethodRef, ...]:
        """Return the methods of the app that it calls, each once."""
        found = [call.callee for call in self.types.calls.values() if call.callee]
        return tuple(dict.fromkeys(found))

    def statics(self) -> tuple[FieldRef, ...]:
        """Return the static fields that it reads, but for the constants of java.lang.Class."""
        fields = [
            op.symbol
            for op in self.body.ops.values()
            if op.name.startswith("sget")
            and isinstance(op.symbol, FieldRef)
            and not is_class_constant(op.symbol)
        ]
        return tuple(dict.fromkeys(fields))

    def allocates(self) -> bool:
        """Tell whether it makes arrays, strings or objects."""
        return any(
            op.name in ("new-array", "filled-new-array") or self._makes_object(op) or self._makes_copy(at)
            for at, op in self.body.ops.items()
        )

    def _makes_object(self, op: Op) -> bool:
        return op.name == "new-instance" and self.types.program.is_object(str(op.symbol))

    def _makes_copy(self, at: int) -> bool:
        call = self.types.calls.get(at)
        return bool(call and (call.special or (call.intrinsic and call.intrinsic.makes)))

    def throws_by_itself(self) -> bool:
        """Tell whether an exception can leave an operation other than a call of the app."""
        for at, op in self.body.ops.items():
            call = self.types.calls.get(at)
            if call is None:
                if (
                    op.can_throw
                    and (op.name not in ("check-cast", "new-instance") or self._makes_object(op))
                    and not _divides_safely(op.literal)
                ):
                    return True
            elif call.special or self._may_lack_receiver(op) or (call.intrinsic and call.intrinsic.throws):
                return True
        return False

    @staticmethod
    def _may_lack_receiver(op: Op) -> bool:
        return op.name in ("invoke-virtual", "invoke-direct")


def _divides_safely(literal: int | None) -> bool:
    return literal is not None and literal != 0


def symbol_of(method: MethodRef) -> str:
    """Return the name of a method's function in a module: one word, whatever letters a dex file uses."""
    return str(method).encode("unicode_escape").decode().replace(" ", "\\x20")


def analyse(program: Program, ref: MethodRef) -> Analysis:
    """Analyse a method by itself. Raises `Obstacle`, `FormatError`."""
    view = program.method(ref)
    if view is None:
        raise Obstacle("is not defined in the app")
    if view.name == "<clinit>":
        raise Obstacle("initialises a class")
    if not view.is_static and not program.is_object(ref.class_name):
        raise Obstacle("belongs to a class whose objects are not plain data")
    require_simple(ref, program)
    body = rewritten(decode(view))
    for op in body.ops.values():
        if op.name.startswith("sput"):
            raise op.obstacle(f"writes the static field {op.symbol}")
    # What is called first: most methods end here, before the costly part.
    calls = {at: resolve(op, program) for at, op in body.ops.items() if op.name.startswith("invoke-")}
    graph = Graph(body)
    flow = Flow(body, graph)
    return Analysis(body, graph, flow, Types(flow, calls, program))
