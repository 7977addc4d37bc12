"""What a call's arguments say of its size: elements first, numbers where there is nothing else."""

from __future__ import annotations

import pytest

from lawow.device.tracing import LARGEST, size_and_bytes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), (0.0, 0)),
        ((7, -32), (32.0, 16)),
        ((b"abcd", 500), (4.0, 12)),
        (("text", [1, 2, 3]), (7.0, 28)),
        ((10**400, float("nan"), float("-inf")), (LARGEST, 24)),
    ],
)
def test_a_call_is_as_large_as_its_lists_or_else_its_largest_number(
    values: tuple[object, ...], expected: tuple[float, int]
) -> None:
    assert size_and_bytes(values) == expected
