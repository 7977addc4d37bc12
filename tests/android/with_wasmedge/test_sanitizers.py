"""WasmEdge's glue under the compiler's sanitizers, over the real library, without a JVM."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lawow.resources import android_stub
from lawow.runtime.wasmedge_device import prepare_for_app
from tests.android.test_sanitizers import (
    DEADLINES,
    PULLEY,
    build_glue,
    build_sanitized,
    without_one_free,
)
from tests.tools import run

ASKED = DEADLINES | PULLEY


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory, host_wasmtime: Path) -> Path:
    """A folder with the glue and the program that plays the JVM, both with the sanitizers.

    The program is started by the loader that came with WasmEdge, whose C library may be later than this
    machine's. It is linked to it: a loader that is started as a program looks like one with leaks.
    """
    loader = next(host_wasmtime.parent.glob("ld-linux*.so*"))
    places = (
        f"-Wl,--dynamic-linker={loader}",
        f"-Wl,-rpath,{host_wasmtime.parent}",
        "-Wl,--disable-new-dtags",
        "-Wl,--allow-shlib-undefined",
    )
    folder = tmp_path_factory.mktemp("sanitized")
    return build_sanitized(folder, "-DWITH_WASMEDGE", *places, glue=android_stub("jni", "lawow_wasmedge.c"))


@pytest.fixture(scope="module")
def prepared(samples: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The three modules as WasmEdge may run them."""
    folder = tmp_path_factory.mktemp("prepared")
    for path in samples:
        (folder / path.name).write_bytes(prepare_for_app(path.read_bytes()))
    return tuple(folder / path.name for path in samples)


def play(
    program: Path, glue: Path, library: Path, modules: tuple[Path, ...]
) -> subprocess.CompletedProcess[str]:
    """Run the program with every check of the sanitizers."""
    env = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
    return run(program, "-", glue, library, *modules, str(ASKED), env=env, check=False)


def test_neither_a_wrong_access_nor_a_leak_nor_undefined_behaviour_is_found(
    sanitized: Path, host_wasmtime: Path, prepared: tuple[Path, ...]
) -> None:
    done = play(sanitized / "fake_jvm", sanitized / "liblawow.so", host_wasmtime, prepared)
    assert (done.returncode, done.stdout, done.stderr) == (0, "all good\n", "")


def test_the_sanitizer_would_find_a_leak_of_the_glue(
    sanitized: Path, host_wasmtime: Path, prepared: tuple[Path, ...], tmp_path: Path
) -> None:
    """The same glue with one `free` taken away."""
    glue = tmp_path / "liblawow.so"
    part = without_one_free(tmp_path, "wasmedge_modules.h", "  free(list);\n")
    build_glue(part.with_name("lawow_wasmedge.c"), glue)
    done = play(sanitized / "fake_jvm", glue, host_wasmtime, prepared)
    assert done.returncode != 0
    assert "in find_export" in done.stderr
