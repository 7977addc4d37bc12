"""`WasmModule` and `WasmInstance` on a JVM with this machine's glue. What is checked stands in Modules.java."""

from __future__ import annotations

import pytest

from tests.android.builders import Jvm

SCENARIOS = ("state", "memory", "limits", "host", "exceptions", "reentry", "output", "closing", "threads")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_modules_and_instances_do_what_their_javadoc_says(local_jvm: Jvm, scenario: str) -> None:
    assert local_jvm.run("Modules", scenario) == "all good\n"
