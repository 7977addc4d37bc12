"""Compiled code on a JVM: kept, trusted only when it is whole, and the interpreter while there is none."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from pathlib import Path

import pytest

from lawow.runtime.device_code import app_file, compile_for_app
from tests.android.builders import Jvm, Sample

MAGIC = b"LAWOWCODE1"


def file_of(module: Sample, code: bytes) -> bytes:
    """The file format, written from its description."""
    return MAGIC + bytes.fromhex(module.digest) + hashlib.sha256(code).digest() + code


def cached(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.cwasm"))


def steps(jvm: Jvm, *words: str) -> list[str]:
    """Run a program of `Codes`: see there."""
    return jvm.run("dev.lawow.Codes", *words).splitlines()


@pytest.fixture
def caching(local_jvm: Jvm, tmp_path: Path) -> Jvm:
    return local_jvm.with_properties(cache=tmp_path / "code")


def test_a_module_is_compiled_once_and_its_code_kept_in_a_private_folder(
    caching: Jvm, tmp_path: Path, calls_module: Sample
) -> None:
    assert steps(caching, calls_module.name, "fib", "settle", "engine") == ["55", "settled", "native"]
    (file,) = cached(tmp_path / "code")
    assert file.name.startswith(f"{calls_module.digest}-50.0-")
    data = file.read_bytes()
    assert data == file_of(calls_module, data[len(MAGIC) + 64 :])
    assert stat.S_IMODE((tmp_path / "code").stat().st_mode) == 0o700
    before = file.stat().st_mtime_ns
    assert steps(caching, calls_module.name, "fib", "settle") == ["55", "settled"]
    assert cached(tmp_path / "code") == [file]
    assert file.stat().st_mtime_ns == before
    assert not list((tmp_path / "code").glob("*.tmp"))


DAMAGES = {
    "a flipped bit of the code": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "half of it": lambda data: data[: len(data) // 2],
    "nothing": lambda data: b"",
    "another module's": lambda data: data[:10] + bytes(32) + data[42:],
    "another format": lambda data: b"LAWOWCODE2" + data[10:],
    "whole, but no code": lambda data: data[:42] + hashlib.sha256(b"x" * 99).digest() + b"x" * 99,
}


def test_damaged_code_is_not_run_but_made_again(caching: Jvm, tmp_path: Path, calls_module: Sample) -> None:
    steps(caching, calls_module.name, "fib", "settle")
    (file,) = cached(tmp_path / "code")
    good = file.read_bytes()
    for name, damage in DAMAGES.items():
        file.write_bytes(damage(good))
        assert steps(caching, calls_module.name, "fib", "settle") == ["55", "settled"], name
        (again,) = cached(tmp_path / "code")
        assert again.read_bytes()[:42] == good[:42], name
        assert len(again.read_bytes()) == len(good), name


def test_each_setting_that_changes_code_has_code_of_its_own(
    caching: Jvm, tmp_path: Path, calls_module: Sample
) -> None:
    for options in ({}, {"fuel": 10**9}, {"timeout_seconds": 60}, {"engine": "pulley"}):
        jvm = caching.with_properties(**options)
        assert steps(jvm, calls_module.name, "fib", "settle") == ["55", "settled"]
    assert len(cached(tmp_path / "code")) == 4


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(
    local_jvm: Jvm, tmp_path: Path, calls_module: Sample
) -> None:
    (tmp_path / "file").write_text("in the way")
    jvm = local_jvm.with_properties(cache=tmp_path / "file" / "code")
    assert steps(jvm, calls_module.name, "fib", "settle", "fib") == ["55", "settled", "55"]


def test_the_cache_stays_below_its_limit_and_the_oldest_go(
    caching: Jvm, tmp_path: Path, calls_module: Sample
) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    for age, name in ((300, "oldest"), (200, "older"), (100, "old")):
        with (folder / f"{name}.cwasm").open("wb") as stream:
            stream.truncate(31 << 20)
        then = time.time() - age
        os.utime(folder / f"{name}.cwasm", (then, then))
    steps(caching, calls_module.name, "fib", "settle")
    names = [path.name for path in cached(folder)]
    assert [name for name in names if name.startswith("old")] == ["old.cwasm", "older.cwasm"]
    assert len(names) == 3


def test_the_interpreter_runs_until_native_code_is_there(
    caching: Jvm, tmp_path: Path, calls_module: Sample
) -> None:
    made = app_file(calls_module.data, compile_for_app(calls_module.data))
    assets = tmp_path / "app" / "assets" / "lawow"
    assets.mkdir(parents=True)
    (assets / f"{calls_module.file}.pulley").write_bytes(made)
    jvm = caching.with_classes(tmp_path / "app")
    seen = steps(jvm, calls_module.name, "hold", "engine", "fib", "release", "settle", "engine", "fib")
    assert seen == ["interpreter", "55", "settled", "native", "55"]
    (native,) = cached(tmp_path / "code")
    assert native.read_bytes() != made
    assert steps(jvm, calls_module.name, "hold", "engine", "fib") == ["native", "55"]
    (assets / f"{calls_module.file}.pulley").write_bytes(made[:-1])
    native.unlink()
    assert steps(jvm, calls_module.name, "fib", "engine") == ["55", "native"]


def test_android_gets_its_own_code_cache_folder_and_nobody_a_shared_one(local_jvm: Jvm) -> None:
    app = "/data/user/0/com.example.app"
    lines = steps(
        local_jvm,
        "",
        f"folder={app}/cache",
        "folder=/tmp",
        "folder=/data/local/tmp",
        "folder=cache",
        "folder=",
    )
    assert lines == [f"{app}/code_cache/lawow", "null", "null", "null", "null"]


def test_no_cache_is_made_where_none_was_asked_for(local_jvm: Jvm) -> None:
    assert steps(local_jvm, "", "cache") == ["none"]
