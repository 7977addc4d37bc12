"""`lawow pack` once more, and taken back: what is not ours is never touched."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from lawow.errors import FormatError, Refused
from lawow.pack import plan_removal
from tests.pack.builders import ASSET, FIBONACCI, JAVA, pack, plan_pack, snapshot, wat

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
