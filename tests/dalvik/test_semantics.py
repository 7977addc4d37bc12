"""Translated Java does what the same class files do on a JVM: values, arrays, aliases, null, exceptions."""

from __future__ import annotations

import hashlib
import random
import struct
from pathlib import Path

import pytest

from lawow.dalvik.library import LIBRARY
from lawow.dalvik.texts import MADE
from lawow.dalvik.words import STRING
from lawow.errors import GuestTrap
from lawow.formats.dex import (
    ACC_PUBLIC,
    ACC_STATIC,
    Assembly,
    ClassSource,
    DexBuilder,
    MethodRef,
    MethodSource,
    argument_words,
    parse_method_descriptor,
    read_dex,
)
from tests.dalvik.judge import Call, Guest, Jvm, agree, random_call
from tests.tools import run

CALLS = 100
RUNS = {
    "Linpack": ("(I)D", (7, 30)),
    "Dct": ("(I)I", (50,)),
    "SuffixSort": ("(I)I", (0, 1, 2000)),
    "Sha256": ("(I)I", (0, 55, 56, 10000)),
    "Chess": ("(I)J", (200,)),
}


@pytest.fixture(scope="module")
def jvm(classes: Path) -> Jvm:
    return Jvm(classes.parent, str(classes))


def _methods(dex: bytes, name: str) -> list[MethodRef]:
    view = read_dex(dex).class_def(name)
    return [item.ref for item in view.methods if item.is_static and not item.is_initializer]


@pytest.mark.parametrize(
    ("owner", "count", "kinds"), [("Semantics", 34, 6), ("Loops", 21, 2), ("Texts", 18, 6)]
)
def test_methods_do_the_same_as_on_a_jvm(
    kernels: bytes, jvm: Jvm, owner: str, count: int, kinds: int
) -> None:
    methods = _methods(kernels, f"Lkernels/{owner};")
    assert len(methods) >= count
    chance = random.Random(20261128)
    calls = [random_call(method, chance) for method in methods for _ in range(CALLS)]
    guest = Guest.of(kernels, methods)
    expected = jvm.run(calls)
    outcomes = {text.split()[1] for text in expected if text.startswith("throws")}
    assert len(outcomes) >= kinds, outcomes
    for call, wanted in zip(calls, expected, strict=True):
        assert agree(guest.call(call), wanted), call.line()


def test_kernels_do_the_same_as_on_a_jvm(kernels: bytes, jvm: Jvm) -> None:
    refs = {name: MethodRef(f"Lkernels/{name};", "run", descriptor) for name, (descriptor, _) in RUNS.items()}
    calls = [Call(refs[name], (f"{size:x}",)) for name, (_, sizes) in RUNS.items() for size in sizes]
    assert Guest.of(kernels, refs.values()).run(calls) == jvm.run(calls)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 64, 1000])
def test_a_translated_hash_is_that_of_the_standard_library(kernels: bytes, size: int) -> None:
    message = random.Random(size).randbytes(size)
    method = MethodRef("Lkernels/Sha256;", "hash", "([B)[B")
    text = "[" + ",".join(f"{byte:x}" for byte in message)
    outcome = Guest.of(kernels, [method]).call(Call(method, (text,)))
    signed = struct.unpack("32b", hashlib.sha256(message).digest())
    assert outcome.split()[1] == "[" + ",".join(f"{byte & 0xFFFFFFFF:x}" for byte in signed)


# ---- the library, method by method

PLAIN = {ref: item for ref, item in LIBRARY.items() if ref.name not in ("arraycopy", MADE)}
UNDECIDED = {"getChars", "indexOf", "lastIndexOf"}
"""Methods that trap where implementations differ."""


def _is_of_instances(ref: MethodRef) -> bool:
    return ref.class_name == STRING and not ref.name.startswith(("valueOf", "copyValueOf"))


def _parameters(ref: MethodRef) -> tuple[str, ...]:
    """Return the types of all that a method takes, its receiver first, as strings where they may be."""
    parameters = parse_method_descriptor(ref.descriptor).parameters
    parameters = (STRING, *parameters) if _is_of_instances(ref) else parameters
    return tuple(STRING if item[0] == "L" else item for item in parameters)


def _descriptor(ref: MethodRef) -> str:
    return f"({''.join(_parameters(ref))}){parse_method_descriptor(ref.descriptor).return_type}"


def _source(refs: list[MethodRef]) -> str:
    """Return a Java class that calls each method of the library."""
    names = {
        "Z": "boolean",
        "B": "byte",
        "S": "short",
        "C": "char",
        "I": "int",
        "J": "long",
        "F": "float",
        "D": "double",
        "V": "void",
        ";": "String",
    }
    lines = []
    for number, ref in enumerate(refs):
        proto = parse_method_descriptor(ref.descriptor)
        types = [names[item[-1]] + "[]" * item.count("[") for item in _parameters(ref)]
        returns = names[proto.return_type[-1]] + "[]" * proto.return_type.count("[")
        params = ", ".join(f"{item} p{place}" for place, item in enumerate(types))
        passed = ", ".join(f"p{place}" for place in range(len(types)))
        owner = ref.class_name[1:-1].replace("/", ".")
        if _is_of_instances(ref):
            owner, passed = "p0", passed.partition(",")[2]
        give = "" if returns == "void" else "return "
        lines.append(f"public static {returns} m{number}({params}) {{ {give}{owner}.{ref.name}({passed}); }}")
    return "package library;\npublic class All {\n" + "\n".join(lines) + "\n}\n"


def _dex(refs: list[MethodRef]) -> bytes:
    methods = []
    for number, ref in enumerate(refs):
        words = argument_words(_parameters(ref), is_static=True)
        kind = parse_method_descriptor(ref.descriptor).return_type
        suffix = "-wide" if kind in ("J", "D") else "-object" if kind[0] in "[L" else ""
        end = [("return-void",)] if kind == "V" else [(f"move-result{suffix}", 0), (f"return{suffix}", 0)]
        invoke = "invoke-virtual/range" if _is_of_instances(ref) else "invoke-static/range"
        code = Assembly(max(words, 2), [(invoke, (max(words, 2) - words, words), ref), *end])
        methods.append(MethodSource(f"m{number}", _descriptor(ref), ACC_PUBLIC | ACC_STATIC, code))
    builder = DexBuilder("035")
    builder.add(ClassSource("Llibrary/All;", ACC_PUBLIC, methods=tuple(methods)))
    return builder.build()


def test_each_method_of_the_library_does_what_the_class_library_does(tmp_path: Path) -> None:
    refs = list(PLAIN)
    (tmp_path / "All.java").write_text(_source(refs))
    run("javac", "-nowarn", "-d", tmp_path / "out", tmp_path / "All.java")
    methods = [MethodRef("Llibrary/All;", f"m{number}", _descriptor(ref)) for number, ref in enumerate(refs)]
    chance = random.Random(7)
    calls = [
        _small(random_call(method, chance), ref)
        for method, ref in zip(methods, refs, strict=True)
        for _ in range(CALLS)
    ]
    guest = Guest.of(_dex(refs), methods)
    for call, wanted in zip(calls, Jvm(tmp_path, str(tmp_path / "out")).run(calls), strict=True):
        ref = refs[int(call.method.name[1:])]
        found = _outcome(guest, call)
        is_undecided = found == "unreachable" and ref.name in UNDECIDED
        assert is_undecided or found == wanted, (ref, call.arguments)


def _outcome(guest: Guest, call: Call) -> str:
    """Return the outcome of a call; of one that traps, the trap."""
    try:
        return guest.call(call)
    except GuestTrap as trap:
        guest.renew()
        return trap.code


def _small(call: Call, ref: MethodRef) -> Call:
    """Keep the copies that a call makes small."""
    if ref.class_name == STRING:
        return _near(call)
    if not ref.name.startswith("copyOf"):
        return call
    numbers = [f"{int(text, 16) % 200:x}" for text in call.arguments[1:]]
    return Call(call.method, (call.arguments[0], *numbers))


def _near(call: Call) -> Call:
    """Keep most places that are asked for within a string or near it."""
    texts = []
    chance = random.Random(repr(call))
    kinds = parse_method_descriptor(call.method.descriptor).parameters
    for kind, text in zip(kinds, call.arguments, strict=True):
        is_place = kind == "I" and chance.random() < 0.9
        texts.append(
            f"{chance.choice((0, 1, 2, 3, 5, 40, 97, 0x1F600, -1)) & 0xFFFFFFFF:x}" if is_place else text
        )
    return Call(call.method, tuple(texts))
