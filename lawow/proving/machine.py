"""The JVM as a judge: dex becomes class files, `Judge.java` calls their methods, its outcomes are read back.

Two programs that are no part of LAWOW do the work, so that nothing here judges itself: enjarify translates
dex to class files, a JDK runs them. Only code that `lawow.proving.excerpt` lets through is ever run: it
computes and can't reach files, network or processes.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lawow.dalvik.words import STRING
from lawow.errors import FormatError, LawowError, Refused
from lawow.formats.dex.symbols import MethodRef, parse_method_descriptor
from lawow.formats.elements import Packed, SameAs
from lawow.limits import PROVING
from lawow.proving.cases import SIZES, Case, element_of, encode_case, is_array
from lawow.proving.outcomes import EXHAUSTED, Outcome, Resulted, Threw

__all__ = ["JudgeMachine", "last_words", "method_table", "missing_tools", "run_tool"]

JUDGE = tuple(Path(__file__).with_name(name) for name in ("Judge.java", "JudgeGraphs.java"))
_PACKAGES = {"javac": "default-jdk-headless", "enjarify": "enjarify"}
_STILL_RUNNING = 3
_SCARCE = frozenset(("java.lang.StackOverflowError", "java.lang.OutOfMemoryError"))


def missing_tools() -> list[str]:
    """Return the Debian packages of the programs that are not on the PATH."""
    return [package for name, package in _PACKAGES.items() if shutil.which(name) is None]


@dataclass(frozen=True, slots=True)
class JudgeMachine:
    """A dex file's static methods, ready to be called on the JVM. Made by `opened`; lives in a folder."""

    methods: tuple[tuple[MethodRef, str], ...]
    folder: Path
    class_path: str

    @classmethod
    def opened(cls, dex: bytes, methods: Sequence[tuple[MethodRef, str]], folder: Path) -> JudgeMachine:
        """Translate a dex file to class files in `folder`. With a method goes the shape of its graphs, or
        nothing.

        Raises `Refused` if a program is missing, `LawowError` if the translation fails.
        """
        if missing := missing_tools():
            raise Refused(
                f"to prove translations, a JVM and enjarify are needed: apt-get install {' '.join(missing)}"
                " (or give --unproved: the report then says so)"
            )
        source, classes = folder / "excerpt.dex", folder / "excerpt.jar"
        source.write_bytes(dex)
        done = run_tool(["enjarify", "-f", "-o", str(classes), str(source)])
        if done.returncode or not classes.exists():
            raise LawowError(f"enjarify can't translate the methods: {last_words(done)}")
        judge = folder / "judge"
        done = run_tool(["javac", "-nowarn", "-d", str(judge), *map(str, JUDGE)])
        if done.returncode:
            raise LawowError(f"the JDK can't compile the judge: {last_words(done)}")
        return cls(tuple(methods), folder, f"{classes}{os.pathsep}{judge}")

    def outcomes(self, cases: Sequence[Case]) -> Iterator[Outcome]:
        """Yield what each call does. One that does not end in time is `EXHAUSTED`; the rest goes on."""
        start = 0
        while start < len(cases):
            found = self._run_from(cases[start:])
            yield from found
            start += len(found)
            if start < len(cases):
                yield EXHAUSTED
                start += 1

    def _run_from(self, cases: Sequence[Case]) -> list[Outcome]:
        """Return the outcomes up to the first call that does not end."""
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            given, got = Path(place, "cases"), Path(place, "outcomes")
            given.write_bytes(b"".join([method_table(self.methods), *map(encode_case, cases)]))
            memory = f"-Xmx{PROVING.heap_bytes >> 20}m"
            options = [memory, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            files = [str(given), str(got), str(PROVING.call_seconds)]
            done = run_tool(["java", *options, "-cp", self.class_path, "Judge", *files])
            if done.returncode not in (0, _STILL_RUNNING):
                raise LawowError(f"the JVM can't run the methods: {last_words(done)}")
            found = list(_read_outcomes(got.read_bytes(), self.methods, cases))
        if done.returncode == 0 and len(found) != len(cases):
            raise LawowError(f"the JVM answered {len(found)} of {len(cases)} calls")
        return found


def run_tool(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program of somebody else to its end. Raises `LawowError` if that takes too long."""
    program = shutil.which(argv[0]) or argv[0]
    # enjarify is a script for the interpreter beside it, whatever environment runs LAWOW.
    path = os.pathsep.join([str(Path(program).parent), os.environ.get("PATH", os.defpath)])
    try:
        return subprocess.run(
            [program, *argv[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "PATH": path},
            timeout=PROVING.tool_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LawowError(f"{argv[0]} takes longer than {PROVING.tool_seconds} s") from None


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program that failed said of it, in one line."""
    words = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
    return next((line for line in words if "Exception" in line or "Error" in line), words[-1])[:300]


def method_table(methods: Sequence[tuple[MethodRef, str]]) -> bytes:
    """Return methods and the shapes of their graphs as `Judge.java` reads them."""
    parts = [struct.pack(">H", len(methods))]
    for ref, shape in methods:
        for text in (ref.class_name[1:-1].replace("/", "."), ref.name, ref.descriptor, shape):
            data = text.encode("utf-8", "surrogatepass")
            parts.append(struct.pack(">H", len(data)) + data)
    return b"".join(parts)


def _read_outcomes(
    data: bytes, methods: Sequence[tuple[MethodRef, str]], cases: Iterable[Case]
) -> Iterator[Outcome]:
    """Read what `Judge.java` wrote; the last outcome may be missing."""
    reader = _Reader(data)
    for case in cases:
        if reader.at_end:
            return
        if reader.take(1) == b"T":
            name = reader.take(reader.number(2)).decode("utf-8", "surrogatepass")
            yield EXHAUSTED if name in _SCARCE else Threw(name)
            continue
        if case.graph:
            left = reader.take(reader.number(4))
            yield Resulted(Packed(len(left), left), tuple(b"" for _ in case.arguments))
            continue
        proto = parse_method_descriptor(methods[case.subject][0].descriptor)
        result = reader.result(proto.return_type)
        arrays = [
            reader.array(kind[1]) if is_array(kind) else b""
            for kind, _ in zip(proto.parameters, case.arguments, strict=True)
        ]
        yield Resulted(result, tuple(arrays))


class _Reader:
    """Reads the outcomes' file; its writer is trusted as little as any other program."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._data)

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise FormatError("is cut off", structure="outcomes of the JVM", offset=self._position)
        found, self._position = self._data[self._position : end], end
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def array(self, kind: str) -> bytes:
        return self.take(self.number(4) * SIZES[kind])

    def result(self, kind: str) -> bytes | Packed | SameAs | None:
        """Read a result: the bits of a number, an array, a parameter that it is, or None for null or void."""
        if kind == "V":
            return None
        if not is_array(kind) and kind != STRING:
            return self.take(8)[::-1][: SIZES[kind]]
        tag = self.number(1)
        if tag == 2:
            return SameAs(self.number(1))
        if tag == 0:
            return None
        element = element_of(kind)
        data = self.array(element)
        return Packed(len(data) // SIZES[element], data)
