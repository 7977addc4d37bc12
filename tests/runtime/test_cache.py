"""Compiled code is kept for what it belongs to, and damaged, foreign or stale code is never run."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from lawow.runtime import cache as cache_module
from lawow.runtime import places
from lawow.runtime.cache import CodeCache, content_key
from lawow.runtime.places import Entry, default_folder, digest_of, file_key
from lawow.runtime.profiles import EDGE_PROFILE, EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import FIBONACCI, wat

KEY = "content"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "code"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture(scope="module")
def engine() -> WasmtimeEngine:
    return WasmtimeEngine(EXEC_PROFILE)


@pytest.fixture(scope="module")
def code(engine: WasmtimeEngine) -> bytes:
    return engine.compile(wat(FIBONACCI)).serialize()


@pytest.fixture
def cache(folder: Path) -> CodeCache:
    return CodeCache(str(folder), EXEC_PROFILE)


def test_stored_code_is_found_and_runs(cache: CodeCache, engine: WasmtimeEngine, code: bytes) -> None:
    assert cache.load(engine, KEY) is None
    cache.store(KEY, code)
    module = cache.load(engine, KEY)
    assert module is not None
    with module.instantiate() as instance:
        assert instance.call("fib", (10,)) == (55,)


def test_a_second_key_leads_to_the_same_code_and_its_export(cache: CodeCache, code: bytes) -> None:
    entry = cache.store(KEY, code)
    assert entry is not None
    cache.put("file 1", entry, export="fib", signature="i>i", is_pure=True)
    found = cache.find("file 1")
    assert found is not None
    assert (found.code, found.export, found.signature, found.is_pure) == (entry.code, "fib", "i>i", True)


def test_code_of_another_profile_is_not_found(folder: Path, cache: CodeCache, code: bytes) -> None:
    cache.store(KEY, code)
    assert CodeCache(str(folder), EDGE_PROFILE).find(KEY) is None


def test_a_bit_flipped_anywhere_in_the_code_is_detected(folder: Path, cache: CodeCache, code: bytes) -> None:
    entry = cache.store(KEY, code)
    assert entry is not None
    path = folder / entry.code
    facts = path.stat()
    for offset in range(0, len(code), 97):
        damaged = bytearray(code)
        damaged[offset] ^= 1 << offset % 8
        path.write_bytes(damaged)
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        assert cache.find(KEY) is None, offset
        cache.put(KEY, entry)
    path.write_bytes(code)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert cache.find(KEY) is not None


@pytest.fixture
def large(cache: CodeCache, code: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stored code above the size that is hashed at every load."""
    monkeypatch.setattr(places, "VERIFIED_BYTES", 10)
    entry = cache.store(KEY, code)
    assert entry is not None
    return folder / entry.code


def test_large_code_is_not_hashed_while_it_is_as_it_was_written(
    cache: CodeCache, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "digest_of", None)
    assert cache.find(KEY) is not None


def test_large_code_that_was_changed_is_detected_whatever_its_times_say(
    cache: CodeCache, code: bytes, large: Path
) -> None:
    facts = large.stat()
    time.sleep(0.02)  # more than a step of the file system's clock
    large.write_bytes(code[:-1] + bytes((code[-1] ^ 1,)))
    os.utime(large, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert cache.find(KEY) is None


def test_large_code_that_was_only_touched_is_used(cache: CodeCache, large: Path) -> None:
    time.sleep(0.02)
    large.touch()
    assert cache.find(KEY) is not None


def test_a_damaged_or_truncated_entry_is_removed_and_means_nothing(
    folder: Path, cache: CodeCache, code: bytes
) -> None:
    cache.store(KEY, code)
    (path,) = folder.glob("*.entry")
    text = path.read_bytes()
    for damaged in [text[:length] for length in range(len(text))] + [b"\xff" * 40, text + b"more\n"]:
        path.write_bytes(damaged)
        assert cache.find(KEY) is None
    path.write_bytes(text)
    assert cache.find(KEY) is not None


def test_an_entry_cannot_name_a_file_elsewhere() -> None:
    good = Entry("a.cwasm", "00", 1, 2).to_text()
    assert Entry.from_text(good) is not None
    for name in ("../a.cwasm", "/etc/passwd", "a.so"):
        assert Entry.from_text(good.replace("a.cwasm", name)) is None


def test_an_export_with_a_line_break_is_not_remembered(cache: CodeCache, code: bytes) -> None:
    entry = cache.store(KEY, code)
    assert entry is not None
    cache.put("file", entry, export="two\nlines")
    assert cache.find("file") is None


def test_code_that_the_engine_refuses_is_compiled_again(cache: CodeCache, engine: WasmtimeEngine) -> None:
    cache.store(KEY, b"made by another processor")
    assert cache.load(engine, KEY) is None


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o777])
def test_a_folder_open_to_others_is_not_used(folder: Path, code: bytes, mode: int) -> None:
    CodeCache(str(folder), EXEC_PROFILE).store(KEY, code)
    folder.chmod(mode)
    cache = CodeCache(str(folder), EXEC_PROFILE)
    assert cache.folder is None
    assert cache.find(KEY) is None
    assert cache.store(KEY, code) is None


def test_a_folder_of_another_user_or_behind_a_link_is_not_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert CodeCache(str(link), EXEC_PROFILE).folder is None
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert CodeCache(str(folder), EXEC_PROFILE).folder is None


def test_the_users_folder_is_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = CodeCache.for_user(EXEC_PROFILE)
    assert cache.folder == str(tmp_path / "cache" / "lawow" / "code")
    assert stat.S_IMODE(os.stat(cache.folder).st_mode) == 0o700
    assert CodeCache.for_user(EXEC_PROFILE).folder == cache.folder


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_folder() == "/home/somebody/.cache/lawow/code"
    monkeypatch.delenv("HOME")
    assert default_folder() is None


def test_without_a_folder_nothing_is_found_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: bytes
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    cache = CodeCache.for_user(EXEC_PROFILE)
    assert cache.folder is None
    assert cache.find(KEY) is None
    assert cache.store(KEY, code) is None


def test_a_failing_disk_leaves_no_part_and_no_entry(
    folder: Path, cache: CodeCache, code: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "replace", full)
    assert cache.store(KEY, code) is None
    assert list(folder.iterdir()) == []


def test_the_file_key_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(b"one")
    time.sleep(0.15)
    first = file_key(os.stat(path), "", "fib")
    assert first is not None
    assert file_key(os.stat(path), "", "fib") == first
    assert file_key(os.stat(path), "", "other") != first
    facts = path.stat()
    path.write_bytes(b"two")  # same size, and the time put back
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    time.sleep(0.15)
    assert file_key(os.stat(path), "", "fib") != first


def test_a_file_changed_a_moment_ago_has_no_key(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(b"one")
    assert file_key(os.stat(path), "", "fib") is None


def test_the_content_key_is_the_digest_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(b"abc" * 700_000)
    with path.open("rb") as stream:
        assert content_key(stream.fileno()) == digest_of(b"abc" * 700_000)


def test_the_oldest_files_go_when_the_folder_grows_too_large(
    folder: Path, cache: CodeCache, code: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "LARGEST_CACHE_BYTES", 3 * len(code))
    for number in range(6):
        cache.store(f"key {number}", code)
        time.sleep(0.01)
    assert cache.find("key 5") is not None
    assert cache.find("key 0") is None
    assert sum(item.stat().st_size for item in folder.iterdir()) <= 3 * len(code) + 4096


def test_parts_of_killed_processes_go(folder: Path, cache: CodeCache, code: bytes) -> None:
    old, young = folder / "1-a.part", folder / "2-b.part"
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    young.write_bytes(b"x")
    cache.store(KEY, code)
    assert not old.exists()
    assert young.exists()
