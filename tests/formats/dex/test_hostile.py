"""Whatever the bytes are: a value, or FormatError; in time that is linear in the size of the file."""

from __future__ import annotations

import contextlib
import random
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from lawow.errors import FormatError, LawowError
from lawow.formats.dex import (
    Assembly,
    ClassSource,
    DexBuilder,
    MethodSource,
    collect_garbage,
    drop_classes,
    read_dex,
    transplant_class,
    verify_dex,
)
from lawow.formats.dex.spec import HEADER_BYTES, ItemType
from lawow.resources import android_stub
from tests.formats.dex.builders import dexdump, reseal
from tests.formats.dex.mutations import item_starts, mutations

COMPILED = (
    "LocalRuntime",
    "Offload",
    "RemoteCall$Stage",
    "RemoteInstances",
    "Text",
    "Trap",
    "ValueType",
    "Watchdog",
)


def exercise(data: bytes) -> None:
    """Do everything that can be done with a file. Each step may refuse it, with one kind of error only."""
    verify_dex(data)  # never raises
    steps = [look, drop_first, collect_garbage, rebuild]
    for step in steps:
        allowed = LawowError if step is rebuild else FormatError
        with contextlib.suppress(allowed):
            step(data)


def look(data: bytes) -> None:
    dex = read_dex(data)
    for view in dex.classes:
        with contextlib.suppress(FormatError):  # the next class may be sound
            view.descriptor, view.superclass, view.interfaces, view.source_file, view.annotations  # noqa: B018
            view.static_values  # noqa: B018
            dex.references_of(view)
            for member in (*view.fields, *view.methods):
                member.annotations  # noqa: B018
            for method in view.methods:
                method.parameter_annotations  # noqa: B018


def drop_first(data: bytes) -> None:
    dex = read_dex(data)
    names = dex.class_names()
    for name in names[:2]:
        collect_garbage(drop_classes(dex, [name]))


def rebuild(data: bytes) -> None:
    dex = read_dex(data)
    builder = DexBuilder()
    for name in dex.class_names():
        try:
            builder.add(transplant_class(dex, name))
        except LawowError:
            continue
    builder.build()


def test_a_file_cut_off_at_any_offset_is_refused(sample: bytes) -> None:
    for length in range(len(sample)):
        with pytest.raises(FormatError):
            read_dex(sample[:length])


def test_a_file_cut_off_at_any_offset_whose_header_says_so_raises_nothing_else(sample: bytes) -> None:
    for length in range(HEADER_BYTES, len(sample), 3):
        cut = bytearray(sample[:length])
        cut[0x20:0x24] = struct.pack("<I", length)
        exercise(reseal(cut))


@pytest.mark.slow
def test_every_field_set_to_every_extreme_raises_nothing_else(sample: bytes) -> None:
    for _, data in mutations(sample, most_items=2):
        exercise(data)


@pytest.mark.slow
def test_call_sites_and_handles_set_to_extremes_raise_nothing_else(dynamic: bytes) -> None:
    wanted = ("CALL_SITE_ID", "METHOD_HANDLE", "CODE_ITEM")
    for name, data in mutations(dynamic, most_items=2):
        if name.startswith(wanted):
            exercise(data)


def test_random_bytes_changed_raise_nothing_else(sample: bytes) -> None:
    """Numbers inside of LEB128 items are not fields with an address; chance finds them."""
    chance = random.Random(20)
    for _ in range(400):
        out = bytearray(sample)
        for _ in range(chance.choice((1, 1, 2, 8))):
            out[chance.randrange(HEADER_BYTES, len(out))] = chance.choice(
                (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
            )
        exercise(reseal(out))


@pytest.mark.parametrize(
    "item",
    [
        ItemType.CLASS_DATA_ITEM,
        ItemType.DEBUG_INFO_ITEM,
        ItemType.ANNOTATION_ITEM,
        ItemType.ENCODED_ARRAY_ITEM,
        ItemType.STRING_DATA_ITEM,
    ],
)
@pytest.mark.parametrize(
    "number", [b"\xff\xff\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80\x00"]
)
def test_overlong_leb128_is_refused(sample: bytes, item: ItemType, number: bytes) -> None:
    dex = read_dex(sample)
    start = dex.sections[item].offset + (item == ItemType.ANNOTATION_ITEM)
    out = bytearray(sample)
    out[start : start + len(number)] = number
    assert verify_dex(reseal(out))
    exercise(reseal(out))


@pytest.mark.slow
def test_everything_dexdump_refuses_is_an_issue(sample: bytes, dynamic: bytes, tmp_path: Path) -> None:
    """dexdump runs Android's verifier."""
    assert missed(mutations(sample, most_items=8), tmp_path) == []
    assert missed(mutations(dynamic, most_items=2), tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_everything_dexdump_refuses_in_compiled_classes_is_an_issue(name: str, tmp_path: Path) -> None:
    """What d8 makes of Java looks different from what smali makes of its text: debug_info, shared items."""
    stub = read_dex(android_stub("prebuilt", "lawow-stub.dex").read_bytes())
    builder = DexBuilder()
    builder.add(transplant_class(stub, f"Ldev/lawow/{name};"))
    data = builder.build()
    assert verify_dex(data) == []
    assert missed(mutations(data, most_items=2), tmp_path) == []


def missed(changed: Iterable[tuple[str, bytes]], folder: Path) -> list[str]:
    """Return what dexdump refuses and we do not. Its warnings ("W") are no refusals."""
    found = []
    for name, data in changed:
        if not verify_dex(data):
            said = dexdump(folder, data)
            if said and " W " not in said:
                found.append(f"{name}: {said.splitlines()[0]}")
    return found


def test_cyclic_superclasses_are_reported(sample: bytes) -> None:
    dex = read_dex(sample)
    builder = DexBuilder()
    builder.add(ClassSource("La;", superclass="Lb;"))
    builder.add(ClassSource("Lb;", superclass="Lc;"))
    builder.add(ClassSource("Lc;", interfaces=("La;",)))
    with pytest.raises(FormatError, match="inherits from itself"):
        builder.build()
    place = next(i for i, view in enumerate(dex.classes) if view.descriptor == "Lsample/Base;")
    row = dex.sections[ItemType.CLASS_DEF_ITEM].offset + 32 * place
    out = bytearray(sample)
    out[row + 8 : row + 12] = out[row : row + 4]  # its own superclass
    assert any(issue.kind == "order" for issue in verify_dex(reseal(out)))
    with pytest.raises(FormatError, match="inherits from itself"):
        rebuild(reseal(out))


def overlapping(classes: int, filler: int) -> bytes:
    """A file whose classes all point into one long run of bytes, each one byte further."""
    builder = DexBuilder()
    for number in range(classes):
        body = Assembly(1, [("return-void",)])
        builder.add(ClassSource(f"Lc{number};", methods=(MethodSource("m", "()V", 9, body),)))
    builder.add(
        ClassSource("Lz;", methods=tuple(MethodSource(f"m{n}", "()V", 0x101, None) for n in range(filler)))
    )
    data = bytearray(builder.build())
    dex = read_dex(bytes(data))
    last = dex.class_def("Lz;").definition.class_data_off
    section = dex.sections[ItemType.CLASS_DEF_ITEM].offset
    for number in range(classes):
        data[section + 32 * number + 24 : section + 32 * number + 28] = struct.pack("<I", last)
    return reseal(data)


@pytest.mark.parametrize("step", [look, drop_first, collect_garbage, rebuild, verify_dex])
def test_overlapping_items_cost_no_more_than_the_file_is_long(step: Callable[[bytes], object]) -> None:
    """2,000 classes that share 20,000 methods would be 40 million members."""
    data = overlapping(2_000, 20_000)
    start = time.process_time()
    with contextlib.suppress(LawowError):
        step(data)
    assert time.process_time() - start < 10


def test_values_nested_too_deeply_are_refused(sample: bytes) -> None:
    dex = read_dex(sample)
    section = dex.sections[ItemType.ENCODED_ARRAY_ITEM]
    out = bytearray(sample)
    out[section.offset :] = b"\x01" + b"\x1c\x01" * 5_000
    out[0x20:0x24] = struct.pack("<I", len(out))
    try:
        exercise(reseal(out))
    except RecursionError:
        pytest.fail("recursion is not bounded")


def test_item_starts_agree_with_the_map(sample: bytes) -> None:
    dex = read_dex(sample)
    assert len(item_starts(dex, ItemType.CODE_ITEM)) == dex.size_of(ItemType.CODE_ITEM)
