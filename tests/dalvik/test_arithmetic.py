"""What is computed at translation time is what translated code computes, which the JVM judges elsewhere."""

from __future__ import annotations

import math
import random
import struct

import pytest

from lawow.dalvik.arithmetic import binary, compare, convert, narrowed, negated
from lawow.formats.dex import MethodRef
from tests.dalvik.judge import Guest, random_call
from tests.dalvik.opcodes import OWNER, build, cases

CALLS = 60
HEADS = (
    "add",
    "sub",
    "mul",
    "div",
    "rem",
    "and",
    "or",
    "xor",
    "shl",
    "shr",
    "ushr",
    "neg",
    "not",
    "cmp",
    "cmpl",
    "cmpg",
)
CASES = {
    name: item
    for name, item in cases().items()
    if "/" not in name and (name.partition("-")[0] in HEADS or "-to-" in name)
}


@pytest.fixture(scope="module")
def guest() -> Guest:
    return Guest.of(build(), [MethodRef(OWNER, item.name, item.descriptor) for item in CASES.values()])


@pytest.mark.parametrize("name", CASES)
def test_bits_are_those_of_translated_code(name: str, guest: Guest) -> None:
    method = MethodRef(OWNER, CASES[name].name, CASES[name].descriptor)
    chance = random.Random(name)
    kinds = method.descriptor[1:].partition(")")[0]
    for _ in range(CALLS):
        call = random_call(method, chance)
        values = [
            narrowed(int(text, 16), 64 if kind in "JD" else 32)
            for kind, text in zip(kinds, call.arguments, strict=True)
        ]
        assert guest.call(call) == outcome(name, values, method.descriptor[-1]), call.line()


def outcome(name: str, values: list[int], kind: str) -> str:
    """Return what the module says, as the judge prints outcomes."""
    try:
        bits = computed(name, values)
    except ZeroDivisionError:
        return "throws java.lang.ArithmeticException"
    width = 64 if kind in "JD" else 32
    if kind in "FD":
        letter = "d" if kind == "D" else "f"
        (value,) = struct.unpack(f"<{letter}", bits.to_bytes(width // 8, "little", signed=True))
        if math.isnan(value):
            return "ok nan"
    return f"ok {bits & (1 << width) - 1:x}"


def computed(name: str, values: list[int]) -> int:
    """Compute an instruction."""
    if "-to-" in name:
        return convert(name, values[0])
    if name.startswith("cmp"):
        return compare(name, *values)
    return negated(name, values[0]) if len(values) == 1 else binary(name, *values)
