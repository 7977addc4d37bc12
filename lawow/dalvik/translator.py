"""Examines methods one by one, and translates closed sets of them to one module."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from lawow.dalvik.api import Examined, ExportedMethod, Translation, Untranslatable
from lawow.dalvik.effects import Effects, effects_of
from lawow.dalvik.emit import emit
from lawow.dalvik.exports import describe, name_exports, wit_of
from lawow.dalvik.graphs import GRAPH_FUNCTIONS
from lawow.dalvik.initializer import Constants
from lawow.dalvik.ir import Obstacle
from lawow.dalvik.library import FUNCTIONS
from lawow.dalvik.methods import Analysis, analyse, symbol_of
from lawow.dalvik.program import Program
from lawow.dalvik.runtime import BASE, HEAP, RUNTIME
from lawow.dalvik.tables import TableGuard
from lawow.dalvik.unit import ModuleUnit
from lawow.dalvik.wat import Function, Module
from lawow.dalvik.wrappers import wrappers
from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.bytes import align_up
from lawow.formats.dex import MethodRef
from lawow.formats.wasm import WIT_SECTION
from lawow.formats.wasm_edit import custom_section
from lawow.limits import DALVIK

__all__ = ["examine", "translate"]

_REALLOC = "cabi_realloc"


def examine(program: Program, method: MethodRef) -> Examined:
    """Look at one method by itself, whatever its code is: only the reason tells of faults in the file.

    The reason covers the constants that the method reads, and not what it calls.
    """
    try:
        analysis = _session(program).analyse(method)
    except Obstacle as obstacle:
        return Examined(method, reason=_untranslatable(method, obstacle))
    return Examined(
        method,
        callees=analysis.callees(),
        allocates=analysis.allocates(),
        throws=analysis.throws_by_itself(),
        has_loop=analysis.graph.has_loop,
        instructions=len(analysis.body.ops),
        reads_statics=analysis.statics(),
    )


def translate(program: Program, methods: Iterable[MethodRef]) -> Translation:
    """Translate methods and what they call to one module.

    A method that cannot be translated, by itself or because of a callee, is in `Translation.refused`. Raises
    `Refused` if none is left, `LimitExceeded` (``methods``) for too many.
    """
    return _Translator(program).run(list(dict.fromkeys(methods)))


def _untranslatable(method: MethodRef, obstacle: Obstacle) -> Untranslatable:
    return Untranslatable(method, obstacle.reason, obstacle.instruction, obstacle.offset)


class _Session:
    """What is known of a program between two questions: constants, and who may change tables."""

    def __init__(self, program: Program) -> None:
        # The program holds the session's key, so the session must not hold the program.
        self._program = weakref.ref(program)
        self.constants = Constants(program)
        self.guard = TableGuard(program)

    def analyse(self, method: MethodRef) -> Analysis:
        """Analyse a method with the constants that it reads. Raises `Obstacle`."""
        program = self._program()
        assert program is not None
        try:
            analysis = analyse(program, method)
            for field in analysis.statics():
                self.guard.require_constant(field)
                self.constants.value(field)
            return analysis
        except FormatError as error:
            raise Obstacle(str(error)) from None


_SESSIONS: weakref.WeakKeyDictionary[Program, _Session] = weakref.WeakKeyDictionary()


def _session(program: Program) -> _Session:
    if program not in _SESSIONS:
        _SESSIONS[program] = _Session(program)
    return _SESSIONS[program]


class _Translator:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.session = _session(program)
        self.analyses: dict[MethodRef, Analysis] = {}
        self.obstacles: dict[MethodRef, Untranslatable] = {}
        self.refused: list[Untranslatable] = []

    def run(self, roots: list[MethodRef]) -> Translation:
        self._analyse_all(roots)
        self._refuse_callers()
        kept = [root for root in roots if root not in self.obstacles]
        analyses = self._closed(kept)
        effects = effects_of(analyses)
        unit = ModuleUnit(self.program, self.session.constants, effects, analyses.values())
        exports = self._exports(kept, effects, unit)
        refused = tuple(self.obstacles[root] for root in roots if root in self.obstacles)
        if not exports:
            why = f"{refused[0]}" if refused else "no method was named"
            raise Refused(f"nothing can be translated: {why}")
        functions = [emit(analysis, unit) for analysis in analyses.values()]
        wit = wit_of(exports.values())
        wasm = _link(functions, exports, unit) + custom_section(WIT_SECTION, wit.encode())
        return Translation(wasm, wit, exports, tuple(unit.classes), tuple(unit.messages), refused)

    def _analyse_all(self, roots: list[MethodRef]) -> None:
        waiting = list(roots)
        while waiting:
            ref = waiting.pop()
            if ref in self.analyses or ref in self.obstacles:
                continue
            if len(self.analyses) >= DALVIK.methods:
                raise LimitExceeded("methods", len(self.analyses) + 1, DALVIK.methods, subject="translation")
            try:
                analysis = self.analyses[ref] = self.session.analyse(ref)
            except Obstacle as obstacle:
                self.obstacles[ref] = _untranslatable(ref, obstacle)
            else:
                waiting += analysis.callees()

    def _refuse_callers(self) -> None:
        """A method that calls one with an obstacle has that obstacle."""
        callers: dict[MethodRef, list[MethodRef]] = {}
        for ref, analysis in self.analyses.items():
            for callee in analysis.callees():
                callers.setdefault(callee, []).append(ref)
        waiting = list(self.obstacles)
        while waiting:
            ref = waiting.pop()
            for caller in callers.get(ref, ()):
                if caller not in self.obstacles:
                    self.obstacles[caller] = self.obstacles[ref]
                    waiting.append(caller)

    def _closed(self, roots: list[MethodRef]) -> dict[MethodRef, Analysis]:
        found: dict[MethodRef, Analysis] = {}
        waiting = list(reversed(roots))
        while waiting:
            ref = waiting.pop()
            if ref not in found:
                found[ref] = self.analyses[ref]
                waiting += reversed(found[ref].callees())
        return found

    def _exports(
        self, roots: list[MethodRef], effects: dict[MethodRef, Effects], unit: ModuleUnit
    ) -> dict[MethodRef, ExportedMethod]:
        exports = {}
        for ref, name in name_exports(roots).items():
            try:
                exports[ref] = describe(self.analyses[ref], effects[ref], unit, name)
            except Obstacle as obstacle:
                self.obstacles[ref] = _untranslatable(ref, obstacle)
        return exports


def _link(functions: list[Function], exports: dict[MethodRef, ExportedMethod], unit: ModuleUnit) -> bytes:
    module = Module()
    for function in functions:
        module.add(function)
    for item in exports.values():
        for name, function in zip(
            (item.export, item.checked), wrappers(item, symbol_of(item.method)), strict=True
        ):
            module.add(function)
            module.exports.append((name, function.name))
    module.add(RUNTIME[_REALLOC])
    module.exports.append((_REALLOC, _REALLOC))
    _add_called(module)
    heap = align_up(unit.end, 16)
    module.data = unit.data
    module.memory_bytes = heap
    module.globals = [0] * (BASE + 1)
    module.globals[HEAP] = module.globals[BASE] = heap
    return module.to_bytes()


def _add_called(module: Module) -> None:
    """Add the functions of runtime and library that are called, and what they call."""
    known = {**RUNTIME, **FUNCTIONS, **{item.name: item for item in GRAPH_FUNCTIONS}}
    waiting = list(module.functions.values())
    while waiting:
        for _, name in waiting.pop().code.calls:
            if name not in module.functions:
                module.add(known[name])
                waiting.append(known[name])
