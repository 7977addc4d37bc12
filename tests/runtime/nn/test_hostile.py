"""Models are a stranger's: they read no file, take no more than their limits, and break nothing."""

from __future__ import annotations

import os
import re
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lawow.runtime.nn.grant import InferenceGrant
from tests.runtime.nn import models
from tests.runtime.nn.builders import (
    EDGES,
    F32,
    INVALID_ENCODING,
    OK,
    RUNTIME_ERROR,
    TOO_LARGE,
    Guest,
    guest,
)

ROOT = Path(__file__).resolve().parent.parent.parent.parent
FLOATS = struct.pack("<4f", 1, 2, 3, 4)
EXTERNAL = [
    models.external_initializer,
    models.external_constant,
    models.external_in_a_branch,
    models.external_in_a_function,
]


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.fixture
def granted() -> InferenceGrant:
    return InferenceGrant()


@pytest.fixture
def caller(granted: InferenceGrant) -> Iterator[Guest]:
    with guest(granted) as made:
        yield made


@pytest.mark.parametrize("build", EXTERNAL)
@pytest.mark.parametrize("by_name", [True, False])
def test_a_model_reads_no_file(
    build: Callable[[str], bytes], by_name: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one beside it: who grants a model grants that file alone."""
    (tmp_path / "secret").write_bytes(FLOATS)
    (tmp_path / "model.onnx").write_bytes(build("secret"))
    monkeypatch.chdir(tmp_path)
    granted = InferenceGrant({"m": "model.onnx"})
    with guest(granted) as caller:
        found = caller.load_by_name(b"m") if by_name else caller.load(build("secret"))
        assert found[0] == INVALID_ENCODING
        for location in ("../secret", str(tmp_path / "secret"), models.MEMORY_MARKER):
            assert caller.load(build(location))[0] == INVALID_ENCODING
    # Refused before the library saw it, which from bytes alone would read what lies below the folder.
    assert all("a tensor's data lies outside of the model" in text for text in granted.report.refusals)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (models.sparse_initializer(), INVALID_ENCODING),
        (models.names_a_file(), INVALID_ENCODING),
        (models.doubling_functions(17), TOO_LARGE),
        (models.doubling_functions(3, recursive=True), INVALID_ENCODING),
        (models.nested(30), INVALID_ENCODING),
        (b"", INVALID_ENCODING),
        (b"\0" * 1000, INVALID_ENCODING),
        (b"\x08\x08\x3a\x00", INVALID_ENCODING),  # a version and an empty graph
        (EDGES.read_bytes()[:-1], INVALID_ENCODING),
    ],
)
def test_a_hostile_model_is_a_code(caller: Guest, data: bytes, code: int) -> None:
    assert caller.load(data)[0] == code
    assert caller.load(EDGES.read_bytes())[0] == OK


@pytest.mark.parametrize("constant", [True, False])
def test_a_model_takes_no_more_memory_than_its_limit(
    caller: Guest, granted: InferenceGrant, constant: bool
) -> None:
    """200 bytes that ask for 64 GiB: at load, where constants are folded, or when they run."""
    before = peak_bytes()
    code, graph = caller.load(models.expanding(1 << 34, constant=constant))
    if code != OK:  # releases differ: the fold fails, or the library does without it
        assert (code, constant) == (TOO_LARGE, True)
    else:
        context = caller.result("init_execution_context", graph)[1]
        if not constant:
            assert caller.set_input(context, 0, [1], F32, bytes(4)) == OK
        assert caller.call("compute", context) == TOO_LARGE
    assert "memory_bytes would be more than 2147483648" in granted.report.refusals[-1]
    assert peak_bytes() - before < 3 << 30


def test_names_that_are_no_text_are_a_code(caller: Guest) -> None:
    """The library returns names of inputs without looking whether they are UTF-8."""
    data = EDGES.read_bytes().replace(b"image", b"im\xffge")
    assert caller.load(data)[0] in (OK, INVALID_ENCODING)
    assert caller.load(EDGES.read_bytes())[0] == OK


def test_damaged_models_are_answered_with_codes() -> None:
    """300 models, half of them damaged in what they say; in a process whose crash would be seen."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.nn.mutations", "1", "300"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [list(map(int, re.findall(r"\d+", line))) for line in done.stdout.splitlines()]
    assert sum(line[0] for line in lines) == 300
    assert {line[1] for line in lines} <= {OK, INVALID_ENCODING, TOO_LARGE}
    assert any(line[1] == OK for line in lines)  # not all of them are stopped at the door
    assert all(code <= RUNTIME_ERROR + 3 for line in lines for code in line[1:])


def test_the_library_leaves_nothing_in_the_users_folders_and_no_thread_behind(tmp_path: Path) -> None:
    """Release 1.32 would keep an id of the machine and a database of what it saw, and send them."""
    code = """
import os
from lawow.runtime.nn import onnx_runtime
before = set(os.listdir("/proc/self/task"))
import numpy
numpy_threads = set(os.listdir("/proc/self/task")) - before
onnx_runtime.load()
print(len(os.listdir("/proc/self/task")) - len(before) - len(numpy_threads))
"""
    folders = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **folders},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout == "0\n"
    assert list(tmp_path.iterdir()) == []
