"""What a disk may hold after a power cut, from a recording of system calls.

A file system owes nobody anything before fsync: of what was written since, any part may be there, its last
block torn; of names that were made, moved and removed, any may be, each as a whole. `Disk` follows a
recording of strace and writes such states into a folder. It knows the calls that the edge's stores make and
no others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

__all__ = ["CALLS", "Choice", "Disk", "Event", "read_recording"]

CALLS = (
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "ftruncate",
    "truncate",
    "mkdir",
    "unlink",
    "lseek",
    "writev",
)
LINE = re.compile(r"\d+ +(\w+)\((.*)\) += (-?\d+)(.*)")
NAMED = re.compile(r"<((?:\\x[0-9a-f]{2})*|[^>]*)>")
TORN_BYTES = 512
"""A sector: what a disk writes as a whole."""


@dataclass(frozen=True, slots=True)
class Event:
    """A system call that changed something: its name, the paths, the bytes, the numbers."""

    call: str
    path: str
    other: str = ""
    data: bytes = b""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the changes that were not flushed are on the disk: chances of bytes, and of names."""

    bytes: float
    names: float


@dataclass(slots=True)
class _File:
    """Changes in order, and how many of them were flushed. A change is (offset, bytes) or (size, None)."""

    changes: list[tuple[int, bytes | None]] = field(default_factory=list)
    flushed: int = 0


@dataclass(slots=True)
class _Name:
    """A name appears (`file`, None for a folder) or goes; `since` is the change that moved it here."""

    path: str
    file: _File | None = None
    is_gone: bool = False
    is_flushed: bool = False
    since: _Name | None = None


class Disk:
    """A folder that is there from the start, and what happens below it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._files: dict[str, _File] = {}
        self._names: list[_Name] = []

    def follow(self, event: Event) -> None:
        """Take the next change in."""
        file = self._files.get(event.path)
        if event.call == "openat" and file is None:
            self._files[event.path] = made = _File()
            self._names.append(_Name(event.path, made))
        elif event.call == "mkdir":
            self._names.append(_Name(event.path))
        elif event.call == "unlink":
            self._names.append(_Name(event.path, is_gone=True))
            self._files.pop(event.path, None)
        elif event.call == "rename":
            arrived = _Name(event.other, self._files.pop(event.path))
            self._files[event.other] = arrived.file  # type: ignore[assignment]
            self._names += [arrived, _Name(event.path, is_gone=True, since=arrived)]
        elif event.call in ("fsync", "fdatasync"):
            self._flush(event.path)
        elif file is not None and event.call in ("ftruncate", "truncate"):
            file.changes.append((event.at, None))
        elif file is not None and event.call in ("write", "pwrite64"):
            file.changes.append((event.at, event.data))

    def write_state(self, folder: Path, choice: Choice, chance: Random) -> None:
        """Make what the disk may hold now below `folder`, which is the root's stand-in."""
        names: dict[str, _File | None] = {}
        happened: set[int] = set()
        for name in self._names:
            if not (name.is_flushed or chance.random() < choice.names):
                continue
            if name.since is not None and id(name.since) not in happened:
                continue  # a file system moves a name as a whole
            happened.add(id(name))
            if name.is_gone:
                names.pop(name.path, None)
            else:
                names[name.path] = name.file
        for path in sorted(names):
            target = folder / os.path.relpath(path, self._root)
            if not target.parent.is_dir():
                continue  # its folder was not there in the end
            file = names[path]
            if file is None:
                target.mkdir()
            else:
                target.write_bytes(_content(file, choice, chance))

    def _flush(self, path: str) -> None:
        file = self._files.get(path)
        if file is not None:
            file.flushed = len(file.changes)
            return
        for name in self._names:
            if os.path.dirname(name.path) == path:
                name.is_flushed = True


def _content(file: _File, choice: Choice, chance: Random) -> bytes:
    data = bytearray()
    for number, (at, written) in enumerate(file.changes):
        if number >= file.flushed and chance.random() >= choice.bytes:
            continue
        if written is None:
            del data[at:]
            data.extend(bytes(at - len(data)))
            continue
        if number >= file.flushed and chance.random() < choice.bytes / 4:
            written = written[: chance.randrange(len(written) + 1) // TORN_BYTES * TORN_BYTES]
        data.extend(bytes(max(at - len(data), 0)))
        data[at : at + len(written)] = written
    return bytes(data)


def read_recording(text: str, root: str) -> Iterator[Event]:
    """Return the changes below `root`, and every ``writev`` to standard output, in order."""
    offsets: dict[str, int] = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None or match[3].startswith("-"):
            continue
        call, arguments, result, rest = match.groups()
        texts = [_bytes(item) for item in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)]
        if call == "writev":
            yield Event(call, "", data=b"".join(texts))
            continue
        opened = NAMED.search(rest if call == "openat" else arguments)
        path = _text(opened[1]) if opened and call not in ("rename", "mkdir", "unlink", "truncate") else ""
        path = path or (texts[0].decode() if texts else "")
        if not path.startswith(root) or path.endswith("-shm"):
            continue  # shared memory of SQLite's, which it makes anew after a crash
        numbers = [int(item) for item in re.findall(r", (\d+)", arguments)]
        if call == "openat":
            offsets[path] = 0
            if "O_CREAT" in arguments:
                yield Event(call, path)
        elif call == "lseek":
            offsets[path] = int(result)
        elif call == "write":
            yield Event(call, path, data=texts[0], at=offsets[path])
            offsets[path] += int(result)
        elif call == "pwrite64":
            yield Event(call, path, data=texts[0], at=numbers[-1])
        elif call == "rename":
            yield Event(call, path, texts[1].decode())
        else:
            yield Event(call, path, at=numbers[-1] if numbers else 0)


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _text(path: str) -> str:
    return _bytes(path).decode() if path.startswith("\\x") else path
