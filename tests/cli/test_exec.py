"""``lawow exec`` from the shell: results, errors with their exit codes, limits, and how little it loads."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from lawow.formats.bundle import BoundMethod, Origin, build_bundle
from lawow.formats.zip import make_entry, write_zip
from tests.runtime.builders import FIBONACCI, empty_functions, judge_call, name, section, wat
from tests.runtime.test_engine import TRAPS, trapping

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = ROOT / "fixtures" / "app" / "src" / "main" / "wasm"

MIXED = """
(module
  (func (export "i32") (param i32) (result i32) local.get 0)
  (func (export "i64") (param i64) (result i64) local.get 0)
  (func (export "f32") (param f32) (result f32) local.get 0)
  (func (export "f64") (param f64) (result f64) local.get 0)
  (func (export "four") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    local.get 3 local.get 2 local.get 1 local.get 0)
  (func (export "none"))
  (func (export "vector") (param v128))
  (func (export "spin") (loop (br 0))))
"""

SPEAKER = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "hi \\1b[31m\\n")
  (func $say (export "say") (param $to i32) (result i32)
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 9))
    (drop (call $write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.const 7))
  (func (export "flood") (param $times i32) (local $i i32)
    (i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 65536))
    (loop $again
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 70000)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $times)))))
  (func (export "leave") (param i32) (call $exit (local.get 0))))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lawow(tmp_path: Path) -> Run:
    """Run the console script's entry point in `tmp_path`, with a cache of its own."""

    def run(*arguments: str, stdin: int | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lawow", *arguments],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
    }


def settle(path: Path, data: bytes) -> str:
    """Write a file and wait until the cache may recognise it by its times."""
    path.write_bytes(data)
    time.sleep(0.12)
    return path.name


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    return settle(tmp_path / "mixed.wasm", wat(MIXED))


@pytest.fixture
def speaker(tmp_path: Path) -> str:
    return settle(tmp_path / "speaker.wasm", wat(SPEAKER))


def outputs(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("module", "export", "argument"),
    [("fibonacci", "fib", 20), ("matrix", "multiply", 30), ("insertion_sort", "sort", 300)],
)
def test_the_modules_of_the_demo_answer_as_the_engines_own_package_does(
    lawow: Run, module: str, export: str, argument: int
) -> None:
    path = MODULES / f"{module}.wasm"
    (expected,) = judge_call(path.read_bytes(), export, argument)
    for _ in range(2):  # compiled, then from the cache
        assert outputs(lawow("exec", str(path), export, str(argument))) == (0, f"{expected}\n", "")


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["i32", "-5"], "-5\n"),
        (["i32", "0xffffffff"], "-1\n"),
        (["i32", "4294967295"], "-1\n"),
        (["i64", "18446744073709551615"], "-1\n"),
        (["i64", "-9223372036854775808"], "-9223372036854775808\n"),
        (["f64", "-.5"], "-0.5\n"),
        (["f64", "-7"], "-7.0\n"),
        (["f64", "1e300"], "1e+300\n"),
        (["f32", "0.1"], "0.1\n"),
        (["f64", "-inf"], "-inf\n"),
        (["f64", "nan"], "nan\n"),
        (["f32", "0x1.8p1"], "3.0\n"),
        (["four", "-1", "-2", "-3.5", "-4"], "-4.0\n-3.5\n-2\n-1\n"),
        (["none"], ""),
    ],
)
def test_arguments_of_every_type_and_results_one_per_line(
    lawow: Run, mixed: str, arguments: Sequence[str], printed: str
) -> None:
    assert outputs(lawow("exec", mixed, *arguments)) == (0, printed, "")
    assert outputs(lawow("exec", "--no-cache", mixed, *arguments)) == (0, printed, "")


def test_json_gives_results_signature_seconds_and_memory(lawow: Run, mixed: str) -> None:
    done = lawow("exec", mixed, "four", "1", "9007199254740993", "0.1", "nan", "--json")
    report = json.loads(done.stdout)
    assert report["results"] == ["NaN", 0.1, "9007199254740993", 1]
    assert report["signature"] == "iIfF>FfIi"
    assert report["wit"] == "four: func(p0: s32, p1: s64, p2: f32, p3: f64) -> tuple<f64, f32, s64, s32>"
    assert set(report["seconds"]) == {"transfer", "prepare", "run"}
    assert all(0 <= value < 60 for value in report["seconds"].values())
    assert 1 << 20 < report["peak_memory_bytes"] < 1 << 30
    assert report["guest_memory_bytes"] == 0


def test_time_prints_the_three_parts_and_the_peak_on_standard_error(lawow: Run, mixed: str) -> None:
    done = lawow("exec", "--time", mixed, "i32", "5")
    assert done.stdout == "5\n"
    for part in ("transfer ", "prepare ", "run ", "peak memory of the process "):
        assert part in done.stderr


def test_without_an_export_the_exports_are_listed(lawow: Run, mixed: str) -> None:
    done = lawow("exec", mixed)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["i32", "(i32)", "->", "i32", "i32:", "func(p0:", "s32)", "->", "s32"]
    assert any(line.startswith("vector") and "cannot be called" in line for line in lines)
    listed = json.loads(lawow("exec", mixed, "--json").stdout)["modules"]["mixed.wasm"]
    assert [item["signature"] for item in listed[:2]] == ["i>i", "I>I"]
    assert listed[6] == {
        "name": "vector",
        "type": "(v128) -> ()",
        "signature": None,
        "wit": "vector: func(p0: v128)",
    }


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["i3", "1"], 2, "no exported function is named 'i3' (did you mean i32?)"),
        (["i32"], 2, "i32 takes 1 argument, 0 given"),
        (["i32", "x"], 2, "argument 1 is 'x', which is no i32"),
        (["i32", "4294967296"], 2, "allowed are -2147483648 to 4294967295"),
        (["vector", "1"], 2, "cannot be called from outside"),
    ],
)
def test_wrong_calls_are_explained(
    lawow: Run, mixed: str, arguments: Sequence[str], status: int, sentence: str
) -> None:
    for _ in range(2):
        done = lawow("exec", mixed, *arguments)
        assert done.returncode == status
        assert done.stdout == ""
        assert done.stderr.startswith("lawow: mixed.wasm: ")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("code", TRAPS)
def test_every_trap_is_exit_5_with_code_and_function_names(lawow: Run, tmp_path: Path, code: str) -> None:
    body = (
        TRAPS[code]
        if code != "bad-signature"
        else "(call_indirect $t (type $other) (i32.const 1) (i32.const 0))"
    )
    path = settle(tmp_path / "t.wasm", trapping(body))
    done = lawow("exec", path, "f", "--json")
    assert done.returncode == 5
    report = json.loads(done.stdout)
    assert (report["code"], report["frames"][0], report["exit_code"]) == (code, "guest", 5)


def test_a_trap_is_told_the_same_from_the_cache_and_names_exports(lawow: Run, tmp_path: Path) -> None:
    path = settle(
        tmp_path / "t.wasm",
        wat('(module (func (export "divide") (drop (i32.div_s (i32.const 1) (i32.const 0)))))'),
    )
    for _ in range(3):
        assert outputs(lawow("exec", path, "divide")) == (
            5,
            "",
            "lawow: the guest trapped: integer divide by zero (in divide)\n",
        )


def test_a_memory_limit_that_the_module_exceeds_is_named(lawow: Run, tmp_path: Path) -> None:
    path = settle(tmp_path / "m.wasm", wat('(module (memory 100) (func (export "f")))'))
    done = lawow("exec", path, "f", "--memory", "1MiB")
    assert (done.returncode, done.stderr) == (
        4,
        "lawow: m.wasm: memory_bytes is 6553600, the limit is 1048576; --memory SIZE allows more\n",
    )
    assert lawow("exec", path, "f", "--memory", "6400KiB").returncode == 0
    for size in ("0", "1TiB", "-1", "1.5MiB", "99999999999999999999999"):
        assert lawow("exec", path, "f", "--memory", size).returncode == 2


def test_growing_beyond_the_limit_fails_inside_the_guest(lawow: Run, tmp_path: Path) -> None:
    text = '(module (memory 1) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))'
    path = settle(tmp_path / "m.wasm", wat(text))
    assert lawow("exec", path, "f", "15", "--memory", "1MiB").stdout == "1\n"
    assert lawow("exec", path, "f", "16", "--memory", "1MiB").stdout == "-1\n"
    for _ in range(2):
        assert lawow("exec", path, "f", "20000").stdout == "-1\n"  # the default limit is 1 GiB


def test_an_endless_loop_ends_at_the_timeout(lawow: Run, mixed: str) -> None:
    started = time.monotonic()
    done = lawow("exec", mixed, "spin", "--timeout", "0.3")
    assert 0.3 < time.monotonic() - started < 3
    assert outputs(done) == (
        4,
        "",
        "lawow: mixed.wasm: spin: deadline_seconds is more than 0.3, the limit is 0.3; "
        "the guest was stopped; --timeout SECONDS allows more\n",
    )
    report = json.loads(lawow("exec", mixed, "spin", "--timeout", "0.1", "--json").stdout)
    assert (report["limit"], report["exit_code"]) == ("deadline_seconds", 4)


def test_the_short_form_ends_at_the_default_timeout(tmp_path: Path, mixed: str) -> None:
    """Both ways of the short form, with the default made small."""
    script = (
        "import sys; from lawow.runtime import hot; hot.CALL.deadline_seconds = 0.2\n"
        "from lawow.cli.quick_exec import quick_exec; quick_exec(sys.argv[1:])"
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script, mixed, "spin"],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 4
        assert "deadline_seconds is more than 0.2, the limit is 0.2" in done.stderr
        subprocess.run(  # now the code is in the cache
            [sys.executable, "-m", "lawow", "exec", mixed, "i32", "1"],
            cwd=tmp_path,
            env=environment(tmp_path),
            check=True,
        )


@pytest.mark.parametrize("options", [[], ["--time"]], ids=["short", "long"])
def test_an_interrupt_ends_a_guest_that_never_returns(tmp_path: Path, mixed: str, options: list[str]) -> None:
    for _ in range(2 if not options else 1):  # the usual way, then the shortcut
        with subprocess.Popen(
            [sys.executable, "-m", "lawow", "exec", mixed, "spin", *options],
            cwd=tmp_path,
            env=environment(tmp_path),
            stderr=subprocess.PIPE,
        ) as process:
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=5)
        assert process.returncode == -signal.SIGINT


def test_errors_of_the_guest_are_the_same_from_the_cache(lawow: Run, tmp_path: Path) -> None:
    """Traps and limits that the shortcut meets are explained as the usual way explains them."""
    cases = {
        "overflow": (
            '(module (func $f (export "f") (call $f)))',
            5,
            "the guest trapped: call stack exhausted (in f < f",
        ),
        "start": (
            '(module (func $s unreachable) (start $s) (func (export "f")))',
            5,
            "instruction executed (in s)",
        ),
        "initialize": (
            '(module (func $i (export "_initialize") unreachable) (func (export "f")))',
            5,
            "instruction executed (in i)",
        ),
        "memory": (
            '(module (memory 20000) (func (export "f")))',
            4,
            "memory_bytes is 1310720000, the limit is 1073741824; --memory SIZE allows more",
        ),
        "table": (
            '(module (table 100001 funcref) (func (export "f")))',
            4,
            "table_elements is 100001, the limit is 100000",
        ),
    }
    for case, (text, status, sentence) in cases.items():
        path = settle(tmp_path / f"{case}.wasm", wat(text))
        first = outputs(lawow("exec", path, "f"))
        assert outputs(lawow("exec", path, "f")) == first
        assert first[:2] == (status, "")
        assert sentence in first[2]


def test_an_initialize_with_results_is_refused_also_from_the_cache(lawow: Run, tmp_path: Path) -> None:
    """Its 900 results would be written over whatever lies behind a buffer that is made for none."""
    results, values = " ".join(["i64"] * 900), "(i64.const -1)" * 900
    text = f'(module (func (export "_initialize") (result {results}) {values}) (func (export "f")))'
    path = settle(tmp_path / "m.wasm", wat(text))
    for _ in range(3):
        done = lawow("exec", path, "f")
        assert outputs(done) == (3, "", "lawow: export: _initialize must take and return nothing\n")


def test_fuel_that_runs_out_is_named(lawow: Run, tmp_path: Path) -> None:
    path = settle(tmp_path / "fib.wasm", wat(FIBONACCI))
    assert lawow("exec", path, "fib", "10", "--fuel", "10000").stdout == "55\n"
    done = lawow("exec", path, "fib", "30", "--fuel", "10000")
    assert (done.returncode, done.stderr) == (
        4,
        "lawow: fib.wasm: fuel is more than 10000, the limit is 10000; "
        "the guest was stopped; --fuel NUMBER allows more\n",
    )


LEGACY = (
    b"\0asm\1\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0"
    b"\x0a\x0a\x01\x08\0\x06\x40\x01\x19\x01\x0b\x0b"
)


@pytest.mark.parametrize(
    ("data", "status", "sentence"),
    [
        (wat(FIBONACCI)[:40], 3, "m.wasm: "),
        (b"", 3, "m.wasm: is no WebAssembly module (found an empty file"),
        (b"\x7fELF", 3, "m.wasm: is no WebAssembly module"),
        (b"\0asm\x0d\0\1\0", 2, "m.wasm: no exported function is named 'f'; functions exported: none"),
        (b"\0asm\x0d\0\1\0\7", 3, "m.wasm: component section: ends too early"),
        (LEGACY, 3, "m.wasm: uses the legacy exception-handling proposal"),
        (
            wat('(module (import "env" "x" (func)) (func (export "f")))'),
            4,
            "imports what nobody provides here: env.x",
        ),
        (
            wat('(module (func (export "f")) (memory 2) (memory 1))'),
            4,
            "m.wasm: memories is 2, the limit is 1",
        ),
        (empty_functions(100_001), 4, "m.wasm: functions is 100001, the limit is 100000"),
    ],
    ids=["cut", "empty", "elf", "empty component", "cut component", "legacy", "import", "memories", "bomb"],
)
def test_modules_that_cannot_run_are_refused_by_name(
    lawow: Run, tmp_path: Path, data: bytes, status: int, sentence: str
) -> None:
    path = settle(tmp_path / "m.wasm", data)
    done = lawow("exec", path, "f")
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_and_a_missing_module_are_explained(lawow: Run, tmp_path: Path) -> None:
    assert outputs(lawow("exec", "none.wasm", "f")) == (
        1,
        "",
        "lawow: none.wasm: no such file or directory\n",
    )
    assert outputs(lawow("exec", ".", "f")) == (
        3,
        "",
        "lawow: .: holds no single module (found none, allowed one .wasm)\n",
    )
    assert lawow("exec").returncode == 2


def test_a_guest_speaks_and_its_result_follows(lawow: Run, speaker: str) -> None:
    for _ in range(2):
        assert outputs(lawow("exec", speaker, "say", "1")) == (0, "hi \x1b[31m\n7\n", "")
        assert outputs(lawow("exec", speaker, "say", "2")) == (0, "7\n", "hi \x1b[31m\n")
    report = json.loads(lawow("exec", speaker, "say", "1", "--json").stdout)
    assert (report["stdout"], report["results"]) == ("hi \x1b[31m\n", [7])


def read_terminal(controller: int) -> bytes:
    """Return all that was written to a terminal whose other end is closed, and close it."""
    shown = b""
    with suppress(OSError):  # EIO is how a terminal says that nobody holds its other end
        while piece := os.read(controller, 4096):
            shown += piece
    os.close(controller)
    return shown


@pytest.mark.parametrize("options", [[], ["--time"]], ids=["short", "long"])
def test_a_terminal_is_not_controlled_by_the_guest(tmp_path: Path, speaker: str, options: list[str]) -> None:
    controller, terminal = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "lawow", "exec", speaker, "say", "1", *options],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=terminal,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    os.close(terminal)
    assert read_terminal(controller).replace(b"\r", b"") == b"hi \\x1b[31m\n7\n"


@pytest.mark.parametrize("options", [[], ["--time"]], ids=["short", "long"])
def test_a_flood_of_output_is_cut(lawow: Run, speaker: str, options: list[str]) -> None:
    done = lawow("exec", speaker, "flood", "300", *options)
    assert done.returncode == 0
    assert len(done.stdout) == 16 << 20
    assert "the guest's output was cut at 16777216 bytes (output_bytes)" in done.stderr


def test_an_exit_of_the_guest_is_told(lawow: Run, speaker: str) -> None:
    assert outputs(lawow("exec", speaker, "leave", "0")) == (0, "", "")
    assert outputs(lawow("exec", speaker, "leave", "3")) == (
        5,
        "",
        "lawow: the guest ended itself with status 3\n",
    )


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path, mixed: str) -> None:
    for arguments in ([], ["--json"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "lawow", "exec", mixed, "i32", "5", *arguments],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (1, "")


ARRAYS = ROOT / "fixtures" / "wasm" / "arrays.wasm"


@pytest.mark.parametrize(
    ("arguments", "signature", "printed"),
    [
        (["sum", "[1, 2, 3]"], "&[i>i", "6\n"),
        (["reverse", "[1, 2, 3]"], "&[i>", "p0 = [3, 2, 1]\n"),
        (["reverse", "[1, 2, 1]"], "&[i>", ""),
        (["scale", '[1.5, "NaN", -2]', "2"], "&[FF>", "p0 = [3.0, NaN, -4.0]\n"),
        (["invert", "[true, false]"], "&[z>", "p0 = [false, true]\n"),
        (["sum_floats", "[0.1]"], "&[f>f", "0.1\n"),
        (["xor_longs", "[9007199254740993]"], "[I>I", "9007199254740993\n"),
        (["concat", "grüße, ", "[1]"], "SS>S", "grüße, [1]\n"),
        (["squares", "4"], "i>[i", "[0, 1, 4, 9]\n"),
        (["squares", "0"], "i>[i", "[]\n"),
        (["accumulate", "-5"], "i>i", "-5\n"),
    ],
)
def test_lists_and_strings_are_given_and_printed_as_json(
    lawow: Run, arguments: list[str], signature: str, printed: str
) -> None:
    done = lawow("exec", ARRAYS, *arguments, "--signature", signature)
    assert outputs(done) == (0, printed, "")


def test_lists_are_in_the_report(lawow: Run) -> None:
    report = json.loads(lawow("exec", ARRAYS, "reverse", "[1, 2]", "--signature", "&[i>", "--json").stdout)
    assert (report["results"], report["changed"]) == ([], {"0": [2, 1]})
    assert (report["signature"], report["wit"]) == ("&[i>", "reverse: func(p0: list<s32> /* in-out */)")


@pytest.mark.parametrize(
    ("arguments", "signature", "code", "said"),
    [
        (["sum", "3"], "[i>i", 2, "is not a list"),
        (["sum", "[1.5]"], "[i>i", 2, "element[0]: does not fit"),
        (["sum", "[1"], "[i>i", 2, "is not a list"),
        (["sum"], "[i>i", 2, "takes 1 argument"),
        (["sum", "[1]"], "i>i", 2, "stands for (i32) -> i32"),
        (["sum", "[1]"], "nonsense", 2, "is not a signature"),
        (["squares", "10000000"], "i>[i", 4, "result_bytes"),
        (["change_and_trap", "[1]"], "&[i>i", 5, "change_and_trap"),
    ],
)
def test_what_is_wrong_with_lists_is_told_in_one_sentence(
    lawow: Run, arguments: list[str], signature: str, code: int, said: str
) -> None:
    done = lawow("exec", ARRAYS, *arguments, "--signature", signature)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_bundle_knows_the_signatures_of_its_methods(lawow: Run, tmp_path: Path) -> None:
    """Also when the code comes from the cache, where the form without options finds it."""
    methods = [
        BoundMethod("com.example.Arrays", "total", "([I)I", "arrays.wasm", "sum", "&[i>i"),
        BoundMethod("com.example.Arrays", "shout", "(Ljava/lang/String;)V", "arrays.wasm", "upper", "S>S"),
    ]
    jar = build_bundle({"arrays.wasm": ARRAYS.read_bytes()}, methods, Origin("com.example", "0" * 64))
    (tmp_path / "app-offload.jar").write_bytes(jar)
    time.sleep(0.12)
    for _ in range(3):
        assert lawow("exec", "app-offload.jar", "Arrays.total", "[1, 2, 3]").stdout == "6\n"
        assert lawow("exec", "app-offload.jar", "Arrays.shout", "hello").stdout == "HELLO\n"
    assert "is not a list" in lawow("exec", "app-offload.jar", "Arrays.total", "1").stderr
    assert lawow("exec", "app-offload.jar", "sum", "64", "0").stdout == "0\n"


def test_bundle_and_apk_run_by_method_export_and_member(lawow: Run, tmp_path: Path) -> None:
    method = BoundMethod("com.example.FibonacciWasm", "fib", "(I)I", "fibonacci.wasm", "fib", "i>i")
    jar = build_bundle({"fibonacci.wasm": wat(FIBONACCI)}, [method], Origin("com.example", "0" * 64))
    settle(tmp_path / "app-offload.jar", jar)
    entries = [
        make_entry("AndroidManifest.xml", b"\3\0\x08\0"),
        make_entry("assets/lawow/fibonacci.wasm", wat(FIBONACCI)),
        make_entry("assets/lawow/mixed.wasm", wat(MIXED)),
    ]
    settle(tmp_path / "app.apk", write_zip(entries, align=True))
    for target, export in (
        ("app-offload.jar", "FibonacciWasm.fib"),
        ("app-offload.jar", "fib"),
        ("app-offload.jar!fibonacci.wasm", "fib"),
        ("app.apk", "fib"),
        ("app.apk!fibonacci.wasm", "fib"),
    ):
        for _ in range(2):
            assert outputs(lawow("exec", target, export, "10")) == (0, "55\n", ""), (target, export)
    listing = lawow("exec", "app.apk").stdout
    assert "assets/lawow/fibonacci.wasm:\n  fib  (i32) -> i32" in listing
    assert "com.example.FibonacciWasm.fib(I)I = fibonacci.wasm fib" in lawow("exec", "app-offload.jar").stdout
    assert "no module exports 'nope'" in lawow("exec", "app.apk", "nope").stderr


def test_a_text_module_runs(lawow: Run, tmp_path: Path) -> None:
    path = settle(tmp_path / "fib.wat", FIBONACCI.encode())
    for _ in range(2):
        assert outputs(lawow("exec", path, "fib", "10")) == (0, "55\n", "")


def test_damaged_cache_files_are_never_run(lawow: Run, tmp_path: Path) -> None:
    path = settle(tmp_path / "fib.wasm", wat(FIBONACCI))
    assert lawow("exec", path, "fib", "10").stdout == "55\n"
    (code,) = (tmp_path / "cache" / "lawow" / "code").glob("*.cwasm")
    good = code.read_bytes()
    for damaged in (
        good[:-1],
        bytes(len(good)),
        good[: len(good) // 2] + b"\0" + good[len(good) // 2 + 1 :],
        b"",
    ):
        facts = code.stat()
        code.write_bytes(damaged)
        os.utime(code, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        assert outputs(lawow("exec", path, "fib", "10")) == (0, "55\n", "")
        assert code.read_bytes() == good  # compiled again


def test_a_module_changed_between_two_runs_is_run_as_it_is_now(lawow: Run, tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    for number in (1, 2, 3):
        path.write_bytes(wat(f'(module (func (export "f") (result i32) (i32.const {number})))'))
        assert lawow("exec", "m.wasm", "f").stdout == f"{number}\n"
        time.sleep(0.12)
        for _ in range(2):
            assert lawow("exec", "m.wasm", "f").stdout == f"{number}\n"


def test_unknown_options_are_refused(lawow: Run, mixed: str) -> None:
    done = lawow("exec", mixed, "i32", "5", "--jsno")
    assert done.returncode == 2
    assert "No such option" in done.stderr


SHORTEST = {
    *("lawow", "lawow.cli", "lawow.cli.quick_exec", "lawow.execution", "lawow.execution.deadline"),
    *("lawow.execution.shortcut", "lawow.runtime", "lawow.runtime.bare", "lawow.runtime.hot"),
    *("lawow.runtime.places", "lawow.runtime.profiles", "__future__", "_blake2", "_ctypes"),
}
"""All that a run from the cache may load beside what Python itself loads at its start."""

FIRST = SHORTEST | {
    *("lawow.errors", "lawow.execution.first_run", "lawow.execution.harmless", "lawow.formats"),
    *("lawow.formats.bytes", "lawow.formats.interface", "lawow.formats.wasm", "lawow.formats.wasm_types"),
    *("lawow.runtime.cache",),
    *("struct", "_functools", "_struct"),
}
"""All that the first run of a small module without imports may load."""

USUAL = FIRST | {
    *("lawow.execution.arguments", "lawow.execution.output", "lawow.execution.preparation"),
    *("lawow.execution.reactor", "lawow.runtime.base", "lawow.runtime.binding", "lawow.runtime.failures"),
    *("lawow.runtime.libwasmtime", "lawow.runtime.wasi", "lawow.runtime.wasmtime_engine"),
    *("lawow.runtime.wasmtime_instance", "lawow.runtime.wasmtime_store", "lawow.runtime.wasmtime_types"),
    *("ctypes", "ctypes._endian", "errno", "itertools", "types"),
}
"""All that the first run of a small module with WASI may load."""

TOLD = USUAL | {"lawow.execution.facts", "enum", "copyreg", "functools", "operator", "reprlib", "keyword"}
"""All that a run with ``--time`` may load; ``--json`` needs Python's own ``json`` as well."""

RECORD = (
    "import os, sys\n"
    "before = set(sys.modules)\n"
    "leave = os._exit\n"
    "def record(status):\n"
    "    os.write(3, ' '.join(set(sys.modules) - before).encode())\n"
    "    leave(status)\n"
    "os._exit = record\n"
    "from lawow.cli import main\n"
    "main()\n"
)


def loaded_modules(folder: Path, *arguments: str) -> set[str]:
    """Return the modules that a run of the console script's entry point imports."""
    reading, writing = os.pipe()
    script = f"import os; os.dup2({writing}, 3)\n{RECORD}" if writing != 3 else RECORD
    subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}", *arguments],
        cwd=folder,
        env=environment(folder),
        pass_fds=(writing,),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    os.close(writing)
    with open(reading) as stream:
        return set(stream.read().split())


def test_the_short_form_loads_nothing_that_it_does_not_need(tmp_path: Path, mixed: str, speaker: str) -> None:
    assert loaded_modules(tmp_path, "exec", mixed, "i32", "5") <= FIRST
    assert loaded_modules(tmp_path, "exec", mixed, "i32", "5") <= SHORTEST
    assert loaded_modules(tmp_path, "exec", speaker, "say", "1") <= USUAL


def test_facts_of_a_run_cost_no_command_line_parser(tmp_path: Path, mixed: str) -> None:
    assert loaded_modules(tmp_path, "exec", mixed, "i32", "5", "--time") <= TOLD
    loaded = loaded_modules(tmp_path, "exec", mixed, "i32", "5", "--json")
    assert not [name for name in loaded if name.startswith(("click", "lawow.cli.main", "lawow.cli.exec"))]


@pytest.mark.parametrize(
    "arguments", [("i32", "5"), ("f64", "1.5"), ("i32",), ("i32", "x"), ("absent",), ("divide", "1", "0")]
)
def test_facts_are_the_same_with_and_without_the_parser(
    lawow: Run, mixed: str, arguments: tuple[str, ...]
) -> None:
    """An option that says what holds anyway takes the way through click."""
    quick = lawow("exec", mixed, *arguments, "--json")
    whole = lawow("exec", mixed, *arguments, "--json", "--timeout", "60")
    assert (quick.returncode, quick.stderr) == (whole.returncode, whole.stderr)
    documents = [json.loads(done.stdout) for done in (quick, whole)]
    for document in documents:
        document.pop("seconds", None)
        document.pop("peak_memory_bytes", None)
    assert documents[0] == documents[1]
    assert list(documents[0]) == list(documents[1])


def test_time_is_told_beside_the_results(lawow: Run, mixed: str) -> None:
    done = lawow("exec", mixed, "i32", "5", "--time")
    assert done.stdout == lawow("exec", mixed, "i32", "5").stdout
    assert re.fullmatch(
        r"transfer [\d.]+ s, prepare [\d.]+ s, run [\d.]+ s, guest memory \d+ bytes, "
        r"peak memory of the process \d+ bytes\n",
        done.stderr,
    )


MEASURE = """
import os, sys
null = os.open(os.devnull, os.O_WRONLY)
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(child, 0)
print(status, usage.ru_maxrss << 10)
"""
"""Starts the process to be measured from a small one: a child inherits the peak of who starts it."""


def peak_resident_bytes(folder: Path, *arguments: str) -> int:
    """Return the peak memory of a run, as the kernel accounts it for that process alone."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", MEASURE, sys.executable, "-m", "lawow", *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    status, peak = map(int, done.stdout.split())
    assert status == 0
    return peak


def test_fibonacci_of_32_stays_below_50_megabytes(tmp_path: Path) -> None:
    module = str(MODULES / "fibonacci.wasm")
    first = peak_resident_bytes(tmp_path, "exec", module, "fib", "32")
    second = peak_resident_bytes(tmp_path, "exec", module, "fib", "32")
    assert first < 50_000_000
    assert second < 25 << 20


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_matrices_of_8_mib_stay_below_25_mib_from_the_cache(tmp_path: Path, option: tuple[str, ...]) -> None:
    arguments = ("exec", str(MODULES / "matrix.wasm"), "multiply", "500", *option)
    peak_resident_bytes(tmp_path, *arguments)
    assert peak_resident_bytes(tmp_path, *arguments) < 25 << 20


def test_a_large_module_is_compiled_without_the_memory_of_this_process(tmp_path: Path) -> None:
    """A module whose compilation takes 200 MB, of the child alone.

    The process reports its own peak, since what the kernel accounts when it ends includes its children; it is
    started by a small one, since it inherits the peak of who starts it.
    """
    wasm = empty_functions(30_000) + section(0, name("padding") + bytes(4 << 20))
    module = settle(tmp_path / "large.wasm", wasm)
    start = (
        "import os, sys; child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ);"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    command = [sys.executable, "-I", "-S", "-c", start, sys.executable, "-m", "lawow", "exec", module]
    for _ in range(2):
        done = subprocess.run(
            [*command, "f", "--json"],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["peak_memory_bytes"] < 50_000_000


@pytest.mark.parametrize(
    ("kind", "value", "printed"),
    [
        ("i32", "-2147483648", "-2147483648"),
        ("i32", "4294967295", "-1"),
        ("i64", "9223372036854775808", "-9223372036854775808"),
        ("i64", "-1", "-1"),
        ("f64", "-9007199254740993", "-9007199254740992.0"),
    ],
)
def test_the_shortcut_prints_what_the_usual_way_prints(
    lawow: Run, tmp_path: Path, mixed: str, kind: str, value: str, printed: str
) -> None:
    assert outputs(lawow("exec", mixed, kind, value)) == (0, f"{printed}\n", "")
    assert loaded_modules(tmp_path, "exec", mixed, kind, value) <= SHORTEST
    assert outputs(lawow("exec", mixed, kind, value)) == (0, f"{printed}\n", "")
