"""Every instruction of Dalvik: translated, and then the same as on a JVM by way of enjarify, or refused by
name."""

from __future__ import annotations

import random
from array import array
from pathlib import Path

import pytest

from lawow.dalvik import Program, examine
from lawow.formats.dex import (
    ACC_PUBLIC,
    Body,
    ClassSource,
    DexBuilder,
    FieldRef,
    MethodRef,
    MethodSource,
    read_dex,
)
from lawow.formats.dex.opcodes import OPCODES, IndexKind
from lawow.formats.dex.source import Fixup
from tests.conftest import ROOT
from tests.dalvik.judge import Call, Guest, Jvm, random_call
from tests.dalvik.opcodes import OWNER, REFUSED, STATIC, build, cases
from tests.tools import enjarify

CALLS = 24
CASES = cases()


@pytest.fixture(scope="module")
def dex() -> bytes:
    return build()


@pytest.fixture(scope="module")
def calls() -> dict[str, list[Call]]:
    """Random calls of each case, always the same."""
    found = {}
    for name, method in CASES.items():
        chance = random.Random(name)
        count = CALLS if method.descriptor[1] != ")" else 1
        ref = MethodRef(OWNER, method.name, method.descriptor)
        found[name] = [random_call(ref, chance) for _ in range(count)]
    return found


@pytest.fixture(scope="module")
def expected(
    dex: bytes, calls: dict[str, list[Call]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("opcodes")
    path = folder / "classes.dex"
    path.write_bytes(dex)
    jar = enjarify(path, folder / "cases.jar")
    lines = iter(Jvm(folder, str(jar)).run([call for items in calls.values() for call in items]))
    return {name: [next(lines) for _ in items] for name, items in calls.items()}


@pytest.fixture(scope="module")
def guest(dex: bytes) -> Guest:
    return Guest.of(
        dex, dict.fromkeys(MethodRef(OWNER, item.name, item.descriptor) for item in CASES.values())
    )


def test_every_instruction_is_translated_or_refused() -> None:
    assert {*CASES, *REFUSED} == set(OPCODES)


@pytest.mark.parametrize("name", CASES)
def test_a_translated_instruction_does_what_it_does_on_a_jvm(
    name: str, guest: Guest, calls: dict[str, list[Call]], expected: dict[str, list[str]]
) -> None:
    for call, wanted in zip(calls[name], expected[name], strict=True):
        assert guest.call(call) == wanted, call.line()


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_instruction_is_named_with_the_reason(name: str) -> None:
    opcode = OPCODES[name]
    # Registers 0; every index is that of the one thing there is of its kind.
    units = array("H", [opcode.value, *[0] * (opcode.units - 1), 0x000E])
    kinds = {
        IndexKind.TYPE: "Ljava/lang/Object;",
        IndexKind.FIELD: FieldRef("Lcases/A;", "x", "I"),
        IndexKind.METHOD: MethodRef("Lcases/A;", "f", "()V"),
    }
    fixups = (Fixup(1, opcode.index, kinds[opcode.index]),) if opcode.index in kinds else ()
    body = Body(4, 0, 0, units, fixups)
    builder = DexBuilder("039")
    builder.add(ClassSource("Lcases/R;", ACC_PUBLIC, methods=(MethodSource("f", "()V", STATIC, body),)))
    method = MethodRef("Lcases/R;", "f", "()V")
    reason = examine(Program([read_dex(builder.build())]), method).reason
    assert reason is not None
    assert reason.reason.startswith(REFUSED[name])
    assert (reason.instruction, reason.offset, reason.method) == (name, 0, method)


def test_the_guide_has_the_table(dex: bytes) -> None:
    guide = Path(ROOT, "docs", "dalvik.md").read_text()
    missing = [name for name in OPCODES if f"`{name}`" not in guide]
    assert not missing
