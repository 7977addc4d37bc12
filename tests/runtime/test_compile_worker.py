"""Compiling in a child ends with code or with the limit that was hit, and leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lawow.errors import FormatError, LawowError, LimitExceeded
from lawow.limits import COMPILE, CompileLimits
from lawow.runtime import compile_worker
from lawow.runtime.compile_worker import compile_in_child
from lawow.runtime.places import digest_of
from lawow.runtime.profiles import EDGE_PROFILE, EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import FIBONACCI, empty_functions, live_locals, many_locals, wat
from tests.server.running import processor_seconds


@pytest.mark.parametrize("profile", [EXEC_PROFILE, EDGE_PROFILE], ids=repr)
def test_the_child_writes_code_that_this_process_can_run(tmp_path: Path, profile: object) -> None:
    assert profile in (EXEC_PROFILE, EDGE_PROFILE)
    chosen = EXEC_PROFILE if profile is EXEC_PROFILE else EDGE_PROFILE
    output = tmp_path / "code.cwasm"
    content, digest = compile_in_child(wat(FIBONACCI), str(output), chosen)
    assert content == digest_of(wat(FIBONACCI))
    assert digest == digest_of(output.read_bytes())
    with WasmtimeEngine(chosen).load(str(output)).instantiate() as instance:
        assert instance.call("fib", (10,)) == (55,)


def test_a_module_can_be_given_as_a_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(wat(FIBONACCI))
    with path.open("rb") as stream:
        content, _ = compile_in_child(stream.fileno(), str(tmp_path / "code"), EXEC_PROFILE)
    assert content == digest_of(wat(FIBONACCI))


@pytest.mark.parametrize(
    ("wasm", "limits", "limit"),
    [
        (many_locals(2_000, 50_000), CompileLimits(), "locals_per_function"),
        (live_locals(500, 75_000), CompileLimits(), "local_bytes"),
        (empty_functions(100_001), CompileLimits(), "functions"),
        (empty_functions(60_000), CompileLimits(cpu_seconds=1), "cpu_seconds"),
        (empty_functions(60_000), CompileLimits(address_space_bytes=200 << 20), "address_space_bytes"),
    ],
    ids=["locals", "live locals", "functions", "processor time", "address space"],
)
def test_compile_bombs_end_at_a_limit_that_is_named(
    tmp_path: Path, wasm: bytes, limits: CompileLimits, limit: str
) -> None:
    output = tmp_path / "code.cwasm"
    started = time.monotonic()
    with pytest.raises(LimitExceeded) as caught:
        compile_in_child(wasm, str(output), EXEC_PROFILE, limits)
    assert caught.value.limit == limit
    assert not output.exists()
    assert time.monotonic() - started < 30


def test_an_invalid_module_is_a_format_error(tmp_path: Path) -> None:
    for wasm in (b"nonsense", wat(FIBONACCI)[:-1], b""):
        with pytest.raises(FormatError):
            compile_in_child(wasm, str(tmp_path / "code"), EXEC_PROFILE)
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_waits_too_long_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_worker, "_WALL_FACTOR", 0.01)
    with pytest.raises(LimitExceeded) as caught:
        compile_in_child(wat(FIBONACCI), str(tmp_path / "code"), EXEC_PROFILE, CompileLimits(cpu_seconds=1))
    assert caught.value.limit == "cpu_seconds"


def test_an_existing_output_is_never_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "code"
    output.write_bytes(b"precious")
    with pytest.raises(LawowError, match="the compiler failed"):
        compile_in_child(wat(FIBONACCI), str(output), EXEC_PROFILE)


def test_a_module_in_the_working_folder_is_not_run_by_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "lawow").mkdir()
    monkeypatch.chdir(tmp_path)
    compile_in_child(wat(FIBONACCI), str(tmp_path / "code"), EXEC_PROFILE)


def test_the_child_limits_itself_and_ends_with_its_parent(tmp_path: Path) -> None:
    """The parent is killed while the child compiles; the child must not go on for nobody."""
    script = (
        "import sys\n"
        "from lawow.runtime.compile_worker import compile_in_child\n"
        "from lawow.runtime.profiles import EXEC_PROFILE\n"
        "compile_in_child(sys.stdin.buffer.read(), sys.argv[1], EXEC_PROFILE)\n"
    )
    output = tmp_path / "code"
    with subprocess.Popen([sys.executable, "-c", script, str(output)], stdin=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        parent.stdin.write(empty_functions(90_000))
        parent.stdin.close()
        child = _wait_for_child(parent.pid)
        parent.kill()
    deadline = time.monotonic() + 3
    while _is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_running(child)
    assert not output.exists()


def _has_its_limits(child: str) -> bool:
    limits = Path(f"/proc/{child}/limits").read_text()
    seconds = rf"Max cpu time +{COMPILE.cpu_seconds} +{COMPILE.cpu_seconds + 1} "
    space = rf"Max address space +{COMPILE.address_space_bytes} "
    return all(re.search(line, limits) for line in (seconds, space))


def _wait_for_child(parent: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if found and _has_its_limits(found[0]) and processor_seconds(int(found[0])) > 0.4:  # it compiles
            return int(found[0])
        time.sleep(0.01)
    raise AssertionError("no compiling child appeared")


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
