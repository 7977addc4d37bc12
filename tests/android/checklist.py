"""What every runtime of the device is held to: the tests of wasmtime's glue that do not depend on it.

A runtime's tests import all of it, and bring a `local_jvm` of their own.
"""

# ruff: noqa: F401

from __future__ import annotations

from tests.android.builders import Jvm, Sample
from tests.android.test_local_runtime import (
    TRAPS,
    test_a_module_that_is_missing_or_another_is_refused,
    test_an_instance_is_initialised_once_and_its_output_is_passed_on,
    test_calls_of_one_thread_find_the_same_instance,
    test_calls_that_do_not_fit_say_what_is_wrong,
    test_eight_threads_call_one_module_at_once,
    test_fuel_ends_a_call,
    test_memory_stops_at_the_cap,
    test_no_result_one_and_several,
    test_output_is_kept_up_to_64_kib_and_a_guest_that_exits_traps,
    test_the_deadline_ends_a_guest_that_spins_and_only_that_one,
    test_values_of_all_four_types_cross_unchanged,
)
from tests.android.test_local_values import (
    assets,
    test_a_module_does_what_the_program_does,
    test_no_address_of_a_guest_is_believed,
)
from tests.android.test_modules import test_modules_and_instances_do_what_their_javadoc_says
from tests.android.test_resilience import (
    edge,
    test_a_guest_that_runs_here_is_stopped_when_the_edge_has_answered,
)


def test_each_trap_has_its_name_and_calls_go_on_afterwards(local_jvm: Jvm, calls_module: Sample) -> None:
    lines = [("local", calls_module.name, export, sig, *values) for export, sig, values, _ in TRAPS]
    answers = local_jvm.calls(*lines, ("local", calls_module.name, "fib", "I>I", 10))
    assert [answer.split()[:2] for answer in answers] == [
        *(["trap", code] for *_, code in TRAPS),
        ["ok", "55"],
    ]
