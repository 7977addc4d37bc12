"""The runtime inside the app, on a JVM with the same glue built for this machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.android.builders import Jvm, Sample


def test_values_of_all_four_types_cross_unchanged(local_jvm: Jvm, calls_module: Sample) -> None:
    name = calls_module.name
    cases = [
        ("echo_i", "i>i", "-2147483648", "-2147483648"),
        ("echo_i", "i>i", "-1", "-1"),
        ("echo_I", "I>I", "-9223372036854775808", "-9223372036854775808"),
        ("echo_f", "f>f", "-0.0", "-0.0"),
        ("echo_f", "f>f", "3.4028235E38", "3.4028235E38"),
        ("echo_F", "F>F", "NaN", "NaN"),
        ("echo_F", "F>F", "-1.7976931348623157E308", "-1.7976931348623157E308"),
    ]
    answers = local_jvm.calls(*(("local", name, export, sig, value) for export, sig, value, _ in cases))
    assert answers == [f"ok {want}" for _, _, _, want in cases]


def test_no_result_one_and_several(local_jvm: Jvm, calls_module: Sample) -> None:
    name = calls_module.name
    assert local_jvm.calls(
        ("local", name, "nothing", ">"),
        ("local", name, "fib", "I>I", 20),
        ("local", name, "mix", "iIfF>F", 1, 2, 0.5, 0.25),
        ("local", name, "swap", "iF>Fi", 7, 1.5),
    ) == ["ok null", "ok 6765", "ok 3.75", "ok [1.5, 7]"]


TRAPS = [
    ("div", "ii>i", (1, 0), "integer-divide-by-zero"),
    ("div", "ii>i", (-2147483648, -1), "integer-overflow"),
    ("trunc", "F>i", ("NaN",), "bad-conversion-to-integer"),
    ("load", "i>i", (-4,), "memory-out-of-bounds"),
    ("load", "i>i", (65533,), "memory-out-of-bounds"),
    ("unreach", ">", (), "unreachable"),
    ("recurse", "I>I", (0,), "stack-overflow"),
    ("indirect", "i>", (0,), "bad-signature"),
    ("indirect", "i>", (1,), "indirect-call-to-null"),
    ("indirect", "i>", (2,), "table-out-of-bounds"),
]


@pytest.mark.parametrize("engine", ["native", "pulley"])
def test_each_trap_has_its_name_and_calls_go_on_afterwards(
    local_jvm: Jvm, calls_module: Sample, engine: str
) -> None:
    name = calls_module.name
    lines = [("local", name, export, sig, *values) for export, sig, values, _ in TRAPS]
    answers = local_jvm.with_properties(engine=engine).calls(*lines, ("local", name, "fib", "I>I", 10))
    assert [answer.split()[:2] for answer in answers[:-1]] == [["trap", code] for *_, code in TRAPS]
    assert answers[-1] == "ok 55"
    assert (
        answers[0] == "trap integer-divide-by-zero calls.wasm: div: the guest trapped: integer divide by zero"
    )


def test_trap_names_are_those_of_the_python_side(local_jvm: Jvm) -> None:
    from lawow.runtime.wasmtime_engine import TRAP_CODES

    assert {code for *_, code in TRAPS} <= set(TRAP_CODES)
    source = (Path(__file__).parents[2] / "android_stub/java/dev/lawow/Trap.java").read_text()
    table = source[source.index("CODES = {") : source.index("};")]
    assert table.split('"')[1::2] == list(TRAP_CODES)


def test_calls_that_do_not_fit_say_what_is_wrong(local_jvm: Jvm, calls_module: Sample) -> None:
    name = calls_module.name
    answers = local_jvm.calls(
        ("local", name, "fibb", "I>I", 1),
        ("local", name, "memory", ">"),
        ("local", name, "fib", "i>i", 1),
        ("local", name, "fib", "I>", 1),
        ("local", name, "fib", "I>I"),
        ("local", name, "fib", "I>I", "i:1"),
        ("local", name, "fib", "x>I"),
        ("local", "calls.wasm", "fib", "I>I", 1),
        ("local", f"../{name}", "fib", "I>I", 1),
    )
    assert {answer.split()[1] for answer in answers} == {"IllegalArgumentException"}
    ends = [
        "exports no function of this name",
        "exports no function of this name",
        "has another signature",
        "has another signature",
        "takes 1 arguments, 0 were given",
        "cannot be Integer",
        "not a signature: x>I",
        "not a module name: calls.wasm",
        f"not a module name: ../{name}",
    ]
    assert [answer.endswith(end) for answer, end in zip(answers, ends, strict=True)] == [True] * len(ends)


def test_a_module_that_is_missing_or_another_is_refused(local_jvm: Jvm, calls_module: Sample) -> None:
    missing, other = local_jvm.calls(
        ("local", f"gone.wasm@{calls_module.digest}", "fib", "I>I", 1),
        ("local", f"calls.wasm@{'0' * 64}", "fib", "I>I", 1),
    )
    assert missing.startswith("error IllegalStateException gone.wasm: not among this app's assets")
    assert other.startswith("error IllegalStateException calls.wasm: SHA-256 is")


def test_an_instance_is_initialised_once_and_its_output_is_passed_on(
    local_jvm: Jvm, wasi_module: Sample
) -> None:
    text = local_jvm.run(
        "Driver",
        stdin=f"local\t{wasi_module.name}\thello\ti>\t1\nlocal\t{wasi_module.name}\tready\t>i\n",
    )
    assert text.splitlines() == ["hello from wasi", "ok null", "ok 1"]


def test_output_is_kept_up_to_64_kib_and_a_guest_that_exits_traps(
    local_jvm: Jvm, wasi_module: Sample
) -> None:
    text = local_jvm.run(
        "Driver",
        stdin=f"local\t{wasi_module.name}\thello\ti>\t10000\nlocal\t{wasi_module.name}\tleave\ti>\t7\n",
    )
    assert text.count("hello") == 64 * 1024 // 16
    assert text.splitlines()[-1] == "trap exit wasi.wasm: leave: the guest ended itself with status 7"


def test_memory_stops_at_the_cap(local_jvm: Jvm, calls_module: Sample) -> None:
    name = calls_module.name
    grow = [("local", name, "grow", "i>i", pages) for pages in (1, 100)]
    assert local_jvm.with_properties(memory_bytes=4 << 16).calls(*grow) == ["ok 1", "ok -1"]
    assert local_jvm.calls(("local", name, "grow", "i>i", 4096)) == ["ok -1"]  # 256 MiB and one page
    assert local_jvm.calls(("local", name, "grow", "i>i", 4095)) == ["ok 1"]


def test_the_deadline_ends_a_guest_that_spins_and_only_that_one(local_jvm: Jvm, calls_module: Sample) -> None:
    name = calls_module.name
    start = time.monotonic()
    answers = local_jvm.with_properties(timeout_seconds=1).calls(
        ("local", name, "spin", ">"), ("local", name, "fib", "I>I", 20), ("local", name, "spin", ">")
    )
    assert [answer.split()[1] for answer in answers] == ["interrupt", "6765", "interrupt"]
    assert 2.0 <= time.monotonic() - start < 10


def test_fuel_ends_a_call(local_jvm: Jvm, calls_module: Sample) -> None:
    name = calls_module.name
    lines = [
        ("local", name, "spin", ">"),
        ("local", name, "fib", "I>I", 10),
        ("local", name, "fib", "I>I", 10),
    ]
    answers = local_jvm.with_properties(fuel=10_000).calls(*lines)
    assert [answer.split()[1] for answer in answers] == ["out-of-fuel", "55", "55"]


@pytest.mark.parametrize("options", [{}, {"timeout_seconds": 60}], ids=["plain", "deadlines"])
def test_eight_threads_call_one_module_at_once(
    local_jvm: Jvm, calls_module: Sample, options: dict[str, object]
) -> None:
    assert local_jvm.with_properties(**options).run("Concurrency", calls_module.name) == "1600 of 1600\n"


def test_calls_of_one_thread_find_the_same_instance(local_jvm: Jvm, calls_module: Sample) -> None:
    """No promise, but what makes a warm call cheap: a trap alone costs the instance."""
    name = calls_module.name
    count = ("local", name, "count", ">i")
    assert local_jvm.calls(count, count, ("local", name, "unreach", ">"), count)[1::2] == ["ok 2", "ok 1"]


def test_a_missing_or_foreign_runtime_is_named(jvm: Jvm, host_glue: Path, calls_module: Sample) -> None:
    line = ("local", calls_module.name, "fib", "I>I", 1)
    assert "liblawow cannot be loaded" in jvm.calls(line)[0]
    missing = jvm.with_properties(library=host_glue, wasmtime="/nowhere/libwasmtime.so").calls(line)[0]
    assert missing.startswith(
        "error IllegalStateException the WebAssembly runtime: /nowhere/libwasmtime.so: cannot open"
    )
    foreign = jvm.with_properties(library=host_glue, wasmtime=host_glue).calls(line)[0]
    assert foreign.endswith("is not version 50.0, for which this app was packed")


UNFIT_SETTINGS = (
    ("fuel", "many", "found many, allowed is a whole number above 0"),
    ("engine", "v8", "found v8, allowed is native or pulley"),
    ("timeout.seconds", "86401", "found 86401, allowed is 1 to 86400"),
    ("memory.bytes", "0", "found 0, allowed is 1 to 9223372036854775807"),
)


def test_a_bad_setting_is_named_and_a_good_one_may_follow(local_jvm: Jvm, calls_module: Sample) -> None:
    call = ("local", calls_module.name, "nothing", ">")
    lines: list[tuple[str, ...]] = []
    for key, value, _ in UNFIT_SETTINGS:
        lines += [("set", key, value), call, ("set", key, "")]
    answers = local_jvm.calls(*lines, call)
    assert answers[1::3] == [f"error IllegalStateException {key}: {text}" for key, _, text in UNFIT_SETTINGS]
    assert answers[-1] == "ok null"
