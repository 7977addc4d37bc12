"""`lawow pack`: what an app's source tree looks like afterwards, and what is never touched."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from lawow.errors import FormatError, HostLost, LawowError, LimitExceeded, Refused, UsageError
from lawow.formats.elf import verify_android_library
from lawow.pack import PackPlan, plan_removal, runtimes
from lawow.resources import android_stub
from tests.formats.elf_samples import shared_library
from tests.pack.builders import FIBONACCI, GRADLE, app_tree, plan_pack, snapshot, wat
from tests.tools import run

JAVA = "src/main/java/com/example/app/FibonacciWasm.java"
ASSET = "src/main/assets/lawow/fibonacci.wasm"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return app_tree(tmp_path / "app")


def pack(app: Path, runtime_dir: Path, **options: object) -> PackPlan:
    plan = plan_pack(app, runtime_dir=runtime_dir, **options)  # type: ignore[arg-type]
    plan.changes.apply()
    return plan


def lawow(*argv: str | Path, check: bool = True, **env: str) -> tuple[int, str, str]:
    done = run(sys.executable, "-m", "lawow", *argv, check=check, env=env)
    return done.returncode, done.stdout, done.stderr


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


# ---- doing it again, and taking it back


def test_a_second_run_has_nothing_to_do(app: Path, runtime_dir: Path) -> None:
    pack(app, runtime_dir)
    before = {path: path.stat().st_mtime_ns for path in app.rglob("*")}
    assert pack(app, runtime_dir).changes.is_empty
    assert {path: path.stat().st_mtime_ns for path in app.rglob("*")} == before


def test_a_changed_module_changes_its_asset_its_class_and_the_lock(app: Path, runtime_dir: Path) -> None:
    pack(app, runtime_dir)
    before = snapshot(app)
    (app / "src/main/wasm/fibonacci.wasm").write_bytes(wat(FIBONACCI.replace("const 2", "const 3")))
    pack(app, runtime_dir)
    after = snapshot(app)
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {ASSET, JAVA, "lawow.lock.json", "src/main/wasm/fibonacci.wasm"}


def test_what_is_no_longer_planned_is_removed(app: Path, runtime_dir: Path) -> None:
    pack(app, runtime_dir)
    (app / "src/main/wasm/fibonacci.wasm").rename(app / "src/main/wasm/other.wasm")
    plan = pack(app, runtime_dir, abis=["arm64-v8a"])
    assert set(plan.changes.remove) == {
        ASSET,
        JAVA,
        *(f"src/main/jniLibs/x86_64/{n}" for n in ("liblawow.so", "libwasmtime.so")),
    }
    assert not (app / "src/main/jniLibs/x86_64").exists()
    assert not (app / JAVA).exists()


def test_remove_takes_back_exactly_what_was_written(app: Path, runtime_dir: Path) -> None:
    (app / "src/main/assets/lawow").mkdir(parents=True)
    (app / "src/main/assets/lawow/edge.properties").write_text("edge = https://10.0.0.1:8443\n")
    before = snapshot(app)
    pack(app, runtime_dir)
    plan_removal(app).apply()
    assert snapshot(app) == before
    assert plan_removal(app).is_empty


def test_remove_leaves_everything_if_one_file_was_changed_unless_forced(app: Path, runtime_dir: Path) -> None:
    pack(app, runtime_dir)
    (app / JAVA).write_text("// mine\n")
    before = snapshot(app)
    with pytest.raises(
        Refused, match=rf"{JAVA} was changed since pack wrote it: nothing was removed \(--force"
    ):
        plan_removal(app)
    assert snapshot(app) == before
    plan_removal(app, force=True).apply()
    assert not (app / JAVA).exists()


# ---- what is not ours


@pytest.mark.parametrize(
    "path", [JAVA, ASSET, "src/main/lawow-proguard.txt", "src/main/jniLibs/x86_64/liblawow.so"]
)
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_nothing_is_written_when_something_is_in_the_way(
    app: Path, runtime_dir: Path, path: str, kind: str
) -> None:
    place = app / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        place.write_text("mine")
    elif kind == "link":
        place.symlink_to(app / "build.gradle")
    else:
        place.mkdir()
    before = snapshot(app)
    for force in (False, True):
        with pytest.raises(Refused, match=f"{path} exists and was not written by pack: nothing was written"):
            plan_pack(app, runtime_dir=runtime_dir, force=force)
    assert snapshot(app) == before


def test_a_file_changed_since_is_replaced_only_if_forced(app: Path, runtime_dir: Path) -> None:
    pack(app, runtime_dir)
    wanted = snapshot(app)
    (app / JAVA).write_text("// mine\n")
    with pytest.raises(Refused, match="was changed since"):
        plan_pack(app, runtime_dir=runtime_dir)
    pack(app, runtime_dir, force=True)
    assert snapshot(app) == wanted


def test_a_file_deleted_since_comes_back(app: Path, runtime_dir: Path) -> None:
    pack(app, runtime_dir)
    (app / JAVA).unlink()
    assert list(pack(app, runtime_dir).changes.write) == [JAVA]


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "src/../../x", "", "a//b", "./a"])
def test_a_lock_that_leads_out_of_the_module_is_refused(app: Path, path: str) -> None:
    (app / "lawow.lock.json").write_text(json.dumps({"schema": 1, "files": {path: "0" * 64}}))
    with pytest.raises(FormatError, match="names no file of this module"):
        plan_removal(app, force=True)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema": 2, "files": {}}', '{"schema": 1, "files": {"a": 1}}']
)
def test_a_damaged_lock_is_refused(app: Path, runtime_dir: Path, text: str) -> None:
    (app / "lawow.lock.json").write_text(text)
    with pytest.raises(FormatError, match=r"lawow\.lock\.json"):
        plan_pack(app, runtime_dir=runtime_dir)


def test_a_full_disk_leaves_the_tree_as_it_was(
    app: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(app)
    plan = plan_pack(app, runtime_dir=runtime_dir)
    real, calls = os.fsync, iter(range(1000))

    def full(descriptor: int) -> None:
        if next(calls) == 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        plan.changes.apply()
    assert snapshot(app) == before


def test_running_again_completes_what_was_interrupted_between_the_renames(
    app: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = app.with_name("clean")
    shutil.copytree(app, clean)
    pack(clean, runtime_dir)
    plan = plan_pack(app, runtime_dir=runtime_dir)
    real, calls = os.replace, iter(range(1000))

    def killed(source: Path, target: Path) -> None:
        if next(calls) == 9:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            plan.changes.apply()
    assert not (app / "lawow.lock.json").exists()
    pack(app, runtime_dir)
    assert snapshot(app) == snapshot(clean)


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


# ---- modules


def test_an_app_without_modules_is_told_where_they_go(tmp_path: Path, runtime_dir: Path) -> None:
    app = app_tree(tmp_path / "app", {})
    with pytest.raises(
        UsageError, match=r"src/main/wasm: holds no \.wasm file; put modules there or name them"
    ):
        plan_pack(app, runtime_dir=runtime_dir)


def test_chosen_files_take_the_place_of_the_folder(app: Path, runtime_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "chosen.wasm").write_bytes(wat(FIBONACCI))
    plan = plan_pack(app, runtime_dir=runtime_dir, wasm=[tmp_path / "chosen.wasm"])
    assert [binding.class_name for binding in plan.bindings] == ["ChosenWasm"]


def outcome_of(app: Path, runtime_dir: Path) -> str:
    """Return the sentence of a bad or refused input, or "packed"."""
    try:
        plan_pack(app, runtime_dir=runtime_dir)
    except (FormatError, Refused) as error:
        return str(error)
    return "packed"


def test_a_module_cut_anywhere_is_a_format_error_and_nothing_else(tmp_path: Path, runtime_dir: Path) -> None:
    whole = wat(FIBONACCI)
    app = app_tree(tmp_path / "app", {})
    path = app / "src/main/wasm/cut.wasm"
    outcomes = []
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        outcomes.append(outcome_of(app, runtime_dir))
    # Without its last section, the names, a module is a whole one.
    assert sum(text == "packed" for text in outcomes) == 1
    assert all(text == "packed" or "cut.wasm" in text for text in outcomes)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        (
            '(module (import "env" "log" (func)) (func (export "f")))',
            Refused,
            r"imports env\.log \(func\), which no app offers",
        ),
        (
            '(module (import "wasi_snapshot_preview1" "sock_open" (func)) (func (export "f")))',
            Refused,
            "sock_open",
        ),
        (
            '(module (import "env" "memory" (memory 1)) (func (export "f")))',
            Refused,
            r"env\.memory \(memory\)",
        ),
        ("(module)", Refused, "exports no function that Java could call"),
        ('(module (func (export "_start")))', Refused, "exports no function that Java could call"),
    ],
)
def test_a_module_that_cannot_run_in_an_app_is_refused(
    tmp_path: Path, runtime_dir: Path, text: str, error: type[LawowError], sentence: str
) -> None:
    app = app_tree(tmp_path / "app", {"odd.wasm": wat(text)})
    before = snapshot(app)
    with pytest.raises(error, match=sentence):
        plan_pack(app, runtime_dir=runtime_dir)
    assert snapshot(app) == before


def test_a_component_is_refused(tmp_path: Path, runtime_dir: Path) -> None:
    app = app_tree(tmp_path / "app", {"part.wasm": wat("(component)")})
    with pytest.raises(FormatError, match=r"part\.wasm: is a component"):
        plan_pack(app, runtime_dir=runtime_dir)


def test_two_modules_of_one_class_and_names_that_are_unsafe_are_refused(
    tmp_path: Path, runtime_dir: Path
) -> None:
    module = wat(FIBONACCI)
    app = app_tree(tmp_path / "two", {"a_b.wasm": module, "a-B.wasm": module})
    with pytest.raises(UsageError, match="would both become the class AB"):
        plan_pack(app, runtime_dir=runtime_dir)
    spaced = app_tree(tmp_path / "spaced", {"a b.wasm": module})
    with pytest.raises(FormatError, match="unsafe module name"):
        plan_pack(spaced, runtime_dir=runtime_dir)


def test_a_module_beyond_the_limit_is_not_even_read(app: Path, runtime_dir: Path) -> None:
    with (app / "src/main/wasm/huge.wasm").open("wb") as stream:
        stream.truncate(65 << 20)
    with pytest.raises(LimitExceeded, match="module_bytes"):
        plan_pack(app, runtime_dir=runtime_dir)


# ---- the runtime


def test_a_runtime_that_cannot_have_16_kb_pages_goes_into_debug_builds(
    app: Path, runtime_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runtime"
    shutil.copytree(runtime_dir, folder)
    (folder / "x86_64/libwasmtime.so").write_bytes(shared_library("x86_64", page_bytes=4096))
    plan = pack(app, folder)
    assert list(plan.folders) == ["src/main/jniLibs/arm64-v8a", "src/debug/jniLibs/x86_64"]
    assert any(note.startswith("x86_64 goes into debug builds only: LOAD segments") for note in plan.notes)
    assert (app / "src/debug/jniLibs/x86_64/liblawow.so").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda _: b"nonsense", "is not a little-endian ELF file"),
        (lambda data: data[:3000], "libwasmtime"),
        (lambda _: shared_library("x86_64"), "is for machine 62; arm64-v8a is 183"),
        (
            lambda data: data.replace(b"ptr_50_0_0", b"ptr_51_0_0"),
            r"is not wasmtime 50\.0\.1, the only version",
        ),
    ],
    ids=["no-elf", "cut", "machine", "version"],
)
def test_a_runtime_that_would_not_load_is_refused(
    app: Path, runtime_dir: Path, tmp_path: Path, change: object, sentence: str
) -> None:
    folder = tmp_path / "runtime"
    shutil.copytree(runtime_dir, folder)
    path = folder / "arm64-v8a/libwasmtime.so"
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(FormatError, match=sentence):
        plan_pack(app, runtime_dir=folder)


def test_a_folder_without_the_abi_and_an_unknown_abi_are_refused(
    app: Path, tmp_path: Path, runtime_dir: Path
) -> None:
    with pytest.raises(UsageError, match=r"arm64-v8a/libwasmtime\.so: no such file; --runtime-dir needs"):
        plan_pack(app, runtime_dir=tmp_path)
    with pytest.raises(
        UsageError, match="no WebAssembly runtime for armeabi-v7a; there is one for arm64-v8a, x86_64"
    ):
        plan_pack(app, runtime_dir=runtime_dir, abis=["armeabi-v7a"])


def test_the_version_is_the_one_that_lawow_runs_modules_with() -> None:
    from importlib.metadata import requires, version

    assert f"wasmtime=={runtimes.VERSION}" in (requires("lawow") or [])
    assert version("wasmtime") == runtimes.VERSION


def test_without_a_network_pack_says_how_to_go_on(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(app)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    cached = tmp_path / "cache/lawow/runtimes" / runtimes.ABIS["arm64-v8a"].wheel
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"damaged in the cache")
    with pytest.raises(HostLost, match=r"arm64_v8a\.whl could not be fetched .* by --runtime-dir"):
        plan_pack(app)
    assert snapshot(app) == before


def test_the_real_runtimes_pass_the_checks_and_are_as_large_as_announced(app: Path) -> None:
    """Fetches 18 MB once and keeps them in the user's cache."""
    import zlib

    plan = plan_pack(app)
    assert list(plan.folders) == [f"src/main/jniLibs/{abi}" for abi in runtimes.ABIS]
    for item in plan.abis:
        assert item.reason == ""
        assert item.download_bytes is not None
        packed = len(zlib.compress(item.files["libwasmtime.so"], 6)) + len(item.files["liblawow.so"])
        assert 0.95 < packed / item.download_bytes < 1.05


# ---- the command


def test_the_command_reports_what_it_did(app: Path, runtime_dir: Path) -> None:
    _, out, _ = lawow("pack", app, "--runtime-dir", runtime_dir)
    assert f"{app}: package com.example.app\n  FibonacciWasm: fibonacci.wasm," in out
    assert "    int fib(int p0)\n" in out
    assert re.search(r"arm64-v8a: src/main/jniLibs/arm64-v8a, [\d.]+ kB installed", out)
    assert re.search(r"wrote \d+ files, [\d.]+ MiB, 0 unchanged\n", out)
    assert lawow("pack", app, "--runtime-dir", runtime_dir)[1].count("nothing to do") == 1
    assert re.fullmatch(r"removed \d+ files\n", lawow("pack", app, "--remove")[1])
    assert lawow("pack", app, "--remove")[1] == "nothing to do\n"


def test_a_dry_run_changes_nothing_and_json_is_json(app: Path, runtime_dir: Path) -> None:
    before = snapshot(app)
    _, out, _ = lawow("pack", app, "--runtime-dir", runtime_dir, "--dry-run", "--json")
    report = json.loads(out)
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
    code, _, err = lawow("pack", *filled, check=False)
    assert code == exit_code
    assert sentence in err
    assert "Traceback" not in err
