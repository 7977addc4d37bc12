"""Modules and instances of the public Java API. What is checked stands in Modules.java."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.android.builders import Jvm

SCENARIOS = ("state", "memory", "limits", "host", "exceptions", "reentry", "output", "closing", "threads")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_modules_and_instances_do_what_their_javadoc_says(local_jvm: Jvm, scenario: str) -> None:
    assert local_jvm.run("Modules", scenario) == "all good\n"


def test_ten_thousand_traps_leave_no_memory_behind(local_jvm: Jvm) -> None:
    """Each in an instance of its own. The last half may grow by less than 256 bytes a trap, as noise does."""
    small = replace(local_jvm, options=(*local_jvm.options, "-Xmx32m", "-Xmn4m"))
    lines = small.run("Modules", "traps", "10000").splitlines()
    kib = [int(line) for line in lines[:-1]]
    assert lines[-1] == "all good"
    assert len(kib) == 10
    assert kib[9] - kib[4] < 5000 * 256 // 1024, kib
