"""What every runtime of the device is held to, over WasmEdge: the tests are those of wasmtime's glue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.android.builders import Jvm, Sample
from tests.android.checklist import *  # noqa: F403  # one list for all runtimes
from tests.android.test_local_runtime import (
    test_a_bad_setting_is_named_and_a_good_one_may_follow,  # noqa: F401
)
from tests.android.test_modules import test_ten_thousand_traps_leave_no_memory_behind  # noqa: F401


@pytest.mark.parametrize("place", ["library", "wasmtime"])
def test_a_missing_library_is_named(local_jvm: Jvm, calls_module: Sample, place: str) -> None:
    broken = local_jvm.with_properties(**{place: "/nowhere/lib.so"})
    assert "/nowhere/lib.so" in broken.calls(("local", calls_module.name, "fib", "I>I", 1))[0]


def test_another_runtime_is_refused_by_the_function_that_it_lacks(
    local_jvm: Jvm, calls_module: Sample, host_glue: object
) -> None:
    foreign = local_jvm.with_properties(wasmtime=host_glue)
    answer = foreign.calls(("local", calls_module.name, "fib", "I>I", 1))[0]
    assert answer.endswith("it lacks the function WasmEdge_VersionGet")


def test_a_module_that_pack_has_not_prepared_is_refused(
    jvm: Jvm, local_jvm: Jvm, calls_module: Sample
) -> None:
    """Without the file beside it there is no limit of the stack."""
    bare = replace(local_jvm, class_path=jvm.class_path)
    answer = bare.calls(("local", calls_module.name, "recurse", "I>I", 0))[0]
    assert answer.startswith(
        "error IllegalStateException calls.wasm: WasmEdge runs only what `lawow pack` has prepared"
    )
