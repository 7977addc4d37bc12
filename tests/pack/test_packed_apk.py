"""What a packed APK is worth: judges accept it, its classes run, `lawow refactor` splits it again."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import DX, maven_jar
from lawow.build.modules import build_module
from lawow.build.sources import find_sources
from lawow.formats.apk import AppPackage, read_app
from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.source import ClassSource
from lawow.formats.dex.transplant import transplant_class
from lawow.formats.signing import SigningKey, sign_apk
from lawow.formats.zip import find_misaligned, make_entry, read_zip
from lawow.pack import PackOptions
from lawow.pack.apk import pack_apk, plan_apk
from lawow.pack.bindings import java_source
from lawow.resources import android_stub
from tests.apk.corpus import CORPUS
from tests.apk.rounds import entries_of
from tests.conftest import ROOT, lawow
from tests.pack.builders import added, plan_small, wat
from tests.tools import enjarify, run, tool

FIBONACCI_WASM = ROOT / "fixtures" / "app" / "src" / "main" / "wasm" / "fibonacci.wasm"
MATRIX_WASM = FIBONACCI_WASM.with_name("matrix.wasm")
REAL = {item.name: item for item in CORPUS}

# ---- the classes, on a JVM

TYPES = """
(module
  (func (export "none"))
  (func (export "all") (param i32 i64 f32 f64) (result f32)
    (f32.add (f32.add (f32.convert_i32_s (local.get 0)) (f32.convert_i64_s (local.get 1)))
             (f32.add (local.get 2) (f32.demote_f64 (local.get 3)))))
  (func (export "two") (param i32) (result i32 i64) (local.get 0) (i64.const 7))
  (func (export "int") (result i32) (i32.const 1))
  (func (export "matrix-multiply") (result f64) (f64.const 2.5)))
"""

MAIN = """
import com.example.types.TypesWasm;
public class Main {
    public static void main(String[] unused) {
        TypesWasm.none();
        Object[] two = TypesWasm.two(6);
        System.out.println(TypesWasm.all(1, 2L, 0.5f, 4.0) + " " + two[0] + " " + two[1] + " "
            + TypesWasm.int_() + " " + TypesWasm.matrix_multiply());
    }
}
"""


TYPED = """
#include "lawow.h"
#include <stdbool.h>
LAWOW_OFFLOAD int32_t sum(LAWOW_LIST(int32_t, values)) {
  int32_t total = 0;
  for (size_t i = 0; i < values_count; i++) total += values[i];
  return total;
}
LAWOW_OFFLOAD bool flip(bool value) { return !value; }
LAWOW_OFFLOAD int8_t negate(int8_t value) { return -value; }
LAWOW_OFFLOAD uint16_t count(LAWOW_STRING(text)) { return (uint16_t)text_bytes + 0 * (unsigned char)text[0]; }
LAWOW_OFFLOAD uint64_t add(uint64_t big, double more) { return big + (uint64_t)more; }
"""

TYPED_MAIN = """
import com.example.types.TypesWasm;
public class Main {
    public static void main(String[] unused) {
        System.out.println(TypesWasm.sum(new int[] {1, 2, 3}) + " " + TypesWasm.flip(false) + " "
            + TypesWasm.negate((byte) 5) + " " + TypesWasm.count("abcd") + " " + TypesWasm.add(40L, 2.0));
    }
}
"""


def types_module(folder: Path, kind: str) -> Path:
    """Return types.wasm, with core types alone or with an interface."""
    path = folder / "types.wasm"
    if kind == "core":
        path.write_bytes(wat(TYPES))
        return path
    source = folder / "types.c"
    source.write_text(TYPED)
    path.write_bytes(build_module(find_sources(source), "types").wasm)
    return path


@pytest.mark.parametrize(
    ("kind", "main", "printed"), [("core", MAIN, "7.5 6 7 1 2.5\n"), ("wit", TYPED_MAIN, "6 true -5 4 42\n")]
)
def test_a_jvm_runs_the_classes_of_the_packed_apk_through_the_glue(
    small: dict[str, bytes],
    runtime_dir: Path,
    key: SigningKey,
    tmp_path: Path,
    kind: str,
    main: str,
    printed: str,
) -> None:
    found = plan_small(small, types_module(tmp_path, kind), runtime_dir, package="com.example.types")
    with zipfile.ZipFile(io.BytesIO(pack_apk(found, key).apk)) as archive:
        archive.extractall(tmp_path / "apk")
    jar = enjarify(tmp_path / "apk" / "classes2.dex", tmp_path / "classes.jar")
    (tmp_path / "Main.java").write_text(main)
    run("javac", "-cp", jar, "-d", tmp_path, tmp_path / "Main.java")
    glue = tmp_path / "liblawow.so"
    run(sys.executable, android_stub("build.py"), "--host", glue)
    library = next(Path(wasmtime.__file__).parent.glob("linux-*/_libwasmtime.so"))
    options = ("-Xverify:all", f"-Dlawow.library={glue}", f"-Dlawow.wasmtime={library}")
    done = run("java", *options, "-cp", f"{jar}:{tmp_path}:{tmp_path / 'apk'}", "Main")
    assert done.stdout == printed


def surface(dex: Dex, descriptor: str) -> set[str]:
    """Return what other classes and tools can see of a class."""
    view = dex.class_def(descriptor)
    parts: list[object] = [("class", view.access_flags, view.superclass, sorted(map(str, view.annotations)))]
    parts += [("field", item.ref, item.access_flags) for item in view.fields]
    parts += [
        ("method", item.ref, item.access_flags, sorted(map(str, item.annotations))) for item in view.methods
    ]
    return set(map(str, parts))


@pytest.mark.parametrize("kind", ["core", "wit"])
def test_the_class_is_the_one_that_a_compiler_makes_of_the_java_source(
    small: dict[str, bytes], runtime_dir: Path, tmp_path: Path, kind: str
) -> None:
    found = plan_small(small, types_module(tmp_path, kind), runtime_dir)
    (tmp_path / "TypesWasm.java").write_text(java_source(found.bindings[0], found.package))
    stub = android_stub("prebuilt", "lawow-stub.jar")
    flags = ("--release", "8", "-nowarn", "-Xlint:-options")
    run("javac", *flags, "-cp", stub, "-d", tmp_path / "out", tmp_path / "TypesWasm.java")
    dex = tmp_path / "out.dex"
    dx = ("java", "-cp", maven_jar(DX), "com.android.dx.command.Main", "--dex", "--min-sdk-version=21")
    run(*dx, f"--output={dex}", tmp_path / "out")
    compiled, ours = read_dex(dex.read_bytes()), read_dex(added(found)["classes2.dex"])
    descriptor = "Lcom/example/app/TypesWasm;"
    assert surface(ours, descriptor) == surface(compiled, descriptor)
    refs = [item.references_of(item.class_def(descriptor)) for item in (ours, compiled)]
    # A narrow result is cut by an instruction here, by a call of java.lang.Integer there.
    narrowing = {"byteValue", "shortValue", "intValue"}
    methods = [{ref for ref in item.methods if ref.name not in narrowing} for item in refs]
    assert methods[0] == methods[1]
    assert refs[0].strings == refs[1].strings


# ---- apps that others made


def judge(apk: Path) -> None:
    """Ask everybody who knows about APKs."""
    run("apksigner", "verify", apk)
    run("zipalign", "-c", "-p", "4", apk)
    run("aapt", "dump", "badging", apk)
    done = subprocess.run([tool("dexdump"), apk], capture_output=True, check=True)  # prints MUTF-8
    assert done.stderr == b""
    assert list(find_misaligned(read_zip(apk.read_bytes()))) == []


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app from npm with the real runtime and two modules of Table I."""
    folder = tmp_path_factory.mktemp("packed")
    apk = REAL["settings"].path()
    report = lawow(
        "pack", apk, "--wasm", FIBONACCI_WASM, "--wasm", MATRIX_WASM, "--debug-key", "--out", folder, "--json"
    )
    (folder / "report.json").write_text(report.stdout)
    return folder / "settings-packed.apk"


def test_every_judge_accepts_a_packed_app_that_others_made(packed: Path) -> None:
    judge(packed)
    report = json.loads(packed.with_name("report.json").read_text())
    assert report["bytes"] == packed.stat().st_size
    new = {item["path"] for item in report["added"]}
    assert entries_of(packed, new) == entries_of(REAL["settings"].path(), set())


def test_the_packed_app_is_split_again_and_its_bundle_runs(packed: Path, tmp_path: Path) -> None:
    lawow("refactor", packed, "--debug-key", "--no-report", "--out", tmp_path)
    judge(tmp_path / "settings-packed-slim.apk")
    bundle = tmp_path / "settings-packed-offload.jar"
    assert lawow("exec", bundle, "FibonacciWasm.fib", "10").stdout == "55\n"
    assert lawow("exec", bundle, "MatrixWasm.multiply", "500").stdout.startswith("219720941.5")


def renamed(app: AppPackage, key: SigningKey) -> bytes:
    """Return the packed app as a shrinker leaves it without keep rules: other names, no annotations."""
    holder = app.dexes[-1]
    builder = DexBuilder(holder.dex.version)
    for descriptor in holder.dex.class_names():
        copied = transplant_class(holder.dex, descriptor)
        builder.add(_shrunk(copied) if descriptor.endswith("/FibonacciWasm;") else copied)
    entry = make_entry(holder.name, builder.build())
    entries = [entry if item.path == holder.name else item for item in app.archive.entries]
    return sign_apk(entries, key, min_sdk=app.manifest.min_sdk)


def _shrunk(source: ClassSource) -> ClassSource:
    methods = tuple(
        replace(item, name="a" if item.name == "fib" else item.name, annotations=())
        for item in source.methods
    )
    return replace(source, descriptor="Lb/a;", methods=methods, annotations=())


def test_a_packed_app_with_the_names_of_a_shrinker_is_split_by_its_mapping(
    runtime_dir: Path, key: SigningKey, tmp_path: Path
) -> None:
    data = REAL["uiautomator2-test"].path().read_bytes()
    options = PackOptions(wasm=(FIBONACCI_WASM,), package="com.example.app", runtime_dir=runtime_dir)
    packed = pack_apk(plan_apk(data, "app.apk", options), key).apk
    apk, mapping = tmp_path / "app.apk", tmp_path / "mapping.txt"
    apk.write_bytes(renamed(read_app(packed, name="app.apk"), key))
    judge(apk)
    mapping.write_text("com.example.app.FibonacciWasm -> b.a:\n    int fib(int) -> a\n")
    lawow("refactor", apk, "--mapping", mapping, "--debug-key", "--no-report", "--out", tmp_path)
    judge(tmp_path / "app-slim.apk")
    assert lawow("exec", tmp_path / "app-offload.jar", "b.a.a", "10").stdout == "55\n"
