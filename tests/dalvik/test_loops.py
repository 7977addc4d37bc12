"""Which loops run without checks: those that count upwards to a limit and index linearly, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.dalvik import Program
from lawow.dalvik.loops import Plan, find_plans
from lawow.dalvik.methods import Analysis, analyse
from lawow.dalvik.vectors import find_vector
from lawow.formats.dex import MethodRef, read_dex
from tests.dalvik.judge import Call, Guest, Jvm


@pytest.mark.parametrize(
    ("name", "arrays", "checks"),
    [
        ("scale", 1, 1),
        ("axpy", 2, 2),
        ("upTo", 1, 1),
        ("byTwo", 1, 1),
        ("strided", 1, 2),
        ("shifted", 1, 4),
        ("product", 1, 2),
        ("indirect", 1, 1),
        ("best", 1, 1),
        ("nested", 1, 1),
        ("calls", 1, 1),
    ],
)
def test_a_loop_that_counts_upwards_is_checked_before_it_starts(
    kernels: bytes, name: str, arrays: int, checks: int
) -> None:
    (plan,) = plans_of(kernels, name)
    assert (len({access.array for access in plan.accesses}), len(plan.accesses)) == (arrays, checks)


@pytest.mark.parametrize(
    "name", ["backwards", "find", "skips", "afterwards", "limitMoves", "changesArray", "caught"]
)
def test_a_loop_of_another_kind_keeps_its_checks(kernels: bytes, name: str) -> None:
    assert not plans_of(kernels, name)


@pytest.mark.parametrize(
    ("name", "loops"),
    [
        ("scale", 1),
        ("axpy", 1),
        ("ofRows", 1),
        ("handedOn", 1),
        ("shiftedDoubles", 1),
        ("byTwo", 0),
        ("upTo", 0),
    ],
)
def test_turns_that_have_nothing_to_do_with_each_other_run_two_at_once(
    kernels: bytes, name: str, loops: int
) -> None:
    analysis = analysis_of(kernels, name)
    plans = find_plans(analysis.graph, analysis.flow).values()
    assert sum(find_vector(plan, analysis.graph, analysis.flow) is not None for plan in plans) == loops


def test_any_number_of_turns_is_the_same_as_on_a_jvm(kernels: bytes, classes: Path) -> None:
    numbers = [
        "7ff8000000000000",
        "7ff0000000000000",
        "8000000000000000",
        "4008000000000000",
        "3fb999999999999a",
    ]
    row = "[" + ",".join(numbers * 3)
    calls = []
    for n in (*range(12), 15, 16):
        calls += [
            Call(loops_method("scale", "([DID)V"), (row, f"{n:x}", numbers[4])),
            Call(loops_method("handedOn", "([D[DI)D"), (row, row, f"{n:x}")),
            Call(loops_method("handedOn", "([D[DI)D"), (row, "=0", f"{n:x}")),
            Call(loops_method("ofRows", "([[D[DID)V"), (f"{{{row[: 1 + 17 * n]}", row, "0", numbers[3])),
        ]
        for start in (0, 1, 3):
            calls += [
                Call(loops_method("axpy", "(ID[DI[DI)V"), (f"{n:x}", numbers[4], row, f"{start}", other, "2"))
                for other in (row, "=2")
            ]
            calls += [
                Call(loops_method("shiftedDoubles", "([D[DII)V"), (row, other, f"{n:x}", f"{start}"))
                for other in (row, "=0")
            ]
    guest = Guest.of(kernels, dict.fromkeys(call.method for call in calls))
    expected = Jvm(classes.parent, str(classes)).run(calls)
    for call, wanted in zip(calls, expected, strict=True):
        assert guest.call(call) == wanted, call.line()


def loops_method(name: str, descriptor: str) -> MethodRef:
    return MethodRef("Lkernels/Loops;", name, descriptor)


def analysis_of(dex: bytes, name: str) -> Analysis:
    program = Program([read_dex(dex)])
    views = program.dexes[0].class_def("Lkernels/Loops;").methods
    return analyse(program, next(item.ref for item in views if item.name == name))


def plans_of(dex: bytes, name: str) -> list[Plan]:
    analysis = analysis_of(dex, name)
    return list(find_plans(analysis.graph, analysis.flow).values())
