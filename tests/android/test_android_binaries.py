"""The very libraries that go into an app, on this machine: libwasmtime.so as packed, the prebuilt glue."""

from __future__ import annotations

import errno
import signal
import sys
from pathlib import Path

import pytest

from lawow.pack import PackOptions
from lawow.pack.libraries import abi_libraries
from lawow.resources import android_stub
from lawow.runtime.device_code import PULLEY as PULLEY_TARGET
from lawow.runtime.device_code import compile_for_app
from tests.android.builders import Jvm, Sample, sample
from tests.android.shim import build_shim
from tests.android.test_local_runtime import TRAPS
from tests.android.test_local_values import TROUBLE
from tests.tools import run

DEADLINES, PULLEY = 2, 4


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both libraries for x86_64."""
    folder = tmp_path_factory.mktemp("x86_64")
    for name, data in abi_libraries(PackOptions(), "x86_64").files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def shim(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-ins for Android's C library."""
    return build_shim("x86_64", list(libraries.glob("*.so")), tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="session")
def android_jvm(jvm: Jvm, libraries: Path, shim: Path) -> Jvm:
    """A JVM that runs the Android libraries over the stand-ins."""
    return jvm.with_properties(
        library=libraries / "liblawow.so", wasmtime=libraries / "libwasmtime.so", test_shim=shim
    )


@pytest.mark.parametrize("engine", ["native", "pulley"])
def test_calls_and_traps_are_those_of_the_host_build(
    android_jvm: Jvm, calls_module: Sample, engine: str
) -> None:
    name = calls_module.name
    lines = [("local", name, export, sig, *values) for export, sig, values, _ in TRAPS]
    fib, swap = ("local", name, "fib", "I>I", 20), ("local", name, "swap", "iF>Fi", 7, 1.5)
    answers = android_jvm.with_properties(engine=engine).calls(fib, *lines, swap)
    assert [answer.split()[:2] for answer in answers[1:-1]] == [["trap", code] for *_, code in TRAPS]
    assert [answers[0], answers[-1]] == ["ok 6765", "ok [1.5, 7]"]


def test_wasi_output_deadlines_and_the_memory_cap_work(
    android_jvm: Jvm, calls_module: Sample, wasi_module: Sample
) -> None:
    limited = android_jvm.with_properties(timeout_seconds=1, memory_bytes=4 << 16)
    text = limited.run(
        "Driver",
        stdin=f"local\t{wasi_module.name}\thello\ti>\t1\nlocal\t{calls_module.name}\tgrow\ti>i\t100\n"
        f"local\t{calls_module.name}\tspin\t>\nlocal\t{wasi_module.name}\tleave\ti>\t3\n",
    ).splitlines()
    assert text[:3] == ["hello from wasi", "ok null", "ok -1"]
    assert text[3].startswith("trap interrupt calls.wasm: spin: ")
    assert text[4].endswith("the guest ended itself with status 3")


def test_strings_and_lists_pass_the_android_glue(android_jvm: Jvm, tmp_path: Path) -> None:
    module = sample("trouble.wasm", TROUBLE)
    folder = tmp_path / "assets" / "lawow"
    folder.mkdir(parents=True)
    (folder / module.file).write_bytes(module.data)
    answers = android_jvm.with_classes(tmp_path).calls(
        ("local", module.name, "take", "[b>", "b*4"),
        ("local", module.name, "take", "[b>", "b*1001"),
        ("local", module.name, "far", ">S"),
    )
    assert [answer.split()[1] for answer in answers] == ["null", "out-of-memory", "memory-out-of-bounds"]


def test_eight_threads_call_the_android_runtime_at_once(android_jvm: Jvm, calls_module: Sample) -> None:
    assert android_jvm.run("Concurrency", calls_module.name) == "1600 of 1600\n"


SCENARIOS = ("state", "limits", "host", "exceptions", "reentry", "output", "threads")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_modules_and_instances_are_those_of_the_host_build(android_jvm: Jvm, scenario: str) -> None:
    assert android_jvm.run("Modules", scenario) == "all good\n"


def fake_jvm(folder: Path, *flags: str) -> Path:
    """Build the program that plays the JVM, for this machine."""
    source, program = Path(__file__).parent / "shim" / "fake_jvm.c", folder / "fake_jvm"
    run("gcc", "-O1", "-w", *flags, source, f"-I{android_stub('jni')}", "-o", program, "-ldl", "-lpthread")
    return program


@pytest.mark.parametrize("flags", [DEADLINES, DEADLINES | PULLEY], ids=["native", "pulley"])
def test_under_a_filter_like_androids_modules_load_and_run_and_no_file_opens(
    libraries: Path, shim: Path, samples: tuple[Path, ...], tmp_path: Path, flags: int
) -> None:
    """What Android's filter lacks is trapped; code is published, guests run, and WASI has no folder."""
    done = run(
        fake_jvm(tmp_path, "-DWITH_FILTER"), shim, libraries / "liblawow.so", libraries / "libwasmtime.so",
        *samples, str(flags), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "all good\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("target", "flags"), [("x86_64-unknown-linux-gnu", DEADLINES), (PULLEY_TARGET, DEADLINES | PULLEY)]
)
def test_code_that_was_compiled_here_loads_in_the_android_runtime(
    libraries: Path, shim: Path, samples: tuple[Path, ...], tmp_path: Path, target: str, flags: int
) -> None:
    code = tmp_path / "calls.cwasm"
    code.write_bytes(compile_for_app(samples[0].read_bytes(), target, has_deadlines=True))
    program = fake_jvm(tmp_path)
    done = run(
        program, shim, libraries / "liblawow.so", libraries / "libwasmtime.so", *samples, str(flags), code,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "all good\n"), done.stdout + done.stderr


OPENAT2, MEMBARRIER, GETPGID = 437, 324, 121


@pytest.mark.parametrize("number", [OPENAT2, MEMBARRIER, GETPGID])
def test_filtered_system_calls_fail_in_order_and_others_end_the_process_as_before(
    libraries: Path, shim: Path, tmp_path: Path, number: int
) -> None:
    program = tmp_path / "filter"
    source = Path(__file__).parent / "shim" / "filter.c"
    run("gcc", "-Wall", "-Werror", source, "-o", program, "-ldl")
    done = run(program, shim, libraries / "liblawow.so", str(number), check=False)
    if number == GETPGID:
        assert done.returncode == -signal.SIGSYS
    else:
        assert (done.returncode, done.stdout) == (0, f"-1 {errno.ENOSYS}\n")


# ---- arm64, under an emulator of the processor

QEMU = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")


@pytest.fixture(scope="session")
def arm64(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both libraries for arm64, the stand-ins, and a program that plays the JVM."""
    folder = tmp_path_factory.mktemp("arm64")
    for name, data in abi_libraries(PackOptions(), "arm64-v8a").files.items():
        (folder / name).write_bytes(data)
    build_shim("aarch64", list(folder.glob("*.so")), folder / "shim")
    compile_ = (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu.2.36", "-O1", "-w")
    source = Path(__file__).parent / "shim" / "fake_jvm.c"
    flags = ("-fno-sanitize=undefined", f"-I{android_stub('jni')}", "-ldl", "-lpthread")
    run(*compile_, source, *flags, "-o", folder / "fake_jvm")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("pages", [(), ("-p", "16384")], ids=["4-kb-pages", "16-kb-pages"])
@pytest.mark.parametrize("flags", [DEADLINES, DEADLINES | PULLEY], ids=["native", "pulley"])
def test_the_arm64_libraries_run_and_trap_in_order(
    arm64: Path, samples: tuple[Path, ...], tmp_path: Path, flags: int, pages: tuple[str, ...]
) -> None:
    """With code for the interpreter that was compiled on this machine, where the interpreter runs."""
    code = tmp_path / "calls.cwasm"
    code.write_bytes(compile_for_app(samples[0].read_bytes(), PULLEY_TARGET, has_deadlines=True))
    done = run(
        *QEMU, *pages, arm64 / "fake_jvm", arm64 / "shim", arm64 / "liblawow.so", arm64 / "libwasmtime.so",
        *samples, str(flags), *((code,) if flags & PULLEY else ()), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "all good\n"), done.stdout + done.stderr
