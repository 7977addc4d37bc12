"""The wheel of this tree, installed into an environment of its own: what users get, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tools import run

MODULE = ROOT / "fixtures" / "app" / "src" / "main" / "wasm" / "fibonacci.wasm"
FIB = ("exec", str(MODULE), "fib", "9")
EXEC_AND_LIST = (
    "import os, sys; leave = os._exit\n"
    "os._exit = lambda status: (print(*sys.modules, file=sys.stderr, flush=True), leave(status))\n"
    "sys.argv = sys.argv[1:]; exec(open(sys.argv[0]).read())"
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel; what it depends on is shared with this one."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env")
    python = folder / "env" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    run(*pip, next(folder.glob("*.whl")))
    packages = next((folder / "env" / "lib").iterdir()) / "site-packages"
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


def environment(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_the_installed_command_is_lawow_and_starts_by_itself(programs: Path, tmp_path: Path) -> None:
    for arguments, printed in ((FIB, "34\n"), (("--version",), "lawow")):
        done = subprocess.run(
            [str(programs / "lawow"), *arguments],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(printed)


def test_the_installed_command_brings_no_import_of_its_installer(programs: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(programs / "python"),
            "-c",
            EXEC_AND_LIST,
            str(programs / "lawow"),
            "exec",
            str(MODULE),
            "fib",
            "9",
        ],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "34\n"
    assert "lawow.execution.first_run" in done.stderr.split()
    assert not {"re", "enum", "functools", "typing"} & set(done.stderr.split())


def test_the_installed_edge_has_its_page(programs: Path, tmp_path: Path) -> None:
    code = "from lawow.server.dashboard import Page; print(Page().html.decode())"
    done = subprocess.run(
        [str(programs / "python"), "-I", "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("<!doctype html>")
