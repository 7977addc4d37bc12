"""Files are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lawow.durable import made_folders, remove_tree_of_files, replace_all, write_file


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 4 KiB, which is how a full disk looks to a writer.

    Not a fixture: those end after the test runner has written its own word, maybe to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_file_holds_the_data_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"data", mode=0o600)
    assert (tmp_path / "a").read_bytes() == b"data"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["a"]


def test_a_full_disk_leaves_the_old_files_and_no_part(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OSError), full_disk():
        replace_all([(tmp_path / "a", b"new"), (tmp_path / "b", bytes(100_000))])
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_an_error_names_the_file_that_was_asked_for_and_not_the_part(tmp_path: Path) -> None:
    with pytest.raises(OSError) as full, full_disk():
        write_file(tmp_path / "a", bytes(100_000))
    assert full.value.filename == str(tmp_path / "a")
    with pytest.raises(FileNotFoundError) as absent:
        write_file(tmp_path / "no" / "a", b"")
    assert absent.value.filename == str(tmp_path / "no" / "a")


def test_an_existing_file_is_kept_when_overwriting_is_not_allowed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "a", b"new", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_removal_takes_empty_folders_but_not_those_in_use(tmp_path: Path) -> None:
    for name in ("x/y/a", "x/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    remove_tree_of_files([tmp_path / "x/y/a", tmp_path / "x/y/missing"], tmp_path)
    assert not (tmp_path / "x/y").exists()
    assert (tmp_path / "x/b").exists()


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failure_after_some_renames_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    real, calls = getattr(os, call), []

    def fail_late(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, call, fail_late)
    files = [(tmp_path / name, b"new") for name in "abc"]
    with pytest.raises(OSError, match="No space left"):
        replace_all(files[: 3 if call == "replace" else 2])
    monkeypatch.undo()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_folders_made_for_results_go_when_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError), made_folders(tmp_path / "x" / "y", tmp_path):
        raise ValueError
    assert names(tmp_path) == []
    with made_folders(tmp_path / "x" / "y"):
        pass
    assert (tmp_path / "x" / "y").is_dir()
