"""`lawow pack --local native`: the same functions as native code on the device, WebAssembly elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lawow.build.modules import build_module
from lawow.build.native import HOST, build_libraries, build_module_libraries
from lawow.build.sources import find_sources
from lawow.cli.pack_sources import source_builder
from lawow.errors import FormatError
from lawow.formats.bundle import bundled_module
from lawow.formats.elf import verify_android_library
from lawow.formats.signing import SigningKey
from lawow.pack.apk import pack_apk
from lawow.pack.bindings import binding_of
from lawow.pack.runtimes import ABIS
from lawow.resources import android_stub
from tests.android.builders import Jvm
from tests.conftest import lawow
from tests.pack.builders import added, app_tree, plan_small
from tests.tools import run

SOURCE = r"""
#include "lawow.h"
#include <string.h>
LAWOW_OFFLOAD int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
LAWOW_OFFLOAD char last(LAWOW_STRING(text)) { char c = text[text_bytes - 1]; return c < 0 ? c : 1; }
LAWOW_OFFLOAD uint8_t wrap(uint8_t n) { return n + 1; }
LAWOW_OFFLOAD float mix(bool b, int64_t l, float f, double d) { return b ? (float)l + f : (float)d; }
LAWOW_OFFLOAD double fused(double a, double b, double c) { return a * b - c; }
LAWOW_OFFLOAD LAWOW_RETURNS_LIST(int32_t) turned(LAWOW_LIST(int32_t, values)) {
  static int32_t out[8];
  for (size_t i = 0; i < values_count; i++) out[i] = values[values_count - 1 - i];
  return lawow_return(out, values_count);
}
LAWOW_OFFLOAD LAWOW_RETURNS_STRING greet(LAWOW_STRING(name)) {
  static char out[64] = "hello ";
  memcpy(out + 6, name, name_bytes);
  return lawow_return(out, 6 + name_bytes);
}
"""
CPP_SOURCE = r"""
#include "lawow.h"
#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <vector>
namespace {
struct Step { virtual int of(int n) const = 0; virtual ~Step() = default; };
struct Fibonacci : Step { int of(int n) const override { return n < 2 ? n : of(n - 1) + of(n - 2); } };
std::array<int32_t, 8> out;
std::vector<char> greeting;
}
LAWOW_OFFLOAD int fib(int n) {
  const Step *step = new Fibonacci;
  int found = step->of(n);
  delete step;
  return found;
}
LAWOW_OFFLOAD char last(LAWOW_STRING(text)) { char c = text[text_bytes - 1]; return c < 0 ? c : 1; }
LAWOW_OFFLOAD uint8_t wrap(uint8_t n) { std::vector<uint8_t> all(2, n); all[1] += 1; return all.back(); }
LAWOW_OFFLOAD float mix(bool b, int64_t l, float f, double d) { return b ? (float)l + f : (float)d; }
LAWOW_OFFLOAD double fused(double a, double b, double c) { return a * b - c; }
LAWOW_OFFLOAD LAWOW_RETURNS_LIST(int32_t) turned(LAWOW_LIST(int32_t, values)) {
  std::vector<int32_t> sorted(values, values + values_count);
  std::reverse(sorted.begin(), sorted.end());
  std::copy(sorted.begin(), sorted.end(), out.begin());
  return lawow_return(out.data(), values_count);
}
LAWOW_OFFLOAD LAWOW_RETURNS_STRING greet(LAWOW_STRING(name)) {
  static const char hello[] = "hello ";
  greeting.assign(hello, hello + 6);
  greeting.insert(greeting.end(), name, name + name_bytes);
  return lawow_return(greeting.data(), greeting.size());
}
"""
MAIN = """
import com.example.app.DemoWasm;
import java.util.Arrays;
public class Main {
    public static void main(String[] unused) {
        System.out.println(DemoWasm.fib(20));
        System.out.println(DemoWasm.last("\\u00e9"));
        System.out.println(DemoWasm.wrap(255));
        System.out.println(DemoWasm.mix(true, 1L << 40, 0.5f, 2.5));
        System.out.println(DemoWasm.fused(1.0000000001, 1.0000000001, 1.0000000002));
        System.out.println(Arrays.toString(DemoWasm.turned(new int[] {1, -2, 3})));
        System.out.println(Arrays.toString(DemoWasm.turned(new int[0])));
        System.out.println(DemoWasm.greet("w\\u00f6rld"));
        try {
            dev.lawow.Lawow.local(DemoWasm.MODULE, "fib", "I>i", new Object[] {1L});
        } catch (IllegalArgumentException error) {
            System.out.println(error.getMessage());
        }
    }
}
"""


@pytest.fixture(scope="module", params=[("demo.c", SOURCE), ("demo.cpp", CPP_SOURCE)], ids=["C", "C++"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app with one source, packed."""
    name, source = request.param
    app = app_tree(tmp_path_factory.mktemp("native") / "app", {name: source.encode()})
    lawow("pack", app, "--local", "native")
    return app


def test_the_app_has_its_own_code_and_no_runtime(packed: Path) -> None:
    names = {path.name for path in packed.glob("src/main/jniLibs/*/*")}
    assert names == {"liblawownative.so", "liblawow-demo.so"}
    for path in packed.glob("src/main/jniLibs/*/*.so"):
        issues = verify_android_library(path.read_bytes(), path.parent.name, file_name=path.name, min_api=21)
        assert issues == ()
        assert path.stat().st_size < 20_000
    assert (packed / "src/main/assets/lawow/demo.wasm").is_file()
    lawow("pack", packed, "--local", "native", "--check")


def test_generated_classes_give_the_same_as_native_code_and_as_webassembly(
    packed: Path, tmp_path: Path, host_libraries: Path
) -> None:
    (tmp_path / "Main.java").write_text(MAIN)
    sources = sorted((packed / "src/main/java").rglob("*.java"))
    flags = ("--release", "8", "-encoding", "UTF-8", "-Xlint:all,-options", "-Werror")
    run("javac", *flags, "-d", tmp_path, *sources, tmp_path / "Main.java")
    jvm = Jvm((tmp_path, packed / "src/main"), options=("-Xcheck:jni", "-Dfile.encoding=UTF-8"))
    native = jvm.with_properties(native=host_libraries).run("Main")
    import wasmtime

    glue = tmp_path / "liblawow.so"
    run(sys.executable, android_stub("build.py"), "--host", glue)
    library = next(Path(wasmtime.__file__).parent.glob("linux-*/_libwasmtime.so"))
    wasm = jvm.with_properties(local="wasm", library=glue, wasmtime=library).run("Main")
    assert native == wasm
    assert native.splitlines()[:3] == ["6765", "-87", "0"]


@pytest.fixture(scope="module")
def host_libraries(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native library of the module that was packed, for this machine."""
    folder = tmp_path_factory.mktemp("host")
    [source] = packed.glob("src/main/wasm/demo.c*")
    sources = find_sources(source)
    module = build_module(sources, "demo")
    digest = binding_of(bundled_module("demo.wasm", module.wasm)).module.sha256
    built = build_module_libraries(sources, "demo", module.prototypes, digest, (HOST,))
    (folder / "liblawow-demo.so").write_bytes(built[HOST])
    library = folder / "liblawownative.so"
    run(sys.executable, android_stub("build.py"), "--host", library, "--runtime", "native")
    return folder


@pytest.mark.parametrize(
    ("config", "options", "status", "sentence"),
    [
        ("[pack.profile]\nfuel = 5\n", (), 4, "pack.profile.fuel: native code has no sandbox"),
        ("", ("--runtime", "wasmtime"), 2, "native code needs no runtime"),
        ("", ("--interpreter",), 2, "--local native packs no runtime"),
        ("", (), 4, "fibonacci.wasm: is no source"),
    ],
)
def test_what_native_code_cannot_keep_is_refused(
    tmp_path: Path, config: str, options: tuple[str, ...], status: int, sentence: str
) -> None:
    app = app_tree(tmp_path / "app")
    (app / "lawow.toml").write_text(config)
    done = lawow("pack", app, "--local", "native", *options, check=False)
    assert done.returncode == status
    assert sentence in done.stderr
    assert not (app / "lawow.lock.json").exists()


@pytest.mark.parametrize(
    ("before", "result", "missing"),
    [
        ("#include <string>\nstd::string kept;", "(kept.append(n, 65), (int)kept.size())", "basic_string"),
        ("int elsewhere(int);", "elsewhere(n)", "elsewhere(int)"),
    ],
)
def test_what_the_cpp_library_has_compiled_and_what_is_nowhere_are_refused_by_their_names(
    tmp_path: Path, before: str, result: str, missing: str
) -> None:
    source = tmp_path / "demo.cpp"
    source.write_text(f'#include "lawow.h"\n{before}\nLAWOW_OFFLOAD int f(int n) {{ return {result}; }}\n')
    with pytest.raises(FormatError) as caught:
        build_libraries(find_sources(source), "demo")
    assert "undefined symbol" in str(caught.value)
    assert missing in str(caught.value)
    assert "demo.cpp" in str(caught.value)


def test_everything_is_taken_back(packed: Path) -> None:
    assert "lawow-demo.so" in json.dumps(json.loads((packed / "lawow.lock.json").read_text()))
    lawow("pack", packed, "--remove")
    assert not list(packed.glob("src/main/jniLibs/*/*.so"))


def test_a_finished_apk_gets_native_code_too(small: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "demo.c").write_text(SOURCE)
    builder = source_builder(lambda _: None)
    files = added(plan_small(small, tmp_path / "demo.c", None, local="native", builder=builder))
    libraries = {f"lib/{abi}/liblawow{name}.so" for abi in ABIS for name in ("-demo", "native")}
    assert {path for path in files if path.startswith("lib/")} == libraries
    assert b"local=native" in files["assets/lawow/local.properties"]
    assert "assets/lawow/demo.wasm" in files


def test_the_choice_may_stand_in_the_configuration(tmp_path: Path) -> None:
    app = app_tree(tmp_path / "app", {"demo.c": SOURCE.encode()})
    (app / "lawow.toml").write_text('[pack]\nlocal = "native"\nabis = ["x86_64"]\n')
    lawow("pack", app)
    names = {path.name for path in app.glob("src/main/jniLibs/*/*")}
    assert names == {"liblawownative.so", "liblawow-demo.so"}
    lawow("pack", app, "--check")


def test_a_finished_apk_with_native_code_is_accepted_by_the_judges(
    small: dict[str, bytes], tmp_path: Path, key: SigningKey
) -> None:
    (tmp_path / "demo.c").write_text(SOURCE)
    builder = source_builder(lambda _: None)
    plan = plan_small(small, tmp_path / "demo.c", None, local="native", builder=builder)
    path = tmp_path / "packed.apk"
    path.write_bytes(pack_apk(plan, key).apk)
    run("apksigner", "verify", path)
    run("zipalign", "-c", "4", path)
    assert lawow("verify", path).returncode == 0
