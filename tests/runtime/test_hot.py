"""The numbers of the start path are those of `lawow.limits`."""

from __future__ import annotations

import dataclasses

import pytest

from lawow import limits
from lawow.runtime import hot


@pytest.mark.parametrize("group", hot.__all__)
def test_the_start_path_has_the_numbers_of_limits(group: str) -> None:
    truth = dataclasses.asdict(getattr(limits, group))
    copy = {name: value for name, value in vars(getattr(hot, group)).items() if not name.startswith("_")}
    assert copy == truth
