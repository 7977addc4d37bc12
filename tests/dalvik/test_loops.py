"""Which loops run without checks: those that count upwards to a limit and index linearly, and no others."""

from __future__ import annotations

import pytest

from lawow.dalvik import Program
from lawow.dalvik.loops import Plan, find_plans
from lawow.dalvik.methods import analyse
from lawow.formats.dex import read_dex


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


def plans_of(dex: bytes, name: str) -> list[Plan]:
    program = Program([read_dex(dex)])
    views = program.dexes[0].class_def("Lkernels/Loops;").methods
    analysis = analyse(program, next(item.ref for item in views if item.name == name))
    return list(find_plans(analysis.graph, analysis.flow).values())
