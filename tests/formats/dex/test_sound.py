"""The quick half of verification believes nothing that the thorough half doubts; both work in linear time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

import lawow.formats.dex.verify as verification
from lawow.errors import FormatError
from lawow.formats.dex import (
    Assembly,
    ClassSource,
    Dex,
    DexBuilder,
    FieldSource,
    MethodSource,
    collect_garbage,
    drop_classes,
    read_dex,
    verify_dex,
)
from lawow.formats.dex.sound import is_sound
from tests.formats.dex.builders import reseal
from tests.formats.dex.mutations import mutations
from tests.work import MOST_GROWTH, calls_in

ELSEWHERE = {"checksum", "data", "link", "signature"}  # what verify_dex looks at in any case
SIZES = (50, 100, 200, 400)


@pytest.fixture
def thorough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave `verify_dex` without its quick half."""

    def never(dex: Dex) -> bool:
        return False

    monkeypatch.setattr(verification, "is_sound", never)


@pytest.fixture(scope="module")
def built(sample: bytes) -> bytes:
    """The sample as our own builder writes it: smali leaves an annotation set that nobody refers to."""
    builder = DexBuilder()
    builder.add_all(read_dex(sample))
    return builder.build()


def test_a_sound_file_needs_no_thorough_look(built: bytes) -> None:
    assert is_sound(read_dex(built))
    assert is_sound(read_dex(many_classes(20)))


def test_an_item_that_nobody_refers_to_is_reason_for_doubt_only(sample: bytes) -> None:
    assert not is_sound(read_dex(sample))
    assert verify_dex(sample) == []


@pytest.mark.slow
@pytest.mark.usefixtures("thorough")
def test_what_the_quick_half_believes_the_thorough_half_believes(built: bytes) -> None:
    wrong, believed = [], 0
    for name, data in mutations(built, most_items=4):
        try:
            dex = read_dex(data)
        except FormatError:
            continue
        if is_sound(dex):
            believed += 1
            issues = [issue for issue in verify_dex(data) if issue.kind not in ELSEWHERE]
            wrong += [f"{name}: {issue}" for issue in issues]
    assert wrong == []
    assert believed > 0


def test_dropping_and_collecting_at_once_leaves_the_same_classes(sample: bytes) -> None:
    gone = ["Lsample/Secret;"]
    at_once = read_dex(drop_classes(read_dex(sample), gone, keep_orphan_ids=False))
    in_turn = read_dex(collect_garbage(drop_classes(read_dex(sample), gone)))
    assert verify_dex(at_once.data) == []
    assert at_once.class_names() == in_turn.class_names()
    assert [str(method.ref) for view in at_once.classes for method in view.methods] == [
        str(method.ref) for view in in_turn.classes for method in view.methods
    ]
    assert [section[:2] for section in map(tuple_of, at_once.map_list)] == [
        section[:2] for section in map(tuple_of, in_turn.map_list)
    ]
    assert b"Lsample/Secret;" not in at_once.data


def tuple_of(section: object) -> tuple[object, object]:
    return getattr(section, "item", None), getattr(section, "size", None)


def many_classes(count: int) -> bytes:
    """A file whose every part grows with `count`: names with equal beginnings, a chain of superclasses."""
    builder = DexBuilder()
    for number in range(count):
        parent = f"Lcom/example/same/beginning/C{number - 1:06};" if number else "Ljava/lang/Object;"
        body = Assembly(1, [("const-string", 0, f"the same beginning {number:06}"), ("return-void",)])
        methods = tuple(MethodSource(f"method{place}", "()V", 0x9, body) for place in range(3))
        builder.add(
            ClassSource(
                f"Lcom/example/same/beginning/C{number:06};",
                superclass=parent,
                methods=methods,
                fields=(FieldSource("field", "I", 0x9),),
            )
        )
    return builder.build()


def drop_some(data: bytes) -> bytes:
    dex = read_dex(data)
    return drop_classes(dex, dex.class_names()[-3:], keep_orphan_ids=False)


@pytest.mark.parametrize("step", [drop_some, collect_garbage, verify_dex])
def test_work_grows_as_the_file_does(step: Callable[[bytes], object]) -> None:
    """Between sizes that double, work may at most grow with the power 1.2 of the size."""
    files = [many_classes(size) for size in SIZES]
    counts = [calls_in(partial(step, data)) for data in files]
    assert counts[-1] < counts[0] * (len(files[-1]) / len(files[0])) ** MOST_GROWTH


@pytest.mark.usefixtures("thorough")
def test_the_thorough_half_grows_as_the_file_does() -> None:
    test_work_grows_as_the_file_does(verify_dex)


def test_a_file_full_of_faults_is_told_in_linear_work() -> None:
    files = [bytearray(many_classes(size)) for size in SIZES[:3]]
    for data in files:
        dex = read_dex(bytes(data))
        for offset in dex.string_offsets:
            data[offset] ^= 1
    counts = [calls_in(partial(verify_dex, reseal(data))) for data in files]
    assert counts[-1] < counts[0] * (len(files[-1]) / len(files[0])) ** MOST_GROWTH
