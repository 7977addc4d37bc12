"""`lawow pack`: what an app's source tree looks like afterwards, and what the app has to be."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from lawow.errors import FormatError, UsageError
from lawow.formats.elf import verify_android_library
from lawow.pack import runtimes
from lawow.resources import android_stub
from tests.conftest import lawow
from tests.pack.builders import ASSET, GRADLE, JAVA, app_tree, pack, plan_pack, snapshot, wat
from tests.tools import run

# ---- what is written


def test_the_tree_has_all_that_an_app_needs(app: Path, runtime_dir: Path) -> None:
    before = snapshot(app)
    pack(app, runtime_dir)
    after = snapshot(app)
    assert {path: after[path] for path in before} == before
    new = {path for path in after.keys() - before.keys() if after[path]}
    stub = {f"src/main/java/dev/lawow/{path.name}" for path in android_stub("java", "dev", "lawow").iterdir()}
    assert new == stub | {
        "lawow.lock.json",
        "src/main/lawow-proguard.txt",
        JAVA,
        ASSET,
        "src/main/assets/lawow/licenses/lawow-LICENSE",
        "src/main/assets/lawow/licenses/wasmtime-LICENSE",
        *(f"src/main/lawow/cpp/{name}" for name in (path.name for path in android_stub("jni").iterdir())),
        *(f"src/main/jniLibs/{abi}/lib{name}.so" for abi in runtimes.ABIS for name in ("lawow", "wasmtime")),
    }


def test_packed_libraries_pass_androids_checks(app: Path, runtime_dir: Path) -> None:
    pack(app, runtime_dir)
    for path in app.glob("src/*/jniLibs/*/*.so"):
        assert verify_android_library(path.read_bytes(), path.parent.name, file_name=path.name) == ()


def test_the_lock_lists_every_written_file_with_its_digest(app: Path, runtime_dir: Path) -> None:
    before = snapshot(app)
    pack(app, runtime_dir)
    after = snapshot(app)
    lock = json.loads((app / "lawow.lock.json").read_text())
    assert lock["schema"] == 1
    assert lock["files"] == {
        path: digest
        for path, digest in after.items()
        if digest and path not in before and path != "lawow.lock.json"
    }


def test_the_class_has_one_typed_method_for_each_export(app: Path, runtime_dir: Path) -> None:
    pack(app, runtime_dir)
    source = (app / JAVA).read_text()
    assert "package com.example.app;" in source
    assert "/** {@code fib: func(p0: s32) -> s32}. */" in source
    assert "public static int fib(int p0) {" in source
    assert 'return (Integer) Lawow.local(MODULE, "fib", "i>i", new Object[] {p0});' in source


TYPES = """
(module
  (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
  (memory (export "memory") 1)
  (func (export "_initialize"))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "none"))
  (func (export "all") (param i32 i64 f32 f64) (result f32) (local.get 2))
  (func (export "two") (param i32) (result i32 i64) (local.get 0) (i64.const 7))
  (func (export "int") (result i32) (i32.const 1))
  (func (export "matrix-multiply") (result i32) (i32.const 2))
  (func (export "matrix_multiply") (result i32) (i32.const 3))
  (func (export "hashCode") (result i32) (i32.const 4))
  (func (export "a\\22*/\\5cu0022\\c3\\bc") (result i32) (i32.const 5))
  (func (export "vector") (param v128)))
"""

MAIN = """
import com.example.app.TypesWasm;
public class Main {
    public static void main(String[] unused) {
        TypesWasm.none();
        Object[] two = TypesWasm.two(6);
        System.out.println(TypesWasm.all(1, 2L, 0.5f, 4.0) + " " + two[0] + " " + two[1] + " "
            + TypesWasm.int_() + TypesWasm.matrix_multiply_2() + TypesWasm.matrix_multiply()
            + TypesWasm.hashCode_() + TypesWasm.a____u0022_());
    }
}
"""


def test_generated_classes_compile_without_a_warning_and_call_the_right_exports(
    tmp_path: Path, runtime_dir: Path
) -> None:
    app = app_tree(tmp_path / "app", {"types.wasm": wat(TYPES)})
    pack(app, runtime_dir)
    (tmp_path / "Main.java").write_text(MAIN)
    classes, glue = tmp_path / "classes", tmp_path / "liblawow.so"
    sources = sorted((app / "src/main/java").rglob("*.java"))
    flags = ("--release", "8", "-Xlint:all,-options", "-Werror")
    run("javac", *flags, "-d", classes, *sources, tmp_path / "Main.java")
    run(sys.executable, android_stub("build.py"), "--host", glue)
    import wasmtime

    library = next(Path(wasmtime.__file__).parent.glob("linux-*/_libwasmtime.so"))
    properties = (f"-Dlawow.library={glue}", f"-Dlawow.wasmtime={library}")
    done = run("java", *properties, "-cp", f"{classes}:{app / 'src/main'}", "Main")
    assert done.stdout == "0.5 6 7 12345\n"


def test_a_function_that_java_cannot_have_is_left_out_and_said(tmp_path: Path, runtime_dir: Path) -> None:
    functions = [
        f'(func (export "{name}") (param {"i64 " * n}))' for name, n in (("many", 128), ("most", 127))
    ]
    many = f"(module {' '.join(functions)})"
    plan = pack(app_tree(tmp_path / "app", {"wide.wasm": wat(many)}), runtime_dir)
    assert [method.name for method in plan.bindings[0].methods] == ["most"]
    assert "wide.wasm: no method for many (too many parameters for Java)" in plan.notes


# ---- the app's module


@pytest.mark.parametrize(
    ("gradle", "script", "package", "option", "expected"),
    [
        (GRADLE, "build.gradle", "", None, "com.example.app"),
        ('android {\n  namespace = "org.kts"\n}', "build.gradle.kts", "in.manifest", None, "org.kts"),
        ("/* namespace 'no' */ android { namespace='tight' }", "build.gradle", "", None, "tight"),
        ("android { }", "build.gradle", "in.manifest", None, "in.manifest"),
        (None, "", "in.manifest", None, "in.manifest"),
        (GRADLE, "build.gradle", "in.manifest", "by.option", "by.option"),
    ],
)
def test_the_package_is_the_options_else_the_namespaces_else_the_manifests(
    tmp_path: Path,
    runtime_dir: Path,
    gradle: str | None,
    script: str,
    package: str,
    option: str | None,
    expected: str,
) -> None:
    app = app_tree(tmp_path / "app", gradle=gradle, script=script, package=package)
    plan = plan_pack(app, runtime_dir=runtime_dir, package=option)
    assert plan.package == expected
    assert f"src/main/java/{expected.replace('.', '/')}/FibonacciWasm.java" in plan.changes.write


def test_a_folder_that_is_no_app_module_is_refused(tmp_path: Path, runtime_dir: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no src/main/AndroidManifest\.xml; give the folder of an Android app's"
    ):
        plan_pack(tmp_path, runtime_dir=runtime_dir)
    nameless = app_tree(tmp_path / "nameless", gradle="android { }")
    with pytest.raises(UsageError, match=r"neither build\.gradle nor the manifest names a package"):
        plan_pack(nameless, runtime_dir=runtime_dir)


@pytest.mark.parametrize(
    "text",
    ["", "<manifest", "<other/>", '<!DOCTYPE m [<!ENTITY a "b">]><manifest/>', "\xff\xfe", "<a>&#0;</a>"],
)
def test_a_manifest_that_is_none_is_refused(app: Path, runtime_dir: Path, text: str) -> None:
    (app / "src/main/AndroidManifest.xml").write_text(text, encoding="latin-1")
    with pytest.raises(FormatError, match=r"AndroidManifest\.xml"):
        plan_pack(app, runtime_dir=runtime_dir)


def test_the_keep_rules_are_mentioned_until_the_build_script_names_them(app: Path, runtime_dir: Path) -> None:
    rule = "proguardFiles 'src/main/lawow-proguard.txt'"
    note = f"for release builds with R8 or ProGuard, add to build.gradle: {rule}"
    assert plan_pack(app, runtime_dir=runtime_dir).notes == (note,)
    text = GRADLE + "// 'src/main/lawow-proguard.txt'\n"
    (app / "build.gradle").write_text(text)
    assert plan_pack(app, runtime_dir=runtime_dir).notes == (note,)
    (app / "build.gradle").write_text(GRADLE + "proguardFiles 'src/main/lawow-proguard.txt'\n")
    assert plan_pack(app, runtime_dir=runtime_dir).notes == ()


@pytest.mark.parametrize(
    ("minimum", "note"),
    [
        ("minSdk 24", "minSdk is 24; the runtime needs 26, and runs native code from 29 on"),
        ("minSdkVersion(26)", "minSdk is 26; below 29 modules are interpreted, about 14 to 90 times slower"),
        ("minSdk = 29", ""),
    ],
)
def test_an_old_minimum_of_android_is_said(
    tmp_path: Path, runtime_dir: Path, minimum: str, note: str
) -> None:
    app = app_tree(tmp_path / "app", gradle=GRADLE.replace("minSdk 29", minimum))
    found = [item for item in plan_pack(app, runtime_dir=runtime_dir).notes if item.startswith("minSdk")]
    assert found == ([note] if note else [])


def test_a_library_that_would_be_lost_on_arm64_is_said(app: Path, runtime_dir: Path) -> None:
    old = app / "src/main/jniLibs/armeabi-v7a/libold.so"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    notes = plan_pack(app, runtime_dir=runtime_dir, abis=["arm64-v8a"]).notes
    assert any(note.startswith("libold.so is missing for arm64-v8a") for note in notes)


# ---- the command


def test_the_command_reports_what_it_did(app: Path, runtime_dir: Path) -> None:
    out = lawow("pack", app, "--runtime-dir", runtime_dir).stdout
    assert f"{app}: package com.example.app\n  FibonacciWasm: fibonacci.wasm," in out
    assert "    int fib(int p0)\n" in out
    assert re.search(r"arm64-v8a: src/main/jniLibs/arm64-v8a, [\d.]+ kB installed", out)
    assert re.search(r"wrote \d+ files, [\d.]+ MiB, 0 unchanged\n", out)
    assert lawow("pack", app, "--runtime-dir", runtime_dir).stdout.count("nothing to do") == 1
    assert re.fullmatch(r"removed \d+ files\n", lawow("pack", app, "--remove").stdout)
    assert lawow("pack", app, "--remove").stdout == "nothing to do\n"


def test_a_dry_run_changes_nothing_and_json_is_json(app: Path, runtime_dir: Path) -> None:
    before = snapshot(app)
    done = lawow("pack", app, "--runtime-dir", runtime_dir, "--dry-run", "--json")
    report = json.loads(done.stdout)
    assert report["dry_run"] is True
    assert report["package"] == "com.example.app"
    assert report["modules"][0]["methods"] == [{"name": "fib", "export": "fib", "signature": "i>i"}]
    assert JAVA in report["written"]
    assert snapshot(app) == before


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (("/nowhere",), 2, "does not exist"),
        ((".",), 2, "no src/main/AndroidManifest.xml"),
        (("{app}", "--abi", "mips"), 2, "no WebAssembly runtime for mips"),
        (("{app}", "--remove", "--abi", "x86_64"), 2, "--remove takes back"),
        (("{app}", "--wasm", "{app}/build.gradle", "--runtime-dir", "{runtime}"), 3, "build.gradle"),
    ],
)
def test_errors_are_one_sentence_with_the_right_exit_code(
    app: Path, runtime_dir: Path, arguments: tuple[str, ...], exit_code: int, sentence: str
) -> None:
    filled = [item.format(app=app, runtime=runtime_dir) for item in arguments]
    done = lawow("pack", *filled, check=False)
    assert done.returncode == exit_code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
