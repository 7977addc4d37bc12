"""What `lawow pack` takes beside the plain case: Ant trees, sources, wheels, no runtime; --check."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lawow.cli.pack_sources import source_builder
from lawow.errors import FormatError, Refused, UsageError
from lawow.pack import Builder, plan_removal, runtimes
from lawow.pack.runtimes import ABIS
from lawow.resources import android_stub
from tests.conftest import CACHE, lawow
from tests.pack.builders import ASSET, FIBONACCI, JAVA, MANIFEST, app_tree, plan_pack, snapshot, wat
from tests.tools import run

GROOVY = "org.codehaus.groovy:groovy:3.0.22"


# ---- Ant and Eclipse


@pytest.fixture
def ant(tmp_path: Path) -> Path:
    """A tree of the kind that Eclipse and Ant build, with a library of its own."""
    folder = tmp_path / "ant"
    (folder / "wasm").mkdir(parents=True)
    (folder / "wasm" / "fibonacci.wasm").write_bytes(wat(FIBONACCI))
    uses = '<uses-sdk android:minSdkVersion="30"/><application'
    text = MANIFEST.format(package=' package="com.example.ant"').replace("<application", uses)
    (folder / "AndroidManifest.xml").write_text(text)
    (folder / "libs" / "armeabi-v7a").mkdir(parents=True)
    (folder / "libs" / "armeabi-v7a" / "libold.so").write_bytes(b"old")
    return folder


def test_an_ant_tree_gets_its_files_where_ant_looks_for_them(ant: Path, runtime_dir: Path) -> None:
    before = snapshot(ant)
    plan = plan_pack(ant, runtime_dir=runtime_dir)
    plan.changes.apply()
    new = {path for path, digest in snapshot(ant).items() if digest and path not in before}
    assert {path for path in new if not path.startswith("src/dev/lawow/")} == {
        "lawow.lock.json",
        "lawow-proguard.txt",
        "assets/lawow/fibonacci.wasm",
        "assets/lawow/licenses/lawow-LICENSE",
        "assets/lawow/licenses/wasmtime-LICENSE",
        "src/com/example/ant/FibonacciWasm.java",
        *(f"lawow/cpp/{path.name}" for path in android_stub("jni").iterdir()),
        *(f"libs/{abi}/lib{name}.so" for abi in ABIS for name in ("lawow", "wasmtime")),
    }
    assert "src/dev/lawow/Lawow.java" in new
    assert plan.tier == "native code"
    plan_removal(ant).apply()
    assert snapshot(ant) == before


def test_an_ant_tree_is_told_of_its_shrinker_and_of_its_other_libraries(ant: Path, runtime_dir: Path) -> None:
    plan = plan_pack(ant, runtime_dir=runtime_dir)
    assert plan.uncovered == ("armeabi-v7a",)
    assert any(note.startswith("libold.so is missing for arm64-v8a") for note in plan.notes)
    (rule,) = (note for note in plan.notes if "proguard.config=" in note)
    assert "add to project.properties: proguard.config=" in rule
    for comment, said in (("#", True), ("", False)):
        line = f"{comment}proguard.config=lawow-proguard.txt"
        (ant / "project.properties").write_text(f"target=android-30\n{line}\n")
        notes = plan_pack(ant, runtime_dir=runtime_dir).notes
        assert any("proguard.config=" in note for note in notes) == said


# ---- the line for the build script


def test_the_line_that_gradle_needs_is_groovy_and_names_the_rule_file(
    app: Path, runtime_dir: Path, tmp_path: Path
) -> None:
    from fixtures.build import maven_jar

    notes = plan_pack(app, runtime_dir=runtime_dir).notes
    (note,) = (note for note in notes if "add to build.gradle: " in note)
    script = tmp_path / "script.groovy"
    method = "def proguardFiles(Object... files) { println files.join(',') }"
    script.write_text(f"{method}\n{note.partition('add to build.gradle: ')[2]}\n")
    done = run("java", "-cp", maven_jar(GROOVY), "groovy.ui.GroovyMain", script)
    assert done.stdout == "src/main/lawow-proguard.txt\n"


# ---- checking


def check(app: Path, runtime_dir: Path) -> tuple[int, list[str]]:
    done = lawow("pack", app, "--runtime-dir", runtime_dir, "--check", "--json", check=False)
    return done.returncode, json.loads(done.stdout)["differences"]


def test_check_is_content_with_what_pack_wrote_and_with_nothing_else(app: Path, runtime_dir: Path) -> None:
    before = snapshot(app)
    code, differences = check(app, runtime_dir)
    assert (code, snapshot(app)) == (4, before)
    assert {f"{JAVA} is missing", f"{ASSET} is missing", "lawow.lock.json is missing"} <= set(differences)
    told = lawow("pack", app, "--runtime-dir", runtime_dir, "--check", check=False).stdout.splitlines()
    assert told[:-1] == differences
    assert told[-1] == f"{len(differences)} differences; lawow pack {app} writes what the tree should be"
    plan_pack(app, runtime_dir=runtime_dir).changes.apply()
    assert check(app, runtime_dir) == (0, [])
    (app / JAVA).write_text("// mine\n")
    (app / ASSET).unlink()
    before = snapshot(app)
    assert check(app, runtime_dir) == (4, [f"{ASSET} is missing", f"{JAVA} differs"])
    assert snapshot(app) == before


def test_check_finds_what_is_left_over(app: Path, runtime_dir: Path) -> None:
    plan_pack(app, runtime_dir=runtime_dir).changes.apply()
    folder = app / "src/main/wasm"
    (folder / "fibonacci.wasm").rename(folder / "other.wasm")
    differences = plan_pack(app, runtime_dir=runtime_dir, check=True).changes.differences()
    other = {path.replace("fibonacci", "other").replace("Fibonacci", "Other") for path in (JAVA, ASSET)}
    assert set(differences) == {
        *(f"{path} is left over" for path in (JAVA, ASSET)),
        *(f"{path} is missing" for path in other),
        "lawow.lock.json differs",
    }


# ---- the runtime


def test_without_a_runtime_the_classes_call_the_edge(app: Path) -> None:
    plan = plan_pack(app, runtime="none")
    assert plan.abis == ()
    assert not any(path.endswith((".so", ".c")) for path in plan.changes.write)
    source = plan.changes.write[JAVA].decode()
    assert 'return (Integer) Lawow.remote(MODULE, "fib", "i>i", new Object[] {p0});' in source
    assert "Each runs on the edge and may be called" in source
    assert len(edge_notes(app)) == 2
    manifest = app / "src/main/AndroidManifest.xml"
    asks = '<uses-permission android:name="android.permission.INTERNET"/><application'
    manifest.write_text(manifest.read_text().replace("<application", asks))
    (app / "src/main/assets/lawow").mkdir(parents=True)
    (app / "src/main/assets/lawow/edge.properties").write_text("edge=https://192.0.2.7:8443\n")
    assert edge_notes(app) == []


def edge_notes(app: Path) -> list[str]:
    return [note for note in plan_pack(app, runtime="none").notes if "calls go to the edge" in note]


def test_a_runtime_comes_out_of_the_pinned_wheels_without_a_network(
    app: Path, runtime_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = [runtimes.ABIS[abi].wheel for abi in ABIS]
    kept = CACHE / "xdg" / "lawow" / "runtimes"
    for abi in ABIS:  # fills the cache where nobody has
        runtimes.fetched_library(abi, lambda _: None)
    given = [Path(shutil.copy(kept / name, tmp_path)) for name in wheels]
    monkeypatch.setattr(runtimes.subprocess, "run", None)  # whoever calls pip fails
    plan = plan_pack(app, wheels=tuple(given))
    assert [len(item.files["libwasmtime.so"]) for item in plan.abis] == [19_383_128, 23_923_520]
    with pytest.raises(UsageError, match=r"x86_64 needs wasmtime-.*_x86_64\.whl; given: .*arm64_v8a\.whl"):
        plan_pack(app, wheels=(given[0],))
    assert len(plan_pack(app, wheels=(given[0],), abis=["arm64-v8a"]).abis) == 1
    given[1].write_bytes(given[0].read_bytes())
    with pytest.raises(FormatError, match="is not the pinned file"):
        plan_pack(app, wheels=tuple(given))


# ---- sources

SOURCE = """
#include "lawow.h"
#include "twice.h"
LAWOW_OFFLOAD int twice(int n) { return TWICE(n); }
"""


def test_what_a_builder_takes_is_built_and_the_rest_is_left(app: Path, runtime_dir: Path) -> None:
    folder = app / "src/main/wasm"
    (folder / "one.c").write_text("one")
    (folder / "notes.txt").write_text("not a source")
    (folder / "many").mkdir()
    (folder / "many" / "a.c").write_text("a")
    (folder / "empty").mkdir()
    asked: list[str] = []

    def build(source: Path) -> bytes:
        asked.append(source.name)
        return wat(FIBONACCI)

    builder = Builder(frozenset((".c",)), build)
    plan = plan_pack(app, runtime_dir=runtime_dir, builder=builder)
    assert asked == ["many", "one.c"]
    assert [item.class_name for item in plan.bindings] == ["FibonacciWasm", "ManyWasm", "OneWasm"]
    assert plan.changes.write["src/main/assets/lawow/many.wasm"] == wat(FIBONACCI)
    (folder / "fibonacci.c").write_text("beside its module")
    with pytest.raises(UsageError, match=r"fibonacci\.c and .*fibonacci\.wasm would both become"):
        plan_pack(app, runtime_dir=runtime_dir, builder=builder)


def test_sources_are_built_on_the_way_and_again_when_a_header_changes(
    tmp_path: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
        monkeypatch.setenv(name, str(CACHE / "zig"))
    app = app_tree(tmp_path / "app", {})
    folder = app / "src/main/wasm" / "twice"
    folder.mkdir()
    (folder / "twice.c").write_text(SOURCE)
    asset = app / "src/main/assets/lawow/twice.wasm"
    for expression, result in (("2 * (n)", "42\n"), ("2 * (n) + 1", "43\n")):
        (folder / "twice.h").write_text(f"#define TWICE(n) ({expression})\n")
        lawow("pack", app, "--runtime-dir", runtime_dir)
        assert lawow("exec", asset, "twice", "21").stdout == result
        assert "nothing to do" in lawow("pack", app, "--runtime-dir", runtime_dir).stdout
    assert sorted(path.name for path in folder.iterdir()) == ["twice.c", "twice.h"]


def test_without_the_compiler_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "twice.c"
    source.write_text(SOURCE)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'lawow\[build\]'"):
        source_builder(print).build(source)


def test_a_python_source_is_refused_with_the_reason(tmp_path: Path, runtime_dir: Path) -> None:
    app = app_tree(tmp_path / "app", {})
    (app / "src/main/wasm/f.py").write_text("def f(n: int) -> int:\n    return n\n")
    done = lawow("pack", app, "--runtime-dir", runtime_dir, check=False)
    assert done.returncode == Refused.exit_code
    assert "f.py: lawow build makes a component of a Python source" in done.stderr


def test_a_source_that_does_not_compile_is_named_and_nothing_is_written(
    tmp_path: Path, runtime_dir: Path
) -> None:
    app = app_tree(tmp_path / "app", {})
    (app / "src/main/wasm/broken.c").write_text("int f( {\n")
    before = snapshot(app)
    done = lawow("pack", app, "--runtime-dir", runtime_dir, check=False)
    assert (done.returncode, snapshot(app)) == (3, before)
    assert "broken.c" in done.stderr


def test_options_for_apks_are_refused_for_a_tree(app: Path) -> None:
    done = lawow("pack", app, "--debug-key", "--out", app, check=False)
    assert done.returncode == 2
    assert "APP is a source tree, for which there is no --out and no --debug-key" in done.stderr
