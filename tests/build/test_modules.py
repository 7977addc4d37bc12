"""``lawow build`` on C, as a user runs it: modules, libraries for this machine and for Android."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import wasmtime

from lawow.formats.elf import read_elf, verify_android_library
from lawow.formats.wasm import function_names, inspect_module
from lawow.formats.wit import parse_wit, print_function

ROOT = Path(__file__).resolve().parent.parent.parent

SOURCE = """
#include "lawow.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int slow(int n) { return n < 2 ? n : slow(n - 1) + slow(n - 2); }
LAWOW_OFFLOAD int fib(int n) { return slow(n); }

LAWOW_OFFLOAD double mean(LAWOW_LIST(double, values)) {
  double sum = 0;
  for (size_t i = 0; i < values_count; i++) sum += values[i];
  return values_count ? sqrt(sum * sum) / (double)values_count : 0;
}

LAWOW_OFFLOAD LAWOW_RETURNS_STRING greet(LAWOW_STRING(name)) {
  char *text = malloc(6 + name_bytes);
  if (!text) abort();
  memcpy(text, "hello ", 6);
  memcpy(text + 6, name, name_bytes);
  return lawow_return(text, 6 + name_bytes);
}
"""

EXPECTED = [
    "fib: func(n: s32) -> s32",
    "mean: func(values: list<f64>) -> f64",
    "greet: func(name: string) -> string",
]


def build(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``lawow build`` in a folder, with the compiler's cache of the fixtures."""
    cache = str(ROOT / ".cache" / "zig")
    os.makedirs(cache, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "lawow", "build", *arguments],
        cwd=folder,
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `SOURCE` builds."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "demo.c").write_text(SOURCE)
    done = build(folder, "demo.c", "--native", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exports"] == EXPECTED
    return folder


class Guest:
    """The module in the engine's own package."""

    def __init__(self, wasm: bytes) -> None:
        engine = wasmtime.Engine()
        self.store = wasmtime.Store(engine)
        instance = wasmtime.Instance(self.store, wasmtime.Module(engine, wasm), [])
        self.exports: Mapping[str, object] = instance.exports(self.store)
        self.call("_initialize")

    def call(self, name: str, *arguments: float) -> int:
        function = self.exports[name]
        assert isinstance(function, wasmtime.Func)
        return function(self.store, *arguments)

    @property
    def memory(self) -> wasmtime.Memory:
        memory = self.exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        return memory

    def put(self, data: bytes) -> int:
        address = self.call("cabi_realloc", 0, 0, 8, len(data))
        self.memory.write(self.store, data, address)
        return address

    def get(self, address: int, count: int) -> bytes:
        return bytes(self.memory.read(self.store, address, address + count))


def test_tagged_functions_are_the_exports_and_work_in_the_engine(built: Path) -> None:
    wasm = (built / "demo.wasm").read_bytes()
    info = inspect_module(wasm)
    exported = {item.name for item in info.exports}
    assert exported == {"memory", "_initialize", "cabi_realloc", "fib", "mean", "greet"}
    guest = Guest(wasm)
    assert guest.call("fib", 20) == 6765
    assert guest.call("mean", guest.put(bytes(ctypes.c_double(3.5)) * 2), 2) == 3.5
    area = guest.call("greet", guest.put("wörld".encode()), 6)
    address, count = (int.from_bytes(guest.get(area + 4 * i, 4), "little") for i in range(2))
    assert guest.get(address, count).decode() == "hello wörld"


def test_the_interface_lies_beside_the_module_and_in_it(built: Path) -> None:
    text = (built / "demo.wit").read_text()
    assert [print_function(item) for item in parse_wit(text).functions] == EXPECTED
    wasm = (built / "demo.wasm").read_bytes()
    sections = {item.name: item for item in inspect_module(wasm).custom_sections}
    assert set(sections) == {"name", "lawow:wit"}
    section = sections["lawow:wit"]
    assert wasm[section.offset : section.offset + section.size_bytes].decode() == text
    assert "slow" in function_names(wasm, inspect_module(wasm)).values()


def test_equal_sources_give_equal_bytes_without_paths_of_this_machine(built: Path, tmp_path: Path) -> None:
    shutil.copy(built / "demo.c", tmp_path / "demo.c")
    done = build(tmp_path, "demo.c", "--native")
    assert done.returncode == 0, done.stderr
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(names) == 6
    for name in names:
        content = (tmp_path / name).read_bytes()
        assert content == (built / name).read_bytes(), name
        assert str(ROOT).encode() not in content
        assert str(tmp_path).encode() not in content


def test_the_library_for_this_machine_has_the_same_functions(built: Path) -> None:
    class Area(ctypes.Structure):
        _fields_ = (("data", ctypes.c_void_p), ("count", ctypes.c_size_t))

    library = ctypes.CDLL(str(built / "native" / "host" / "libdemo.so"))
    assert library.fib(20) == 6765
    library.greet.restype = ctypes.POINTER(Area)
    area = library.greet(b"you", ctypes.c_size_t(3)).contents
    assert ctypes.string_at(area.data, area.count) == b"hello you"


@pytest.mark.parametrize("abi", ["arm64-v8a", "x86_64"])
def test_the_libraries_for_android_need_only_what_android_has(built: Path, abi: str) -> None:
    data = (built / "native" / abi / "libdemo.so").read_bytes()
    assert list(verify_android_library(data, abi, file_name="libdemo.so")) == []
    facts = read_elf(data)
    assert set(facts.needed) <= {"libc.so", "libm.so"}


def test_what_the_compiler_says_is_shown_plainly(tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text('#include "lawow.h"\nLAWOW_OFFLOAD int f(int n) { return m; }\n')
    done = build(tmp_path, "bad.c")
    assert done.returncode == 3
    assert "bad.c: does not compile" in done.stderr
    assert "bad.c:2:37: error: use of undeclared identifier 'm'" in done.stderr
    assert os.listdir(tmp_path) == ["bad.c"]


def test_what_android_lacks_is_an_error_of_the_linker(tmp_path: Path) -> None:
    source = '#include "lawow.h"\n#include <stdio.h>\nLAWOW_OFFLOAD int f(int n) { return putchar(n); }\n'
    (tmp_path / "says.c").write_text(source)
    done = build(tmp_path, "says.c", "--native")
    assert done.returncode == 3
    assert "undefined symbol: putchar" in done.stderr
    assert os.listdir(tmp_path) == ["says.c"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.c", "int f(void) { return 1; }", "no function is tagged"),
        ("long.c", '#include "lawow.h"\nLAWOW_OFFLOAD long f(void) { return 1; }', "another size"),
        ("what.txt", "", "is no source"),
        ("app.py", "def f(x): return x", "has no type hint"),
    ],
)
def test_what_cannot_be_built_is_refused(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_text(content)
    done = build(tmp_path, name)
    assert done.returncode == 3
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_is_one_module(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "one.c").write_text(
        '#include "both.h"\n#include "lawow.h"\nLAWOW_OFFLOAD int one(void) { return two(); }\n'
    )
    (tmp_path / "src" / "two.c").write_text('#include "both.h"\nint two(void) { return 2; }\n')
    (tmp_path / "src" / "both.h").write_text("int two(void);\n")
    done = build(tmp_path, "src", "-o", "sum.wasm")
    assert done.returncode == 0, done.stderr
    assert Guest((tmp_path / "sum.wasm").read_bytes()).call("one") == 2
