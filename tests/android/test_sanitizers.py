"""The glue under the compiler's sanitizers, without a JVM, whose own tricks they would report."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.resources import android_stub
from tests.tools import run

SHIM = Path(__file__).parent / "shim"
SANITIZERS = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-g",
    "-O1",
)
FUEL, DEADLINES, PULLEY = 1, 2, 4


def build_sanitized(folder: Path, *flags: str, glue: Path) -> Path:
    """Build the program that plays the JVM and the glue into `folder`, both with the sanitizers."""
    source, include = SHIM / "fake_jvm.c", f"-I{android_stub('jni')}"
    run(
        "gcc", *SANITIZERS, *flags, "-w", include, source, "-o", folder / "fake_jvm", "-ldl", "-lpthread"
    )  # fmt: skip
    build_glue(glue, folder / "liblawow.so")
    return folder


def build_glue(source: Path, out: Path) -> None:
    """Build a glue of this source for this machine, with the sanitizers."""
    run("gcc", *SANITIZERS, "-std=c11", "-shared", "-fPIC", source, "-o", out, "-ldl")


def without_one_free(folder: Path, name: str, line: str) -> Path:
    """Copy the glue's sources to `folder`, this `line` taken out of the file `name`; return that file."""
    for path in android_stub("jni").iterdir():
        text = path.read_text()
        if path.name == name:
            assert text.count(line) == 1
            text = text.replace(line, "")
        (folder / path.name).write_text(text)
    return folder / name


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the glue and the program that plays the JVM, both with the sanitizers."""
    return build_sanitized(tmp_path_factory.mktemp("sanitized"), glue=android_stub("jni", "lawow_jni.c"))


@pytest.mark.parametrize("flags", [DEADLINES, DEADLINES | PULLEY], ids=["native", "pulley"])
def test_neither_a_wrong_access_nor_a_leak_nor_undefined_behaviour_is_found(
    sanitized: Path, host_wasmtime: Path, samples: tuple[Path, ...], flags: int
) -> None:
    done = run(
        sanitized / "fake_jvm", "-", sanitized / "liblawow.so", host_wasmtime, *samples, str(flags),
        env={"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"},
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "all good\n", "")


def test_the_sanitizer_would_find_a_leak_of_the_glue(
    sanitized: Path, host_wasmtime: Path, samples: tuple[Path, ...], tmp_path: Path
) -> None:
    """The same glue with one `free` taken away."""
    glue = tmp_path / "liblawow.so"
    build_glue(without_one_free(tmp_path, "lawow_jni.c", "  free(values);\n"), glue)
    done = run(
        sanitized / "fake_jvm", "-", glue, host_wasmtime, *samples, str(DEADLINES),
        env={"ASAN_OPTIONS": "detect_leaks=1"}, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "in call_with" in done.stderr
