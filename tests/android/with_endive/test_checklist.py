"""What every runtime of the device is held to, over the interpreter in Java."""

from __future__ import annotations

from tests.android.builders import Jvm, Sample
from tests.android.checklist import *  # noqa: F403  # one list for all runtimes


def test_an_app_without_the_library_says_what_to_add(jvm: Jvm, calls_module: Sample) -> None:
    answer = jvm.with_properties(local="java").calls(("local", calls_module.name, "fib", "I>I", 1))[0]
    assert answer.startswith("error IllegalStateException dev.lawow.EndiveEngine is not in this app")


def test_an_engine_that_is_set_is_refused(local_jvm: Jvm, calls_module: Sample) -> None:
    answer = local_jvm.with_properties(engine="pulley").calls(("local", calls_module.name, "fib", "I>I", 1))[
        0
    ]
    assert answer.startswith("error IllegalStateException engine: is set")
