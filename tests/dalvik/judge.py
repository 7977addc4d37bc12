"""The judge of translated code: the same calls on a JVM and in WebAssembly, compared as lines of text.

The form of a call and of its outcome is that of `fixtures/jvm/CallKernels.java`.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fixtures.build import DX, maven_jar
from lawow.dalvik import ExportedMethod, Graph, GraphType, Program, Translation, translate
from lawow.formats.dex import MethodRef, parse_method_descriptor, read_dex
from lawow.formats.elements import Argument, Packed, SameAs
from lawow.formats.signature import parse_typed_signature
from lawow.proving.graphs import Answer, Image, Node, item_kinds
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.profiles import EXEC_FUEL_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conftest import ROOT
from tests.tools import run

__all__ = ["TEXT", "Call", "Guest", "Jvm", "agree", "compile_java", "dex_of", "random_call"]

OUTCOME_WORDS = 4
FUEL = 400_000_000
TEXT = "Ljava/lang/String;"
FORMATS = {"Z": "b", "B": "b", "S": "h", "C": "H", "I": "i", "J": "q", "F": "f", "D": "d"}
RESULT_BYTES = 1 << 24


def compile_java(sources: Iterable[Path], folder: Path) -> Path:
    """Compile Java sources to class files, and return their folder."""
    out = folder / "classes"
    run("javac", "--release", "8", "-nowarn", "-Xlint:-options", "-d", out, *sources)
    return out


def dex_of(classes: Path, folder: Path) -> bytes:
    """Return class files as a dex file."""
    dex = folder / "classes.dex"
    run(
        "java",
        "-cp",
        maven_jar(DX),
        "com.android.dx.command.Main",
        "--dex",
        "--min-sdk-version=26",
        f"--output={dex}",
        classes,
    )
    return dex.read_bytes()


@dataclass(frozen=True)
class Call:
    """A method and its arguments as text."""

    method: MethodRef
    arguments: tuple[str, ...]

    def line(self) -> str:
        """The call as the driver reads it."""
        owner = self.method.class_name[1:-1].replace("/", ".")
        return " ".join((owner, self.method.name, self.method.descriptor, *self.arguments))


class Jvm:
    """A JVM with some classes."""

    def __init__(self, folder: Path, classpath: str) -> None:
        out = folder / "driver"
        run(
            "javac",
            "--release",
            "8",
            "-nowarn",
            "-Xlint:-options",
            "-d",
            out,
            ROOT / "fixtures" / "jvm" / "CallKernels.java",
        )
        self.classpath = f"{out}:{classpath}"

    def run(self, calls: Sequence[Call]) -> list[str]:
        """Return the outcome of each call."""
        lines = "".join(f"{call.line()}\n" for call in calls)
        done = run(
            "java", "-XX:-OmitStackTraceInFastThrow", "-cp", self.classpath, "CallKernels", stdin=lines
        )
        return done.stdout.splitlines()


class Guest:
    """A translated module and an instance of it."""

    def __init__(self, translation: Translation) -> None:
        self.translation = translation
        self.module = WasmtimeEngine(EXEC_FUEL_PROFILE).compile(translation.wasm)
        self.renew()

    @classmethod
    def of(cls, dex: bytes, methods: Iterable[MethodRef]) -> Guest:
        """Translate methods, all of them."""
        translation = translate(Program([read_dex(dex)]), methods)
        assert not translation.refused, [str(item) for item in translation.refused]
        return cls(translation)

    def renew(self) -> None:
        """Go on with a fresh instance."""
        self.instance = self.module.instantiate(fuel=1 << 62)
        self.caller = TypedCaller(self.instance, result_bytes=RESULT_BYTES)

    def memory_bytes(self) -> int:
        """Return how much memory the instance has."""
        return self.instance.memory_bytes

    def run(self, calls: Sequence[Call]) -> list[str]:
        """Return the outcome of each call, all in one instance."""
        return [self.call(call) for call in calls]

    def call(self, call: Call) -> str:
        """Return the outcome of a call through its checked export."""
        item = self.translation.exports[call.method]
        if item.graph:
            return self._call_with_graph(item, item.graph, call)
        signature = parse_typed_signature(item.checked_signature)
        arguments, places = lower(item, call.arguments)
        returned = self.caller.call(item.checked, signature, arguments)
        outcome = struct.unpack("<4i", returned.changed[0].data)
        text = self._outcome(item, outcome, returned.results)
        for number, parameter in enumerate(item.parameters):
            if parameter.descriptor[0] == "[" and call.arguments[number] != "null":
                text += " " + self._after(item, number, call, arguments, places, returned.changed)
        return text

    def _call_with_graph(self, item: ExportedMethod, graph: Graph, call: Call) -> str:
        signature = parse_typed_signature(item.checked_signature)
        types = {kind.descriptor: kind for kind in graph.types}
        values: list[int | Node | None] = []
        for parameter, text in zip(item.parameters, call.arguments, strict=True):
            values.append(graph_value(parameter.descriptor, text, types, values))
        image = Image(graph, [value for value in values if not isinstance(value, int)])
        numbers = [number_slot(item.parameters[at].descriptor, value)
            for at, value in enumerate(values) if isinstance(value, int)]  # fmt: skip
        outcome = Packed(OUTCOME_WORDS, bytes(4 * OUTCOME_WORDS))
        returned = self.caller.call(
            item.checked, signature, [outcome, Packed(len(image.data), image.data), *numbers]
        )
        (packed,) = returned.results
        assert isinstance(packed, Packed)
        answer = image.answered(packed.data)
        code, one, _, _ = struct.unpack("<4i", returned.changed[0].data)
        roots = iter(answer.roots)
        after = [value if isinstance(value, int) else next(roots) for value in values]
        text = self._thrown(code, one) if code else "ok " + graph_result(item.returns, answer, after)
        for parameter, value in zip(item.parameters, after, strict=True):
            if parameter.descriptor[0] == "[" and value is not None:
                text += " " + node_text(value, ())
        return text

    def _thrown(self, code: int, one: int) -> str:
        name = self.translation.exceptions[code - 1][1:-1].replace("/", ".")
        return f"throws {name}" + (
            f" {self.translation.messages[one - 1]}" if one > 0 else " ?" if one else ""
        )

    def _outcome(self, item: ExportedMethod, outcome: tuple[int, ...], results: Sequence[object]) -> str:
        code, one, two, _ = outcome
        if code:
            return self._thrown(code, one)
        if item.returns == "V":
            return "ok void"
        if item.returns[0] not in "[L":
            (slot,) = results
            assert isinstance(slot, bytes)
            return f"ok {scalar_text(item.returns, slot)}"
        if two:
            return "ok null"
        (packed,) = results
        assert isinstance(packed, Packed)
        if one:
            return f"ok ={one - 1}"
        return (
            f"ok {text_text(packed.data) if item.returns == TEXT else array_text(item.returns, packed.data)}"
        )

    def _after(
        self,
        item: ExportedMethod,
        number: int,
        call: Call,
        arguments: Sequence[Argument],
        places: Sequence[int],
        changed: Mapping[int, Packed],
    ) -> str:
        """Return an array as it is after the call; what the module says it does not write is as it was."""
        descriptor = item.parameters[number].descriptor
        original = same_as(call, number)
        is_written = any(
            parameter.is_written and same_as(call, other) == original
            for other, parameter in enumerate(item.parameters)
        )
        place = places[original]
        packed = changed[place] if is_written else arguments[place]
        assert isinstance(packed, Packed)
        return array_text(descriptor, packed.data)


def agree(found: str, wanted: str) -> bool:
    """Compare outcomes of the two; where WebAssembly does not know the text of an exception, any will do."""
    return wanted.startswith(found[:-1]) if found.endswith(" ?") else found == wanted


def same_as(call: Call, number: int) -> int:
    """Return the parameter whose array this one is."""
    while call.arguments[number].startswith("="):
        number = int(call.arguments[number][1:])
    return number


def lower(item: ExportedMethod, texts: Sequence[str]) -> tuple[list[Argument], list[int]]:
    """Return the checked export's arguments, and where each Java parameter is among them."""
    nulls = sum(1 << number for number, text in enumerate(texts) if text == "null")
    arguments: list[Argument] = [Packed(OUTCOME_WORDS, struct.pack("<4I", nulls, 7, 7, 7))]
    places: list[int] = []
    for parameter, text in zip(item.parameters, texts, strict=True):
        descriptor = parameter.descriptor
        places.append(len(arguments))
        if descriptor == TEXT:
            while text.startswith("="):
                text = texts[int(text[1:])]
            arguments.append(array("[C", text))
        elif descriptor[0] != "[":
            arguments.append(
                bits(text).to_bytes(8, "little") if descriptor in "JD" else scalar_bytes(descriptor, text)
            )
        elif text.startswith("="):
            while text.startswith("="):
                root = int(text[1:])
                text = texts[root]
            arguments.append(SameAs(places[root]))
        else:
            arguments.append(array(descriptor, text))
    return arguments, places


def bits(text: str) -> int:
    """Return the number that hexadecimal digits say."""
    return int(text, 16)


def scalar_bytes(descriptor: str, text: str) -> bytes:
    """Return a number of 32 bits as a slot; narrow ones as a host passes them, as an int."""
    value = bits(text) & 0xFFFFFFFF
    return value.to_bytes(8, "little")


def array(descriptor: str, text: str) -> Packed:
    """Return an array of numbers, or an empty one for null."""
    size = struct.calcsize(FORMATS[descriptor[1]])
    numbers = [] if text in ("null", "[", "'") else text[1:].split(",")
    mask = (1 << 8 * size) - 1
    return Packed(len(numbers), b"".join((bits(item) & mask).to_bytes(size, "little") for item in numbers))


def scalar_text(descriptor: str, slot: bytes) -> str:
    """Return a result as the driver prints it."""
    letter = FORMATS[descriptor]
    (value,) = struct.unpack(f"<{letter}", slot[: struct.calcsize(letter)])
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if descriptor in "BS":
        return f"{value & 0xFFFFFFFF:x}"
    return f"{int.from_bytes(slot[: struct.calcsize(letter)], 'little'):x}"


def array_text(descriptor: str, data: bytes) -> str:
    """Return an array as the driver prints it."""
    size = struct.calcsize(FORMATS[descriptor[1]])
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return "[" + ",".join(scalar_text(descriptor[1], part.ljust(8, b"\0")) for part in parts)


def text_text(data: bytes) -> str:
    """Return a string as the driver prints it."""
    return "'" + array_text("[C", data)[1:]


# ---- graphs


def graph_value(
    descriptor: str, text: str, types: Mapping[str, GraphType], earlier: Sequence[int | Node | None]
) -> int | Node | None:
    """Return a number's bits, or the node that a text is, which may be an earlier value."""
    if text.startswith("="):
        return earlier[int(text[1:])]
    if descriptor[0] not in "[L":
        return bits(text)
    if text == "null":
        return None
    if descriptor == TEXT or descriptor[1] not in "[L":
        return Node(types[descriptor], [bits(item) for item in text[1:].split(",") if item])
    rows: list[int | Node | None] = []
    for row in text[1:].split("|") if len(text) > 1 else ():
        rows.append(graph_value(descriptor[1:], row, types, rows))
    return Node(types[descriptor], rows)


def number_slot(descriptor: str, value: int) -> bytes:
    """Return a number as it is passed."""
    return (value & (1 << (64 if descriptor in "JD" else 32)) - 1).to_bytes(8, "little")


def graph_result(descriptor: str, answer: Answer, arguments: Sequence[int | Node | None]) -> str:
    """Return a result as the driver prints it."""
    if descriptor == "V":
        return "void"
    if descriptor[0] not in "[L":
        return scalar_text(descriptor, answer.bits.to_bytes(8, "little"))
    node = answer.node(answer.bits)
    return "null" if node is None else node_text(node, arguments)


def node_text(node: int | Node | None, arguments: Sequence[int | Node | None]) -> str:
    """Return an array as the driver prints it; `arguments` are called by their number."""
    if node is None:
        return "null"
    assert isinstance(node, Node)
    if node in arguments:
        return f"={arguments.index(node)}"
    if node.type.descriptor == TEXT or node.type.descriptor[1] not in "[L":
        kinds = item_kinds(node.type, len(node.items))
        items = [
            scalar_text(kind, (item if isinstance(item, int) else 0).to_bytes(8, "little"))
            for kind, item in zip(kinds, node.items, strict=True)
        ]
        return ("'" if node.type.descriptor == TEXT else "[") + ",".join(items)
    return "{" + "|".join(node_text(item, arguments) for item in node.items)


# ---- random calls

_EXTREMES = {
    "I": (0, 1, -1, 2, 31, 32, 33, 63, 64, -(1 << 31), (1 << 31) - 1, 255, 65535),
    "J": (0, 1, -1, 2, 63, 64, -(1 << 63), (1 << 63) - 1, 1 << 32, (1 << 31) - 1),
}
_FLOATS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    2.5,
    -2.5,
    1e10,
    -1e10,
    1e300,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
    3.7,
    2147483647.5,
    9.3e18,
)


def random_scalar(descriptor: str, chance: random.Random) -> str:
    """Return a number, often one at an edge."""
    if descriptor in "FD":
        letter = "f" if descriptor == "F" else "d"
        if chance.random() < 0.2:
            return f"{chance.getrandbits(32 if descriptor == 'F' else 64):x}"
        value = chance.choice(_FLOATS) if chance.random() < 0.5 else chance.uniform(-1000, 1000)
        if descriptor == "F" and abs(value) > 3e38 and math.isfinite(value):
            value = 3e38
        return f"{int.from_bytes(struct.pack('<' + letter, value), 'little'):x}"
    width = {"Z": 1, "B": 8, "S": 16, "C": 16, "I": 32, "J": 64}[descriptor]
    number = chance.choice(
        (
            chance.getrandbits(width),
            chance.choice(_EXTREMES["J" if descriptor == "J" else "I"]),
            chance.randrange(-8, 40),
        )
    )
    number &= (1 << width) - 1
    if descriptor in "BS" and number >> (width - 1):
        number |= 0xFFFFFFFF ^ (1 << width) - 1
    return f"{number:x}"


def random_argument(
    descriptor: str, number: int, call: list[str], types: Sequence[str], chance: random.Random
) -> str:
    """Return an argument: arrays short and long, null, or one that is there already."""
    if descriptor[0] not in "[L":
        return random_scalar(descriptor, chance)
    twins = [index for index in range(number) if types[index] == descriptor and call[index] != "null"]
    if twins and chance.random() < 0.2:
        return f"={chance.choice(twins)}"
    if chance.random() < 0.05:
        return "null"
    if descriptor[1] == "[":
        return "{" + "|".join(
            random_argument(descriptor[1:], 0, [], (), chance) for _ in range(chance.randrange(6))
        )
    if descriptor != "[C" and descriptor[0] == "L":
        return random_text(chance)
    count = chance.choice((0, 1, 2, chance.randrange(24), chance.randrange(80)))
    return "[" + ",".join(random_scalar(descriptor[1], chance) for _ in range(count))


_WORDS = (
    "one",
    "two",
    "Aa",
    "BB",
    "//x",
    "a; b;",
    "  \t ",
    "0123",
    "z",
    "\ud83d\ude00",
    "\udc00\ud800",
    "\uffff",
)


def random_text(chance: random.Random) -> str:
    """Return a string: words that mean something to the methods, letters of few kinds, halves of pairs."""
    if chance.random() < 0.4:
        text = chance.choice(("", " ", "a")).join(chance.choices(_WORDS, k=chance.randrange(4)))
    else:
        letters = chance.choice(
            ("ab", "0123456789abcdefgh", " \t\n,;x", "\ud83d\ude00\udc00a\u20ac", "\0\xff\u0100")
        )
        text = "".join(chance.choices(letters, k=chance.choice((0, 1, 2, 5, 40))))
    return "'" + ",".join(f"{ord(letter):x}" for letter in text)


def random_call(method: MethodRef, chance: random.Random) -> Call:
    """Return a call of a method with random arguments."""
    types = parse_method_descriptor(method.descriptor).parameters
    texts: list[str] = []
    for number, descriptor in enumerate(types):
        texts.append(random_argument(descriptor, number, texts, types, chance))
    return Call(method, tuple(texts))
