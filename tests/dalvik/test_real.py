"""The methods of a real app: translated, they do the same as on a JVM by way of enjarify."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from lawow.dalvik import Program, examine, translate
from lawow.formats.dex import (
    ACC_PUBLIC,
    ACC_STATIC,
    ClassSource,
    DexBuilder,
    MethodRef,
    copy_method,
    parse_method_descriptor,
    read_dex,
)
from lawow.formats.zip import read_zip
from lawow.limits import ARCHIVE
from tests.dalvik.judge import TEXT, Call, Guest, Jvm, agree, random_call
from tests.tools import enjarify

CALLS = 6
FEWEST_METHODS = 700


@pytest.fixture(scope="module")
def program(apidemos_apk: Path) -> Program:
    entries = read_zip(apidemos_apk.read_bytes()).entries
    return Program(
        [read_dex(item.read(ARCHIVE.dex_bytes)) for item in entries if item.name.endswith(b".dex")]
    )


@pytest.fixture(scope="module")
def methods(program: Program) -> list[MethodRef]:
    """All methods that can be translated with what they call."""
    views = [item for dex in program.dexes for view in dex.classes for item in view.methods]
    found = [examine(program, item.ref) for item in views if item.is_static and item.has_code]
    alone = [item.method for item in found if item.reason is None]
    return list(translate(program, alone).exports)


def closed(program: Program, roots: list[MethodRef]) -> list[MethodRef]:
    """Return methods with all that they call and without those that read static fields."""
    seen: dict[MethodRef, bool] = {}

    def is_closed(ref: MethodRef) -> bool:
        if ref not in seen:
            seen[ref] = True  # while it is looked at
            found = examine(program, ref)
            seen[ref] = not found.reads_statics and all(map(is_closed, found.callees))
        return seen[ref]

    return [ref for ref in roots if is_closed(ref)]


def dex_of(program: Program, methods: list[MethodRef]) -> bytes:
    """Return a dex file with copies of methods and what they call, all public, and nothing else."""
    waiting, wanted = list(methods), {}
    while waiting:
        ref = waiting.pop()
        if ref not in wanted:
            wanted[ref] = program.method(ref)
            waiting += examine(program, ref).callees
    classes: dict[str, list[MethodRef]] = {}
    for ref in wanted:
        for name in program.superclasses(
            ref.class_name
        ):  # a static method may be called by a subclass's name
            if program.class_view(name):
                classes.setdefault(name, [])
        classes[ref.class_name].append(ref)
    builder = DexBuilder("035")
    for name, refs in classes.items():
        copies = []
        for ref in refs:
            method = wanted[ref]
            assert method is not None
            copies.append(
                replace(
                    copy_method(method),
                    access_flags=ACC_PUBLIC | ACC_STATIC,
                    annotations=(),
                    parameter_annotations=(),
                )
            )
        view = program.class_view(name)
        parent = view.superclass if view and view.superclass in classes else "Ljava/lang/Object;"
        builder.add(ClassSource(name, ACC_PUBLIC, parent, methods=tuple(copies)))
    return builder.build()


def test_methods_of_a_real_app_do_the_same_as_on_a_jvm(
    program: Program, methods: list[MethodRef], tmp_path: Path
) -> None:
    chosen = [ref for ref in closed(program, methods) if has_plain_types(ref)]
    dex = dex_of(program, chosen)
    translation = translate(Program([read_dex(dex)]), chosen)
    chosen = list(translation.exports)
    assert len(chosen) > FEWEST_METHODS
    (tmp_path / "classes.dex").write_bytes(dex)
    jar = enjarify(tmp_path / "classes.dex", tmp_path / "methods.jar")
    chance = random.Random(20261128)
    calls = [small_call(method, chance) for method in chosen for _ in range(CALLS)]
    guest = Guest(translation)
    expected = Jvm(tmp_path, str(jar)).run(calls)
    for call, wanted in zip(calls, expected, strict=True):
        if "StackOverflowError" not in wanted:
            assert agree(guest.call(call), wanted), call.line()


def has_plain_types(ref: MethodRef) -> bool:
    """Tell whether a call can be written down: numbers, strings, arrays of numbers."""
    proto = parse_method_descriptor(ref.descriptor)
    return all(item == TEXT or item[-1] != ";" for item in (*proto.parameters, proto.return_type))


def small_call(method: MethodRef, chance: random.Random) -> Call:
    """Return a random call whose ints are small: some methods make arrays of that size."""
    call = random_call(method, chance)
    types = parse_method_descriptor(method.descriptor).parameters
    texts = [
        f"{int(text, 16) % 300:x}" if kind == "I" and int(text, 16) < 1 << 31 else text
        for kind, text in zip(types, call.arguments, strict=True)
    ]
    return Call(method, tuple(texts))
