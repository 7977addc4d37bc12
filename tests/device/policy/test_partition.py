"""The minimum cut is the cheapest partition: compared with all partitions there are."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.device.policy.partition import remote_part
from lawow.errors import UsageError

NAMES = ("a", "b", "c", "d", "e")
COST = st.integers(0, 20).map(float)
TABLE = st.fixed_dictionaries(dict.fromkeys(NAMES, COST))


def total(
    away: frozenset[str],
    local: dict[str, float],
    remote: dict[str, float],
    transfers: dict[tuple[str, str], float],
) -> float:
    runs = sum(remote[name] if name in away else local[name] for name in NAMES)
    return runs + sum(cost for (one, two), cost in transfers.items() if (one in away) != (two in away))


@settings(max_examples=150, deadline=None)
@given(TABLE, TABLE, st.fixed_dictionaries(dict.fromkeys(combinations(NAMES, 2), COST)))
def test_no_partition_is_cheaper(
    local: dict[str, float], remote: dict[str, float], transfers: dict[tuple[str, str], float]
) -> None:
    away = remote_part(local, remote, transfers, frozenset("a"))
    others = chain.from_iterable(combinations(NAMES[1:], count) for count in range(len(NAMES)))
    least = min(total(frozenset(other), local, remote, transfers) for other in others)
    assert "a" not in away
    assert total(away, local, remote, transfers) == pytest.approx(least)


@settings(max_examples=150, deadline=None)
@given(TABLE, TABLE, st.lists(st.sampled_from(list(combinations(NAMES, 2))), max_size=5))
def test_followers_go_along_and_no_partition_of_that_kind_is_cheaper(
    local: dict[str, float], remote: dict[str, float], followers: list[tuple[str, str]]
) -> None:
    away = remote_part(local, remote, {}, frozenset("a"), followers)
    others = (
        frozenset(other)
        for count in range(len(NAMES))
        for other in combinations(NAMES[1:], count)
        if all(second in other or first not in other for first, second in followers)
    )
    least = min(total(other, local, remote, {}) for other in others)
    assert all(second in away or first not in away for first, second in followers)
    assert total(away, local, remote, {}) == pytest.approx(least)


def test_a_cost_that_is_missing_or_negative_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a cost"):
        remote_part({"a": 1.0}, {}, {})
    with pytest.raises(UsageError, match="0 or more"):
        remote_part({"a": -1.0}, {"a": 1.0}, {})
