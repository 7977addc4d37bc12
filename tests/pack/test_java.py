"""`lawow pack --runtime java`: classes and a dependency, no native library; refused without Gradle."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.errors import Refused
from lawow.pack.apk import plan_apk
from lawow.pack.config import read_pack_config
from lawow.pack.options import PackOptions
from lawow.resources import android_stub
from tests.conftest import lawow
from tests.pack.builders import GRADLE, app_tree, plan_pack, snapshot
from tests.refactor.builders import make_zip

DEPENDENCY = "implementation 'run.endive:runtime:1.2.0'"


def test_a_gradle_module_gets_classes_and_no_native_library(tmp_path: Path) -> None:
    app = app_tree(tmp_path / "app")
    plan = plan_pack(app, runtime="java")
    plan.changes.apply()
    written = {path.name for path in app.rglob("*") if path.is_file()}
    assert {path.name for path in android_stub("endive").rglob("*.java")} <= written
    assert not [name for name in written if name.endswith((".so", ".c", ".pulley"))]
    assert "local=java" in (app / "src/main/assets/lawow/local.properties").read_text()
    assert "run.endive" in (app / "src/main/lawow-proguard.txt").read_text()
    assert [note for note in plan.notes if DEPENDENCY in note]
    assert [note for note in plan.notes if "slower" in note]


def test_a_dependency_that_is_there_is_not_asked_for(tmp_path: Path) -> None:
    gradle = GRADLE + f"dependencies {{ {DEPENDENCY} }}\n"
    plan = plan_pack(app_tree(tmp_path / "app", gradle=gradle), runtime="java")
    assert not [note for note in plan.notes if "add to the dependencies" in note]


def test_trying_checking_and_removing(tmp_path: Path) -> None:
    app = app_tree(tmp_path / "app")
    before = snapshot(app)
    assert "slower" in lawow("pack", app, "--runtime", "java", "--dry-run").stdout
    assert snapshot(app) == before
    lawow("pack", app, "--runtime", "java")
    lawow("pack", app, "--runtime", "java", "--check")
    lawow("pack", app, "--remove")
    assert snapshot(app) == before


def test_a_tree_without_gradle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "AndroidManifest.xml").write_text('<manifest package="com.example.app"/>')
    with pytest.raises(Refused, match="is no Gradle module"):
        plan_pack(tmp_path / "app", runtime="java")


def test_a_finished_apk_is_refused_with_the_two_ways_out(small: dict[str, bytes], module: Path) -> None:
    """Whatever the APK is: the refusal comes before it is looked at, and names another way for it."""
    for data in (make_zip(small), b"no APK"):
        with pytest.raises(Refused) as caught:
            plan_apk(data, "app.apk", PackOptions(wasm=(module,), runtime="java"))
        assert str(caught.value).startswith("app.apk: a finished APK takes dex code")
        assert "pack the Gradle module with --runtime java, or take wasmtime here" in str(caught.value)


def test_the_command_refuses_a_finished_apk_and_leaves_it(
    small: dict[str, bytes], module: Path, tmp_path: Path
) -> None:
    apk = tmp_path / "app.apk"
    apk.write_bytes(make_zip(small))
    done = lawow("pack", apk, "--debug-key", "--wasm", module, "--runtime", "java", check=False)
    assert done.returncode == 4
    assert "or take wasmtime here" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path != module] == ["app.apk"]
    assert apk.read_bytes() == make_zip(small)


def test_an_android_that_gradle_cannot_translate_for_is_refused(tmp_path: Path) -> None:
    app = app_tree(tmp_path / "app", gradle=GRADLE.replace("29", "25"))
    with pytest.raises(Refused, match=r"minSdk is 25.*raise minSdk to 28"):
        plan_pack(app, runtime="java")


def test_an_android_below_the_floor_of_its_ancestor_is_told(tmp_path: Path) -> None:
    plan = plan_pack(app_tree(tmp_path / "app", gradle=GRADLE.replace("29", "26")), runtime="java")
    assert [note for note in plan.notes if note.startswith("minSdk is 26")]


def test_the_configuration_names_it_and_no_engine_beside_it() -> None:
    config = read_pack_config(b'[pack]\nruntime = "java"\n', name="lawow.toml")
    assert config.completed(PackOptions(), Path("app"), None).runtime == "java"
    engine = b'[pack]\nruntime = "java"\n[pack.profile]\nengine = "pulley"\n'
    with pytest.raises(Refused, match="the runtime in Java has one engine"):
        read_pack_config(engine, name="lawow.toml").completed(PackOptions(), Path("app"), None)
