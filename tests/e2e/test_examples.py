"""The programs in ``examples/`` run, and print what docs/device.md says that they print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.server.running import running_edge

GUIDE = (ROOT / "docs" / "device.md").read_text()


def printed(name: str, *arguments: str, token: str = "") -> str:
    """Run an example and return what it prints."""
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    environment = {**os.environ, "LAWOW_TOKEN": token}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(command: str) -> str:
    """Return what the guide shows below a command."""
    lines = GUIDE.partition(f"    $ {command}")[2].splitlines()[1:]
    end = next(number for number, line in enumerate(lines) if not line.startswith("    "))
    return "".join(f"{line[4:]}\n" for line in lines[:end])


def test_the_counter_goes_to_an_edge_and_comes_home(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data") as edge:
        text = printed("elastic_counter.py", edge.url, token=edge.token("walker"))
    assert text == shown("python examples/elastic_counter.py")


def test_the_counter_stays_at_home_without_an_edge() -> None:
    assert printed("elastic_counter.py") == "add(1) = 1, local\nsquare(12) = 144, local\n"


def test_the_channels_end_moves() -> None:
    assert printed("elastic_channel.py") == shown("python examples/elastic_channel.py")


def test_a_low_battery_sends_the_counter_to_an_edge_until_it_is_charged(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data") as edge:
        text = printed("low_battery.py", edge.url, token=edge.token("walker"))
    assert text == shown("python examples/low_battery.py")
