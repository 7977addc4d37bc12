"""The time of a method on a JVM, with that of all methods that it calls: a profile without a phone.

The method's bytecode runs as in a proof (`lawow.proving.machine`), under the same rule: only code that
computes and does nothing else. It is called again and again with the same arguments, twice over: once as it
is, for the time; once with methods that count (`lawow.proving.counting`) while another thread looks at the
stack, for the calls and the shares of the others. There a call costs more, so that methods which are called
very often have too large a share. All times are those of this machine.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lawow.dalvik import Program
from lawow.dalvik.program import PLATFORM_EXCEPTIONS
from lawow.errors import LawowError, Refused
from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.names import java_name
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.source import ClassSource
from lawow.formats.dex.symbols import MethodRef, parse_method_descriptor
from lawow.formats.dex.views import MethodView
from lawow.formats.elements import Argument
from lawow.limits import PROVING
from lawow.proving.cases import Case, encode_case, is_array
from lawow.proving.counting import SUFFIX, CountingCopies
from lawow.proving.excerpt import CopyMethod, copied, excerpt_classes
from lawow.proving.machine import JudgeMachine, last_words, method_table, run_tool
from lawow.refactor.timings import MethodTime

__all__ = ["measure"]

STOPWATCH = Path(__file__).with_name("Stopwatch.java")
_SEEN_ON_THE_STACK = (
    "-XX:+UseCountedLoopSafepoints",
    "-XX:CompileCommand=quiet",
    f"-XX:CompileCommand=dontinline,*::*{SUFFIX}*",
)
"""The JVM shows a stack only at certain places. Without these, a method that is compiled into another one, or
that is all loop, has hardly any.
"""
FEWEST_SAMPLES = 5
"""A method that was seen less often took so little that nothing can be said of it."""


def measure(
    dexes: Sequence[Dex], method: MethodView, arguments: Sequence[Argument], *, seconds: float
) -> tuple[MethodTime, ...]:
    """Run a method of an app for about four times `seconds`; return it, and the callees that were seen.

    Raises `Refused` for a method that does more than compute or that throws, and if the JVM or enjarify is
    not there; `LawowError` if they fail.
    """
    program = Program(dexes)
    counting = CountingCopies()
    with tempfile.TemporaryDirectory(prefix="lawow-profile-") as folder:
        watch = _Stopwatch(method.ref, Case(0, tuple(arguments)), seconds, Path(folder))
        plain = watch.run(_classes(program, method, copied), methods=0)
        classes = [*_classes(program, method, counting.copy), counting.counts()]
        counted = watch.run(classes, methods=len(counting.methods))
    whole = plain.seconds / plain.calls * counted.calls
    rows = dict(zip(counting.methods, counted.rows, strict=True))
    found = [
        MethodTime(_label(ref), row.calls, whole * row.samples / counted.samples, _mean(ref, row))
        for ref, row in rows.items()
        if ref != method.ref and row.calls and row.samples >= FEWEST_SAMPLES
    ]
    found.sort(key=lambda item: -item.seconds)
    own = MethodTime(_label(method.ref), counted.calls, whole, _mean(method.ref, rows[method.ref]))
    return (own, *found)


def _label(ref: MethodRef) -> str:
    return f"{java_name(ref.class_name)}.{ref.name}{ref.descriptor}"


def _classes(program: Program, method: MethodView, copy: CopyMethod) -> list[ClassSource]:
    return excerpt_classes([method], program.method, program.class_view, PLATFORM_EXCEPTIONS, copy)


@dataclass(frozen=True, slots=True)
class _Row:
    """What was counted of one method, and in how many samples it was on the stack."""

    calls: int
    elements: int
    samples: int


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the stopwatch."""

    calls: int
    seconds: float
    samples: int
    rows: tuple[_Row, ...]


@dataclass(frozen=True, slots=True)
class _Stopwatch:
    """Calls one method with the same arguments, in whatever classes it is given. Lives in a folder."""

    ref: MethodRef
    case: Case
    seconds: float
    folder: Path

    def run(self, classes: Sequence[ClassSource], *, methods: int) -> _Run:
        """Take the time; of classes in which so many `methods` count, their numbers, too."""
        builder = DexBuilder()
        for source in classes:
            builder.add(source)
        given, got = self.folder / "case", self.folder / "result"
        given.write_bytes(method_table([(self.ref, "")]) + encode_case(self.case))
        machine = JudgeMachine.opened(builder.build(), [(self.ref, "")], self.folder)
        class_path = f"{machine.class_path}{os.pathsep}{self._program()}"
        options = ["-XX:+UseSerialGC", *(_SEEN_ON_THE_STACK if methods else ())]
        memory = f"-Xmx{PROVING.heap_bytes >> 20}m"
        words = [STOPWATCH.stem, str(given), str(got), str(self.seconds), str(methods)]
        done = run_tool(["java", memory, *options, "-cp", class_path, *words])
        if done.returncode:
            raise LawowError(f"the JVM can't run {self.ref}: {last_words(done)}")
        return _read_result(got.read_text(), self.ref)

    def _program(self) -> Path:
        """Return the folder with `Stopwatch.java` and what it uses as class files."""
        to = self.folder / "stopwatch"
        if not to.exists():
            done = run_tool(["javac", "-sourcepath", str(STOPWATCH.parent), "-d", str(to), str(STOPWATCH)])
            if done.returncode:
                raise LawowError(f"the JDK can't compile {STOPWATCH.name}: {last_words(done)}")
        return to


def _read_result(text: str, ref: MethodRef) -> _Run:
    """Read what `Stopwatch.java` wrote."""
    (what, *values), *rows = (line.split() for line in text.splitlines())
    if what == "threw":
        raise Refused(f"{ref} throws {values[0]} when it is called with these arguments; give it others")
    calls, nanoseconds, samples = map(int, values)
    return _Run(calls, nanoseconds / 1e9, samples, tuple(_Row(*map(int, row)) for row in rows))


def _mean(ref: MethodRef, row: _Row) -> int | None:
    """Return the mean length of the arrays that a method was given."""
    arrays = sum(map(is_array, parse_method_descriptor(ref.descriptor).parameters))
    return round(row.elements / (row.calls * arrays)) if arrays else None
