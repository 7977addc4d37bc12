"""The functions behind the exports of a translated method: what comes in made Java's, what goes out made the
caller's, exceptions made traps or numbers.

Memory of the caller lies below the mark that a wrapper sets; what the call makes lies above it, and is
dropped when the next call begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lawow.dalvik.api import ExportedMethod, Graph, Parameter
from lawow.dalvik.graphs import first_node
from lawow.dalvik.kinds import kind_of_type
from lawow.dalvik.runtime import BASE, EXCEPTION, HEAD_BYTES, HEAP, UNWIND
from lawow.dalvik.variables import NARROW, core_type
from lawow.dalvik.wat import Function
from lawow.dalvik.words import STRING

__all__ = ["OUTCOME_WORDS", "wrappers"]

OUTCOME_WORDS = 4
"""Fewest elements of the list in front of a checked call."""


def wrappers(item: ExportedMethod, target: str) -> tuple[Function, Function]:
    """Return the functions behind the two exports of a method."""
    if item.graph:
        return (
            _GraphWrapper(item, target, is_checked=False, graph=item.graph).function(),
            _GraphWrapper(item, target, is_checked=True, graph=item.graph).function(),
        )
    return (
        _Wrapper(item, target, is_checked=False).function(),
        _Wrapper(item, target, is_checked=True).function(),
    )


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
        self.locals += ["mark:i32", "thrown:i32"]
        self.before = [f"call unwind i32.const 0 global.set {EXCEPTION} global.get {HEAP} local.set $mark"]
        if self.is_checked:
            self._outcome()
        self.before.append(self._entered())
        for number, parameter in enumerate(self.item.parameters):
            self._parameter(number, parameter)
        kind = kind_of_type(self.item.returns)
        call = f"{' '.join(self.arguments)} call {self.target}"
        if kind:
            self.locals.append(f"result:{core_type(kind)}")
            call += " local.set $result"
        # An exception may have come up before the call: no memory for an empty list.
        guarded = f"global.get {EXCEPTION} i32.eqz if {call} end"
        text = [*self.before, guarded, *self._results(kind), *self.after, self._end(kind)]
        results = core_type(self._crosses_as(kind)) if self._crosses_as(kind) else ""
        locals_ = " ".join(self.locals)
        return Function.of(f"export {name}", " ".join(self.params), results, " ".join(text), locals_)

    def _outcome(self) -> None:
        self.params[:0] = ["outcome:i32", "words:i32"]
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
            self.arguments.append(f"local.get $p{number} {NARROW.get(descriptor, '')}")
            return
        is_lent = any(item.is_written and item.descriptor == descriptor for item in self.item.parameters)
        self._list(f"a{number}", is_lent=is_lent)
        self.arguments.append(f"local.get $r{number}")
        self.locals.append(f"r{number}:i32")
        made = f"local.get $a{number}"
        if self.is_checked:
            made = f"local.get $nulls i32.const {1 << number % 32} i32.and if:i32 i32.const 0 else {made} end"
        self.before.append(f"{made} local.set $r{number}")

    def _list(self, name: str, *, is_lent: bool) -> None:
        """Take an address and a count; the address becomes the array's reference."""
        self.params += [f"{name}:i32", f"{name}_count:i32"]
        self.before.append(f"local.get ${name} local.get ${name}_count call lend local.set ${name}")
        if not is_lent:  # memory of the guest from now on, and free again when the call is done
            self.after.append(
                f"local.get ${name} local.get $mark i32.lt_u if local.get ${name} call give_back end"
            )

    def _entered(self) -> str:
        """What comes before the parameters are looked at."""
        return ""

    def _thrown(self) -> list[str]:
        """What becomes of an exception."""
        text = [f"global.get {EXCEPTION} local.set $thrown i32.const 0 global.set {EXCEPTION}"]
        if self.is_checked:
            text.append(
                "local.get $thrown if local.get $outcome local.get $thrown i32.load i32.store "
                "local.get $outcome local.get $thrown i32.load +4 call text_number i32.store +4 "
                "local.get $outcome local.get $thrown i64.load +8 i64.store +8 end"
            )
        else:
            text.append("local.get $thrown if unreachable end")
        return text

    def _results(self, kind: str) -> list[str]:
        """What follows the call, before memory is given back."""
        text = self._thrown()
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

    def _crosses_as(self, kind: str) -> str:
        """Return the kind of what the export gives for a result of a kind; ``l`` is a list's address."""
        return kind

    def _end(self, kind: str) -> str:
        text = f"local.get $mark global.set {UNWIND}"
        kind = self._crosses_as(kind)
        return f"{text} local.get ${'area' if kind == 'l' else 'result'}" if kind else text


_TO_BITS = {
    "i": "i64.extend_i32_u",
    "j": "",
    "f": "i32.reinterpret_f32 i64.extend_i32_u",
    "d": "i64.reinterpret_f64",
}


@dataclass
class _GraphWrapper(_Wrapper):
    """References come in one list, and the result goes out in one, with all that has changed."""

    graph: Graph = field(default_factory=lambda: Graph((), ()))

    def function(self) -> Function:
        """Write the function."""
        self.params = ["graph:i32", "size:i32"]
        self.locals = ["area:i32"]
        return super().function()

    def _entered(self) -> str:
        roots = len(self.graph.roots)
        return (
            f"local.get $graph local.get $size i32.const {first_node(roots)} i32.const {roots} call graph_in"
        )

    def _parameter(self, number: int, parameter: Parameter) -> None:
        if number not in self.graph.roots:
            super()._parameter(number, parameter)
            return
        root = f"local.get $graph i32.load +{8 + 4 * self.graph.roots.index(number)}"
        if number == 0 and self.item.has_this:  # which is never asked whether it is null
            self.before.append(f"{root} i32.eqz if unreachable end")
        self.arguments.append(root)

    def _results(self, kind: str) -> list[str]:
        text = self._thrown()
        result = "local.get $result" if kind == "l" else "i32.const 0"
        bits = f"local.get $result {_TO_BITS[kind]}" if kind in _TO_BITS else "i64.const 0"
        text.append(
            f"local.get $graph local.get $size i32.const {first_node(len(self.graph.roots))} local.get $mark "
            f"{result} {bits} call graph_out local.set $area "
            f"local.get $graph i32.const {HEAD_BYTES} i32.sub call give_back"
        )
        return text

    def _crosses_as(self, kind: str) -> str:
        return "l"
